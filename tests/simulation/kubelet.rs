//! What kubelets do with pods: they start the agent, once, tell how it goes, and see pods off.

use herdctl::api::verdict::{StoppedBy, Verdict};
use serde_json::{Value, json};

use super::{
    agents::{Agent, End, Fate, finished, silent, stopped},
    api::{Key, seconds},
    injected,
    nodes::{Step, attempt, owner},
    world::{Event, World},
};

impl World {
    pub fn start_agent(&mut self, key: &Key, pod: &Value, uid: &str, step: Step) {
        if !pod["metadata"]["deletionTimestamp"].is_null() || !self.is_heard(pod) {
            return;
        }
        if owner(pod).is_empty() {
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
        if injected::has_failing_init(pod) {
            return self.fail_init(key);
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
        let runs = self.scenario.duration(uid);
        self.at(self.now + runs, Event::Pod(uid.to_owned(), Step::End));
    }

    /// The agent of this pod, while it lives.
    fn living(&mut self, uid: &str) -> Option<&mut Agent> {
        let mut agents = self.agents.iter_mut();
        agents.find(|agent| agent.pod == uid && agent.alive)
    }

    /// An agent's end is known to its node, and what it said goes to the store.
    pub fn has_ended(&mut self, uid: &str, end: End) {
        let Some(agent) = self.living(uid) else {
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

    pub fn end_agent(&mut self, uid: &str) {
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
    pub fn stop(&mut self, uid: &str) {
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
                2 => finished(started, self.time()),
                1 => return self.after(2_000, 8_000, Event::Pod(uid.to_owned(), Step::Kill)),
                _ => stopped(StoppedBy::Signal, started, self.time()),
            };
            return self.has_ended(uid, end);
        }
        self.after(200, 1_500, Event::Pod(uid.to_owned(), Step::Leave));
    }

    pub fn kill(&mut self, uid: &str) {
        let end = silent(137, "Error", self.time());
        self.has_ended(uid, end);
    }

    /// The store has refused an agent: its own runner ends it.
    pub fn fence(&mut self, uid: &str) {
        let at = self.time();
        let Some(agent) = self.living(uid) else {
            return;
        };
        agent.fenced = true;
        let end = stopped(StoppedBy::Fence, agent.started, at);
        self.has_ended(uid, end);
    }

    /// The pod's status as its node sees it.
    pub fn report(&mut self, key: &Key, uid: &str) {
        let Some(agent) = self.agents.iter().find(|agent| agent.pod == uid).cloned() else {
            return;
        };
        let state = container(&agent);
        self.api.edit(key, |pod| {
            if pod["status"]["phase"] == "Pending" {
                pod["status"]["phase"] = json!("Running");
            }
            pod["status"]["containerStatuses"] = state;
            injected::add_status(pod, false);
        });
    }

    /// The pod becomes terminal once nothing of it lives, and goes when it was to go.
    pub fn leave(&mut self, key: &Key, uid: &str) {
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
        if injected::is_kept(&pod) && !deleting {
            return;
        }
        let until = pod["metadata"]["deletionTimestamp"].as_str();
        let grace_is_over = until.is_some_and(|until| until < seconds(self.time()).as_str());
        let drains = !grace_is_over && agent.as_ref().is_some_and(|agent| self.drains(agent));
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
            injected::add_status(pod, true);
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
}

fn container(agent: &Agent) -> Value {
    let started = seconds(agent.started);
    let state = match &agent.end {
        None => json!({"running": {"startedAt": started}}),
        Some(end) => json!({"terminated": {
            "exitCode": end.code, "reason": end.word, "startedAt": started, "finishedAt": seconds(end.at),
            "message": end.verdict.as_ref().map(Verdict::to_message).or_else(|| end.forged.clone()),
        }}),
    };
    json!([{"name": "agent", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state}])
}

fn never_started() -> Value {
    json!([{"name": "agent", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state":
        {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}}])
}
