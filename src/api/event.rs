//! One line of `output.jsonl`: what a run did, in a few types, so that nothing of the CLI's stream is lost
//! and a reader need not know the CLI.
//!
//! An event of a CLI line carries `line` (the line's number, from 1) and, in `data`, every field of the
//! line that the event does not name otherwise, so that the line can be rebuilt:
//!
//! | event | took out of the line |
//! |---|---|
//! | any | `parent_tool_use_id` as `parentToolUseId`, when a string |
//! | output | the block's `text` as `content`, `message.id` as `messageId` |
//! | tool_use | the block's `name`, `id` and `input` as `tool`, `toolUseId` and `input` |
//! | tool_result | the block's `tool_use_id` and `content` as `toolUseId` and `content` |
//! | error (with `line`) | the block's `text` as `message` |
//! | system, of a line of type `system` | `subtype`, unless it is one of [`OWN_SUBTYPES`] |
//!
//! Other fields (`file`, `command`, `isError`, the tool of a result, `code`, `detail`) repeat what `data`
//! or `input` holds. A line with several content blocks becomes several events of one `line`, each with
//! its `block` (from 0); the first carries `data`, and in `noise` what the line held for a terminal before its
//! JSON. Only the runner's own events have no `line`: an event
//! with `line` speaks with the agent's voice, whatever it claims.

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::reason::{ExitReason, Phase, Reason};

/// No event is longer: a larger one is split into parts, which carry `part` (from 1) and `parts`. The
/// `fragment`s of its parts, joined, are the event. A raw event's parts carry a piece of the bytes each.
/// Of a line that was too long to be held only the last part knows `parts`.
pub const MAX_BYTES: usize = 256 * 1024;

/// Subtypes of system events that no line of type `system` can take.
pub const OWN_SUBTYPES: [&str; 12] = [
    "raw", "stderr", "result", "verdict", "signal", "stop", "pause", "resume", PROMPT, WARNING,
    "system", "unknown",
];

/// What the agent is told, at the start of each attempt: `data` holds it as `text`. It is an event of its own,
/// not part of `start`, so that `start` never is an event in parts.
pub const PROMPT: &str = "prompt";

/// What a person should not miss of the run's surroundings: `data` holds it as `message`.
pub const WARNING: &str = "warning";

/// One event. `D` is the type of `data`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event<'a, D> {
    #[serde(rename = "type")]
    pub kind: Kind,
    #[serde(serialize_with = "milliseconds")]
    pub timestamp: DateTime<Utc>,
    /// Counts the events of an attempt from 1, without a gap.
    pub seq: u64,
    #[serde(flatten)]
    pub place: Place<'a>,
    #[serde(flatten)]
    pub body: Body<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<D>,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Start,
    Output,
    ToolUse,
    ToolResult,
    Error,
    System,
    /// The last line of a record, written by the store.
    Complete,
}

/// Where in the CLI's stream an event comes from; all absent for the runner's own.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<u64>,
    /// What the line held for a terminal before its JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<&'a str>,
    /// The tool call of the subagent that spoke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_tool_use_id: Option<&'a RawValue>,
}

/// The fields that go with an event's type. JSON values of the CLI are passed on byte by byte.
#[derive(Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Body<'a> {
    Start {
        message: &'a str,
        job: &'a str,
        agent: &'a str,
        attempt: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        session_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<&'a str>,
        /// What the session had cost before, where it is continued.
        #[serde(rename = "costBeforeUSD", skip_serializing_if = "Option::is_none")]
        cost_before_usd: Option<f64>,
    },
    Output {
        #[serde(skip_serializing_if = "Option::is_none")]
        message_id: Option<&'a RawValue>,
        content: &'a RawValue,
    },
    ToolUse {
        tool: &'a RawValue,
        tool_use_id: &'a RawValue,
        /// The file that the input names.
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<&'a RawValue>,
        /// What a shell is to run; absent when it is long, see `input`.
        #[serde(skip_serializing_if = "Option::is_none")]
        command: Option<&'a RawValue>,
        input: &'a RawValue,
    },
    ToolResult {
        #[serde(skip_serializing_if = "Option::is_none")]
        tool: Option<&'a str>,
        tool_use_id: &'a RawValue,
        is_error: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<&'a RawValue>,
    },
    /// What could not be said by the agent itself, written by the store.
    StoreError {
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<Reason>,
    },
    Error {
        message: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<Reason>,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
    },
    System {
        subtype: &'a str,
    },
    Complete {
        status: Phase,
        #[serde(skip_serializing_if = "Option::is_none")]
        exit_reason: Option<ExitReason>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<Reason>,
        #[serde(skip_serializing_if = "Option::is_none")]
        turns: Option<u64>,
        #[serde(rename = "costUSD", skip_serializing_if = "Option::is_none")]
        cost_usd: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        duration_ms: Option<i64>,
        /// Of all bytes before this line, in hex.
        sha256: &'a str,
    },
    /// A piece of an event of this type, as JSON text.
    Fragment {
        #[serde(skip)]
        of: Kind,
        fragment: &'a str,
    },
}

impl Body<'_> {
    pub fn kind(&self) -> Kind {
        match self {
            Body::Start { .. } => Kind::Start,
            Body::Output { .. } => Kind::Output,
            Body::ToolUse { .. } => Kind::ToolUse,
            Body::ToolResult { .. } => Kind::ToolResult,
            Body::Error { .. } | Body::StoreError { .. } => Kind::Error,
            Body::System { .. } => Kind::System,
            Body::Complete { .. } => Kind::Complete,
            Body::Fragment { of, .. } => *of,
        }
    }
}

fn milliseconds<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time.format("%Y-%m-%dT%H:%M:%S%.3fZ"))
}
