//! How a Job's next status is made from its last one. Every status that the controller writes comes from
//! here, whole: a field that is left out of a server-side apply is removed.

mod conditions;
pub mod size;
pub mod unwritten;

use chrono::{DateTime, SubsecRound, Utc};

use self::conditions::with_conditions;
use super::{evidence::End, facts::PodFacts, outcome::Outcome};
use crate::api::{
    job::{Attempt, CapturedAgent, Job, JobStatus, ResumedFrom},
    reason::{Phase, Reason},
    text::Clean,
    verdict::Verdict,
};

/// Longest message in a status.
const MAX_MESSAGE_BYTES: usize = 1024;

/// The status as it is, speaking of the Job's present generation.
pub fn current(job: &Job) -> JobStatus {
    let mut status = job.status.clone().unwrap_or_default();
    status.observed_generation = job.metadata.generation;
    status
}

/// Waiting, with why.
pub fn pending(job: &Job, reason: Reason, message: &str, now: DateTime<Utc>) -> JobStatus {
    let mut status = current(job);
    status.phase = Some(Phase::Pending);
    say(&mut status, reason, message);
    with_conditions(status, now)
}

/// What is fixed with the first attempt, for all that may follow.
#[derive(Clone, Debug, PartialEq)]
pub struct Fixed {
    pub agent: CapturedAgent,
    pub session_id: String,
    pub resumed_from: Option<ResumedFrom>,
}

/// The first intent: an attempt that has no pod yet, and what is fixed with it.
pub fn intended(job: &Job, fixed: Fixed, attempt: Attempt, now: DateTime<Utc>) -> JobStatus {
    let mut status = following(job, attempt, now);
    status.agent = Some(fixed.agent);
    status.session_id = Some(fixed.session_id);
    status.resumed_from = fixed.resumed_from;
    status
}

/// The intent of an attempt that follows others.
pub fn following(job: &Job, attempt: Attempt, now: DateTime<Utc>) -> JobStatus {
    let message = on_its_way(&attempt.pod);
    let mut status = pending(job, Reason::Starting, &message, now);
    status.attempts.push(attempt);
    status
}

/// Said while nothing keeps a pod from starting.
pub fn on_its_way(pod: &str) -> String {
    format!("pod {pod} is being started")
}

/// What keeps a Job's pod from starting, by its status: not that it is on its way, that somebody paused the Job,
/// or that its node is silent.
pub fn waits_for(status: &JobStatus) -> Option<(Reason, &str)> {
    let (reason, message) = (status.reason?, status.message.as_deref()?);
    let attempt = status.attempt();
    let is_usual = attempt.is_some_and(|it| message == on_its_way(&it.pod));
    let is_elsewhere = matches!(reason, Reason::Suspended | Reason::Recovering);
    let waits = status.phase == Some(Phase::Pending) && !is_elsewhere && !is_usual;
    waits.then_some((reason, message))
}

/// Still waiting, and the pod has been seen.
pub fn waiting(
    job: &Job,
    pod: &PodFacts,
    reason: Reason,
    message: &str,
    now: DateTime<Utc>,
) -> JobStatus {
    let mut status = pending(job, reason, message, now);
    see(&mut status, pod);
    status
}

/// The agent runs.
pub fn running(job: &Job, pod: &PodFacts, since: DateTime<Utc>, now: DateTime<Utc>) -> JobStatus {
    let mut status = current(job);
    status.phase = Some(Phase::Running);
    say(
        &mut status,
        Reason::Working,
        &format!("the agent works in pod {}", pod.name),
    );
    status.started_at = status.started_at.or(Some(since));
    see(&mut status, pod);
    if let Some(attempt) = last(&mut status) {
        attempt.started = Some(since);
        attempt.ended = None;
    }
    with_conditions(status, now)
}

/// The agent was asked to stop, for good or (`Suspending`) for a while.
pub fn stopping(job: &Job, reason: Reason, message: &str, now: DateTime<Utc>) -> JobStatus {
    let mut status = current(job);
    status.phase = Some(Phase::Running);
    say(&mut status, reason, message);
    with_conditions(status, now)
}

/// Nobody hears of the agent any more. Its time stands still; it may come back.
pub fn unheard(
    job: &Job,
    pod: &PodFacts,
    reason: Reason,
    message: &str,
    now: DateTime<Utc>,
) -> JobStatus {
    let mut status = waiting(job, pod, reason, message, now);
    if let Some(attempt) = last(&mut status) {
        attempt.ended = attempt.ended.or(Some(now));
    }
    status
}

/// The end of a Job whose last attempt never had a pod.
pub fn ended_without_pod(job: &Job, outcome: &Outcome, now: DateTime<Utc>) -> JobStatus {
    let mut status = ended_between(job, outcome, now);
    close(&mut status, now);
    status
}

/// The end of a Job that has no agent now, and gets no other.
pub fn ended_between(job: &Job, outcome: &Outcome, now: DateTime<Utc>) -> JobStatus {
    let mut status = current(job);
    complete(&mut status, now);
    decide(&mut status, outcome);
    with_conditions(status, now)
}

/// Nothing more can come from the last attempt's pod.
pub fn closed(job: &Job, now: DateTime<Utc>) -> JobStatus {
    let mut status = current(job);
    close(&mut status, now);
    status
}

fn close(status: &mut JobStatus, now: DateTime<Utc>) {
    if let Some(attempt) = last(status) {
        attempt.closed = attempt.closed.or(Some(now));
    }
}

fn is_reported(status: &JobStatus) -> bool {
    status
        .attempt()
        .is_some_and(|attempt| status.report_on(attempt).is_some())
}

/// The end of a Job by what its pod proved; `pod` is absent when it is gone.
pub fn ended(job: &Job, pod: Option<&PodFacts>, end: &End, now: DateTime<Utc>) -> JobStatus {
    let mut status = current(job);
    let ended = end_attempt(&mut status, pod, end, now);
    complete(&mut status, ended);
    status.result = end
        .verdict
        .as_ref()
        .and_then(|verdict| verdict.text.clone());
    let reported = is_reported(&status);
    if pod.is_none_or(PodFacts::is_dead) && !reported {
        close(&mut status, now);
    }
    decide(&mut status, &end.outcome);
    with_conditions(status, now)
}

/// The end of an attempt that the Job survives, with the reason for which it waits now.
pub fn survived(
    job: &Job,
    pod: Option<&PodFacts>,
    end: &End,
    waits: (Reason, &str),
    now: DateTime<Utc>,
) -> JobStatus {
    let mut status = current(job);
    end_attempt(&mut status, pod, end, now);
    if let Some(attempt) = last(&mut status) {
        attempt.outcome = Some(end.outcome.reason);
    }
    // For attempts that are followed by others it is the proof that their pod is dead.
    if pod.is_none_or(PodFacts::is_dead) {
        close(&mut status, now);
    }
    status.phase = Some(Phase::Pending);
    say(&mut status, waits.0, waits.1);
    with_conditions(status, now)
}

/// Writes down how the last attempt ended; answers when.
fn end_attempt(
    status: &mut JobStatus,
    pod: Option<&PodFacts>,
    end: &End,
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    if let Some(pod) = pod {
        see(status, pod);
    }
    let used = used(status, end);
    let recorded = end.verdict.as_ref().filter(|_| !is_reported(status));
    let recorded = recorded.map(|verdict| verdict.segment.bytes);
    let started = end.started.map(in_milliseconds);
    let Some(attempt) = last(status) else {
        status.started_at = status.started_at.or(started);
        return in_milliseconds(end.ended.unwrap_or(now));
    };
    attempt.started = attempt.started.or(started);
    let ended = in_milliseconds(end.ended.or(attempt.ended).unwrap_or(now));
    // Two clocks may have spoken: the kubelet's, in whole seconds, and the runner's.
    let ended = attempt.started.map_or(ended, |started| ended.max(started));
    attempt.ended = Some(ended);
    attempt.why = end.why.clone();
    attempt.recorded = recorded;
    (attempt.turns, attempt.cost_usd) = used;
    let started = attempt.started;
    status.started_at = status.started_at.or(started);
    ended
}

/// Turns and dollars of the last attempt: by its verdict or, where that could not tell, by how far the
/// store saw the run come, less the attempts before.
fn used(status: &JobStatus, end: &End) -> (Option<u64>, Option<f64>) {
    let number = status.attempt().map(|attempt| attempt.number);
    let earlier = || {
        status
            .attempts
            .iter()
            .filter(|it| Some(it.number) != number)
    };
    let progress = status.progress.as_ref();
    let turns: u64 = earlier().filter_map(|it| it.turns).sum();
    let seen = progress.map(|it| it.turns.saturating_sub(turns));
    let said = end.verdict.as_ref().map(|it| it.turns);
    let cost: f64 = earlier().filter_map(|it| it.cost_usd).sum();
    let seen_cost = progress
        .and_then(|it| it.cost_usd)
        .map(|it| (it - cost).max(0.0));
    let said_cost = end.verdict.as_ref().and_then(Verdict::own_cost_usd);
    (
        said.filter(|turns| *turns > 0).or(seen).or(said),
        said_cost.or(seen_cost),
    )
}

fn complete(status: &mut JobStatus, at: DateTime<Utc>) {
    let completed = status.started_at.map_or(at, |started| at.max(started));
    status.completed_at = Some(completed);
    status.duration = status
        .started_at
        .map(|started| duration_text(completed - started));
}

fn decide(status: &mut JobStatus, outcome: &Outcome) {
    status.phase = Some(outcome.phase());
    status.exit_reason = outcome.exit_reason();
    say(status, outcome.reason, &outcome.message);
    status.error = (outcome.phase() == Phase::Failed)
        .then(|| status.message.clone())
        .flatten();
}

fn say(status: &mut JobStatus, reason: Reason, message: &str) {
    status.reason = Some(reason);
    status.message = Some(Clean::line(message, MAX_MESSAGE_BYTES));
}

fn see(status: &mut JobStatus, pod: &PodFacts) {
    if let Some(attempt) = last(status) {
        attempt.uid = Some(pod.uid.clone());
        attempt.node = pod.node.clone();
    }
}

fn last(status: &mut JobStatus) -> Option<&mut Attempt> {
    status
        .attempts
        .iter_mut()
        .max_by_key(|attempt| attempt.number)
}

/// Finer times would only make the status longer.
fn in_milliseconds(time: DateTime<Utc>) -> DateTime<Utc> {
    time.trunc_subsecs(3)
}

/// `2h3m`, `4m5s`, `6s`: as kubectl writes an age.
fn duration_text(duration: chrono::TimeDelta) -> String {
    let seconds = duration.num_seconds();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, _) => format!("{h}h{m}m"),
    }
}

/// The part of a status that the controller writes: the store's fields are not its to apply.
pub fn the_controllers(status: &JobStatus) -> JobStatus {
    let mut own = status.clone();
    own.report = None;
    own.progress = None;
    own.output = None;
    own.conditions.retain(|it| !it.type_.is_the_stores());
    own
}

#[cfg(test)]
mod tests;
