//! Nodes and their kubelets, the scheduler, and those that clean up after lost nodes. A node that is
//! silent goes on working; one that is gone does not.

use herdctl::api::verdict::StoppedBy;
use serde_json::{Value, json};

use super::{
    agents::{Agent, End, Fate, silent, stopped},
    api::{Key, Request, Resource, seconds},
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

    fn is_heard(&self, pod: &Value) -> bool {
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

    fn start_agent(&mut self, key: &Key, pod: &Value, uid: &str, step: Step) {
        if !pod["metadata"]["deletionTimestamp"].is_null() || !self.is_heard(pod) {
            return;
        }
        let at = self.time();
        let refused = silent(75, "Error", at);
        if let Some(agent) = self.agents.iter_mut().find(|agent| agent.pod == uid) {
            // One hand-over a pod: the second container ends at once, and with it the pod.
            if step == Step::StartAgain && agent.alive {
                agent.alive = false;
                agent.end = Some(refused);
                self.trace(format!("{} is started twice", key.name));
                self.report_end_later(uid);
            }
            return;
        }
        if pod["status"]["phase"] != "Pending" {
            return;
        }
        let job = owner(pod);
        let attempt = attempt(pod);
        let fenced = !self.may_start(&job, attempt, uid);
        self.agents.push(Agent {
            job,
            pod: uid.to_owned(),
            attempt,
            node: pod["spec"]["nodeName"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            started: at,
            alive: !fenced,
            fenced,
            end: fenced.then_some(refused),
        });
        self.trace(format!(
            "agent of {} {uid} starts, fenced: {fenced}",
            key.name
        ));
        if fenced {
            return self.report_end_later(uid);
        }
        self.check_agents();
        self.after(200, 1_500, Event::Pod(uid.to_owned(), Step::ReportRunning));
        let runs = self.random.between(500, 25_000);
        self.at(self.now + runs, Event::Pod(uid.to_owned(), Step::End));
    }

    /// An agent's end is known to its node, and what it said goes to the store.
    fn has_ended(&mut self, uid: &str, end: End) {
        let Some(agent) = self
            .agents
            .iter_mut()
            .find(|agent| agent.pod == uid && agent.alive)
        else {
            return;
        };
        agent.alive = false;
        let (job, attempt) = (agent.job.clone(), agent.attempt);
        let speaks = end.verdict.clone().filter(|_| !agent.fenced);
        self.trace(format!("agent of {uid} ends with {}", end.code));
        if let Some(agent) = self.agents.iter_mut().find(|agent| agent.pod == uid) {
            agent.end = Some(end);
        }
        if let Some(verdict) = speaks {
            self.after(
                10,
                300,
                Event::Ship(job, attempt, uid.to_owned(), Box::new(verdict)),
            );
        }
        self.report_end_later(uid);
    }

    fn report_end_later(&mut self, uid: &str) {
        self.after(200, 1_500, Event::Pod(uid.to_owned(), Step::ReportEnd));
        self.after(1_500, 4_000, Event::Pod(uid.to_owned(), Step::Leave));
    }

    fn end_agent(&mut self, uid: &str) {
        let Some(agent) = self
            .agents
            .iter()
            .find(|agent| agent.pod == uid && agent.alive)
        else {
            return;
        };
        let fate = self.scenario.fate(&agent.job, agent.attempt);
        let end = fate.end(agent.started, self.time());
        self.has_ended(uid, end);
    }

    /// The kubelet has seen that the pod is to go.
    fn stop(&mut self, uid: &str) {
        let node = self
            .agents
            .iter()
            .find(|agent| agent.pod == uid)
            .map(|it| it.node.clone());
        if node.is_some_and(|name| self.nodes[&name].silent || self.nodes[&name].gone) {
            return;
        }
        if let Some(agent) = self
            .agents
            .iter()
            .find(|agent| agent.pod == uid && agent.alive)
        {
            let started = agent.started;
            let end = match self.random.between(0, 8) {
                0 => Fate::Succeeds.end(started, self.time()),
                1 => return self.after(2_000, 8_000, Event::Pod(uid.to_owned(), Step::Kill)),
                _ => stopped(StoppedBy::Signal, started, self.time()),
            };
            return self.has_ended(uid, end);
        }
        self.after(200, 1_500, Event::Pod(uid.to_owned(), Step::Leave));
    }

    fn kill(&mut self, uid: &str) {
        let end = silent(137, "Error", self.time());
        self.has_ended(uid, end);
    }

    /// The store has refused an agent: its own runner ends it.
    pub fn fence(&mut self, uid: &str) {
        let at = self.time();
        let Some(agent) = self
            .agents
            .iter_mut()
            .find(|agent| agent.pod == uid && agent.alive)
        else {
            return;
        };
        agent.fenced = true;
        let end = stopped(StoppedBy::Fence, agent.started, at);
        self.has_ended(uid, end);
    }

    /// The pod's status as its node sees it.
    fn report(&mut self, key: &Key, uid: &str) {
        let Some(agent) = self.agents.iter().find(|agent| agent.pod == uid).cloned() else {
            return;
        };
        let state = container(&agent);
        self.api.edit(key, |pod| {
            if pod["status"]["phase"] == "Pending" {
                pod["status"]["phase"] = json!("Running");
            }
            pod["status"]["containerStatuses"] = state;
        });
    }

    /// The pod becomes terminal once nothing of it lives, and goes when it was to go.
    fn leave(&mut self, key: &Key, uid: &str) {
        let agent = self.agents.iter().find(|agent| agent.pod == uid).cloned();
        if agent.as_ref().is_some_and(|agent| agent.alive) {
            return;
        }
        let Some((_, pod)) = self.pod(uid) else {
            return;
        };
        let deleting = !pod["metadata"]["deletionTimestamp"].is_null();
        if agent.is_none() && !deleting {
            return;
        }
        let drains = agent.as_ref().is_some_and(|agent| self.drains(agent));
        if drains {
            return self.after(500, 2_000, Event::Pod(uid.to_owned(), Step::Leave));
        }
        let succeeded = agent
            .as_ref()
            .and_then(|it| it.end.as_ref())
            .is_some_and(|end| end.code == 0);
        let state = agent.as_ref().map_or_else(never_started, container);
        self.api.edit(key, |pod| {
            pod["status"]["containerStatuses"] = state;
            if !matches!(
                pod["status"]["phase"].as_str(),
                Some("Failed" | "Succeeded")
            ) {
                pod["status"]["phase"] = json!(if succeeded { "Succeeded" } else { "Failed" });
            }
        });
        if deleting {
            self.request(
                "DELETE",
                key,
                &json!({"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}),
            );
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

/// The UID of the Job that a pod belongs to.
pub fn owner(pod: &Value) -> String {
    let owner = &pod["metadata"]["ownerReferences"][0]["uid"];
    owner.as_str().unwrap_or_default().to_owned()
}

pub fn attempt(pod: &Value) -> u32 {
    let label = pod["metadata"]["labels"]["herdctl.dev/attempt"].as_str();
    label.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn container(agent: &Agent) -> Value {
    let started = seconds(agent.started);
    let state = match &agent.end {
        None => json!({"running": {"startedAt": started}}),
        Some(end) => json!({"terminated": {
            "exitCode": end.code, "reason": end.word, "startedAt": started, "finishedAt": seconds(end.at),
            "message": end.verdict.as_ref().map(herdctl::api::verdict::Verdict::to_message),
        }}),
    };
    json!([{"name": "agent", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state}])
}

fn never_started() -> Value {
    json!([{"name": "agent", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state":
        {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}}])
}
