//! What to do next for a Job. One question after the other, in a fixed order, and one action as the
//! answer; the caller carries it out and asks again with what it then knows. So a crash between two
//! actions is nothing special: the next look at the same facts gives the same answer.
//!
//! ```text
//!           ┌───────────── the next intent ─────────────┐
//!           ▼                                           │
//! pending ──intent──▶ pending ──pod──▶ running ──▶ pending (Suspended, Recovering)
//!    │                   │                │             │
//!    └───────────────────┴────────────────┴─────────────┴──▶ completed | failed | cancelled
//! ```
//! The attempt stands in the status before its pod is created, and the outcome before the pod's
//! finalizer goes. An attempt follows another only when the other's pod is dead, and that stands in the
//! status too.

mod attempt;
mod beginning;
mod earlier;
mod ending;
mod going_on;
mod limits;
mod living;
mod looked;
mod node;
mod resumption;
mod whose;
mod wishes;

use std::time::Duration;

use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::Pod;

pub use self::attempt::start_deadline;
pub use self::looked::{
    AgentLookup, LookUp, Looked, NamespaceLookup, NodeLookup, Resumable, ResumedLookup,
};
use super::{facts::PodFacts, outcome::Outcome, refusal::Refusal, settings::Settings, status};
use crate::api::{
    agent::Agent,
    job::{JOB_FINALIZER, Job, JobStatus},
    reason::Reason,
};

/// Pods need the store's certificate to know it by.
const NO_STORE: &str = "the output store has never started; the Job starts by itself when it has: look at the pods of the operator";

/// Everything that a decision rests on.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    pub job: &'a Job,
    /// The Agent that the Job names, as the cache has it.
    pub agent: Option<&'a Agent>,
    /// The pod of the last attempt.
    pub pod: PodLookup,
    /// The API server itself told it in this pass.
    pub pod_is_live: bool,
    /// The pods of earlier attempts, as the cache has them.
    pub earlier: Vec<PodFacts>,
    /// What else the API server was asked.
    pub looked: Looked,
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
    /// Ask it for something else that no cache proves.
    LookUp(LookUp),
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
    if let Some(action) = earlier::see_off(job, &seen.earlier) {
        return action;
    }
    let mut seen = seen.clone();
    if let PodLookup::Seen(pod) = &mut seen.pod {
        if let Some(name) = node::suspected(pod, seen.looked.node, means.now) {
            return Action::LookUp(LookUp::Node(name.to_owned()));
        }
        **pod = PodFacts {
            asked_image: Some(attempt::image(status, means.settings)),
            ..node::with_answer(pod, seen.looked.node)
        };
    }
    let action = if status.is_final() {
        ending::after_the_end(&seen, status, means)
    } else {
        match status.attempt() {
            None => beginning::before_the_intent(&seen, means),
            Some(_) if wishes::doubts_the_agent(&seen, status) => Action::LookUp(LookUp::Agent),
            Some(attempt) if attempt.outcome.is_some() => {
                going_on::between_attempts(&seen, status, attempt, means)
            }
            Some(attempt) => living::with_attempt(&seen, status, attempt, means),
        }
    };
    node::in_time(action, &seen, means.now)
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

fn end_without_pod(job: &Job, outcome: &Outcome, means: Means<'_>) -> Action {
    Action::WriteStatus(Box::new(status::ended_without_pod(job, outcome, means.now)))
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
