//! Policies of the cluster that put something of their own into every pod that is made, as service meshes and
//! queues do.

use serde_json::{Value, json};

use super::{
    api::{Key, Request, Resource},
    nodes::Step,
    world::{Event, World},
};

/// The container of somebody else's.
const MESH: &str = "mesh";
const GATE: &str = "example.com/queue";

/// What is put into pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injected {
    /// A container beside the agent that ends only when it is told to.
    Beside,
    /// An init container that fails.
    FailingInit,
    /// A scheduling gate.
    Gate,
}

impl Injected {
    pub const ALL: [Injected; 3] = [Injected::Beside, Injected::FailingInit, Injected::Gate];
}

impl World {
    /// Changes a request that makes a pod.
    pub fn inject(&self, request: &mut Request) {
        let pods = request
            .target()
            .is_some_and(|it| it.resource == Resource::Pods);
        let Some(injected) = self.injected.filter(|_| pods && request.method == "POST") else {
            return;
        };
        let mut pod: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let (list, what) = match injected {
            Injected::Beside => ("containers", json!({"name": MESH})),
            Injected::FailingInit => ("initContainers", json!({"name": MESH})),
            Injected::Gate => ("schedulingGates", json!({"name": GATE})),
        };
        match pod["spec"][list].as_array_mut() {
            Some(all) => all.push(what),
            None => pod["spec"][list] = json!([what]),
        }
        request.body = pod.to_string().into_bytes();
    }

    /// Pods are as they are asked for from now on, and no gate holds one back any more.
    pub fn inject_nothing(&mut self) {
        self.injected = None;
        let gated = |pod: &Value| is_gated(pod);
        let all = self.api.all(Resource::Pods);
        let gated: Vec<(Key, String)> = all
            .filter(|(_, pod)| gated(pod))
            .map(|(key, pod)| {
                let uid = pod["metadata"]["uid"].as_str();
                (key.clone(), uid.unwrap_or_default().to_owned())
            })
            .collect();
        for (key, uid) in gated {
            self.api
                .edit(&key, |pod| pod["spec"]["schedulingGates"] = Value::Null);
            self.after(10, 400, Event::Pod(uid, Step::Schedule));
        }
    }

    /// The pod's init container fails: no agent starts in it, and no kubelet says more.
    pub fn fail_init(&mut self, key: &Key) {
        self.init_failed = true;
        self.api.edit(key, |pod| {
            pod["status"]["initContainerStatuses"] = json!([is(
                json!({"terminated": {"exitCode": 3, "reason": "Error"}})
            )]);
            pod["status"]["phase"] = json!("Failed");
        });
    }
}

/// No scheduler looks at it.
pub fn is_gated(pod: &Value) -> bool {
    let gates = pod["spec"]["schedulingGates"].as_array();
    gates.is_some_and(|gates| !gates.is_empty())
}

fn has(pod: &Value, list: &str) -> bool {
    let all = pod["spec"][list].as_array();
    all.is_some_and(|all| all.iter().any(|it| it["name"] == MESH))
}

pub fn has_failing_init(pod: &Value) -> bool {
    has(pod, "initContainers")
}

/// Something beside the agent keeps the pod from ending.
pub fn is_kept(pod: &Value) -> bool {
    has(pod, "containers")
}

/// What its kubelet says of what stands beside the agent.
pub fn add_status(pod: &mut Value, ended: bool) {
    if !is_kept(pod) {
        return;
    }
    let state = if ended {
        json!({"terminated": {"exitCode": 0, "reason": "Completed"}})
    } else {
        json!({"running": {}})
    };
    if let Some(all) = pod["status"]["containerStatuses"].as_array_mut() {
        all.push(is(state));
    }
}

fn is(state: Value) -> Value {
    json!({"name": MESH, "image": "i", "imageID": "", "ready": false, "restartCount": 0, "started": true,
        "state": state})
}
