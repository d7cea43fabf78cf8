//! The few facts of a pod that decisions rest on, read once from what Kubernetes says of it.

mod altered;
mod containers;

use chrono::{DateTime, Utc};
use k8s_openapi::{
    api::core::v1::{ContainerState, Pod, PodSpec, PodStatus},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time},
};

pub use self::{
    altered::Altered,
    containers::{Container, Death, Role, State, Whose},
};
use super::{pod::LABEL_JOB_UID, redaction::Redaction};
use crate::api::{
    GROUP,
    job::{POD_FINALIZER, STORE_CA_ANNOTATION},
    text::Clean,
};

/// The name of the container that runs the agent.
pub const AGENT_CONTAINER: &str = "agent";
/// The name of the sidecar.
pub const SHIP_CONTAINER: &str = "ship";

/// A pod of ours, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFacts {
    pub name: String,
    pub uid: String,
    /// UID of the Job that controls it or, where that reference was taken off, of the Job that our label
    /// names while our finalizer holds it. None when it is not a Job's.
    pub owner: Option<String>,
    pub node: Option<String>,
    /// Our finalizer still holds the object.
    pub held: bool,
    /// Somebody asked for its deletion.
    pub deleting: bool,
    /// By when the kubelet was to have ended it, where somebody asked for its deletion.
    pub delete_by: Option<DateTime<Utc>>,
    /// The API server itself was asked for its node: it is no more, or an administrator fenced it. With
    /// which of them.
    pub node_gone: Option<&'static str>,
    /// `status.phase` is Succeeded or Failed.
    pub terminal: bool,
    /// `status.reason` and `status.message`, such as Evicted or DeadlineExceeded.
    pub reason: Option<Clean>,
    pub message: Option<Clean>,
    /// Reason and message of a true condition DisruptionTarget.
    pub disruption: Option<Said>,
    /// The scheduler's word when no node fits.
    pub unschedulable: Option<Clean>,
    /// What keeps it from the scheduler, by name.
    pub gates: Vec<Clean>,
    /// Since when its node gets its volumes and its network ready, while it does.
    pub prepared_since: Option<DateTime<Utc>>,
    /// When its last container ended, if any has.
    pub ended: Option<DateTime<Utc>>,
    /// The certificates by which its sidecar knows the store.
    pub store_ca: Option<String>,
    pub agent: AgentState,
    /// All containers, in the order in which they start.
    pub containers: Vec<Container>,
    /// How it differs from the pod that was asked for.
    pub altered: Option<Altered>,
    /// The image that its agent's container is to run, and the one that was asked for, where that is known.
    pub agent_image: Option<Clean>,
    pub asked_image: Option<String>,
}

/// A reason and a message of Kubernetes' own, without values of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub reason: Clean,
    pub message: Clean,
}

/// The agent's container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentState {
    NotStarted,
    Running { since: Option<DateTime<Utc>> },
    Ended(Ended),
}

/// An ended container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub code: i32,
    /// The kubelet's word, such as Completed, Error, OOMKilled or StartError, and what it says with it: of a
    /// container that could not start the runtime's words, of others the termination message.
    pub said: Said,
    /// The termination message as it is: the runner's verdict, or what an attacker left there. Not to be shown.
    pub termination_message: String,
    pub started: Option<DateTime<Utc>>,
    pub ended: Option<DateTime<Utc>>,
}

impl PodFacts {
    /// No process of this pod lives, and none will start: it is terminal, it is being deleted and never
    /// got a node, or its node is no more.
    pub fn is_dead(&self) -> bool {
        self.terminal || (self.deleting && self.node.is_none()) || self.node_gone.is_some()
    }

    /// A container that is not ours runs on, or may yet: the kubelet does not end the pod before it ends.
    pub fn is_kept_by_others(&self) -> bool {
        !self.terminal && self.containers.iter().any(Container::keeps_the_pod)
    }

    /// The container of somebody else's that failed before the agent could start: the pod never starts.
    pub fn failed_before_the_agent(&self) -> Option<(&Container, &Death)> {
        let failed = |it: &Container| it.role == Role::Init && it.whose() == Whose::Others;
        let mut init = self.containers.iter().filter(|it| failed(it));
        init.find_map(|container| match &container.state {
            State::Ended(death) if death.code != 0 && !death.is_unknown() => {
                Some((container, death))
            }
            _ => None,
        })
    }

    /// Kubernetes deletes it because of its node.
    pub fn lost_with_its_node(&self) -> bool {
        self.disruption.as_ref().is_some_and(|said| {
            matches!(
                said.reason.as_str(),
                "DeletionByTaintManager" | "DeletionByPodGC"
            )
        })
    }
}

impl From<&Pod> for PodFacts {
    fn from(pod: &Pod) -> Self {
        let (no_spec, empty) = (PodSpec::default(), PodStatus::default());
        let spec = pod.spec.as_ref().unwrap_or(&no_spec);
        let status = pod.status.as_ref().unwrap_or(&empty);
        let meta = &pod.metadata;
        let words = Redaction::of(pod);
        PodFacts {
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            owner: controller(meta).map(|owner| owner.uid.clone()).or_else(|| {
                let labels = meta.labels.as_ref().filter(|_| is_held(meta))?;
                labels.get(LABEL_JOB_UID).cloned()
            }),
            node: spec.node_name.clone(),
            held: is_held(meta),
            deleting: meta.deletion_timestamp.is_some(),
            delete_by: time(meta.deletion_timestamp.as_ref()),
            node_gone: None,
            terminal: matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")),
            reason: status.reason.as_deref().map(|it| words.line(it)),
            message: status.message.as_deref().map(|it| words.line(it)),
            disruption: condition(status, "DisruptionTarget", "True", &words),
            unschedulable: condition(status, "PodScheduled", "False", &words)
                .filter(|said| said.reason == "Unschedulable")
                .map(|said| said.message),
            gates: spec
                .scheduling_gates
                .iter()
                .flatten()
                .map(|gate| words.line(&gate.name))
                .collect(),
            prepared_since: prepared_since(status),
            ended: last_end(status),
            store_ca: meta
                .annotations
                .as_ref()
                .and_then(|annotations| annotations.get(STORE_CA_ANNOTATION).cloned()),
            agent: agent_state(status, &words),
            containers: containers::of(spec, status, &words),
            altered: Altered::of(spec),
            agent_image: spec
                .containers
                .iter()
                .find(|it| it.name == AGENT_CONTAINER)
                .and_then(|it| it.image.as_deref())
                .map(|it| words.line(it)),
            asked_image: None,
        }
    }
}

/// The node was chosen, and the kubelet says that containers can't be started yet.
fn prepared_since(status: &PodStatus) -> Option<DateTime<Utc>> {
    let is = |type_: &str, value: &str| {
        let mut all = status.conditions.iter().flatten();
        all.find(|it| it.type_ == type_ && it.status == value)
    };
    is("PodReadyToStartContainers", "False")?;
    time(is("PodScheduled", "True")?.last_transition_time.as_ref())
}

fn last_end(status: &PodStatus) -> Option<DateTime<Utc>> {
    let init = status.init_container_statuses.iter().flatten();
    init.chain(status.container_statuses.iter().flatten())
        .filter_map(|container| container.state.as_ref()?.terminated.as_ref())
        .filter_map(|end| time(end.finished_at.as_ref()))
        .max()
}

/// The reference to the Job that controls the object.
pub fn controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    let mut owners = meta.owner_references.iter().flatten();
    owners.find(|owner| owner.controller == Some(true) && is_job(owner))
}

/// Our finalizer holds it.
pub fn is_held(meta: &ObjectMeta) -> bool {
    let mut finalizers = meta.finalizers.iter().flatten();
    finalizers.any(|name| name == POD_FINALIZER)
}

fn is_job(owner: &OwnerReference) -> bool {
    let group = owner.api_version.split('/').next();
    owner.kind == "Job" && group == Some(GROUP)
}

fn condition(status: &PodStatus, type_: &str, value: &str, words: &Redaction) -> Option<Said> {
    let found = status
        .conditions
        .iter()
        .flatten()
        .find(|it| it.type_ == type_ && it.status == value)?;
    Some(said(
        found.reason.as_deref(),
        found.message.as_deref(),
        words,
    ))
}

fn said(reason: Option<&str>, message: Option<&str>, words: &Redaction) -> Said {
    Said {
        reason: words.line(reason.unwrap_or_default()),
        message: words.line(message.unwrap_or_default()),
    }
}

fn agent_state(status: &PodStatus, words: &Redaction) -> AgentState {
    let agent = status
        .container_statuses
        .iter()
        .flatten()
        .find(|container| container.name == AGENT_CONTAINER);
    match agent.and_then(|container| container.state.as_ref()) {
        // The kubelet's stand-in for a container that it never had, or has forgotten.
        Some(ContainerState {
            terminated: Some(end),
            ..
        }) if end.reason.as_deref() == Some("ContainerStatusUnknown")
            && time(end.started_at.as_ref()).is_none() =>
        {
            AgentState::NotStarted
        }
        Some(ContainerState {
            terminated: Some(end),
            ..
        }) => AgentState::Ended(Ended {
            code: end.exit_code,
            said: said(end.reason.as_deref(), end.message.as_deref(), words),
            termination_message: end.message.clone().unwrap_or_default(),
            started: time(end.started_at.as_ref()),
            ended: time(end.finished_at.as_ref()),
        }),
        Some(ContainerState {
            running: Some(running),
            ..
        }) => AgentState::Running {
            since: time(running.started_at.as_ref()),
        },
        Some(ContainerState { .. }) | None => AgentState::NotStarted,
    }
}

/// Kubernetes' client speaks jiff, our types chrono: this is the one place where they meet. The epoch
/// is what the kubelet writes for a container that never started.
pub fn time(time: Option<&Time>) -> Option<DateTime<Utc>> {
    time.and_then(|time| DateTime::from_timestamp(time.0.as_second(), 0))
        .filter(|time| time.timestamp() > 0)
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A pod named `hello-1` of a Job whose UID is `job-uid`, with the given status.
    pub fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {
                "name": "hello-1", "namespace": "team-a", "uid": "pod-uid",
                "finalizers": [POD_FINALIZER],
                "annotations": {STORE_CA_ANNOTATION: "CA"},
                "ownerReferences": [{"apiVersion": "herdctl.dev/v1alpha1", "kind": "Job",
                    "name": "hello", "uid": "job-uid", "controller": true}],
            },
            "spec": {"nodeName": "node1", "containers": []},
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_deleted_pod_without_a_node_is_dead_and_one_with_a_node_is_not() {
        let mut facts = PodFacts::from(&pod(json!({"phase": "Pending"})));
        facts.deleting = true;
        assert!(!facts.is_dead());
        facts.node = None;
        assert!(facts.is_dead());
    }

    #[test]
    fn a_pod_whose_owner_was_taken_off_is_the_jobs_that_made_it_while_our_finalizer_holds_it() {
        let mut orphan = pod(json!({}));
        orphan.metadata.owner_references = None;
        let owner = |pod: &Pod| PodFacts::from(pod).owner;
        assert_eq!(owner(&orphan), None);
        let labels = [(LABEL_JOB_UID.to_owned(), "job-uid".to_owned())];
        orphan.metadata.labels = Some(labels.into());
        assert_eq!(owner(&orphan).as_deref(), Some("job-uid"));
        orphan.metadata.finalizers = None;
        assert_eq!(owner(&orphan), None);
    }

    #[test]
    fn the_agents_end_is_read_with_code_reason_and_message() {
        let facts = PodFacts::from(&pod(json!({"phase": "Running", "containerStatuses": [{
            "name": "agent", "image": "a", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "m",
                "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:01:00Z"}},
        }]})));
        let AgentState::Ended(end) = facts.agent else {
            panic!("{:?}", facts.agent)
        };
        assert_eq!(
            (
                end.code,
                end.said.reason.as_str(),
                end.said.message.as_str()
            ),
            (137, "OOMKilled", "m")
        );
        assert_eq!(
            (end.ended.unwrap() - end.started.unwrap()).num_seconds(),
            60
        );
    }

    #[test]
    fn containers_are_listed_in_the_order_of_their_start() {
        let waiting = |name: &str, reason: &str| {
            json!({"name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": reason}}})
        };
        let facts = PodFacts::from(&pod(json!({"phase": "Pending",
            "initContainerStatuses": [waiting("ship", "ErrImagePull")],
            "containerStatuses": [waiting("agent", "PodInitializing")]})));
        let names: Vec<&str> = facts.containers.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["ship", "agent"]);
    }

    #[test]
    fn a_container_that_the_kubelet_never_had_has_not_started() {
        let ended = |reason: &str, started: Value| {
            let facts = PodFacts::from(&pod(json!({"phase": "Failed", "containerStatuses": [{
                "name": "agent", "image": "a", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": 137, "reason": reason, "startedAt": started}},
            }]})));
            matches!(facts.agent, AgentState::Ended(_))
        };
        assert!(!ended("ContainerStatusUnknown", Value::Null));
        assert!(ended(
            "ContainerStatusUnknown",
            json!("2026-01-01T00:00:00Z")
        ));
        assert!(ended("Error", Value::Null));
    }
}
