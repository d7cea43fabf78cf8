//! What a record must be, checked while it is read once: pure, so that every kind of damage can be tried.

use std::fmt;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::segment::{Segment, is_closing};
use crate::{
    api::{record::Output, text::Clean},
    cli::{event::Head, view},
};

/// What was looked at, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    Agrees(String),
    Differs(String),
    /// There is nothing to compare with.
    Unknown(String),
}

impl Finding {
    pub fn is_difference(&self) -> bool {
        matches!(self, Finding::Differs(_))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Agrees(text) | Finding::Differs(text) | Finding::Unknown(text) => {
                f.write_str(text)
            }
        }
    }
}

/// All findings on a record.
#[derive(Debug)]
pub struct Report {
    pub findings: Vec<Finding>,
    pub lines: u64,
    pub bytes: u64,
    /// The last line is there.
    pub sealed: bool,
}

/// What the Job's status says of its output.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// The Job was deleted.
    Gone,
    /// Nothing that is final: more may come.
    Open,
    /// All of it, since it is sealed.
    Told(&'a Output),
}

impl<'a> Known<'a> {
    /// What is known of a Job whose status has this.
    pub fn of(output: Option<&'a Output>) -> Self {
        let sealed = output.filter(|output| output.sealed.is_some());
        sealed.map_or(Known::Open, Known::Told)
    }
}

/// The record as far as it was read.
#[derive(Debug, Default)]
pub struct Check {
    findings: Vec<Finding>,
    /// Of all bytes, and of all whole lines.
    file: Sha256,
    whole: Sha256,
    bytes: u64,
    lines: u64,
    line_bytes: u64,
    segment: Segment,
    complete: bool,
    /// The line before, if it was no event.
    torn: Option<u64>,
}

impl Check {
    /// Takes bytes as they come; their lines go to [`Check::line`].
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.file.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// Takes a line with its line feed.
    pub fn line(&mut self, line: &[u8]) {
        self.lines += 1;
        if self.complete {
            self.differs(format!(
                "line {} follows the line that must be the last",
                self.lines
            ));
        }
        match Head::of(line) {
            None => {
                self.tell_torn(false);
                self.torn = Some(self.lines);
            }
            Some(head) => self.event(&head, line),
        }
        self.whole.update(line);
        self.line_bytes += line.len() as u64;
    }

    fn event(&mut self, head: &Head, line: &[u8]) {
        self.tell_torn(is_closing(head) || head.kind == "start");
        if head.is_complete() {
            self.complete = true;
            self.complete_line(line);
        }
        self.findings
            .extend(self.segment.take(head, line, self.lines));
    }

    /// A pod that died may leave half a line, at its end; anywhere else a line that is no event was altered.
    fn tell_torn(&mut self, at_an_end: bool) {
        let Some(line) = self.torn.take() else { return };
        self.findings.push(if at_an_end {
            Finding::Unknown(format!(
                "line {line} is torn: its pod died while it was written"
            ))
        } else {
            Finding::Differs(format!("line {line} is not an event"))
        });
    }

    /// The last line carries the digest of all before it.
    fn complete_line(&mut self, line: &[u8]) {
        let event: Option<Value> = serde_json::from_slice(line).ok();
        let told = event.as_ref().and_then(|event| event["sha256"].as_str());
        let found = hex(self.whole.clone());
        let what = match self.lines - 1 {
            1 => "the line before the last".to_owned(),
            lines => format!("the {lines} lines before the last"),
        };
        self.findings.push(match told {
            Some(told) if told == found => Finding::Agrees(format!("{what}: sha256 {found}")),
            Some(told) => Finding::Differs(format!(
                "{what}: sha256 is {found}, the last line says {}",
                Clean::line(told, 64)
            )),
            None => Finding::Differs(format!("{what}: the last line carries no digest")),
        });
    }

    /// All findings.
    pub fn finish(mut self, known: Known) -> Report {
        self.tell_torn(false);
        let ended = self.complete || !matches!(known, Known::Open);
        self.findings.extend(self.segment.end(ended));
        if self.line_bytes != self.bytes {
            self.differs(format!(
                "the record ends with {} that are no whole line",
                view::bytes(self.bytes - self.line_bytes)
            ));
        }
        match known {
            Known::Told(status) => self.status(status),
            Known::Open => self.findings.push(Finding::Unknown(
                "the whole file: the Job's status does not have its digest yet".into(),
            )),
            Known::Gone => self.findings.push(Finding::Unknown(
                "the whole file: its Job was deleted, and with it the status that had its digest"
                    .into(),
            )),
        }
        Report {
            findings: self.findings,
            lines: self.lines,
            bytes: self.bytes,
            sealed: self.complete,
        }
    }

    fn status(&mut self, status: &Output) {
        if !self.complete {
            self.differs(
                "the Job's status says that the output is sealed, and its last line is missing"
                    .into(),
            );
        }
        let counts = [
            ("bytes", status.bytes, self.bytes),
            ("lines", status.lines, self.lines),
        ];
        for (unit, told, found) in counts {
            if told != found {
                self.differs(format!(
                    "the whole file has {found} {unit}, the Job's status says {told}"
                ));
            }
        }
        if let Some(missing) = status.missing.filter(|&missing| missing > 0) {
            self.differs(format!(
                "{} that the runner recorded never reached the store",
                view::bytes(missing)
            ));
        }
        let found = hex(self.file.clone());
        self.findings.push(match status.sha256.as_deref() {
            Some(told) if told == found => {
                Finding::Agrees(format!("the whole file: sha256 {found}"))
            }
            Some(told) => Finding::Differs(format!(
                "the whole file: sha256 is {found}, the Job's status says {}",
                Clean::line(told, 64)
            )),
            None => Finding::Unknown("the whole file: the Job's status says no digest".into()),
        });
    }

    fn differs(&mut self, what: String) {
        self.findings.push(Finding::Differs(what));
    }
}

/// A digest in lower-case hex.
pub fn hex(digest: Sha256) -> String {
    digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests;
