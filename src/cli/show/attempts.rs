//! The attempts of a Job as `jobs show` tells them: where each ran and what became of it, and what a Job
//! waits for that continues in another one.

use chrono::{DateTime, Local, NaiveDate, Utc};

use crate::{
    api::{
        agent::AgentSpec,
        job::Attempt,
        reason::{Phase, Reason},
        text::Clean,
    },
    cli::{
        style::Style,
        time,
        view::{self, JobView},
    },
    plan::settings::MAX_ATTEMPTS,
};

/// `1 pod nightly-1 · on node-2 · 2026-01-02 12:04:31 to 12:04:34 · Evicted · 6 turns · $0.11`.
pub fn line(attempt: &Attempt, style: Style) -> String {
    let node = attempt.node.as_ref().map(|node| format!("on {node}"));
    let parts = [
        format!("{} pod {}", attempt.number, attempt.pod),
        node.unwrap_or_default(),
        when(attempt.started, attempt.ended),
        attempt
            .outcome
            .map(|outcome| outcome.to_string())
            .unwrap_or_default(),
        attempt.turns.map(view::turns).unwrap_or_default(),
        attempt.cost_usd.map(view::cost).unwrap_or_default(),
        Clean::line(attempt.why.as_deref().unwrap_or_default(), 1024).into(),
    ];
    style.dotted(parts.iter().map(String::as_str))
}

fn when(started: Option<DateTime<Utc>>, ended: Option<DateTime<Utc>>) -> String {
    match (started, ended) {
        (Some(started), Some(ended)) if day(started) == day(ended) => {
            format!("{} to {}", time::date(started), time::clock(ended))
        }
        (Some(started), Some(ended)) => {
            format!("{} to {}", time::date(started), time::date(ended))
        }
        (Some(started), None) => format!("since {}", time::date(started)),
        (None, Some(ended)) => format!("never started, until {}", time::date(ended)),
        (None, None) => String::new(),
    }
}

/// In the terminal's own time.
fn day(time: DateTime<Utc>) -> NaiveDate {
    time.with_timezone(&Local).date_naive()
}

/// What has to happen before a Job continues that has stopped, or is about to.
pub fn waits(job: &JobView, agent: Option<&AgentSpec>) -> Option<String> {
    let last = job.attempt();
    let over = last.as_ref().is_none_or(|last| last.outcome.is_some());
    let pod = last.as_ref().map_or("its pod".to_owned(), |attempt| {
        let node = attempt.node.as_ref().map(|node| format!(" on {node}"));
        format!("pod {}{}", attempt.pod, node.unwrap_or_default())
    });
    match (job.phase()?, job.reason()?) {
        (Phase::Pending, Reason::Suspended) if !job.is_to_pause() => {
            Some("for its next attempt: it has been resumed".into())
        }
        (Phase::Pending, Reason::Suspended) if !over => {
            Some(format!("for the end of {pod}, and then to be resumed"))
        }
        (Phase::Pending, Reason::Suspended) => {
            let since = last.and_then(|attempt| attempt.ended);
            let since = since.map(|since| format!(", paused since {}", time::date(since)));
            Some(format!("to be resumed{}", since.unwrap_or_default()))
        }
        (Phase::Pending, Reason::Recovering) if !over => Some(format!(
            "until {pod} is surely gone, to continue in a new one{}",
            lost(job, agent)
        )),
        (Phase::Pending, Reason::Recovering) => {
            Some(format!("for its next attempt{}", lost(job, agent)))
        }
        (Phase::Running, Reason::Suspending) => Some(format!(
            "for the agent's end in {pod}, then it is suspended"
        )),
        (Phase::Running, Reason::Cancelling) => Some(format!("for the agent's end in {pod}")),
        _ => None,
    }
}

/// `; 1 of at most 3 attempts lost`.
fn lost(job: &JobView, agent: Option<&AgentSpec>) -> String {
    let attempts = job.attempts();
    let lost = attempts.iter().filter(|attempt| was_lost(attempt)).count();
    let most = agent.and_then(|agent| agent.max_attempts);
    match lost {
        0 => String::new(),
        _ => format!(
            "; {lost} of at most {} lost",
            view::count(most.unwrap_or(MAX_ATTEMPTS).into(), "attempt")
        ),
    }
}

/// A disruption ended it, not a pause.
fn was_lost(attempt: &Attempt) -> bool {
    attempt
        .outcome
        .is_some_and(|outcome| outcome != Reason::Suspended)
}
