//! Lines as a runner writes them.

use herdctl::api::reason::{ExitReason, Phase, Reason};
use herdctl::api::text::Clean;
use herdctl::api::verdict::{Segment, StoppedBy, Verdict};
use herdctl::store::news::Closing;
use serde_json::json;
use sha2::{Digest, Sha256};

/// A line with this number.
pub fn line(seq: u64) -> String {
    let event = json!({
        "type": "output", "timestamp": format!("2026-11-23T07:00:{:02}.000Z", seq % 60), "seq": seq,
        "line": seq, "messageId": format!("msg_{seq}"), "content": "words",
        "data": {"message": {"usage": {"input_tokens": 2, "output_tokens": 3}}},
    });
    // Types and timestamps come first, as the runner writes them.
    let mut text = format!(
        "{{\"type\":\"output\",\"timestamp\":{},\"seq\":{seq}",
        event["timestamp"]
    );
    for name in ["line", "messageId", "content", "data"] {
        text.push_str(&format!(",\"{name}\":{}", event[name]));
    }
    text + "}\n"
}

pub fn lines(count: u64) -> String {
    (1..=count).map(line).collect()
}

pub fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The runner's last word on a segment.
pub fn verdict(segment: &str) -> String {
    verdict_of(segment, Reason::Completed, StoppedBy::Nobody)
}

/// The same of a run that ended so.
pub fn verdict_of(segment: &str, reason: Reason, stopped_by: StoppedBy) -> String {
    let (phase, exit_reason) = reason.place();
    let verdict = Verdict {
        phase,
        exit_reason: exit_reason.unwrap_or(ExitReason::Error),
        reason,
        message: "done".into(),
        result: None,
        exit: None,
        stopped_by,
        turns: 7,
        cost_usd: Some(0.25),
        cost_before_usd: None,
        usage: Default::default(),
        session_id: None,
        started_at: None,
        ended_at: None,
        segment: Segment {
            bytes: segment.len() as u64,
            lines: segment.lines().count() as u64,
            sha256: Clean::line(&hex(segment.as_bytes()), 64),
        },
        text: None,
        stderr: None,
    };
    let seq = segment.lines().count() + 1;
    let event = json!({
        "type": "system", "timestamp": "2026-11-23T08:00:00.000Z", "seq": seq, "subtype": "verdict",
        "data": verdict,
    });
    format!("{event}\n")
}

/// As the other half asks for a seal of what ended well.
pub fn closing() -> Closing {
    Closing {
        phase: Phase::Completed,
        exit_reason: Some(ExitReason::Success),
        reason: Some(Reason::Completed),
        message: None,
        error: None,
        agent: "agent".to_owned(),
        session_id: Some("session".to_owned()),
        started_at: "2026-11-23T07:00:00Z".parse().ok(),
        completed_at: "2026-11-23T07:00:02Z".parse().ok(),
        spoken: true,
        counted: Default::default(),
    }
}
