//! A line of a record as it is read. The head is written by the runner or the store and has known types;
//! what the agent brought may be any JSON, and is looked at field by field.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::api::{
    event::WARNING,
    reason::{ExitReason, Phase},
};

/// What every line has, and what tells lines apart. Reading it skips over the rest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    pub timestamp: DateTime<Utc>,
    pub seq: u64,
    /// The number of the CLI's line; absent for the runner's and the store's own words.
    pub line: Option<u64>,
    pub part: Option<u64>,
    pub parts: Option<u64>,
    #[serde(borrow)]
    pub subtype: Option<Cow<'a, str>>,
    #[serde(default)]
    pub is_error: bool,
    /// Of a complete line.
    #[serde(borrow)]
    pub status: Option<Cow<'a, str>>,
}

impl<'a> Head<'a> {
    pub fn of(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// The last line of a record: only the store writes this type.
    pub fn is_complete(&self) -> bool {
        self.kind == "complete"
    }

    /// The runner's own word, not the agent's.
    pub fn is_own(&self, subtype: &str) -> bool {
        self.line.is_none() && self.kind == "system" && self.subtype.as_deref() == Some(subtype)
    }

    pub fn level(&self) -> Level {
        let subtype = self.subtype.as_deref().unwrap_or_default();
        match self.kind.as_ref() {
            "error" => Level::Error,
            "tool_result" if self.is_error => Level::Error,
            "complete" if self.status.as_deref() != Some("completed") => Level::Error,
            "system" if WARNINGS.contains(&subtype) => Level::Warning,
            _ => Level::Info,
        }
    }
}

/// System events that a person should not miss.
const WARNINGS: [&str; 6] = [
    "api_retry",
    "model_fallback",
    "rate_limit_event",
    "signal",
    "stop",
    WARNING,
];

/// How grave a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Level {
    /// All lines
    #[default]
    Info,
    /// Errors, retries and stops
    Warning,
    /// Errors and tool calls that failed
    Error,
}

/// A whole event, its parts joined.
#[derive(Debug)]
pub struct Event(pub Value);

impl Event {
    pub fn of(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).map(Event).ok()
    }

    /// The string at this JSON pointer; empty where there is none.
    pub fn text(&self, pointer: &str) -> &str {
        self.0
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub fn number(&self, pointer: &str) -> Option<f64> {
        self.0.pointer(pointer).and_then(Value::as_f64)
    }

    pub fn count(&self, pointer: &str) -> Option<u64> {
        self.0.pointer(pointer).and_then(Value::as_u64)
    }

    /// What a tool call answered, as text. Blocks that are no text are named by their type.
    pub fn content(&self) -> String {
        match self.0.get("content") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(blocks)) => {
                let texts: Vec<String> = blocks.iter().map(block).collect();
                texts.join("\n")
            }
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        }
    }

    /// What the model thought, of a thinking line.
    pub fn thinking(&self) -> String {
        let blocks = self
            .0
            .pointer("/data/message/content")
            .and_then(Value::as_array);
        let thoughts = blocks
            .into_iter()
            .flatten()
            .filter_map(|block| block.get("thinking")?.as_str());
        thoughts.collect::<Vec<_>>().join("\n")
    }

    /// How the Job ended, of a complete line.
    pub fn outcome(&self) -> Option<(Phase, Option<ExitReason>)> {
        let phase = Phase::deserialize(self.0.get("status")?).ok()?;
        let exit_reason = self.0.get("exitReason");
        let exit_reason = exit_reason.and_then(|reason| ExitReason::deserialize(reason).ok());
        Some((phase, exit_reason))
    }
}

fn block(block: &Value) -> String {
    match (block.get("text"), block.get("type")) {
        (Some(Value::String(text)), _) => text.clone(),
        (_, Some(Value::String(kind))) => format!("[{kind}]"),
        _ => block.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(line: &str) -> Level {
        let line = format!(r#"{{"timestamp":"2026-01-02T03:04:05.678Z","seq":1,{line}}}"#);
        Head::of(line.as_bytes()).unwrap().level()
    }

    #[test]
    fn graver_lines_have_higher_levels() {
        assert_eq!(level(r#""type":"output","content":"x""#), Level::Info);
        assert_eq!(
            level(r#""type":"system","subtype":"api_retry""#),
            Level::Warning
        );
        assert_eq!(
            level(r#""type":"tool_result","isError":true"#),
            Level::Error
        );
        assert_eq!(level(r#""type":"error","message":"x""#), Level::Error);
        assert_eq!(
            level(r#""type":"complete","status":"completed""#),
            Level::Info
        );
        assert_eq!(
            level(r#""type":"complete","status":"failed""#),
            Level::Error
        );
    }

    #[test]
    fn only_the_runners_word_is_its_own() {
        let line = r#"{"type":"system","timestamp":"2026-01-02T03:04:05.678Z","seq":1,"line":4,"subtype":"verdict"}"#;
        assert!(!Head::of(line.as_bytes()).unwrap().is_own("verdict"));
    }

    #[test]
    fn blocks_become_text() {
        let event = Event(
            serde_json::json!({"content": [{"type": "text", "text": "a"}, {"type": "image"}]}),
        );
        assert_eq!(event.content(), "a\n[image]");
    }
}
