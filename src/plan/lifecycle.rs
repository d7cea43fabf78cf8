//! What to do next for a Job. One question after the other, in a fixed order, and one action as the
//! answer; the caller carries it out and asks again with what it then knows. So a crash between two
//! actions is nothing special: the next look at the same facts gives the same answer.
//!
//! ```text
//! pending ──intent──▶ pending ──pod──▶ running ──▶ completed | failed | cancelled
//!                        └──────────────────────▶ (any of them)
//! ```
//! The attempt stands in the status before its pod is created, and the outcome before the pod's
//! finalizer goes.

mod attempt;
mod ending;
mod whose;

use std::time::Duration;

use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::Pod;

use self::{attempt::BuildError, whose::PodIs};
use super::{
    evidence::{self, Asked, Conclusion, End},
    facts::{AgentState, PodFacts},
    outcome::Outcome,
    refusal::{self, Consequence, Refusal},
    settings::Settings,
    status,
    trouble::{self, Trouble},
};
use crate::api::{
    agent::{Agent, AgentSpec},
    job::{Attempt, CapturedAgent, JOB_FINALIZER, Job, JobStatus},
    reason::{Phase, Reason},
};

/// How long to wait before a refused pod is tried again. Quotas can't be watched without more rights.
const RETRY_REFUSED: Duration = Duration::from_secs(5);

/// Pods need the store's certificate to know it by.
const NO_STORE: &str = "the output store has never started; the Job starts by itself when it has: look at the pods of the operator";
/// The one attempt that a Job has until attempts can follow each other.
const FIRST_ATTEMPT: u32 = 1;

/// Everything that a decision rests on.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    pub job: &'a Job,
    /// The Agent that the Job names, as the cache has it.
    pub agent: Option<&'a Agent>,
    /// The pod of the last attempt.
    pub pod: PodLookup,
}

/// What is known of an attempt's pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodLookup {
    /// The cache does not have it, which proves nothing.
    NotSeen,
    /// The API server was asked: there is none.
    Gone,
    Seen(Box<PodFacts>),
    /// Its creation was refused just now.
    Refused(Refusal),
}

/// What a decision may use besides facts.
#[derive(Clone, Copy, Debug)]
pub struct Means<'a> {
    pub now: DateTime<Utc>,
    /// A fresh id, used if a session begins.
    pub session_id: &'a str,
    pub settings: &'a Settings,
    /// The output store's CA certificates (PEM); none before it has started for the first time.
    pub store_ca: Option<&'a str>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Put our finalizer on the Job.
    HoldJob,
    WriteStatus(Box<JobStatus>),
    CreatePod(Box<Pod>),
    /// Ask the API server itself for the attempt's pod.
    LookUpPod,
    DeletePod {
        name: String,
        uid: String,
    },
    /// Give the pod's sidecar the store's present certificates.
    RenewStoreCa {
        name: String,
        uid: String,
    },
    /// Take our finalizer off the pod.
    ReleasePod {
        name: String,
        uid: String,
        /// False: its record is not sealed, and was waited for long enough.
        sealed: bool,
    },
    /// Take our finalizer off the Job.
    ReleaseJob,
    /// Nothing, until something changes or this time has passed.
    Wait(Option<Duration>),
}

/// Decides.
pub fn decide(seen: &Observed<'_>, means: Means<'_>) -> Action {
    let job = seen.job;
    let empty = JobStatus::default();
    let status = job.status.as_ref().unwrap_or(&empty);
    if status.is_final() {
        return ending::after_the_end(seen, status, means);
    }
    match status.attempt() {
        None => before_the_intent(seen, means),
        Some(attempt) => with_attempt(seen, status, attempt, means),
    }
}

fn before_the_intent(seen: &Observed<'_>, means: Means<'_>) -> Action {
    let job = seen.job;
    if is_deleted(job) {
        return if is_held(job) {
            end_without_pod(job, deleted(), means)
        } else {
            Action::Wait(None)
        };
    }
    if job.spec.cancel == Some(true) {
        return end_without_pod(job, evidence::cancelled(), means);
    }
    let Some(agent) = seen.agent else {
        let message = format!(
            "there is no Agent {} in this namespace; the Job starts by itself when it appears",
            job.spec.agent
        );
        return wait_pending(job, Reason::AgentNotFound, &message, means);
    };
    let Some(store_ca) = means.store_ca else {
        return wait_pending(job, Reason::Starting, NO_STORE, means);
    };
    match attempt::build(
        job,
        &agent.spec,
        means.session_id,
        FIRST_ATTEMPT,
        means.settings,
        store_ca,
    ) {
        Err(BuildError::NoPrompt(message)) => {
            wait_pending(job, Reason::ConfigMissing, &message, means)
        }
        Err(BuildError::Invalid(message)) => end_without_pod(
            job,
            Outcome {
                reason: Reason::InvalidPod,
                message,
            },
            means,
        ),
        Ok(_) if !is_held(job) => Action::HoldJob,
        Ok(pod) => Action::WriteStatus(Box::new(status::intended(
            job,
            CapturedAgent {
                generation: agent.metadata.generation.unwrap_or_default(),
                uid: agent.metadata.uid.clone(),
                spec: agent.spec.clone(),
            },
            means.session_id,
            Attempt {
                number: FIRST_ATTEMPT,
                pod: pod.metadata.name.unwrap_or_default(),
                intended: means.now,
                ..Attempt::default()
            },
            means.now,
        ))),
    }
}

fn with_attempt(
    seen: &Observed<'_>,
    status: &JobStatus,
    attempt: &Attempt,
    means: Means<'_>,
) -> Action {
    let job = seen.job;
    let deadline = attempt::start_deadline(job, status, attempt);
    let asked = asked(job, status, deadline, means.now);
    let unwanted = asked.cancel || asked.deletion || asked.start_overdue;
    match &seen.pod {
        PodLookup::Seen(pod) => match whose::pod_of(job, attempt, pod) {
            PodIs::Ours => {
                // An agent that started at the last moment is let run.
                let overdue = asked.start_overdue && pod.agent == AgentState::NotStarted;
                let asked = Asked {
                    start_overdue: overdue,
                    ..asked
                };
                with_pod(job, status, pod, asked, deadline, means)
            }
            PodIs::Another => lost(job, status, attempt, asked, means),
            PodIs::AnEarlierJobs if unwanted => lost(job, status, attempt, asked, means),
            PodIs::AnEarlierJobs => whose::make_room(job, status, pod, deadline, means),
            PodIs::Foreign => end_without_pod(job, whose::foreign(pod), means),
        },
        PodLookup::NotSeen if attempt.uid.is_some() || unwanted => Action::LookUpPod,
        PodLookup::Gone if attempt.uid.is_some() || unwanted => {
            lost(job, status, attempt, asked, means)
        }
        PodLookup::NotSeen | PodLookup::Gone => create(job, status, attempt, means),
        PodLookup::Refused(refused) => after_refusal(job, status, attempt, refused, asked, means),
    }
}

fn with_pod(
    job: &Job,
    status: &JobStatus,
    pod: &PodFacts,
    asked: Asked<'_>,
    deadline: DateTime<Utc>,
    means: Means<'_>,
) -> Action {
    let report = ending::report(status, pod.uid.as_str());
    match evidence::conclude(pod, report.as_ref(), asked) {
        Conclusion::Over(end) => {
            Action::WriteStatus(Box::new(status::ended(job, Some(pod), &end, means.now)))
        }
        Conclusion::Unclear => Action::Wait(None),
        Conclusion::Alive if asked.cancel || asked.deletion => stop(job, status, pod, asked, means),
        Conclusion::Alive if asked.start_overdue => delete_once(pod),
        Conclusion::Alive if ending::knows_an_old_store(pod, means) => Action::RenewStoreCa {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
        },
        Conclusion::Alive => follow(job, status, pod, deadline, means),
    }
}

/// That a running agent was asked to stop stands in the status first: from then on no verdict counts.
fn stop(
    job: &Job,
    status: &JobStatus,
    pod: &PodFacts,
    asked: Asked<'_>,
    means: Means<'_>,
) -> Action {
    if status.phase == Some(Phase::Running) && !asked.stopping {
        let why = if asked.cancel {
            "spec.cancel was set"
        } else {
            "the Job is being deleted"
        };
        let message = format!("{why}: the agent is being stopped");
        return Action::WriteStatus(Box::new(status::stopping(job, &message, means.now)));
    }
    delete_once(pod)
}

fn delete_once(pod: &PodFacts) -> Action {
    if pod.deleting {
        return Action::Wait(None);
    }
    Action::DeletePod {
        name: pod.name.clone(),
        uid: pod.uid.clone(),
    }
}

/// Brings the status up to what the pod shows.
fn follow(
    job: &Job,
    status: &JobStatus,
    pod: &PodFacts,
    deadline: DateTime<Utc>,
    means: Means<'_>,
) -> Action {
    if let AgentState::Running { since } = &pod.agent {
        if status.phase == Some(Phase::Running) {
            return up_to_date(job, status, None);
        }
        let since = since.unwrap_or(means.now);
        return Action::WriteStatus(Box::new(status::running(job, pod, since, means.now)));
    }
    let left = (deadline - means.now).to_std().unwrap_or_default();
    match trouble::of(pod) {
        Some(Trouble {
            reason,
            message,
            hopeless: _,
        }) => {
            let next = status::waiting(job, pod, reason, &message, means.now);
            write_if_new(status, next, Some(left))
        }
        None => up_to_date(job, status, Some(left)),
    }
}

fn create(job: &Job, status: &JobStatus, attempt: &Attempt, means: Means<'_>) -> Action {
    let empty = AgentSpec::default();
    let agent = attempt::captured(status, &empty);
    let session_id = status.session_id.as_deref().unwrap_or(means.session_id);
    let Some(store_ca) = means.store_ca else {
        return wait_pending(job, Reason::Starting, NO_STORE, means);
    };
    match attempt::build(
        job,
        agent,
        session_id,
        attempt.number,
        means.settings,
        store_ca,
    ) {
        Ok(pod) => Action::CreatePod(Box::new(pod)),
        Err(BuildError::NoPrompt(message) | BuildError::Invalid(message)) => end_without_pod(
            job,
            Outcome {
                reason: Reason::InvalidPod,
                message,
            },
            means,
        ),
    }
}

fn after_refusal(
    job: &Job,
    status: &JobStatus,
    attempt: &Attempt,
    refused: &Refusal,
    asked: Asked<'_>,
    means: Means<'_>,
) -> Action {
    if asked.cancel || asked.deletion || asked.start_overdue {
        return lost(job, status, attempt, asked, means);
    }
    match refusal::consequence(refused, &attempt.pod) {
        Consequence::End(outcome) => end_without_pod(job, outcome, means),
        Consequence::Wait { reason, message } => {
            let next = status::pending(job, reason, &message, means.now);
            write_if_new(status, next, Some(RETRY_REFUSED))
        }
    }
}

fn lost(
    job: &Job,
    status: &JobStatus,
    attempt: &Attempt,
    asked: Asked<'_>,
    means: Means<'_>,
) -> Action {
    let report = attempt
        .uid
        .as_deref()
        .and_then(|uid| ending::report(status, uid));
    let end: End = evidence::conclude_without_pod(&attempt.pod, report.as_ref(), asked);
    Action::WriteStatus(Box::new(status::ended(job, None, &end, means.now)))
}

fn end_without_pod(job: &Job, outcome: Outcome, means: Means<'_>) -> Action {
    Action::WriteStatus(Box::new(status::ended_without_pod(
        job, &outcome, means.now,
    )))
}

fn deleted() -> Outcome {
    Outcome {
        reason: Reason::JobDeleted,
        message: "the Job was deleted before it had started".into(),
    }
}

fn wait_pending(job: &Job, reason: Reason, message: &str, means: Means<'_>) -> Action {
    let empty = JobStatus::default();
    let next = status::pending(job, reason, message, means.now);
    write_if_new(job.status.as_ref().unwrap_or(&empty), next, None)
}

fn write_if_new(old: &JobStatus, next: JobStatus, wait: Option<Duration>) -> Action {
    if *old == next {
        Action::Wait(wait)
    } else {
        Action::WriteStatus(Box::new(next))
    }
}

fn up_to_date(job: &Job, status: &JobStatus, wait: Option<Duration>) -> Action {
    write_if_new(status, status::current(job), wait)
}

fn asked<'a>(
    job: &Job,
    status: &'a JobStatus,
    deadline: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Asked<'a> {
    Asked {
        cancel: job.spec.cancel == Some(true),
        deletion: is_deleted(job),
        stopping: status.reason == Some(Reason::Cancelling),
        start_overdue: status.started_at.is_none() && now >= deadline,
        waited_for: status
            .reason
            .filter(|reason| *reason != Reason::Starting)
            .zip(status.message.as_deref()),
    }
}

fn is_deleted(job: &Job) -> bool {
    job.metadata.deletion_timestamp.is_some()
}

fn is_held(job: &Job) -> bool {
    job.metadata
        .finalizers
        .iter()
        .flatten()
        .any(|name| name == JOB_FINALIZER)
}

#[cfg(test)]
mod tests;
