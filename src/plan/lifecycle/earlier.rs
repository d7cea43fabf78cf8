//! The pods of attempts that others have followed. Nothing is learned from them any more: their end stands
//! in the status. One may still be there because its release was not seen, or because a leader that slept
//! created it late.

use super::{Action, Observed, PodLookup, delete_once};
use crate::{api::job::Job, plan::facts::PodFacts};

/// The next thing to do about one of them, if there is any.
pub(super) fn see_off(job: &Job, pods: &[PodFacts]) -> Option<Action> {
    let mut ours = pods.iter().filter(|pod| is_of(job, pod));
    ours.find_map(|pod| {
        if pod.is_dead() {
            return pod.held.then(|| Action::ReleasePod {
                name: pod.name.clone(),
                uid: pod.uid.clone(),
                // The record goes on without it, so its seal is not waited for.
                sealed: true,
            });
        }
        (!pod.deleting).then(|| delete_once(pod))
    })
}

/// One of the Job's pods is still there, and held.
pub(super) fn hold(seen: &Observed<'_>) -> bool {
    let last = match &seen.pod {
        PodLookup::Seen(pod) => Some(pod.as_ref()),
        PodLookup::NotSeen | PodLookup::Gone | PodLookup::Refused(_) => None,
    };
    let mut all = seen.earlier.iter().chain(last);
    all.any(|pod| pod.held && is_of(seen.job, pod))
}

fn is_of(job: &Job, pod: &PodFacts) -> bool {
    let mut attempts = job.status.iter().flat_map(|status| &status.attempts);
    let known = attempts.any(|attempt| attempt.uid.as_ref() == Some(&pod.uid));
    known || (pod.owner.is_some() && pod.owner == job.metadata.uid)
}
