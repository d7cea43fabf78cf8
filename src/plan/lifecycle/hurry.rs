//! A namespace that is being deleted. Its pods go while the output store may be away, and whoever deletes it
//! does not wait for output: the agent keeps its grace, the output a little more.

use std::time::Duration;

use super::{Action, LookUp, NamespaceLookup, Observed, PodLookup, attempt, is_deleted};
use crate::api::job::JobStatus;

/// What a pod's output gets beyond the agent's grace.
const DRAIN: Duration = Duration::from_secs(30);

/// The next step to let a pod go sooner than it was created to. Kubernetes shortens a grace that has begun,
/// and never draws it out.
pub(super) fn along(seen: &Observed<'_>, status: &JobStatus) -> Option<Action> {
    let PodLookup::Seen(pod) = &seen.pod else {
        return None;
    };
    let ours = pod.owner.is_some() && pod.owner == seen.job.metadata.uid;
    if !ours || !is_deleted(seen.job) || pod.is_dead() {
        return None;
    }
    let grace = attempt::cancel_grace(seen.job, status) + DRAIN;
    if pod.grace.is_none_or(|left| left <= grace) {
        return None;
    }
    match seen.looked.namespace {
        NamespaceLookup::NotAsked => Some(Action::LookUp(LookUp::Namespace)),
        NamespaceLookup::Staying => None,
        NamespaceLookup::Going => Some(Action::HurryPod {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            grace,
        }),
    }
}
