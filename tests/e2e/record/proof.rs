//! What must hold for every sealed record, checked as a stranger would: from its bytes alone, and then
//! against the Job's status.

#[expect(dead_code, reason = "the translator's tests use what is not used here")]
#[path = "../../translate/record.rs"]
mod translated;

use herdctl::api::job::{ConditionStatus, ConditionType, Job, JobStatus};
use kube::ResourceExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    record::volume,
    status::{condition, status, told},
    team::Team,
    wait::{RUN, until},
};

pub use translated::Rebuilt;

/// A record with its last line written.
pub struct Sealed {
    pub job: Job,
    pub bytes: Vec<u8>,
    /// All events, parts joined.
    pub events: Vec<Value>,
    /// The CLI's lines of the last attempt.
    pub lines: Vec<Rebuilt>,
}

/// Waits for the seal of a Job in team-a, and checks the file on the volume.
pub async fn sealed(team: &Team, namespace: &str, job: &str) -> Sealed {
    let is_sealed = |job: &Job| is_sealed(&status(job));
    let job = until(&team.jobs(), job, "sealed", RUN, is_sealed).await;
    let bytes = volume::output(namespace, &job.name_any());
    check(job, bytes)
}

pub fn is_sealed(status: &JobStatus) -> bool {
    let output = status.output.as_ref();
    output.is_some_and(|output| output.sealed.is_some())
}

fn check(job: Job, bytes: Vec<u8>) -> Sealed {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    assert!(bytes.ends_with(b"\n"), "the last line is torn");
    let parsed: Vec<Value> = lines
        .iter()
        .map(|line| {
            serde_json::from_slice(line)
                .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(line)))
        })
        .collect();
    check_complete(&job, &lines, &parsed);
    check_status(&job, &bytes, lines.len());
    let mut events = Vec::new();
    let mut rebuilt = Vec::new();
    let mut begin = 0;
    for (n, event) in parsed.iter().enumerate() {
        if event["subtype"] == "verdict" && event["line"].is_null() {
            let segment = translated::read(&lines[begin..=n].concat());
            rebuilt = translated::rebuild(&segment);
            events.extend(segment);
            begin = n + 1;
        }
    }
    // What no verdict ends, and the store's own lines.
    events.extend(parsed[begin..].iter().cloned());
    Sealed {
        job,
        bytes,
        events,
        lines: rebuilt,
    }
}

/// Exactly one `complete`, as the last line; it vouches for all before it and says what the Job says.
fn check_complete(job: &Job, lines: &[&[u8]], events: &[Value]) {
    let complete: Vec<usize> = (0..events.len())
        .filter(|n| events[*n]["type"] == "complete")
        .collect();
    assert_eq!(complete, [events.len() - 1], "{}", told(job));
    let last = &events[events.len() - 1];
    let before = lines[..lines.len() - 1].concat();
    assert_eq!(last["sha256"], json!(digest(&before)), "{last}");
    let status = status(job);
    for (field, wanted) in [
        ("status", json!(status.phase)),
        ("exitReason", json!(status.exit_reason)),
        ("reason", json!(status.reason)),
    ] {
        assert_eq!(last[field], wanted, "{field} of {last}\n{}", told(job));
    }
}

fn check_status(job: &Job, bytes: &[u8], lines: usize) {
    let output = status(job)
        .output
        .expect("a sealed record is in the status");
    assert_eq!(
        (output.bytes, output.lines, output.sha256),
        (bytes.len() as u64, lines as u64, Some(digest(bytes))),
        "{}",
        told(job)
    );
}

/// SHA-256 in hex.
pub fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Sealed {
    /// Nothing is missing, by the word of the status too.
    pub fn assert_intact(&self) {
        let whole = told(&self.job);
        assert_eq!(
            condition(&self.job, ConditionType::OutputIntact),
            Some(ConditionStatus::True),
            "{whole}"
        );
        let missing = status(&self.job).output.and_then(|output| output.missing);
        assert_eq!(missing.unwrap_or(0), 0, "{whole}");
    }

    /// The events of a type.
    pub fn of(&self, kind: &str) -> Vec<&Value> {
        let all = self.events.iter();
        all.filter(|event| event["type"] == kind).collect()
    }

    /// The events of a type and the `system` subtype.
    pub fn notes(&self, subtype: &str) -> Vec<&Value> {
        let mut notes = self.of("system");
        notes.retain(|event| event["subtype"] == subtype);
        notes
    }

    /// What the agent said, text by text.
    pub fn texts(&self) -> Vec<&str> {
        let texts = self.of("output").into_iter();
        texts
            .map(|event| event["content"].as_str().unwrap())
            .collect()
    }

    /// Every block of a scripted run is there once, and in order, and `after` other texts come after them.
    pub fn assert_blocks(&self, count: usize, after: usize) {
        let wanted: Vec<String> = (1..=count)
            .map(|n| format!("block {n} of {count}"))
            .collect();
        let texts = self.texts();
        assert_eq!(texts.len(), count + after, "{:?}", texts.last());
        for (text, wanted) in texts.iter().zip(&wanted) {
            // Large ones are filled with dots.
            assert_eq!(text.trim_end_matches('.'), wanted);
        }
    }

    /// Every call of a scripted run is there once, in order, each with its answer.
    pub fn assert_calls(&self, count: usize) {
        let wanted: Vec<String> = (1..=count)
            .map(|n| format!("tool {n} of {count}"))
            .collect();
        let commands: Vec<String> = self
            .of("tool_use")
            .iter()
            .map(|event| event["command"].as_str().unwrap().replace("echo ", ""))
            .collect();
        assert_eq!(commands, wanted);
        let answers = self.of("tool_result");
        assert_eq!(answers.len(), count);
        for (answer, wanted) in answers.iter().zip(&wanted) {
            let content = answer["content"].to_string();
            assert!(content.contains(wanted.as_str()), "{answer}");
        }
    }
}
