//! One attempt's part of a record: its lines are numbered, and its verdict carries the digest of all of
//! them.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::check::{Finding, hex};
use crate::{
    api::{text::Clean, verdict},
    cli::{
        event::{Event, Head},
        render::parts::Parts,
        view,
    },
};

/// The attempt that is being read.
#[derive(Debug, Default)]
pub struct Segment {
    /// Counts attempts from 1; 0 before the first line.
    number: u64,
    /// The number of the line before.
    seq: u64,
    bytes: u64,
    lines: u64,
    digest: Sha256,
    /// Its last word was there.
    verdict: bool,
    parts: Parts,
}

impl Segment {
    /// Takes a line; `at` is its place in the file, from 1.
    pub fn take(&mut self, head: &Head, line: &[u8], at: u64) -> Vec<Finding> {
        let mut findings = Vec::new();
        if head.kind == "start" && head.seq == 1 {
            findings.extend(self.end(true));
            *self = Segment {
                number: self.number + 1,
                ..Segment::default()
            };
        }
        let expected = self.seq + 1;
        self.seq = head.seq;
        if head.seq != expected {
            findings.push(Finding::Differs(format!(
                "line {at}: number {} of attempt {}, where {expected} must come",
                head.seq, self.number
            )));
        }
        if self.verdict && !is_closing(head) {
            findings.push(Finding::Differs(format!(
                "line {at}: attempt {} continues after its verdict",
                self.number
            )));
        }
        if head.is_own("verdict") {
            findings.extend(self.verdict(head, line, at));
        }
        self.bytes += line.len() as u64;
        self.lines += 1;
        self.digest.update(line);
        findings
    }

    fn verdict(&mut self, head: &Head, line: &[u8], at: u64) -> Option<Finding> {
        let event = Event::of(&self.parts.join(head, line)?)?;
        self.verdict = true;
        let told = event
            .0
            .pointer("/data/segment")
            .cloned()
            .unwrap_or(Value::Null);
        let Ok(told) = serde_json::from_value::<verdict::Segment>(told) else {
            return Some(Finding::Differs(format!(
                "line {at}: the verdict carries no digest"
            )));
        };
        let found = verdict::Segment {
            bytes: self.bytes,
            lines: self.lines,
            sha256: Clean::line(&hex(self.digest.clone()), 64),
        };
        let attempt = format!("attempt {}", self.number);
        Some(if found == told {
            Finding::Agrees(format!(
                "{attempt}: {}, sha256 {}",
                view::lines(found.lines),
                found.sha256
            ))
        } else {
            Finding::Differs(format!(
                "{attempt} (up to line {at}): {}, {}, sha256 {}; its verdict says {}, {}, {}",
                view::lines(found.lines),
                view::count(found.bytes, "byte"),
                found.sha256,
                told.lines,
                told.bytes,
                Clean::line(&told.sha256, 64)
            ))
        })
    }

    /// What can be said of it when no more of its lines are there: it `ended`, or may still write some.
    pub fn end(&self, ended: bool) -> Option<Finding> {
        let why = if ended {
            "it ended without a verdict, which would have its digest"
        } else {
            "it has no verdict yet, which would have its digest"
        };
        let unproved = self.number > 0 && !self.verdict;
        unproved.then(|| Finding::Unknown(format!("attempt {}: {why}", self.number)))
    }
}

/// The store's own words may come after a verdict; their numbers go on.
pub fn is_closing(head: &Head) -> bool {
    head.is_complete() || (head.kind == "error" && head.line.is_none())
}
