//! Translates the CLI's stream into events, while it comes, and sums it up in a verdict. No I/O and no
//! clock: `herd-runner exec` feeds it a living run, `herd-runner translate` a recorded one, and the same
//! bytes give the same events however they are cut.

use chrono::{DateTime, Utc};

use crate::api::event;
use crate::api::run::SetBy;
use crate::api::text::Clean;
use crate::api::verdict::{ProcessExit, StoppedBy, Verdict};
use crate::plan::outcome::{BaseUrl, Key, Setup};
use lines::{Lines, PART_BYTES};
use stream::Stream;

mod cli_line;
mod decode;
mod facts;
mod fields;
mod lines;
mod noise;
mod readable;
pub mod replay;
mod stream;
mod writer;

/// A longer line of the CLI passes as raw events, in parts.
const MAX_LINE: usize = 16 * 1024 * 1024;

/// Whose run it is.
#[derive(Clone, Debug, Default)]
pub struct RunIdentity {
    pub job: String,
    pub agent: String,
    pub attempt: u32,
    pub session_id: Option<String>,
    pub model: Option<String>,
    /// Who set the model.
    pub model_of: Option<SetBy>,
    /// Where the CLI was told to find the API, where it was told so.
    pub base_url: Option<BaseUrl>,
    pub key: Key,
    /// What the session had cost before this run, where it is continued.
    pub cost_before_usd: Option<f64>,
}

impl RunIdentity {
    /// What the words about an outcome need to know of it.
    fn setup(&self) -> Setup<'_> {
        Setup {
            model_of: self.model_of,
            base_url: self.base_url.as_ref(),
            key: self.key,
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// Absent when the CLI was never started.
    pub exit: Option<ProcessExit>,
    pub stopped_by: StoppedBy,
    pub started_at: DateTime<Utc>,
    pub ended_at: DateTime<Utc>,
}

/// The state between two pieces of a stream.
#[derive(Debug)]
pub struct Translator {
    stdout: Lines,
    stderr: Lines,
    stream: Stream,
}

impl Translator {
    pub fn new(identity: RunIdentity) -> Self {
        Translator {
            stdout: Lines::new(MAX_LINE),
            stderr: Lines::new(PART_BYTES),
            stream: Stream::new(identity),
        }
    }

    /// Appends the start event.
    pub fn start(&mut self, now: DateTime<Utc>, out: &mut Vec<u8>) {
        self.stream.start(now, out);
    }

    /// Takes bytes of the CLI's standard output as they come, appends whole events to `out`.
    pub fn stdout(&mut self, bytes: &[u8], now: DateTime<Utc>, out: &mut Vec<u8>) {
        self.stdout
            .feed(bytes, |piece| self.stream.stdout(piece, now, out));
    }

    /// Takes bytes of the CLI's standard error as they come.
    pub fn stderr(&mut self, bytes: &[u8], now: DateTime<Utc>, out: &mut Vec<u8>) {
        self.stderr
            .feed(bytes, |piece| self.stream.stderr(piece, now, out));
    }

    /// A word of the runner's own: a system event of this subtype.
    pub fn note(
        &mut self,
        subtype: &str,
        data: serde_json::Value,
        now: DateTime<Utc>,
        out: &mut Vec<u8>,
    ) {
        self.stream.note(subtype, data, now, out);
    }

    /// A sentence of the runner's own that a person should not miss.
    pub fn warn(&mut self, message: &str, now: DateTime<Utc>, out: &mut Vec<u8>) {
        self.stream.readable.add("warning: ", message);
        let data = serde_json::json!({ "message": message });
        self.stream.note(event::WARNING, data, now, out);
    }

    /// Tool calls that have no result yet.
    pub fn open_tool_calls(&self) -> usize {
        self.stream.facts.open_tools()
    }

    /// Takes the readable text that has come since the last call; bounded.
    pub fn take_readable(&mut self) -> Clean {
        self.stream.readable.take()
    }

    /// Ends the stream: gives what is torn, an error event where the run was no success, and the verdict as
    /// the last event.
    pub fn finish(&mut self, ended: Ended, out: &mut Vec<u8>) -> Verdict {
        let now = ended.ended_at;
        self.stdout
            .finish(|piece| self.stream.stdout(piece, now, out));
        self.stderr
            .finish(|piece| self.stream.stderr(piece, now, out));
        self.stream.finish(ended, out)
    }
}
