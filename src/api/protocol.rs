//! How `ship` and the gateway speak with the store: paths, limits and answers, so that the three agree
//! by this module alone. `docs/protocol.md` tells the same to whoever writes another shipper.

use serde::{Deserialize, Serialize};

/// The audience of the tokens that the store accepts.
pub const AUDIENCE: &str = "herd-store";

/// The key under which the store's ConfigMap holds its CA certificates (PEM).
pub const CA_KEY: &str = "ca.crt";

/// The largest body of one append.
pub const MAX_APPEND_BYTES: usize = 256 * 1024;

/// The largest transcript that is kept.
pub const MAX_TRANSCRIPT_BYTES: u64 = 64 * 1024 * 1024;

/// Query parameter of an append: where its first byte stands in the segment. Of [`log`]: the byte of the
/// record to begin with; not together with [`TAIL`] or [`SINCE`].
pub const OFFSET: &str = "offset";
/// Query parameter of an append: the length that was last acknowledged to this shipper.
pub const ACKED: &str = "acked";

/// Query parameter of [`log`]: `true` keeps the answer open until the record is sealed.
pub const FOLLOW: &str = "follow";
/// Query parameter of [`log`]: begin so many lines before the end.
pub const TAIL: &str = "tail";
/// Query parameter of [`log`]: begin with the first line that is not older; RFC 3339.
pub const SINCE: &str = "since";
/// Header of [`log`]'s answer: the byte of the record that the answer begins with. A reader that lost its
/// connection asks for this and what it has got as [`OFFSET`].
pub const BEGINS: &str = "herd-offset";
/// Header of [`log`]'s answer: the UID of the Job that the record is of. A name can come back as another
/// Job while a reader is reconnecting.
pub const RECORD_UID: &str = "herd-record-uid";

/// `PUT`: takes up an attempt's stream. It answers a [`Position`], also the second time.
pub fn attempt(namespace: &str, job: &str, attempt: u32) -> String {
    format!("{}/attempts/{attempt}", record(namespace, job))
}

/// `POST`, with [`OFFSET`] and [`ACKED`]: appends to the attempt's segment.
pub fn output(namespace: &str, job: &str, number: u32) -> String {
    format!("{}/output", attempt(namespace, job, number))
}

/// `POST`, with [`OFFSET`]: appends to the session's transcript; offset 0 begins it anew. `GET`: the
/// transcript that this attempt is to continue, `NotFound` where there is none.
pub fn transcript(namespace: &str, job: &str, number: u32) -> String {
    format!("{}/transcript", attempt(namespace, job, number))
}

/// `GET`: what is known of a record, a [`RecordInfo`].
pub fn record(namespace: &str, job: &str) -> String {
    format!("/v1/namespaces/{namespace}/jobs/{job}")
}

/// `GET`: the record's lines, as JSONL and without a Content-Length, with [`FOLLOW`] and one of [`OFFSET`],
/// [`TAIL`] and [`SINCE`]; the answer has [`BEGINS`] and [`RECORD_UID`]. It ends well only where the record
/// ends for this reader: a store that stops breaks the connection off.
pub fn log(namespace: &str, job: &str) -> String {
    format!("{}/log", record(namespace, job))
}

/// The answer to whoever ships: what is safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// So many bytes are on disk, and synced: of the attempt's segment, or of the transcript.
    pub length: u64,
}

/// Every answer that is not a success has this body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub reason: RefusalReason,
    /// For the person who reads the log of `ship`.
    pub message: String,
    /// The length on disk, where the refusal is about an offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
}

/// Why the store said no, and so what the other side does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalReason {
    /// The request makes no sense.
    BadRequest,
    /// The token is none, or none for this store.
    Unauthorized,
    /// The token is good, and not for this.
    Forbidden,
    /// This attempt is over: another has begun, or the Job has ended. No agent may start or go on.
    Fenced,
    /// There is no such Job, or no such record.
    NotFound,
    /// The store holds fewer bytes than the offset; `length` says how many.
    Gap,
    /// Bytes that were acknowledged differ from those sent.
    Altered,
    TooLarge,
    /// The store does not know this attempt yet, or has something else to do: ask again.
    Retry,
    /// The store's disk is full: wait, and send the same again.
    Full,
}

impl Refusal {
    pub fn new(reason: RefusalReason, message: impl Into<String>) -> Refusal {
        Refusal {
            reason,
            message: message.into(),
            length: None,
        }
    }

    /// With the length that the store has.
    pub fn at(mut self, length: u64) -> Refusal {
        self.length = Some(length);
        self
    }
}

impl RefusalReason {
    /// The HTTP status that goes with it.
    pub fn status(self) -> u16 {
        match self {
            RefusalReason::BadRequest => 400,
            RefusalReason::Unauthorized => 401,
            RefusalReason::Forbidden | RefusalReason::Fenced => 403,
            RefusalReason::NotFound => 404,
            RefusalReason::Gap | RefusalReason::Altered => 409,
            RefusalReason::TooLarge => 413,
            RefusalReason::Retry => 503,
            RefusalReason::Full => 507,
        }
    }
}

/// What is known of a record: its `job.json`, and how far its output is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordInfo {
    /// The record's `job.json`; null before the first line. `uid` in it is the Job's.
    pub job: serde_json::Value,
    /// Synced bytes of `output.jsonl`.
    pub bytes: u64,
    /// The last line is there, nothing follows.
    pub sealed: bool,
}
