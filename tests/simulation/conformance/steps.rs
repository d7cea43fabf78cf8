//! Random steps of a sequence, and each as the request that one server gets.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    api::{Key, Request, Resource},
    random::Random,
};

use super::servers::Known;

const JOB_FINALIZER: &str = "herdctl.dev/record";
const FOREIGN_FINALIZER: &str = "example.com/mine";
const MANAGERS: [&str; 2] = ["herd-controller", "another"];
/// Mostly such as JSON takes as they are, and an apply does not.
const TEXTS: [&str; 12] = [
    "a",
    "b",
    "a\u{1b}b",
    "a\u{7f}b",
    "a\u{85}b",
    "a\u{9b}b",
    "a\u{a0}b",
    "a\u{2028}b",
    "a\u{feff}b",
    "a\u{fffe}b",
    "a\u{ffff}b",
    "a\u{1ffff}b",
];

/// Which of an object's values a request carries as its precondition.
#[derive(Clone, Copy, Debug)]
pub enum Said {
    Nothing,
    Right,
    /// The first that the object ever had.
    Old,
    Wrong,
}

const SAID: [Said; 4] = [Said::Nothing, Said::Right, Said::Old, Said::Wrong];

/// One request, without the values that differ from server to server.
#[derive(Clone, Debug)]
pub enum Step {
    Get,
    Create(Value),
    Apply {
        manager: &'static str,
        version: Said,
        status: Value,
    },
    /// A JSON Patch of the status that begins with a test of the UID.
    PatchStatus {
        uid: Said,
        field: &'static str,
        value: Value,
    },
    Merge(Value),
    /// Puts a finalizer on, if the object is of this version.
    Hold {
        version: Said,
        finalizer: &'static str,
    },
    /// Takes the first finalizer off, if it is this one.
    Release {
        uid: Said,
        finalizer: &'static str,
    },
    Delete {
        uid: Said,
        version: Said,
        grace: Option<i64>,
    },
}

fn job(chance: &mut Random) -> Step {
    match chance.between(0, 12) {
        0 => Step::Get,
        1 | 2 => Step::Create(job_manifest(chance)),
        3..=5 => Step::Apply {
            manager: chance.pick::<&str>(&MANAGERS),
            version: *chance.pick(&SAID),
            status: status(chance),
        },
        6 => Step::PatchStatus {
            uid: *chance.pick(&SAID),
            field: "message",
            value: json!(chance.pick(&TEXTS)),
        },
        7 => Step::Merge(spec_change(chance)),
        8 => Step::Hold {
            version: *chance.pick(&SAID),
            finalizer: chance.pick::<&str>(&[JOB_FINALIZER, FOREIGN_FINALIZER]),
        },
        9 | 10 => Step::Release {
            uid: *chance.pick(&SAID),
            finalizer: chance.pick::<&str>(&[JOB_FINALIZER, FOREIGN_FINALIZER]),
        },
        _ => delete(chance),
    }
}

fn pod(chance: &mut Random) -> Step {
    match chance.between(0, 9) {
        0 => Step::Get,
        1..=3 => Step::Create(pod_manifest(chance)),
        4 => Step::Hold {
            version: *chance.pick(&SAID),
            finalizer: FOREIGN_FINALIZER,
        },
        5 | 6 => Step::Release {
            uid: *chance.pick(&SAID),
            finalizer: FOREIGN_FINALIZER,
        },
        _ => delete(chance),
    }
}

fn delete(chance: &mut Random) -> Step {
    Step::Delete {
        uid: *chance.pick(&SAID),
        version: *chance.pick(&SAID),
        grace: *chance.pick(&[None, None, Some(0), Some(20)]),
    }
}

fn job_manifest(chance: &mut Random) -> Value {
    let mut manifest = json!({"metadata": {}, "spec": {"agent": "nobody"}});
    if chance.once_in(3) {
        manifest["metadata"]["finalizers"] = json!([FOREIGN_FINALIZER]);
    }
    if chance.once_in(4) {
        manifest["spec"]["suspend"] = json!(true);
    }
    if chance.once_in(4) {
        // What is no part of a new object is left out.
        manifest["status"] = json!({"phase": "running"});
    }
    manifest
}

fn pod_manifest(chance: &mut Random) -> Value {
    let mut manifest = json!({"metadata": {}, "spec": {
        "containers": [{"name": "agent", "image": "nothing"}],
        "schedulerName": "nobody", "terminationGracePeriodSeconds": 30,
        "automountServiceAccountToken": false,
    }});
    if chance.once_in(2) {
        manifest["metadata"]["finalizers"] = json!([FOREIGN_FINALIZER]);
    }
    if chance.once_in(2) {
        // A node that nobody has: no kubelet ends the pod.
        manifest["spec"]["nodeName"] = json!("nowhere");
    }
    manifest
}

fn status(chance: &mut Random) -> Value {
    let phase = *chance.pick(&["pending", "running", "running", "completed", "failed"]);
    let mut status = json!({"phase": phase});
    if chance.once_in(2) {
        status["reason"] = json!(chance.pick(&["Working", "Suspended", "Completed"]));
    }
    if chance.once_in(2) {
        let attempts = chance.between(1, 3);
        let all: Vec<Value> = (1..=attempts)
            .map(|number| {
                let mut attempt = json!({
                    "number": number, "pod": format!("p-{number}"), "intended": "2026-01-01T00:00:00Z",
                });
                if chance.once_in(2) {
                    attempt["why"] = json!("because");
                }
                attempt
            })
            .collect();
        status["attempts"] = json!(all);
    }
    if chance.once_in(3) {
        status["message"] = json!(chance.pick(&TEXTS));
    }
    if chance.once_in(8) {
        status["phase"] = json!("unheard-of");
    }
    status
}

fn spec_change(chance: &mut Random) -> Value {
    let change = chance.pick(&[
        r#"{"spec":{"cancel":true}}"#,
        r#"{"spec":{"cancel":null}}"#,
        r#"{"spec":{"suspend":true}}"#,
        r#"{"spec":{"suspend":false}}"#,
        r#"{"spec":{"suspend":false,"resumePrompt":"go on"}}"#,
        r#"{"spec":{"prompt":"another"}}"#,
        r#"{"spec":{"agent":"somebody"}}"#,
        r#"{"metadata":{"labels":{"a":"b"}}}"#,
        r#"{"status":{"phase":"completed"}}"#,
    ]);
    serde_json::from_str(change).unwrap()
}

impl Step {
    pub fn random(resource: Resource, chance: &mut Random) -> Step {
        match resource {
            Resource::Jobs => job(chance),
            _ => pod(chance),
        }
    }

    /// The request to the server of which this is known.
    pub fn request(&self, known: &Known, key: &Key) -> Request {
        match self {
            Step::Get => Request::new("GET", key, ""),
            Step::Create(manifest) => {
                let mut manifest = manifest.clone();
                manifest["metadata"]["name"] = json!(key.name);
                if manifest["spec"]["nodeName"].is_string() {
                    // Each pod has a node of its own: whatever stays bound to one that is not there for
                    // 40 s is taken away by the cluster.
                    manifest["spec"]["nodeName"] = json!(key.name);
                }
                manifest["kind"] = json!(key.resource.kind());
                manifest["apiVersion"] = json!(key.resource.api_version());
                Request::new("POST", key, "").with("application/json", &manifest)
            }
            Step::Apply {
                manager,
                version,
                status,
            } => {
                let mut body = json!({
                    "kind": key.resource.kind(), "apiVersion": key.resource.api_version(),
                    "metadata": {}, "status": status,
                });
                if let Some(version) = known.version(*version) {
                    body["metadata"]["resourceVersion"] = version;
                }
                let mut request = Request::new("PATCH", key, "status")
                    .with("application/apply-patch+yaml", &body);
                request.query = BTreeMap::from([
                    ("fieldManager".to_owned(), (*manager).to_owned()),
                    ("force".to_owned(), "true".to_owned()),
                ]);
                request
            }
            Step::PatchStatus { uid, field, value } => {
                let mut patch = test("uid", known.uid(*uid));
                patch
                    .push(json!({"op": "add", "path": format!("/status/{field}"), "value": value}));
                json_patch("status", key, patch)
            }
            Step::Merge(change) => {
                Request::new("PATCH", key, "").with("application/merge-patch+json", change)
            }
            Step::Hold { version, finalizer } => {
                let mut patch = test("resourceVersion", known.version(*version));
                patch.push(if known.finalizers() {
                    json!({"op": "add", "path": "/metadata/finalizers/-", "value": finalizer})
                } else {
                    json!({"op": "add", "path": "/metadata/finalizers", "value": [finalizer]})
                });
                json_patch("", key, patch)
            }
            Step::Release { uid, finalizer } => {
                let mut patch = test("uid", known.uid(*uid));
                patch.push(
                    json!({"op": "test", "path": "/metadata/finalizers/0", "value": finalizer}),
                );
                patch.push(json!({"op": "remove", "path": "/metadata/finalizers/0"}));
                json_patch("", key, patch)
            }
            Step::Delete {
                uid,
                version,
                grace,
            } => {
                let mut options =
                    json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {}});
                for (field, value) in [
                    ("uid", known.uid(*uid)),
                    ("resourceVersion", known.version(*version)),
                ] {
                    if let Some(value) = value {
                        options["preconditions"][field] = value;
                    }
                }
                if let Some(grace) = grace {
                    options["gracePeriodSeconds"] = json!(grace);
                }
                Request::new("DELETE", key, "").with("application/json", &options)
            }
        }
    }
}

fn test(field: &str, value: Option<Value>) -> Vec<Value> {
    let test = |value| json!({"op": "test", "path": format!("/metadata/{field}"), "value": value});
    value.map(test).into_iter().collect()
}

fn json_patch(subresource: &str, key: &Key, patch: Vec<Value>) -> Request {
    Request::new("PATCH", key, subresource)
        .with("application/json-patch+json", &Value::Array(patch))
}
