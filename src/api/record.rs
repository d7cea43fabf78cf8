//! What the store writes into a Job's status: the verdict as it arrived, how the run goes, and where its
//! output is. The controller reads these fields and never writes them.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::Clean;

/// The verdict of an attempt, as it reached the store: whole, and with the digest of all before it proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The attempt that it is of.
    #[schemars(range(min = 1))]
    pub attempt: u32,
    /// The UID of the pod that sent it.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// When it was safe on the store's disk.
    pub at: DateTime<Utc>,
    /// The runner's verdict, as JSON.
    #[schemars(length(max = 4096))]
    pub verdict: Clean,
}

/// How far the agent is; written at most every 5 s.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Answers of the model so far.
    pub turns: u64,
    /// The CLI's estimate in US dollars, as of its last result line.
    #[serde(default, rename = "costUSD", skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Tokens that the model read, cached ones included.
    pub input_tokens: u64,
    /// Tokens that the model wrote.
    pub output_tokens: u64,
    /// The time of the last line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_activity: Option<DateTime<Utc>>,
    /// The tool that was called last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub last_tool: Option<Clean>,
}

/// Where the output is, and how much of it; digest and seal once it is complete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// The file on the store's volume.
    #[schemars(length(max = 512))]
    pub path: String,
    /// Its size by now.
    pub bytes: u64,
    /// Its lines by now, each an event.
    pub lines: u64,
    /// Bytes that the runner recorded and that never reached the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<u64>,
    /// SHA-256 of the whole file, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub sha256: Option<String>,
    /// When its last line was written: from then on it never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<DateTime<Utc>>,
}
