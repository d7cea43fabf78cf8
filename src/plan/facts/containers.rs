//! The containers of a pod: ours, and those that a webhook or a policy of the cluster has put beside them.
//! Theirs can keep the agent from starting, and the pod from ending.

use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStatus, PodSpec, PodStatus,
};

use super::{AGENT_CONTAINER, SHIP_CONTAINER, Said, said, time};
use crate::{api::text::Clean, plan::redaction::Redaction};

/// Of an init container that is a sidecar.
const ALWAYS: &str = "Always";

/// A container, as its spec and the kubelet tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub name: Clean,
    pub image: Clean,
    pub role: Role,
    pub state: State,
    /// How it ended the last time, where it was started again since.
    pub before: Option<Death>,
}

/// What a container is for in its pod, in the order of their start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It must succeed before the next may start.
    Init,
    /// It must have started before the next may start, and ends after the main ones.
    Sidecar,
    /// One of those that must end before the pod does.
    Main,
    /// Put into the running pod, as by `kubectl debug`.
    Ephemeral,
}

/// Who can put a container right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The author of the Agent.
    Agents,
    /// The administrator of the operator.
    Operators,
    /// The webhook or policy of the cluster that put it into the pod.
    Others,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Its turn has not come, or nothing is said of it.
    Unknown,
    /// With the kubelet's word for why.
    Waiting(Said),
    Running {
        /// Its hooks and its startup probe have passed.
        started: bool,
        since: Option<DateTime<Utc>>,
    },
    Ended(Death),
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    pub code: i32,
    pub reason: Clean,
    pub message: Clean,
}

impl Container {
    pub fn whose(&self) -> Whose {
        match self.name.as_str() {
            AGENT_CONTAINER => Whose::Agents,
            SHIP_CONTAINER => Whose::Operators,
            _ => Whose::Others,
        }
    }

    /// While it is there the kubelet does not end the pod, and it is none of ours.
    pub(super) fn keeps_the_pod(&self) -> bool {
        let ended = matches!(self.state, State::Ended(_));
        match self.role {
            // Its turn may never have come.
            Role::Ephemeral => matches!(self.state, State::Running { .. }),
            Role::Main => self.whose() == Whose::Others && !ended,
            Role::Init | Role::Sidecar => false,
        }
    }
}

impl Death {
    /// The stand-in of a kubelet that does not know how it ended.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.reason.as_str(), "Unknown" | "ContainerStatusUnknown")
    }
}

impl Death {
    fn of(end: &ContainerStateTerminated, words: &Redaction) -> Self {
        let Said { reason, message } = said(end.reason.as_deref(), end.message.as_deref(), words);
        Death {
            code: end.exit_code,
            reason,
            message,
        }
    }
}

pub(super) fn of(spec: &PodSpec, status: &PodStatus, words: &Redaction) -> Vec<Container> {
    let sidecars: Vec<&str> = spec
        .init_containers
        .iter()
        .flatten()
        .filter(|it| it.restart_policy.as_deref() == Some(ALWAYS))
        .map(|it| it.name.as_str())
        .collect();
    let init = status.init_container_statuses.iter().flatten().map(|it| {
        let is_sidecar = it.name == SHIP_CONTAINER || sidecars.contains(&it.name.as_str());
        let role = if is_sidecar {
            Role::Sidecar
        } else {
            Role::Init
        };
        container(it, role, words)
    });
    let main = status.container_statuses.iter().flatten();
    let ephemeral = status.ephemeral_container_statuses.iter().flatten();
    let mut all: Vec<Container> = init
        .chain(main.map(|it| container(it, Role::Main, words)))
        .chain(ephemeral.map(|it| container(it, Role::Ephemeral, words)))
        .collect();
    // The kubelet lists them by name, and starts them in the order of the spec.
    let listed = |name: &str| {
        let init = spec.init_containers.iter().flatten();
        let mut names = init.chain(&spec.containers).map(|it| it.name.as_str());
        names.position(|it| it == name).unwrap_or(usize::MAX)
    };
    all.sort_by_key(|it| listed(&it.name));
    all
}

fn container(status: &ContainerStatus, role: Role, words: &Redaction) -> Container {
    let ended = |state: Option<&ContainerState>| {
        let end = state?.terminated.as_ref()?;
        Some(Death::of(end, words))
    };
    Container {
        name: words.line(&status.name),
        image: words.line(&status.image),
        role,
        state: state(status, words),
        before: ended(status.last_state.as_ref()),
    }
}

fn state(status: &ContainerStatus, words: &Redaction) -> State {
    match status.state.as_ref() {
        Some(ContainerState {
            terminated: Some(end),
            ..
        }) => State::Ended(Death::of(end, words)),
        Some(ContainerState {
            running: Some(running),
            ..
        }) => State::Running {
            started: status.started == Some(true),
            since: time(running.started_at.as_ref()),
        },
        Some(ContainerState {
            waiting: Some(waiting),
            ..
        }) => match waiting.reason.as_deref() {
            None => State::Unknown,
            reason => State::Waiting(said(reason, waiting.message.as_deref(), words)),
        },
        Some(_) | None => State::Unknown,
    }
}
