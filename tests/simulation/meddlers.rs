//! People and tools that take more in hand than they should: they take finalizers off, put their own on, and
//! make pods under the names of others.

use herdctl::plan::pod::LABEL_JOB;
use serde_json::{Value, json};

use super::{
    api::{Key, Resource},
    people::{NAMESPACE, job},
    scenario::{Deed, Likeness},
    world::{Event, World},
};

/// Of somebody else, before and after ours.
const FOREIGN: [&str; 2] = ["example.com/backup", "example.com/audit"];

/// How many finalizers of somebody else are on it.
pub fn foreign(object: &Value) -> usize {
    count(&finalizers(object))
}

fn count(finalizers: &[Value]) -> usize {
    finalizers.iter().filter(|it| is_foreign(it)).count()
}

fn is_foreign(finalizer: &Value) -> bool {
    FOREIGN.iter().any(|theirs| finalizer == theirs)
}

fn finalizers(object: &Value) -> Vec<Value> {
    let there = object["metadata"]["finalizers"].as_array();
    there.cloned().unwrap_or_default()
}

impl World {
    pub fn strip_pod(&mut self, number: usize) {
        if let Some((key, uid)) = self.last_pod(number) {
            self.checks.people_strip(&uid);
            self.checks.held.remove(&uid);
            self.checks.foreign.remove(&uid);
            self.request("PATCH", &key, &json!({"metadata": {"finalizers": null}}));
            self.delete_pod(number, json!({"gracePeriodSeconds": 0}));
        }
    }

    /// Takes the label off by which controllers see it.
    pub fn unlabel(&mut self, number: usize) {
        if let Some((key, _)) = self.last_pod(number) {
            let change = json!({"metadata": {"labels": {LABEL_JOB: null}}});
            self.request("PATCH", &key, &change);
        }
    }

    /// Backups and other tools hold what they work on so.
    pub fn hold(&mut self, number: usize) {
        let pod = self.last_pod(number).map(|(key, _)| key);
        for key in [Some(job(number)), pod].into_iter().flatten() {
            let Some(object) = self.api.object(&key).cloned() else {
                continue;
            };
            if foreign(&object) > 0 {
                continue;
            }
            let [before, after] = FOREIGN.map(|it| vec![json!(it)]);
            let all = [before, finalizers(&object), after].concat();
            self.hold_with(&key, &object, &all);
        }
    }

    /// Each takes its own off, one some time after the other.
    pub fn unhold(&mut self, number: usize) {
        let name = job(number).name;
        let all = self.api.all(Resource::Jobs);
        let all = all.chain(self.api.all(Resource::Pods));
        let held: Vec<(Key, Value)> = all
            .filter(|(_, object)| foreign(object) > 0)
            .filter(|(key, _)| key.name == name || key.name.starts_with(&format!("{name}-")))
            .map(|(key, object)| (key.clone(), object.as_ref().clone()))
            .collect();
        for (key, object) in held {
            let mut left = finalizers(&object);
            if let Some(place) = left.iter().position(is_foreign) {
                left.remove(place);
            }
            self.hold_with(&key, &object, &left);
            if count(&left) > 0 {
                self.after(2_000, 20_000, Event::Deed(Deed::Unhold(number)));
            }
        }
    }

    fn hold_with(&mut self, key: &Key, object: &Value, finalizers: &[Value]) {
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
        let before = foreign(object);
        self.checks
            .foreign
            .insert(uid.to_owned(), count(finalizers));
        let change = json!({"metadata": {"finalizers": finalizers}});
        if !self.request("PATCH", key, &change).is_success() {
            self.checks.foreign.insert(uid.to_owned(), before);
        }
    }

    /// Deletes a Job and takes its finalizers off, so that it goes before its pods.
    pub fn strip_job(&mut self, number: usize) {
        let key = job(number);
        let Some(uid) = self.api.object(&key).and_then(|it| {
            let uid = it["metadata"]["uid"].as_str();
            uid.map(str::to_owned)
        }) else {
            return;
        };
        for agent in self.agents.iter().filter(|it| it.job == uid) {
            self.checks.people_strip(&agent.pod);
        }
        self.checks.held_jobs.remove(&uid);
        self.checks.people_strip(&uid);
        self.checks.foreign.remove(&uid);
        self.request("PATCH", &key, &json!({"metadata": {"finalizers": null}}));
        self.request("DELETE", &key, &Value::Null);
    }

    /// Makes the pod of a Job's last attempt anew, from what it was made of.
    pub fn replace_pod(&mut self, number: usize) {
        let Some((key, _)) = self.last_pod(number) else {
            return;
        };
        let Some(copy) = self.api.object(&key).map(|pod| copy(pod)) else {
            return;
        };
        self.strip_pod(number);
        self.request("POST", &key, &copy);
        if let Some((_, uid)) = self.last_pod(number) {
            self.checks.people_strip(&uid);
        }
    }

    /// A pod that belongs to nobody, under the name of a Job's last pod or, if there is none, of its first.
    pub fn make_stranger(&mut self, number: usize, likeness: Likeness) {
        let first = Key::new(
            Resource::Pods,
            NAMESPACE,
            &format!("{}-1", job(number).name),
        );
        let status = |it: &std::sync::Arc<Value>| it["status"]["attempts"].as_array().cloned();
        let attempts = self.api.object(&job(number)).and_then(status);
        let last = attempts
            .as_ref()
            .and_then(|all| all.last()?["pod"].as_str());
        let key = last.map_or(first, |name| Key::new(Resource::Pods, NAMESPACE, name));
        let mut pod = json!({"metadata": {"name": key.name}, "spec": {}});
        if likeness == Likeness::Labels {
            pod["metadata"]["labels"] = json!({LABEL_JOB: job(number).name});
        }
        self.checks.strangers |= self.request("POST", &key, &pod).is_success();
    }
}

fn copy(pod: &Value) -> Value {
    let mut spec = pod["spec"].clone();
    spec["nodeName"] = Value::Null;
    let mut metadata = json!({});
    for kept in [
        "name",
        "labels",
        "annotations",
        "ownerReferences",
        "finalizers",
    ] {
        metadata[kept] = pod["metadata"][kept].clone();
    }
    json!({"metadata": metadata, "spec": spec})
}
