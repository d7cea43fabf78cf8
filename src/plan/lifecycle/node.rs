//! Whether the node under a pod is no more. Only then may a Job go on whose pod nobody has seen end: what
//! runs on a node that is merely silent may run for long.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Action, Observed, PodLookup, looked::NodeLookup};
use crate::plan::facts::PodFacts;

/// How often a silent node is looked at again. Watching nodes would cost more than it gives.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The node to ask for, if this pod should be dead and is not.
pub(super) fn suspected(pod: &PodFacts, looked: NodeLookup, now: DateTime<Utc>) -> Option<&str> {
    pod.node
        .as_deref()
        .filter(|_| looked == NodeLookup::NotAsked && is_doubtful(pod, now))
}

/// It should be dead by now, and nothing says that it is.
fn is_doubtful(pod: &PodFacts, now: DateTime<Utc>) -> bool {
    let overdue = pod.delete_by.is_some_and(|until| until <= now);
    pod.deleting && !pod.is_dead() && (pod.lost_with_its_node() || overdue)
}

/// The pod, with what the API server said of its node.
pub(super) fn with_answer(pod: &PodFacts, looked: NodeLookup) -> PodFacts {
    let node_gone = match looked {
        NodeLookup::Gone => Some("it was removed from the cluster"),
        NodeLookup::OutOfService => Some("an administrator took it out of service"),
        NodeLookup::NotAsked | NodeLookup::Silent | NodeLookup::Heard => None,
    };
    PodFacts {
        node_gone,
        ..pod.clone()
    }
}

/// What to do about the node.
pub(super) fn next_step(name: &str) -> String {
    format!(
        "node {name} is silent, and the agent there may still run: the Job goes on when the node speaks again, is removed (kubectl delete node {name}), or is fenced (kubectl taint node {name} node.kubernetes.io/out-of-service=:NoExecute, once it is switched off)"
    )
}

/// Waits no longer than until the pod's node must be looked at, for the first time or again.
pub(super) fn in_time(action: Action, seen: &Observed<'_>, now: DateTime<Utc>) -> Action {
    let PodLookup::Seen(pod) = &seen.pod else {
        return action;
    };
    let Action::Wait(wait) = action else {
        return action;
    };
    let look = if seen.looked.node == NodeLookup::NotAsked {
        pod.delete_by.and_then(|until| (until - now).to_std().ok())
    } else {
        Some(LOOK_AGAIN)
    };
    Action::Wait(wait.into_iter().chain(look).min())
}
