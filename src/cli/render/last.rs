//! The last line of a record: how the Job ended, and what a reader of all of it has in hands.

use super::{MAX_GIST, Whole};
use crate::{
    api::text::Clean,
    cli::{
        event::Event,
        style::{Sign, Style},
        time, view,
    },
};

/// `✔ 7f3c completed success · 31s · 4 turns · $0.06 · 41 lines, sealed 9c1e`.
pub fn line(job: &str, event: &Event, whole: Option<&Whole>, style: Style) -> String {
    let text = |pointer| Clean::line(event.text(pointer), MAX_GIST);
    let sign = match event.outcome() {
        Some((phase, _)) => view::sign(style, phase),
        None => style.sign(Sign::Dot).to_owned(),
    };
    let outcome = view::outcome(&text("/status"), &text("/exitReason"), &text("/reason"));
    let outcome = format!("{} {outcome}", view::short(job));
    let sealed = match whole {
        Some(Whole { lines, sha256 }) => {
            format!("{}, sealed {}", view::lines(*lines), view::digest(sha256))
        }
        None => "sealed".to_owned(),
    };
    let took = event.number("/durationMs").map(|ms| ms as i64);
    let took = took.map(chrono::TimeDelta::milliseconds).map(time::span);
    let parts = [
        outcome,
        took.unwrap_or_default(),
        event.count("/turns").map(view::turns).unwrap_or_default(),
        event.number("/costUSD").map(view::cost).unwrap_or_default(),
        sealed,
    ];
    format!("{sign} {}", style.dotted(parts.iter().map(String::as_str)))
}
