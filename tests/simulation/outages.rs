//! Machines that fall silent, speak again, start again or are gone for good.

use serde_json::{Value, json};

use super::{
    agents::silent,
    api::{Key, Resource},
    nodes::{NODES, Node, Step},
    scenario::Deed,
    world::{Event, World},
};

impl World {
    /// What the cluster says of a node: heard or not.
    pub fn tell_ready(&mut self, node: usize) {
        let Node { silent, gone } = self.nodes[NODES[node]];
        let ready = if silent || gone { "Unknown" } else { "True" };
        let key = Key::new(Resource::Nodes, "", NODES[node]);
        self.api.edit(&key, |node| {
            node["status"]["conditions"] = json!([{"type": "Ready", "status": ready}]);
        });
    }

    pub fn silence(&mut self, node: usize) {
        self.after(18_000, 22_000, Event::Deed(Deed::Unheard(node)));
        if let Some(node) = self.nodes.get_mut(NODES[node]) {
            node.silent = true;
        }
        for uid in self.pods_on(node) {
            self.after(28_000, 34_000, Event::Pod(uid, Step::EvictLost));
        }
    }

    pub fn hear_again(&mut self, node: usize) {
        let Some(state) = self.nodes.get_mut(NODES[node]) else {
            return;
        };
        if state.gone || !std::mem::take(&mut state.silent) {
            return;
        }
        self.tell_ready(node);
        for uid in self.pods_on(node) {
            let ended = self.agents.iter().any(|it| it.pod == uid && !it.alive);
            let began = self.agents.iter().any(|it| it.pod == uid);
            let deleting = self
                .pod(&uid)
                .is_some_and(|(_, pod)| !pod["metadata"]["deletionTimestamp"].is_null());
            let steps: &[Step] = match (deleting, ended, began) {
                (true, _, _) => &[Step::Stop],
                (_, true, _) => &[Step::ReportEnd, Step::Leave],
                (_, _, true) => &[Step::ReportRunning],
                _ => &[Step::Start],
            };
            for (place, step) in (1_u64..).zip(steps) {
                self.after(500 * place, 3_000 * place, Event::Pod(uid.clone(), *step));
            }
        }
        // What the API server has forgotten lives no longer than its node is silent.
        let forgotten: Vec<String> = self
            .agents
            .iter()
            .filter(|it| it.alive && it.node == NODES[node] && self.pod(&it.pod).is_none())
            .map(|it| it.pod.clone())
            .collect();
        for uid in forgotten {
            self.after(500, 3_000, Event::Pod(uid, Step::Stop));
        }
    }

    /// Its power was gone for a moment: containerd knows its containers, and none of their processes.
    pub fn restart(&mut self, node: usize) {
        if self.nodes[NODES[node]].gone {
            return;
        }
        for uid in self.pods_on(node) {
            if let Some((key, _)) = self.pod(&uid) {
                self.disrupted.insert(key.name);
            }
            self.has_ended(&uid, silent(255, "Unknown", self.time()));
        }
    }

    /// Somebody makes sure that the machine is off, and tells the API server.
    pub fn lose_node(&mut self, node: usize, removed: bool) {
        let name = NODES[node];
        if self
            .nodes
            .iter()
            .any(|(other, state)| other != name && state.gone)
        {
            return self.hear_again(node);
        }
        if let Some(node) = self.nodes.get_mut(name) {
            node.gone = true;
        }
        self.after(1, 2_000, Event::Deed(Deed::Unheard(node)));
        for uid in self.pods_on(node) {
            self.step(&uid, Step::Kill);
            self.after(2_000, 20_000, Event::Pod(uid, Step::Collect));
        }
        let key = Key::new(Resource::Nodes, "", name);
        if removed {
            self.request("DELETE", &key, &Value::Null);
        } else {
            let taint = json!({"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"});
            self.request("PATCH", &key, &json!({"spec": {"taints": [taint]}}));
        }
    }

    /// Pods that are bound to a node, and agents on it whose pods are gone.
    fn pods_on(&self, node: usize) -> Vec<String> {
        let here = |pod: &Value| pod["spec"]["nodeName"] == NODES[node];
        let pods = self.api.all(Resource::Pods).filter(|(_, pod)| here(pod));
        let bound = pods.filter_map(|(_, pod)| Some(pod["metadata"]["uid"].as_str()?.to_owned()));
        let alive = self
            .agents
            .iter()
            .filter(|it| it.alive && it.node == NODES[node]);
        let mut uids: Vec<String> = bound.chain(alive.map(|it| it.pod.clone())).collect();
        uids.sort();
        uids.dedup();
        uids
    }
}
