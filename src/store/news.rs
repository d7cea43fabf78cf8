//! What happens to records, told by the half that keeps the files to the half that writes the Jobs'
//! status; and the seal, which is asked for in the other direction.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::gate::RecordKey;
use crate::{
    api::{
        reason::{ExitReason, Phase, Reason},
        record::Progress,
        text::Clean,
        verdict::Verdict,
    },
    plan::seal::Came,
};

/// Something happened to a record. Sent after it is synced.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// More output is safe.
    Grown {
        record: RecordKey,
        progress: Progress,
        bytes: u64,
        lines: u64,
    },
    /// An attempt's verdict is safe, and the digest in it is that of the bytes before it.
    Verdict {
        record: RecordKey,
        attempt: u32,
        pod_uid: String,
        at: DateTime<Utc>,
        /// As it stands in the record.
        verdict: Box<Verdict>,
    },
    /// Bytes that were acknowledged were sent again, and differ; or a verdict's digest is not that of
    /// the bytes before it.
    Altered { record: RecordKey, message: String },
    /// There is no room for this record's output.
    Stalled { record: RecordKey, message: String },
    /// There is room again.
    Resumed { record: RecordKey },
}

impl News {
    /// The record that it is about.
    pub fn record(&self) -> &RecordKey {
        match self {
            News::Grown { record, .. }
            | News::Verdict { record, .. }
            | News::Altered { record, .. }
            | News::Stalled { record, .. }
            | News::Resumed { record } => record,
        }
    }
}

/// What the closing lines of a record and its final `job.json` say: the Job's final status.
#[derive(Clone, Debug, PartialEq)]
pub struct Closing {
    pub phase: Phase,
    pub exit_reason: Option<ExitReason>,
    pub reason: Option<Reason>,
    pub message: Option<Clean>,
    pub error: Option<Clean>,
    pub agent: String,
    pub session_id: Option<String>,
    pub started_at: Option<DateTime<Utc>>,
    pub completed_at: Option<DateTime<Utc>>,
    /// The last attempt's verdict is in the record. Where it is not, or reports a signal whose sender only
    /// Kubernetes knows, an `error` line with `message` comes before the `complete` of a failed Job.
    pub spoken: bool,
    /// By attempt, what the runner's last word counted (bytes before the verdict), where only the kubelet
    /// brought it: what lacks is counted as missing.
    pub counted: BTreeMap<u32, u64>,
}

/// A sealed record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// On the volume.
    pub path: String,
    pub bytes: u64,
    pub lines: u64,
    pub sha256: String,
    pub missing: u64,
    pub at: DateTime<Utc>,
    /// What about acknowledged bytes was not as it should be.
    pub altered: Option<String>,
    /// By attempt, what came of its stream.
    pub came: BTreeMap<u32, Came>,
}
