//! Records: made from recorded streams of the real CLI by the runner's own translator, closed as the store
//! closes them, and served as the gateway serves them.

use std::{env, fs, io, path::Path, time::Duration};

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use futures::stream;
use herdctl::{
    api::{
        event::PROMPT,
        protocol::{BEGINS, RECORD_UID},
        verdict::{ProcessExit, StoppedBy, Verdict},
    },
    runner::translate::{Ended, RunIdentity, Translator},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::{
    cluster::Record,
    server::{Shared, form, not_found, object},
};

/// When every recorded run begins.
pub fn begin() -> DateTime<Utc> {
    "2026-01-02T12:04:31Z".parse().unwrap()
}

/// A line of the CLI comes so long after the one before.
const STEP: TimeDelta = TimeDelta::milliseconds(700);

/// The segment of a capture in tests/captures, and its verdict.
pub fn segment(capture: &str) -> (Vec<u8>, Verdict) {
    let file = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap())
        .join(format!("tests/captures/{capture}.jsonl"));
    let stream = fs::read(file).unwrap();
    let code = fs::read_to_string(
        Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap())
            .join(format!("tests/captures/{capture}.exit")),
    );
    let code = code.unwrap().trim().parse().unwrap();
    translate(&stream, code)
}

/// What the runner makes of a stream of the CLI's.
pub fn translate(stream: &[u8], code: i32) -> (Vec<u8>, Verdict) {
    translate_attempt(1, stream, code, StoppedBy::Nobody, None)
}

/// The same of an attempt that somebody may have stopped, and whose agent was told this.
pub fn translate_attempt(
    attempt: u32,
    stream: &[u8],
    code: i32,
    stopped_by: StoppedBy,
    prompt: Option<&str>,
) -> (Vec<u8>, Verdict) {
    let mut translator = Translator::new(RunIdentity {
        job: "a-job".into(),
        agent: "reviewer".into(),
        attempt,
        ..RunIdentity::default()
    });
    let begin = begin() + TimeDelta::minutes(i64::from(attempt) - 1);
    let (mut out, mut now) = (Vec::new(), begin);
    translator.start(now, &mut out);
    if let Some(prompt) = prompt {
        translator.note(PROMPT, json!({ "text": prompt }), now, &mut out);
    }
    for line in stream.split_inclusive(|&byte| byte == b'\n') {
        now += STEP;
        translator.stdout(line, now, &mut out);
    }
    let ended = Ended {
        exit: Some(ProcessExit::Code(code)),
        stopped_by,
        started_at: begin,
        ended_at: now,
    };
    let verdict = translator.finish(ended, &mut out);
    (out, verdict)
}

/// The segment, closed as the store does.
pub fn close(mut segment: Vec<u8>, verdict: &Verdict) -> Vec<u8> {
    let seq = segment.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let took = verdict.ended_at.unwrap() - verdict.started_at.unwrap();
    let complete = json!({
        "type": "complete",
        "timestamp": "2026-01-02T12:05:02.000Z",
        "seq": seq,
        "status": verdict.phase,
        "exitReason": verdict.exit_reason,
        "reason": verdict.reason,
        "turns": verdict.turns,
        "costUSD": verdict.cost_usd,
        "durationMs": took.num_milliseconds(),
        "sha256": hex(&segment),
    });
    segment.extend_from_slice(format!("{complete}\n").as_bytes());
    segment
}

/// A whole record of a capture.
pub fn whole(capture: &str) -> Vec<u8> {
    let (segment, verdict) = segment(capture);
    close(segment, &verdict)
}

/// The status of a Job whose record this is.
pub fn status_of(bytes: &[u8], verdict: &Verdict) -> Value {
    json!({
        "phase": verdict.phase,
        "exitReason": verdict.exit_reason,
        "reason": verdict.reason,
        "message": verdict.message,
        "startedAt": verdict.started_at,
        "completedAt": verdict.ended_at,
        "result": verdict.text,
        "progress": {"turns": verdict.turns, "costUSD": verdict.cost_usd, "inputTokens": 1, "outputTokens": 1},
        "output": {
            "path": "p",
            "bytes": bytes.len(),
            "lines": bytes.iter().filter(|&&byte| byte == b'\n').count(),
            "sha256": hex(bytes),
            "sealed": "2026-01-02T12:05:02Z",
        },
    })
}

pub fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

pub fn info(shared: &Shared, name: &str) -> Response {
    let world = shared.world.lock().unwrap();
    let (job, bytes, sealed) = match world.records.get(name) {
        Some(record) => (json!({}), record.bytes.len(), record.sealed),
        None if world.jobs.contains_key(name) => (Value::Null, 0, false),
        None => return not_found("joboutputs", name),
    };
    object(
        json!({"apiVersion": "herdctl.dev/output-v1", "kind": "JobOutput", "metadata": {"name": name},
        "job": job, "bytes": bytes, "sealed": sealed}),
    )
}

/// An answer to `joboutputs/NAME/log` on its way.
struct Sending {
    shared: Shared,
    name: String,
    at: usize,
    follow: bool,
    /// It breaks off here.
    cut: Option<usize>,
    epoch: u64,
    changed: watch::Receiver<u64>,
}

pub fn log(shared: Shared, name: &str, query: &str) -> Response {
    let pairs = form(query);
    let of = |wanted: &str| {
        pairs
            .iter()
            .find(|(key, _)| key == wanted)
            .map(|(_, value)| value.clone())
    };
    let (at, cut, uid, epoch) = {
        let mut world = shared.world.lock().unwrap();
        // A Job that has said nothing yet has a record without a byte.
        let awaited = world.jobs.contains_key(name).then(Record::default);
        let mut awaited = awaited.filter(|_| !world.records.contains_key(name));
        let Some(record) = awaited.as_mut().or_else(|| world.records.get_mut(name)) else {
            return not_found("joboutputs", name);
        };
        let at = match (of("offset"), of("tail"), of("since")) {
            (Some(offset), _, _) => offset.parse().unwrap(),
            (_, Some(tail), _) => before_last(&record.bytes, tail.parse().unwrap()),
            (_, _, Some(since)) => not_older(&record.bytes, since.parse().unwrap()),
            _ => 0,
        };
        let uid = record.uid.clone().unwrap_or_else(|| format!("uid-{name}"));
        let cut = record.cuts.pop_front().map(|bytes| at + bytes);
        (at, cut, uid, world.epoch)
    };
    let sending = Sending {
        changed: shared.changed.subscribe(),
        name: name.to_owned(),
        follow: of("follow").as_deref() == Some("true"),
        shared,
        at,
        cut,
        epoch,
    };
    let body = Body::from_stream(stream::try_unfold(sending, Sending::next));
    let headers = [(BEGINS, at.to_string()), (RECORD_UID, uid)];
    (headers, body).into_response()
}

impl Sending {
    async fn next(mut self) -> io::Result<Option<(Bytes, Sending)>> {
        loop {
            self.changed.mark_unchanged();
            let (bytes, sealed) = {
                let world = self.shared.world.lock().unwrap();
                if world.epoch != self.epoch {
                    return Err(io::Error::other("another epoch"));
                }
                let record = world.records.get(&self.name).cloned().unwrap_or_default();
                (record.bytes, record.sealed)
            };
            let end = self.cut.map_or(bytes.len(), |cut| cut.min(bytes.len()));
            if self.at < end {
                let part = Bytes::copy_from_slice(&bytes[self.at..end]);
                self.at = end;
                return Ok(Some((part, self)));
            }
            if self.cut.is_some_and(|cut| cut <= self.at) {
                // What went before is to be on its way.
                tokio::time::sleep(Duration::from_millis(20)).await;
                return Err(io::Error::other("cut"));
            }
            if !self.follow || sealed {
                return Ok(None);
            }
            if self.changed.changed().await.is_err() {
                return Ok(None);
            }
        }
    }
}

fn before_last(bytes: &[u8], lines: usize) -> usize {
    let ends: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] == b'\n').collect();
    let skipped = ends.len().saturating_sub(lines);
    skipped.checked_sub(1).map_or(0, |last| ends[last] + 1)
}

fn not_older(bytes: &[u8], since: DateTime<Utc>) -> usize {
    let mut at = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let event: Value = serde_json::from_slice(line).unwrap();
        let time: DateTime<Utc> = event["timestamp"].as_str().unwrap().parse().unwrap();
        if time >= since {
            break;
        }
        at += line.len();
    }
    at
}
