//! The runner's last word on a run. It ends the segment in the spool and is the agent container's
//! termination message; the controller rebuilds the outcome from it, so it carries facts first and the
//! runner's own reading of them beside.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    reason::{ExitReason, Phase, Reason},
    text::Clean,
};

/// The kubelet keeps this many bytes of a termination message.
pub const MAX_BYTES: usize = 4096;

/// At most this many bytes of the agent's last text go into a verdict (and so into the Job's status).
pub const MAX_TEXT_BYTES: usize = 2048;

/// What is known about a run when its processes are gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The runner's reading of the facts below, by [`crate::plan::outcome::of_run`].
    pub phase: Phase,
    pub exit_reason: ExitReason,
    pub reason: Reason,
    /// One or two sentences for the person at the terminal.
    pub message: Clean,
    /// The last `result` line of the stream, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultLine>,
    /// How the CLI's process ended. Absent when it was never started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<ProcessExit>,
    /// Who ended the run.
    pub stopped_by: StoppedBy,
    /// By the result lines and, where the CLI was stopped before one, the model's messages since.
    #[serde(default)]
    pub turns: u64,
    /// The last `total_cost_usd`; cumulative over a session.
    #[serde(default, rename = "costUSD", skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// What the session had cost before this run, as its transcript says.
    #[serde(
        default,
        rename = "costBeforeUSD",
        skip_serializing_if = "Option::is_none"
    )]
    pub cost_before_usd: Option<f64>,
    /// Token counts of the last result line, by the API's names; numbers only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub usage: BTreeMap<Clean, u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Clean>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
    /// The segment before the verdict.
    pub segment: Segment,
    /// The agent's last text, cut to what fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// The CLI's last words on its standard error, cut to what fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<Clean>,
}

/// The deciding fields of a `result` line, in the CLI's words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultLine {
    #[serde(default)]
    pub subtype: Clean,
    #[serde(default)]
    pub is_error: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal_reason: Option<Clean>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<Clean>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_error_status: Option<u16>,
    /// The first of `errors`, or the text of `result` when `is_error`; shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Clean>,
    /// The API's word for its error, else the CLI's, from the assistant line that told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_kind: Option<Clean>,
    /// How many tool calls were denied.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub denied: u64,
    /// Structured output was asked for (the stream's `init` offers the tool for it) and never came.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub output_missing: bool,
}

/// How a process ended: by itself with a code, or by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProcessExit {
    Code(i32),
    Signal(i32),
}

/// Who ended the run; `nobody` means that the CLI ended by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StoppedBy {
    #[default]
    Nobody,
    /// SIGTERM from outside the container: a cancel, a deletion, an eviction. Who wanted it only the
    /// API server's objects can tell.
    Signal,
    Timeout,
    Stall,
    /// The store said that this attempt is over: another runs, or the Job has ended.
    Fence,
    /// The output spool could not be written.
    SpoolFailure,
    /// The session that was to be continued has no usable transcript; the CLI was never started.
    NoSession,
}

/// Size and digest of the run's events before the verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    pub bytes: u64,
    pub lines: u64,
    /// SHA-256, lower-case hex.
    pub sha256: Clean,
}

/// A text and whether it was cut.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "operator", derive(schemars::JsonSchema))]
pub struct Text {
    /// The text, or its beginning.
    #[cfg_attr(feature = "operator", schemars(length(max = 2048)))]
    pub text: Clean,
    /// True: there was more; herdctl jobs result prints all of it.
    #[serde(default)]
    pub truncated: bool,
}

impl ProcessExit {
    /// The signal that ended the process. A CLI that catches SIGTERM ends by itself with 128 + 15, as
    /// shells have it.
    pub fn signal(self) -> Option<i32> {
        match self {
            ProcessExit::Signal(signal) => Some(signal),
            ProcessExit::Code(code @ 129..=159) => Some(code - 128),
            ProcessExit::Code(_) => None,
        }
    }
}

/// What a run alone cost, in US dollars, where its session's cost is `total` by now. What it was before is
/// the transcript's word, which the agent may write: one that can't be is not believed.
pub fn own_cost(total: f64, before: Option<f64>) -> f64 {
    let before = before.filter(|before| *before <= total);
    total - before.unwrap_or_default()
}

impl Verdict {
    /// The runner itself determined this end: neither a signal from outside nor one from the kernel, of
    /// which Kubernetes knows more.
    pub fn is_the_runners_alone(&self) -> bool {
        let by_itself = match self.stopped_by {
            StoppedBy::Timeout | StoppedBy::Stall | StoppedBy::Fence | StoppedBy::NoSession => {
                return true;
            }
            StoppedBy::Nobody => true,
            StoppedBy::Signal => !self.was_stopped(),
            StoppedBy::SpoolFailure => false,
        };
        by_itself && !matches!(self.exit, Some(ProcessExit::Signal(_)))
    }

    /// A signal from outside ended it. One that comes when the agent has just finished ends nothing.
    pub fn was_stopped(&self) -> bool {
        self.stopped_by == StoppedBy::Signal && self.reason != Reason::Completed
    }

    /// What this run alone cost, in US dollars.
    pub fn own_cost_usd(&self) -> Option<f64> {
        self.cost_usd
            .map(|total| own_cost(total, self.cost_before_usd))
    }

    /// The verdict as one JSON line of at most [`MAX_BYTES`], its longest texts cut as far as needed.
    pub fn to_message(&self) -> String {
        let mut fitted = self.clone();
        loop {
            // Numbers, enums, strings: nothing in a verdict can fail to become JSON.
            let message = serde_json::to_string(&fitted).unwrap_or_default();
            let excess = message.len().saturating_sub(MAX_BYTES);
            if excess == 0 || !fitted.shrink(excess) {
                return message;
            }
        }
    }

    /// Cuts `excess` bytes (or, in a text full of escapes, somewhat more) from the first text that has
    /// any, in the order of what a reader misses least. False when nothing is left to cut.
    fn shrink(&mut self, excess: usize) -> bool {
        if let Some(text) = &mut self.text {
            text.truncated = true;
            if shorten(&mut text.text, excess) {
                return true;
            }
        }
        if self
            .stderr
            .as_mut()
            .is_some_and(|stderr| shorten(stderr, excess))
            || shorten(&mut self.message, excess)
        {
            return true;
        }
        if !self.usage.is_empty() {
            self.usage.clear();
            return true;
        }
        let strings = match &mut self.result {
            Some(result) => vec![
                &mut result.error,
                &mut result.error_kind,
                &mut result.terminal_reason,
                &mut result.stop_reason,
                &mut self.session_id,
            ],
            None => vec![&mut self.session_id],
        };
        if strings
            .into_iter()
            .flatten()
            .any(|text| shorten(text, excess))
        {
            return true;
        }
        self.result
            .as_mut()
            .is_some_and(|result| shorten(&mut result.subtype, excess))
            || shorten(&mut self.segment.sha256, excess)
    }
}

fn shorten(text: &mut Clean, excess: usize) -> bool {
    text.shorten(text.len().saturating_sub(excess))
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdict(text: String, stderr: String, message: String, rest: String) -> Verdict {
        let [text, stderr, message, rest] =
            [text, stderr, message, rest].map(|it| Clean::lines(&it, usize::MAX));
        Verdict {
            phase: Phase::Failed,
            exit_reason: ExitReason::Error,
            reason: Reason::AgentCrashed,
            message,
            result: Some(ResultLine {
                subtype: rest.clone(),
                error: Some(rest.clone()),
                ..ResultLine::default()
            }),
            exit: Some(ProcessExit::Signal(9)),
            stopped_by: StoppedBy::Nobody,
            turns: u64::MAX,
            cost_usd: Some(f64::MIN_POSITIVE),
            cost_before_usd: None,
            usage: [(rest.clone(), u64::MAX)].into(),
            session_id: Some(rest),
            started_at: None,
            ended_at: None,
            segment: Segment::default(),
            text: Some(Text {
                text,
                truncated: false,
            }),
            stderr: Some(stderr),
        }
    }

    #[test]
    fn what_is_missed_least_is_cut_first() {
        let long = "é".repeat(2000);
        let message =
            verdict(long.clone(), "stderr".into(), "message".into(), "s".into()).to_message();
        let read: Verdict = serde_json::from_str(&message).unwrap();
        let text = read.text.unwrap();
        assert!(text.truncated && text.text.len() > 3000 && long.starts_with(text.text.as_str()));
        assert_eq!(
            (read.message.as_str(), read.stderr.as_deref()),
            ("message", Some("stderr"))
        );
        assert!(message.len() > MAX_BYTES - 8, "no more is cut than needed");
    }

    #[test]
    fn what_fits_is_whole() {
        let verdict = verdict("text".into(), "stderr".into(), "message".into(), "s".into());
        assert_eq!(
            serde_json::from_str::<Verdict>(&verdict.to_message()).unwrap(),
            verdict
        );
    }

    proptest! {
        #[test]
        fn every_verdict_fits_a_termination_message(
            texts in prop::collection::vec(("[\\PC\u{1}\"\\\\]{0,40}", 0..400usize), 4)
        ) {
            let mut texts = texts.into_iter().map(|(text, times)| text.repeat(times));
            let mut next = || texts.next().unwrap_or_default();
            let message = verdict(next(), next(), next(), next()).to_message();
            prop_assert!(message.len() <= MAX_BYTES);
            prop_assert!(serde_json::from_str::<Verdict>(&message).is_ok());
        }
    }
}
