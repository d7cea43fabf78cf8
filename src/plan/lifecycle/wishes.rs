//! What is wanted of a Job that has begun: by people, by its deadline, and by the Agent's end.

use chrono::{DateTime, Utc};

use super::{Observed, attempt, is_deleted, looked::AgentLookup};
use crate::{
    api::{
        job::{Attempt, Job, JobStatus},
        reason::Reason,
    },
    plan::{evidence::Asked, status},
};

/// The Agent that the Job was begun with seems to be gone, and the API server was not asked yet.
pub(super) fn doubts_the_agent(seen: &Observed<'_>, status: &JobStatus) -> bool {
    let job = seen.job;
    let ends_anyway = job.spec.cancel == Some(true) || is_deleted(job) || is_cancelling(status);
    let same = seen
        .agent
        .is_some_and(|agent| is_same(status, agent.metadata.uid.as_deref()));
    !same && !ends_anyway && seen.looked.agent == AgentLookup::NotAsked
}

/// An Agent of the same name that came later is another.
fn is_same(status: &JobStatus, uid: Option<&str>) -> bool {
    let captured = status.agent.as_ref().and_then(|agent| agent.uid.as_deref());
    captured.is_none_or(|captured| uid == Some(captured))
}

fn is_cancelling(status: &JobStatus) -> bool {
    status.reason == Some(Reason::Cancelling)
}

/// That the Job is to pause stands in the status already: it is carried through, whatever is wanted since.
/// A pod that is on its way out is not called back, and its end is no disruption.
pub(super) fn is_suspending(status: &JobStatus) -> bool {
    matches!(status.reason, Some(Reason::Suspending | Reason::Suspended))
}

pub(super) fn asked<'a>(
    seen: &Observed<'_>,
    status: &'a JobStatus,
    attempt: &Attempt,
    now: DateTime<Utc>,
) -> Asked<'a> {
    let job = seen.job;
    let cancel = job.spec.cancel == Some(true);
    let deletion = is_deleted(job);
    let stopping = is_cancelling(status);
    let gone = match &seen.looked.agent {
        AgentLookup::NotAsked => false,
        AgentLookup::Gone => true,
        AgentLookup::Found(uid) => !is_same(status, Some(uid)),
    };
    let overdue = now >= attempt::deadline_of(job, status, attempt);
    Asked {
        cancel,
        deletion,
        // What is being obeyed and is neither of these is the Agent's end: the others can't be taken back.
        agent_gone: gone || (stopping && !cancel && !deletion),
        stopping,
        start_overdue: attempt.started.is_none() && overdue && !is_suspending(status),
        suspend: wants_pause(job) || is_suspending(status),
        waited_for: status::waits_for(status),
    }
}

/// It may not go on now.
pub(super) fn wants_pause(job: &Job) -> bool {
    job.spec.suspend == Some(true)
}
