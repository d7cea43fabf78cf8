//! A namespace that is being deleted. Its pods go first, and whoever deletes it does not wait for their output:
//! where the store is away, they get a little time and no more. Nothing tells a Job that its namespace goes,
//! so that is asked for when a pod takes long to leave.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Action, LookUp, NamespaceLookup, Observed, PodLookup, attempt,
    whose::{self, PodIs},
};
use crate::{api::job::JobStatus, plan::facts::PodFacts};

/// What a pod's output gets beyond the agent's grace.
const DRAIN: Duration = Duration::from_secs(30);
/// How often the namespace is asked for again.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The pod that leaves, and since when it takes long.
fn leaving<'a>(
    seen: &'a Observed<'_>,
    status: &JobStatus,
) -> Option<(&'a PodFacts, DateTime<Utc>)> {
    let PodLookup::Seen(pod) = &seen.pod else {
        return None;
    };
    let ours = whose::pod_of(seen.job, status.attempt()?, pod) == PodIs::Ours;
    let grace = pod.grace.filter(|_| ours && !pod.is_dead())?;
    let agents = attempt::cancel_grace(seen.job, status);
    if grace <= agents {
        return None;
    }
    let asked = pod.delete_by? - TimeDelta::from_std(grace).ok()?;
    Some((pod, asked + TimeDelta::from_std(agents + DRAIN).ok()?))
}

/// What to do about a pod that takes long to leave. Kubernetes shortens a grace that has begun, and never
/// draws it out.
pub(super) fn along(seen: &Observed<'_>, status: &JobStatus, now: DateTime<Utc>) -> Option<Action> {
    let (pod, _) = leaving(seen, status).filter(|(_, since)| *since <= now)?;
    match seen.looked.namespace {
        NamespaceLookup::NotAsked => Some(Action::LookUp(LookUp::Namespace)),
        NamespaceLookup::Staying => None,
        NamespaceLookup::Going => Some(Action::HurryPod {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            grace: attempt::cancel_grace(seen.job, status),
        }),
    }
}

/// Waits no longer than until the namespace must be asked for, for the first time or again.
pub(super) fn in_time(
    action: Action,
    seen: &Observed<'_>,
    status: &JobStatus,
    now: DateTime<Utc>,
) -> Action {
    let Action::Wait(wait) = action else {
        return action;
    };
    let look = leaving(seen, status).map(|(_, since)| match (since - now).to_std() {
        Ok(left) if !left.is_zero() => left,
        _ => LOOK_AGAIN,
    });
    Action::Wait(wait.into_iter().chain(look).min())
}
