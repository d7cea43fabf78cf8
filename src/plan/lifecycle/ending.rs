//! What is left to do for a Job that has ended: its pod drains, its record is sealed, and only then the
//! pod's object and the Job's finalizer go.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Action, LookUp, Means, NamespaceLookup, Observed, PodLookup, delete_once, earlier, is_deleted,
    whose::{self, PodIs},
};
use crate::{
    api::{
        job::{Attempt, Job, JobStatus},
        verdict::Verdict,
    },
    plan::{
        facts::{AgentState, PodFacts},
        status,
    },
};

/// How long a record is waited for where somebody waits for a deletion, of the Job or of its namespace. The
/// store seals it later all the same.
const SEAL_TIMEOUT_WHEN_DELETED: Duration = Duration::from_secs(60);

/// How long a record is waited for at least once nothing more can come: before, the store could not seal it.
const SEALING: Duration = Duration::from_secs(5);

/// How often a namespace is asked for again while a pod in it waits for its record: nothing tells a Job that
/// its namespace goes, since pods go first.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The verdict that the store received from the present attempt's pod.
pub(super) fn report(status: &JobStatus) -> Option<Verdict> {
    let report = status.report_on(status.attempt()?)?;
    serde_json::from_str(&report.verdict).ok()
}

/// The pod's sidecar would not know the store after its next change of certificates.
pub(super) fn knows_an_old_store(seen: &Observed<'_>, pod: &PodFacts, means: Means<'_>) -> bool {
    let old = means.store_ca.is_some() && means.store_ca != pod.store_ca.as_deref();
    old && !seen.looked.renewal_refused
}

pub(super) fn after_the_end(seen: &Observed<'_>, status: &JobStatus, means: Means<'_>) -> Action {
    let job = seen.job;
    if status.observed_generation != job.metadata.generation {
        return Action::WriteStatus(Box::new(status::current(job)));
    }
    let Some(attempt) = status.attempt() else {
        return release_job(seen);
    };
    match &seen.pod {
        PodLookup::Seen(pod) if whose::pod_of(job, attempt, pod) == PodIs::Ours => {
            with_pod(seen, status, attempt, pod, means)
        }
        // Made anew under its name, by a leader that slept or by hand: nothing is to begin there.
        PodLookup::Seen(pod)
            if let Some(action) = earlier::see_off(job, std::slice::from_ref(pod.as_ref())) =>
        {
            action
        }
        // The cache may not have a pod yet that was made just before: its finalizer would hold it for
        // ever, and what it still says would come after the record's end.
        PodLookup::NotSeen if must_close(status, attempt) => Action::LookUpPod,
        PodLookup::NotSeen if is_deleted(job) => Action::LookUpPod,
        _ if must_close(status, attempt) => close(job, means),
        _ => release_job(seen),
    }
}

fn with_pod(
    seen: &Observed<'_>,
    status: &JobStatus,
    attempt: &Attempt,
    pod: &PodFacts,
    means: Means<'_>,
) -> Action {
    let job = seen.job;
    if !pod.is_dead() {
        return match drain(seen, status, attempt, pod, means) {
            Action::Wait(_) if is_kept_by_others(pod) => {
                // Without a verdict the store can seal nothing before the pod is dead.
                let waits = !status.is_sealed() && !must_close(status, attempt);
                let waits = waits.then(|| await_seal(seen, status, attempt, pod, means));
                waits.flatten().unwrap_or_else(|| delete_once(pod))
            }
            action => action,
        };
    }
    if must_close(status, attempt) {
        return close(job, means);
    }
    if !pod.held {
        return release_job(seen);
    }
    if !status.is_sealed()
        && let Some(action) = await_seal(seen, status, attempt, pod, means)
    {
        return action;
    }
    Action::ReleasePod {
        name: pod.name.clone(),
        uid: pod.uid.clone(),
        sealed: status.is_sealed(),
    }
}

/// Until when the pod's object waits for its record; none when that is over.
fn await_seal(
    seen: &Observed<'_>,
    status: &JobStatus,
    attempt: &Attempt,
    pod: &PodFacts,
    means: Means<'_>,
) -> Option<Action> {
    // A pod that others keep has containers that end and are started again.
    let ended = pod.ended.filter(|_| pod.is_dead());
    let since = ended.max(status.completed_at).unwrap_or(means.now);
    let closed = attempt
        .closed
        .and_then(|at| left_of(SEALING, at, means.now));
    let left = left_of(means.settings.seal_timeout, since, means.now).max(closed)?;
    if !pod.deleting && !is_deleted(seen.job) {
        return Some(Action::Wait(Some(left)));
    }
    if let Some(short) = left_of(SEAL_TIMEOUT_WHEN_DELETED, since, means.now).max(closed) {
        return Some(Action::Wait(Some(short.min(left))));
    }
    match seen.looked.namespace {
        _ if is_deleted(seen.job) => None,
        NamespaceLookup::NotAsked => Some(Action::LookUp(LookUp::Namespace)),
        NamespaceLookup::Staying => Some(Action::Wait(Some(left.min(LOOK_AGAIN)))),
        NamespaceLookup::Going => None,
    }
}

fn left_of(patience: Duration, since: DateTime<Utc>, now: DateTime<Utc>) -> Option<Duration> {
    let until = since + TimeDelta::from_std(patience).ok()?;
    (until - now).to_std().ok().filter(|left| !left.is_zero())
}

/// The agent has ended, and a container that others put beside it keeps the pod from ending.
pub(super) fn is_kept_by_others(pod: &PodFacts) -> bool {
    matches!(pod.agent, AgentState::Ended(_)) && pod.is_kept_by_others()
}

/// An agent that has ended leaves by itself, when its output is safe; anything else must not begin now.
pub(super) fn drain(
    seen: &Observed<'_>,
    status: &JobStatus,
    attempt: &Attempt,
    pod: &PodFacts,
    means: Means<'_>,
) -> Action {
    let ended = matches!(pod.agent, AgentState::Ended(_)) || status.report_on(attempt).is_some();
    if !ended || is_deleted(seen.job) {
        return delete_once(pod);
    }
    if knows_an_old_store(seen, pod, means) {
        return Action::RenewStoreCa {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
        };
    }
    Action::Wait(None)
}

/// Nothing says yet that this attempt's output is all there is: neither its verdict nor we.
fn must_close(status: &JobStatus, attempt: &Attempt) -> bool {
    attempt.closed.is_none() && status.report_on(attempt).is_none()
}

fn close(job: &Job, means: Means<'_>) -> Action {
    Action::WriteStatus(Box::new(status::closed(job, means.now)))
}

/// The Job's object goes last, after all pods that it had.
fn release_job(seen: &Observed<'_>) -> Action {
    let job = seen.job;
    if is_deleted(job) && !earlier::hold(seen) {
        Action::ReleaseJob
    } else {
        Action::Wait(None)
    }
}
