//! The last lines of a record, by the store itself: why the Job failed, where its runner could not say or
//! know that, and that this is all.

use chrono::{DateTime, Utc};

use super::lines::{End, Lines};
use super::news::Closing;
use crate::api::event::{Body, Event, Place};
use crate::api::reason::Phase;

/// The lines behind what is there, as text. The digest in the last one is of all bytes before it.
pub fn closing_lines(lines: &Lines, closing: &Closing, now: DateTime<Utc>) -> String {
    let mut text = String::new();
    if lines.is_torn() {
        text.push('\n');
    }
    let mut seq = lines.tally.seq() + 1;
    let told = matches!(lines.end(), Some(End::Verdict(it)) if it.is_the_runners_alone());
    if closing.phase == Phase::Failed && !(closing.spoken && told) {
        let message = closing.message.as_deref().or(closing.error.as_deref());
        let body = Body::StoreError {
            message: message.unwrap_or("the agent ended without a last word"),
            code: closing.reason,
        };
        add(&mut text, event(now, seq, body));
        seq += 1;
    }
    let mut before = lines.clone();
    before.add_closing(text.as_bytes());
    let progress = lines.tally.progress();
    let duration = closing.completed_at.zip(closing.started_at);
    let body = Body::Complete {
        status: closing.phase,
        exit_reason: closing.exit_reason,
        reason: closing.reason,
        turns: Some(progress.turns),
        cost_usd: progress.cost_usd,
        duration_ms: duration.map(|(end, start)| (end - start).num_milliseconds()),
        sha256: &before.sha256(),
    };
    add(&mut text, event(now, seq, body));
    text
}

fn event(now: DateTime<Utc>, seq: u64, body: Body) -> Event<()> {
    Event {
        kind: body.kind(),
        timestamp: now,
        seq,
        place: Place::default(),
        body,
        data: None,
    }
}

fn add(text: &mut String, event: Event<()>) {
    // Our own types become JSON without fail.
    text.push_str(&serde_json::to_string(&event).unwrap_or_default());
    text.push('\n');
}
