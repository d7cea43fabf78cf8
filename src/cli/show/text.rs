//! The text of `jobs show`: outcome first, then why, then what to do.

use chrono::Utc;

use super::{attempts, limits};
use crate::{
    api::{
        agent::AgentSpec,
        job::{ConditionStatus, ConditionType},
        protocol::RecordInfo,
        text::Clean,
    },
    cli::{
        record::answer::OutputError,
        resume,
        style::{Colour, Sign, Style},
        time,
        view::{self, JobView, short},
    },
    plan::tools,
};

/// Lines of the agent's last words that are shown here.
const RESULT_LINES: usize = 10;
/// A fact begins in this column, behind its name.
const FACT: usize = 12;
/// What has no terminal's width is still read by people.
const COLUMNS: usize = 100;

/// All that is shown of a Job.
pub struct Shown<'a> {
    pub job: &'a JobView,
    /// What the store says of its record, if it answers.
    pub info: Result<RecordInfo, OutputError>,
    pub agent: Option<&'a AgentSpec>,
    pub again: Again,
}

/// Whether the session of a Job that has ended can be continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// The Job has not ended, or there is no session.
    No,
    Now,
    /// There is no Agent of its name.
    OnceApplied,
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
        let attempt = job.attempts().iter().map(|attempt| attempt.number).max();
        let ago = job
            .completed()
            .map(|at| format!("{} ago", time::age(now - at)));
        let parts = [
            job.outcome(),
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
            let message = Clean::line(&condition.message, 2048);
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
        let mut lines: Vec<String> = result
            .text
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
                .map(|attempt| fact("attempt", attempts::line(attempt, style))),
        );
        lines.extend(attempts::waits(self.job, self.agent).map(|what| fact("waits", what)));
        let session = self.session();
        if !session.is_empty() {
            lines.push(fact("session", session));
        }
        if let (Some(spec), Some(agent)) = (self.job.spec(), self.agent) {
            let warning = |name, words: &str| {
                let words = format!("{} {words}", style.sign(Sign::Warning));
                fact(name, style.paint(Colour::Yellow, &words))
            };
            lines.extend(limits::missing(agent).map(|words| warning("cost", words)));
            let slips = agent.tools.as_ref().map(tools::slips).unwrap_or_default();
            lines.extend(slips.iter().map(|slip| warning("tools", slip)));
            let limits = limits::effective(&spec, agent);
            let limits = limits.iter().map(String::as_str);
            let columns = style.size.map_or(COLUMNS, |(columns, _)| columns);
            let limits = style.wrapped(limits, FACT, columns);
            lines.push(fact("limits", limits.join("\n")));
        }
        let room = style
            .size
            .map_or(200, |(columns, _)| columns.saturating_sub(FACT));
        let told = self.told().into_iter();
        lines.extend(told.map(|(name, text)| fact(name, style.fit(&text, Some(room)))));
        lines
    }

    /// What people told the agent, each by a name.
    fn told(&self) -> Vec<(&'static str, String)> {
        let own = self.job.field("/spec/prompt");
        let agents = || {
            let prompt = self.agent?.prompt.as_ref()?;
            Some(format!("(the Agent's) {prompt}"))
        };
        let prompt = own.or_else(agents);
        let resume_prompt = self.job.field("/spec/resumePrompt");
        [("prompt", prompt), ("resumed", resume_prompt)]
            .into_iter()
            .filter_map(|(name, text)| Some((name, text?)))
            .collect()
    }

    /// The session, and whose it was before.
    fn session(&self) -> String {
        let pinned = self.job.text("/status/resumedFrom/job");
        let from = if pinned.is_empty() {
            self.job.text("/spec/resume/job")
        } else {
            pinned
        };
        let session = self.job.text("/status/sessionId");
        if from.is_empty() {
            return session;
        }
        format!("{session} of {from}, continued")
            .trim_start()
            .to_owned()
    }

    /// What the status says of the output, and what the store says, or that it says nothing.
    fn output(&self, style: Style) -> String {
        let mut parts = Vec::new();
        if let Some(output) = self.job.output() {
            parts.push(view::lines(output.lines));
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

    fn next(&self, program: &str) -> Vec<String> {
        let job = self.job;
        let id = short(job.name());
        let step = |what: &str, verb: &str| format!("{what}: {program} jobs {verb} {id}");
        let mut next = Vec::new();
        if job.is_final() {
            if job.result().is_some_and(|result| result.truncated) {
                next.push(step("the whole answer", "result"));
            }
            next.push(step("all output", "logs"));
            let go_on = format!("{program} jobs resume {id}");
            match self.again {
                Again::No => {}
                Again::Now => next.push(step("continue its session", "resume")),
                Again::OnceApplied => next.push(resume::once_applied(job, go_on)),
            }
            return next;
        }
        if job.is_suspended() && job.is_to_pause() {
            next.push(step("continue", "resume"));
            next.push(step("output so far", "logs"));
        } else {
            next.push(step("follow", "logs -f"));
        }
        if !job.is_to_pause() && !job.is_to_stop() {
            next.push(step("pause", "pause"));
        }
        if !job.is_to_stop() {
            next.push(step("stop", "cancel"));
        }
        next
    }
}
