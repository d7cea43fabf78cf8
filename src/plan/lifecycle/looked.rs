//! What the API server itself was asked in this pass, because no cache proves it: whether a node is no
//! more, a namespace is going, an Agent is gone, a Job can be continued. Each is asked at most once a pass.

use k8s_openapi::{
    api::core::v1::{Namespace, Node},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::api::job::Job;

/// The taint by which an administrator says that a node is off and stays off.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// What to ask the API server for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUp {
    /// The node of this name.
    Node(String),
    /// The Job's namespace.
    Namespace,
    /// The Agent that the Job names.
    Agent,
    /// The Job of this name, whose session is to be continued.
    Resumed(String),
}

/// The answers so far, and what was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    pub node: NodeLookup,
    pub namespace: NamespaceLookup,
    pub agent: AgentLookup,
    pub resumed: ResumedLookup,
    /// The API server does not let us give the pod new certificates now: nothing else waits for that.
    pub renewal_refused: bool,
}

/// The node of the last attempt's pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeLookup {
    #[default]
    NotAsked,
    /// There is no such node any more.
    Gone,
    /// It is tainted out-of-service.
    OutOfService,
    /// Nobody hears of it: what runs there may well go on.
    Silent,
    Heard,
}

/// The Job's namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamespaceLookup {
    #[default]
    NotAsked,
    /// It is being deleted, or gone.
    Going,
    Staying,
}

/// The Agent of the Job's name for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AgentLookup {
    #[default]
    NotAsked,
    Gone,
    /// With its UID.
    Found(String),
}

/// The Job whose session is to be continued.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ResumedLookup {
    #[default]
    NotAsked,
    Gone,
    Found(Resumable),
}

/// What matters of a Job whose session is to be continued.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resumable {
    pub uid: String,
    pub ended: bool,
    pub session_id: Option<String>,
    /// It had an agent that began.
    pub started: bool,
    /// UID of the Agent that it ran.
    pub agent_uid: Option<String>,
}

impl From<Option<&Node>> for NodeLookup {
    fn from(node: Option<&Node>) -> Self {
        let Some(node) = node else {
            return NodeLookup::Gone;
        };
        let mut taints = node
            .spec
            .iter()
            .flat_map(|spec| spec.taints.iter().flatten());
        if taints.any(|taint| taint.key == OUT_OF_SERVICE) {
            return NodeLookup::OutOfService;
        }
        let mut conditions = node
            .status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten());
        // The node controller's word for a kubelet that has not spoken for a while.
        if conditions.any(|it| it.type_ == "Ready" && it.status == "Unknown") {
            return NodeLookup::Silent;
        }
        NodeLookup::Heard
    }
}

impl From<Option<&Namespace>> for NamespaceLookup {
    fn from(namespace: Option<&Namespace>) -> Self {
        let stays = namespace.is_some_and(|it| it.metadata.deletion_timestamp.is_none());
        if stays {
            NamespaceLookup::Staying
        } else {
            NamespaceLookup::Going
        }
    }
}

impl From<Option<&ObjectMeta>> for AgentLookup {
    fn from(agent: Option<&ObjectMeta>) -> Self {
        match agent {
            None => AgentLookup::Gone,
            Some(agent) => AgentLookup::Found(agent.uid.clone().unwrap_or_default()),
        }
    }
}

impl From<Option<&Job>> for ResumedLookup {
    fn from(job: Option<&Job>) -> Self {
        let Some(job) = job else {
            return ResumedLookup::Gone;
        };
        let status = job.status.as_ref();
        ResumedLookup::Found(Resumable {
            uid: job.metadata.uid.clone().unwrap_or_default(),
            ended: status.is_some_and(|it| it.is_final()),
            session_id: status.and_then(|it| it.session_id.clone()),
            started: status.is_some_and(|it| it.started_at.is_some()),
            agent_uid: status
                .and_then(|it| it.agent.as_ref())
                .and_then(|agent| agent.uid.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(value: Value) -> NodeLookup {
        let node: Node = serde_json::from_value(value).unwrap();
        NodeLookup::from(Some(&node))
    }

    #[test]
    fn a_node_is_no_more_when_it_is_gone_or_fenced_and_only_silent_when_it_does_not_speak() {
        let ready = |status: &str| {
            json!({"status": {"conditions": [
                {"type": "MemoryPressure", "status": "Unknown"},
                {"type": "Ready", "status": status},
            ]}})
        };
        assert_eq!(NodeLookup::from(None::<&Node>), NodeLookup::Gone);
        assert_eq!(node(ready("Unknown")), NodeLookup::Silent);
        assert_eq!(node(ready("False")), NodeLookup::Heard);
        assert_eq!(node(ready("True")), NodeLookup::Heard);
        let tainted = |key: &str| {
            let mut node = ready("Unknown");
            node["spec"] = json!({"taints": [{"key": key, "effect": "NoExecute"}]});
            node
        };
        assert_eq!(
            node(tainted("node.kubernetes.io/out-of-service")),
            NodeLookup::OutOfService
        );
        assert_eq!(
            node(tainted("node.kubernetes.io/unreachable")),
            NodeLookup::Silent
        );
    }

    #[test]
    fn a_namespace_stays_unless_it_is_gone_or_told_to_go() {
        let going = json!({"metadata": {"deletionTimestamp": "2027-01-15T08:00:00Z"}});
        let of = |value: Value| {
            let namespace: Namespace = serde_json::from_value(value).unwrap();
            NamespaceLookup::from(Some(&namespace))
        };
        assert_eq!(of(going), NamespaceLookup::Going);
        assert_eq!(of(json!({"metadata": {}})), NamespaceLookup::Staying);
        assert_eq!(
            NamespaceLookup::from(None::<&Namespace>),
            NamespaceLookup::Going
        );
    }
}
