//! The text of `jobs show`: outcome first, then why, then what to do.

use chrono::Utc;

use super::limits;
use crate::{
    api::{
        agent::AgentSpec,
        job::{Attempt, ConditionStatus, ConditionType},
        protocol::RecordInfo,
        reason::Phase,
        text,
    },
    cli::{
        record::answer::OutputError,
        style::{Colour, Sign, Style},
        time,
        view::{self, JobView, short},
    },
};

/// Lines of the agent's last words that are shown here.
const RESULT_LINES: usize = 10;

/// All that is shown of a Job.
pub struct Shown<'a> {
    pub job: &'a JobView,
    /// What the store says of its record, if it answers.
    pub info: Result<RecordInfo, OutputError>,
    pub agent: Option<&'a AgentSpec>,
}

impl Shown<'_> {
    pub fn lines(&self, style: Style, program: &str) -> Vec<String> {
        let mut lines = vec![self.headline(style), format!("  {}", self.job.name())];
        let message = self.job.text("/status/message");
        if !message.is_empty() {
            lines.push(format!("  {message}"));
        }
        lines.extend(self.conditions(style));
        lines.extend(self.result());
        lines.push(String::new());
        lines.extend(self.facts(style));
        lines.push(format!(
            "  next: {}",
            style.dotted(self.next(program).iter().map(String::as_str))
        ));
        lines
    }

    /// `✖ failed error AuthenticationFailed · 3s · attempt 1 · $0.00 · agent reviewer`
    fn headline(&self, style: Style) -> String {
        let job = self.job;
        let now = Utc::now();
        let exit = job.text("/status/exitReason");
        let reason = job.text("/status/reason");
        // "completed success Completed" says it three times.
        let reason = if job.phase() == Some(Phase::Completed) {
            String::new()
        } else {
            reason
        };
        let outcome = [job.phase_word(), exit, reason];
        let outcome: Vec<&str> = outcome
            .iter()
            .map(String::as_str)
            .filter(|word| !word.is_empty())
            .collect();
        let attempt = job.attempts().iter().map(|attempt| attempt.number).max();
        let ago = job
            .completed()
            .map(|at| format!("{} ago", time::age(now - at)));
        let parts = [
            outcome.join(" "),
            job.took(now).map(time::span).unwrap_or_default(),
            attempt
                .map(|number| format!("attempt {number}"))
                .unwrap_or_default(),
            job.turns(),
            job.cost(),
            format!("agent {}", job.agent()),
            ago.unwrap_or_default(),
        ];
        format!(
            "{} {}",
            job.sign(style),
            style.dotted(parts.iter().map(String::as_str))
        )
    }

    /// Those that a person must know of; the others repeat the phase.
    fn conditions(&self, style: Style) -> Vec<String> {
        let bad = |type_, status| {
            matches!(
                (type_, status),
                (ConditionType::OutputStalled, ConditionStatus::True)
                    | (ConditionType::OutputIntact, ConditionStatus::False)
            )
        };
        let conditions = self.job.conditions();
        let bad = conditions
            .iter()
            .filter(|condition| bad(condition.type_, condition.status));
        bad.map(|condition| {
            let message = text::one_line(&condition.message, 2048);
            let line = format!(
                "{} {:?}: {message}",
                style.sign(Sign::Warning),
                condition.type_
            );
            format!("  {}", style.paint(Colour::Yellow, &line))
        })
        .collect()
    }

    fn result(&self) -> Vec<String> {
        let Some(result) = self.job.result() else {
            return Vec::new();
        };
        let clean: String = text::lines(&result.text).collect();
        let mut lines: Vec<String> = clean
            .trim()
            .lines()
            .map(|line| format!("  | {line}"))
            .collect();
        if lines.len() > RESULT_LINES {
            lines.truncate(RESULT_LINES);
            lines.push("  | ...".into());
        }
        lines
    }

    fn facts(&self, style: Style) -> Vec<String> {
        let fact = |name: &str, value: String| format!("  {name:<9} {value}");
        let mut lines = vec![fact("output", self.output(style))];
        lines.extend(
            self.job
                .attempts()
                .iter()
                .map(|attempt| fact("attempt", self.attempt(attempt, style))),
        );
        let session = self.job.text("/status/sessionId");
        if !session.is_empty() {
            lines.push(fact("session", session));
        }
        if let (Some(spec), Some(agent)) = (self.job.spec(), self.agent) {
            let limits = limits::effective(&spec, agent);
            lines.push(fact(
                "limits",
                style.dotted(limits.iter().map(String::as_str)),
            ));
        }
        if let Some(prompt) = self.job.field::<String>("/spec/prompt") {
            let room = style
                .size
                .map_or(200, |(columns, _)| columns.saturating_sub(12));
            lines.push(fact("prompt", style.fit(&prompt, Some(room))));
        }
        lines
    }

    /// What the status says of the output, and what the store says, or that it says nothing.
    fn output(&self, style: Style) -> String {
        let mut parts = Vec::new();
        if let Some(output) = self.job.output() {
            parts.push(format!("{} lines", output.lines));
            parts.push(view::bytes(output.bytes));
            if let Some(sealed) = output.sealed {
                let sha256 = output.sha256.unwrap_or_default();
                parts.push(format!(
                    "sealed {} {}",
                    view::digest(&sha256),
                    time::date(sealed)
                ));
            }
            if let Some(missing) = output.missing.filter(|&missing| missing > 0) {
                parts.push(format!("{} missing", view::bytes(missing)));
            }
        }
        match &self.info {
            Ok(RecordInfo { bytes: 0, .. }) | Err(OutputError::NoRecord) if parts.is_empty() => {
                parts.push("none yet".into());
            }
            Ok(info) if parts.is_empty() => parts.push(view::bytes(info.bytes)),
            Ok(_) => {}
            Err(error) => parts.push(style.paint(Colour::Yellow, &error.who())),
        }
        style.dotted(parts.iter().map(String::as_str))
    }

    fn attempt(&self, attempt: &Attempt, style: Style) -> String {
        let clock = |time: Option<chrono::DateTime<Utc>>| time.map(time::date).unwrap_or_default();
        let node = attempt.node.as_ref().map(|node| format!("on {node}"));
        let parts = [
            format!("{} pod {}", attempt.number, attempt.pod),
            node.unwrap_or_default(),
            match (attempt.started, attempt.ended) {
                (Some(started), Some(ended)) => {
                    format!("{} to {}", time::date(started), time::clock(ended))
                }
                (started, None) if started.is_some() => format!("since {}", clock(started)),
                (_, ended) => clock(ended),
            },
            text::one_line(attempt.why.as_deref().unwrap_or_default(), 1024),
        ];
        style.dotted(parts.iter().map(String::as_str))
    }

    fn next(&self, program: &str) -> Vec<String> {
        let id = short(self.job.name());
        if self.job.is_final() {
            let mut next = vec![format!("all output: {program} jobs logs {id}")];
            if self.job.result().is_some_and(|result| result.truncated) {
                next.insert(0, format!("the whole answer: {program} jobs result {id}"));
            }
            return next;
        }
        vec![
            format!("follow: {program} jobs logs -f {id}"),
            format!("stop: {program} jobs cancel {id}"),
        ]
    }
}
