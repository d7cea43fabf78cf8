//! Nodes and their kubelets, the scheduler, and those that clean up after lost nodes. A node that is
//! silent goes on working; one that is gone does not.

use herdctl::plan::pod::LABEL_JOB_UID;
use serde_json::{Value, json};

use super::{
    api::{Key, Request, Resource, seconds},
    collector::referenced,
    injected,
    world::{Event, World},
};

pub const NODES: [&str; 2] = ["node-a", "node-b"];

/// A node as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Node {
    /// Nobody hears of it, and it hears of nothing.
    pub silent: bool,
    /// The machine is off for good.
    pub gone: bool,
}

/// What a kubelet, or the scheduler before it, does next for a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Schedule,
    Start,
    /// The same container once more: the kubelet had forgotten the first.
    StartAgain,
    ReportRunning,
    /// The agent comes to its end by itself.
    End,
    ReportEnd,
    /// Nothing of the pod lives any more, and its output is gone where it should.
    Leave,
    /// The pod is to go.
    Stop,
    /// Its grace is over.
    Kill,
    /// The cluster gives up a pod on a node that is not heard of.
    EvictLost,
    /// And removes one whose node is gone.
    Collect,
}

impl World {
    /// The pod with this UID, as the API server has it.
    pub fn pod(&self, uid: &str) -> Option<(Key, Value)> {
        let mut pods = self.api.all(Resource::Pods);
        let (key, pod) = pods.find(|(_, pod)| pod["metadata"]["uid"] == uid)?;
        Some((key.clone(), pod.as_ref().clone()))
    }

    fn node_of(&self, pod: &Value) -> Option<Node> {
        self.nodes.get(pod["spec"]["nodeName"].as_str()?).copied()
    }

    /// Its node works, and is heard of.
    pub fn is_heard(&self, pod: &Value) -> bool {
        self.node_of(pod)
            .is_some_and(|node| !node.silent && !node.gone)
    }

    pub fn step(&mut self, uid: &str, step: Step) {
        match step {
            Step::End => return self.end_agent(uid),
            Step::Kill => return self.kill(uid),
            Step::Stop => return self.stop(uid),
            _ => {}
        }
        let Some((key, pod)) = self.pod(uid) else {
            return;
        };
        match step {
            Step::Schedule => self.schedule(&key, &pod, uid),
            Step::Start | Step::StartAgain => self.start_agent(&key, &pod, uid, step),
            Step::ReportRunning | Step::ReportEnd if self.is_heard(&pod) => self.report(&key, uid),
            Step::Leave if self.is_heard(&pod) => self.leave(&key, uid),
            Step::EvictLost if self.node_of(&pod).is_some_and(|node| node.silent) => {
                self.disrupt(&key, "DeletionByTaintManager", None);
                self.request("DELETE", &key, &Value::Null);
            }
            Step::Collect => {
                self.disrupt(&key, "DeletionByPodGC", Some("Failed"));
                self.request("DELETE", &key, &json!({"gracePeriodSeconds": 0}));
            }
            _ => {}
        }
    }

    fn schedule(&mut self, key: &Key, pod: &Value, uid: &str) {
        if !pod["metadata"]["deletionTimestamp"].is_null() || !pod["spec"]["nodeName"].is_null() {
            return;
        }
        if injected::is_gated(pod) {
            return;
        }
        let free: Vec<&str> = NODES
            .into_iter()
            .filter(|name| !self.nodes[*name].silent && !self.nodes[*name].gone)
            .collect();
        if free.is_empty() {
            return self.after(2_000, 4_000, Event::Pod(uid.to_owned(), Step::Schedule));
        }
        let node = (*self.random.pick(&free)).to_owned();
        self.api
            .edit(key, |pod| pod["spec"]["nodeName"] = json!(node));
        // Some sandboxes die before anything starts in them, and nobody tells.
        if !self.scenario.is_lost(uid) {
            self.after(100, 1_500, Event::Pod(uid.to_owned(), Step::Start));
        }
    }

    /// What the cluster says when it takes a pod away, on its own account.
    pub fn disrupt(&mut self, key: &Key, reason: &str, phase: Option<&str>) {
        self.disrupted.insert(key.name.clone());
        self.api.edit(key, |pod| {
            let condition = json!({"type": "DisruptionTarget", "status": "True", "reason": reason,
                "message": "m", "lastTransitionTime": seconds(super::world::epoch())});
            pod["status"]["conditions"] = json!([condition]);
            let over = matches!(
                pod["status"]["phase"].as_str(),
                Some("Failed" | "Succeeded")
            );
            if let Some(phase) = phase.filter(|_| !over) {
                pod["status"]["phase"] = json!(phase);
            }
        });
    }

    /// A request of the cluster's own parts, or of people.
    pub fn request(&mut self, method: &str, key: &Key, body: &Value) -> super::api::Answer {
        let mut request = Request::new(method, key, "");
        if !body.is_null() {
            let kind = if method == "PATCH" {
                "application/merge-patch+json"
            } else {
                "application/json"
            };
            request = request.with(kind, body);
        }
        let answer = self.api.handle(&request, self.time());
        self.trace(format!(
            "{method} {}/{} {}",
            key.resource.plural(),
            key.name,
            answer.code
        ));
        answer
    }
}

/// The UID of the Job that a pod belongs to, also if its owner reference was taken off.
pub fn owner(pod: &Value) -> String {
    let label = pod["metadata"]["labels"][LABEL_JOB_UID].as_str();
    let owner = referenced(pod);
    if owner.is_empty() {
        return label.unwrap_or_default().to_owned();
    }
    owner
}

pub fn attempt(pod: &Value) -> u32 {
    let label = pod["metadata"]["labels"]["herdctl.dev/attempt"].as_str();
    label.and_then(|number| number.parse().ok()).unwrap_or(0)
}
