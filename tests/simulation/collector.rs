//! The garbage collector: what becomes of the pods of a Job that is deleted, by how it is deleted.

use serde_json::{Value, json};

use super::{
    api::{Key, Resource},
    people::job,
    world::{Event, World},
};

/// How a Job is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cascade {
    /// Its pods are to stay, without an owner.
    Orphan,
    /// Its pods are to go first.
    Foreground,
}

impl Cascade {
    /// The finalizer that stands for it.
    pub fn finalizer(self) -> &'static str {
        match self {
            Cascade::Orphan => "orphan",
            Cascade::Foreground => "foregroundDeletion",
        }
    }

    /// As `DeleteOptions` name it.
    pub fn of(options: &Value) -> Option<Cascade> {
        match options["propagationPolicy"].as_str()? {
            "Orphan" => Some(Cascade::Orphan),
            "Foreground" => Some(Cascade::Foreground),
            _ => None,
        }
    }

    fn policy(self) -> &'static str {
        match self {
            Cascade::Orphan => "Orphan",
            Cascade::Foreground => "Foreground",
        }
    }
}

/// The UID of the Job that a pod's owner reference names.
pub fn referenced(pod: &Value) -> String {
    let owner = &pod["metadata"]["ownerReferences"][0]["uid"];
    owner.as_str().unwrap_or_default().to_owned()
}

impl World {
    pub fn delete_job(&mut self, number: usize, cascade: Cascade) {
        let key = job(number);
        let Some(uid) = self.api.object(&key).and_then(|it| {
            let uid = it["metadata"]["uid"].as_str();
            uid.map(str::to_owned)
        }) else {
            return;
        };
        // A pod that stays has the name of the next Job's.
        self.checks.strangers |= cascade == Cascade::Orphan;
        let options = json!({"propagationPolicy": cascade.policy()});
        self.request("DELETE", &key, &options);
        self.after(200, 3_000, Event::Cascade(key, uid, cascade));
    }

    /// Does for a Job's pods what its deletion asks for, then lets the Job go.
    pub fn cascade(&mut self, key: Key, uid: String, cascade: Cascade) {
        let Some(job) = self.api.object(&key).cloned() else {
            return;
        };
        let finalizers = job["metadata"]["finalizers"].as_array().cloned();
        let mut finalizers = finalizers.unwrap_or_default();
        let Some(place) = finalizers.iter().position(|it| it == cascade.finalizer()) else {
            return;
        };
        if job["metadata"]["uid"] != uid.as_str() {
            return;
        }
        let pods: Vec<Key> = self
            .api
            .all(Resource::Pods)
            .filter(|(_, pod)| referenced(pod) == uid)
            .map(|(key, _)| key.clone())
            .collect();
        for pod in &pods {
            match cascade {
                Cascade::Orphan => {
                    let change = json!({"metadata": {"ownerReferences": null}});
                    self.request("PATCH", pod, &change);
                }
                Cascade::Foreground => drop(self.request("DELETE", pod, &Value::Null)),
            }
        }
        if cascade == Cascade::Foreground && !pods.is_empty() {
            return self.after(1_000, 3_000, Event::Cascade(key, uid, cascade));
        }
        finalizers.remove(place);
        self.request(
            "PATCH",
            &key,
            &json!({"metadata": {"finalizers": finalizers}}),
        );
    }

    /// Kubernetes removes the pods of a Job that is gone.
    pub fn collect(&mut self, job: &str) {
        let pods: Vec<Key> = self
            .api
            .all(Resource::Pods)
            .filter(|(_, pod)| referenced(pod) == job)
            .map(|(key, _)| key.clone())
            .collect();
        for key in pods {
            self.request("DELETE", &key, &Value::Null);
        }
    }
}
