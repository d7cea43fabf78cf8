//! Whose a pod is. Its name follows from the Job's, and a Job's name may come back: deleted and applied
//! again, it finds the pod of the one before.

use chrono::{DateTime, Utc};

use super::{Action, Means, write_if_new};
use crate::{
    api::{
        job::{Attempt, Job, JobStatus},
        reason::Reason,
    },
    plan::{facts::PodFacts, outcome::Outcome, status},
};

/// Whose the pod is to which an attempt's name leads.
#[derive(PartialEq, Eq)]
pub(super) enum PodIs {
    Ours,
    /// One of this Job's, but not the one that this attempt had.
    Another,
    /// That of a Job that had this name and is gone.
    AnEarlierJobs,
    /// Not a Job's.
    Foreign,
}

pub(super) fn pod_of(job: &Job, attempt: &Attempt, pod: &PodFacts) -> PodIs {
    // Whatever became of its owner since.
    if attempt.uid.as_ref() == Some(&pod.uid) {
        return PodIs::Ours;
    }
    match &pod.owner {
        None => PodIs::Foreign,
        Some(owner) if Some(owner) != job.metadata.uid.as_ref() => PodIs::AnEarlierJobs,
        Some(_) => match &attempt.uid {
            Some(uid) if *uid != pod.uid => PodIs::Another,
            Some(_) | None => PodIs::Ours,
        },
    }
}

/// Waits for the name: whoever looks after pods without a Job sees the earlier Job's off.
pub(super) fn wait_for_name(
    job: &Job,
    status: &JobStatus,
    pod: &PodFacts,
    deadline: DateTime<Utc>,
    means: Means<'_>,
) -> Action {
    let message = format!(
        "pod {} of an earlier Job of this name is still there; the Job starts by itself when it is gone",
        pod.name
    );
    let next = status::pending(job, Reason::Starting, &message, means.now);
    let left = (deadline - means.now).to_std().unwrap_or_default();
    write_if_new(status, next, Some(left))
}

pub(super) fn foreign(pod: &PodFacts) -> Outcome {
    Outcome {
        reason: Reason::InvalidPod,
        message: format!(
            "a pod {} that belongs to no Job exists already: create the Job under another name",
            pod.name
        ),
    }
}
