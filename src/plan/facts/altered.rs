//! What a webhook or a policy of the cluster has changed in a pod of ours. Containers beside ours are no
//! harm, and many change an image's registry; without our own containers as they were, no agent can be
//! followed.

use k8s_openapi::api::core::v1::PodSpec;

use super::{AGENT_CONTAINER, SHIP_CONTAINER};
use crate::api::run::path;

/// How a pod differs from the one that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Altered {
    /// There is no container of this name where there was one.
    Gone(&'static str),
    /// The sidecar is one no more: what comes after it would wait for its end.
    NoSidecar,
    /// The agent's container runs something else, which may well start what was asked for.
    Command,
}

impl Altered {
    pub(super) fn of(spec: &PodSpec) -> Option<Self> {
        // No pod is without containers: this one's were not told.
        if spec.containers.is_empty() {
            return None;
        }
        let mut init = spec.init_containers.iter().flatten();
        let agent = spec.containers.iter().find(|it| it.name == AGENT_CONTAINER);
        let Some(ship) = init.find(|it| it.name == SHIP_CONTAINER) else {
            return Some(Altered::Gone(SHIP_CONTAINER));
        };
        let Some(agent) = agent else {
            return Some(Altered::Gone(AGENT_CONTAINER));
        };
        if ship.restart_policy.as_deref() != Some("Always") {
            return Some(Altered::NoSidecar);
        }
        let command = agent.command.iter().flatten();
        let starts_the_runner = command.map(String::as_str).eq([path::RUNNER, "exec"]);
        (!starts_the_runner).then_some(Altered::Command)
    }

    /// No agent can run in this pod, or none that could be followed.
    pub fn is_hopeless(self) -> bool {
        match self {
            Altered::Gone(_) | Altered::NoSidecar => true,
            Altered::Command => false,
        }
    }

    /// What was changed, and what to do.
    pub fn words(self) -> String {
        let what = match self {
            Altered::Gone(name) => format!("container {name} was taken out of it or renamed"),
            Altered::NoSidecar => {
                format!("restartPolicy of container {SHIP_CONTAINER} was changed")
            }
            Altered::Command => format!("the command of container {AGENT_CONTAINER} was changed"),
        };
        format!(
            "{what} by a webhook or a policy of the cluster: ask the cluster's administrators to leave it, then create another Job"
        )
    }
}
