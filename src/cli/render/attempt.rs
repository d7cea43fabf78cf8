//! Where an attempt ends and the next begins.

use super::Moment;
use crate::{
    api::{text::Clean, verdict::own_cost},
    cli::{
        event::{Event, Head},
        style::Style,
        view,
    },
};

/// The attempt whose lines come.
#[derive(Debug, Default)]
pub struct Attempt {
    number: Option<u64>,
    /// When its last line came.
    last: Option<Moment>,
    /// How it ended, in words; none without a verdict.
    ended: Option<String>,
}

impl Attempt {
    /// Looks at the next line of the record. When the attempt before ended, and how, if this one begins another.
    pub fn next(&mut self, head: &Head, event: &Event, style: Style) -> Option<(Moment, String)> {
        let mut ended = None;
        if head.kind == "start" {
            ended = self.end();
            self.number = event.count("/attempt");
        }
        self.last = Some(head.timestamp);
        if head.is_own("verdict") {
            let by_signal = event.text("/data/stoppedBy") == "signal";
            self.ended = Some(how(event, by_signal, style));
        }
        ended
    }

    /// Ends it, where its lines were among what came.
    fn end(&mut self) -> Option<(Moment, String)> {
        let at = self.last.take()?;
        let how = self.ended.take().unwrap_or_else(|| "broke off".into());
        let number = self.number.map(|number| format!(" {number}"));
        Some((at, format!("attempt{} {how}", number.unwrap_or_default())))
    }
}

/// `stopped · 6 turns · $0.11`.
fn how(verdict: &Event, by_signal: bool, style: Style) -> String {
    let before = verdict.number("/data/costBeforeUSD");
    let cost = verdict.number("/data/costUSD");
    let cost = cost.map(|cost| view::cost(own_cost(cost, before)));
    let parts = [
        if by_signal {
            "was stopped".to_owned()
        } else {
            format!("ended: {}", Clean::line(verdict.text("/data/reason"), 64))
        },
        verdict
            .count("/data/turns")
            .map(view::turns)
            .unwrap_or_default(),
        cost.unwrap_or_default(),
    ];
    style.dotted(parts.iter().map(String::as_str))
}
