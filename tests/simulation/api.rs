//! An API server in memory: what the controller asks of the real one, by the real one's rules. It takes
//! raw requests and has no clock, so that a sequence of them can be played to it and to a cluster.

mod answer;
mod apply;
mod delete;
mod patch;
mod request;
mod rules;

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

pub use self::{
    answer::{Answer, failure},
    request::{Key, Request, Resource},
    rules::is_final,
};

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Added,
    Modified,
    Deleted,
}

/// One event of the history that watches tell.
#[derive(Clone, Debug)]
pub struct Change {
    pub version: u64,
    pub kind: Kind,
    pub key: Key,
    pub object: Arc<Value>,
}

/// The objects, and all that ever happened to them.
#[derive(Default)]
pub struct ApiServer {
    objects: BTreeMap<Key, Arc<Value>>,
    /// What each manager applied last, by object: what it leaves out next time is removed.
    applied: BTreeMap<(Key, String), Value>,
    pub history: Vec<Change>,
    version: u64,
    uids: u64,
    /// Leaves out the rule that freezes the outcome of a Job, for a planted bug.
    pub lenient: bool,
    /// Watches can't go on from before this version.
    pub compacted: u64,
}

impl ApiServer {
    /// Answers one request at this time.
    pub fn handle(&mut self, request: &Request, now: DateTime<Utc>) -> Answer {
        let Some(target) = request.target() else {
            return failure(
                404,
                "NotFound",
                "the server could not find the requested resource",
            );
        };
        let result = match (request.method.as_str(), &target.name) {
            ("GET", Some(_)) => self.get(&target.key()),
            ("GET", None) if request.asks("watch", "true") => self.watch(&target, request),
            ("GET", None) => Ok(self.list(&target)),
            ("POST", None) => self.create(&target, request, now),
            ("PATCH", Some(_)) => self.patch(&target, request),
            ("DELETE", Some(_)) => self.delete(&target.key(), request, now),
            _ => Err(failure(
                405,
                "MethodNotAllowed",
                "the server does not allow this method",
            )),
        };
        result.unwrap_or_else(|refused| refused)
    }

    pub fn object(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    /// All objects of a kind, in the order of their names.
    pub fn all(&self, resource: Resource) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        self.objects
            .iter()
            .filter(move |(key, _)| key.resource == resource)
    }

    /// Changes an object as the cluster's own parts do, spec and status together.
    pub fn edit(&mut self, key: &Key, change: impl FnOnce(&mut Value)) -> bool {
        let Some(old) = self.objects.get(key) else {
            return false;
        };
        let mut object = old.as_ref().clone();
        change(&mut object);
        self.update(key, object).is_ok()
    }

    fn get(&self, key: &Key) -> Result<Answer, Answer> {
        let found = self
            .objects
            .get(key)
            .ok_or_else(|| answer::not_found(key))?;
        Ok(Answer::ok(found))
    }

    fn list(&self, target: &request::Target) -> Answer {
        let of_it = |key: &&Key| target.covers(key);
        let items: Vec<Value> = self
            .objects
            .iter()
            .filter(|(key, _)| of_it(key))
            .map(|(_, object)| object.as_ref().clone())
            .collect();
        Answer {
            code: 200,
            body: json!({
                "kind": format!("{}List", target.resource.kind()), "apiVersion": target.resource.api_version(),
                "metadata": {"resourceVersion": self.version.to_string()}, "items": items,
            }),
        }
    }

    /// What has happened since, as a list of events: the stream of a watch as far as it goes now.
    fn watch(&self, target: &request::Target, request: &Request) -> Result<Answer, Answer> {
        let since = request
            .parameter("resourceVersion")
            .and_then(|version| version.parse().ok())
            .unwrap_or(0);
        if since < self.compacted {
            return Err(failure(410, "Expired", "too old resource version"));
        }
        let events: Vec<Value> = self
            .history
            .iter()
            .filter(|change| change.version > since && target.covers(&change.key))
            .map(|change| {
                let kind = match change.kind {
                    Kind::Added => "ADDED",
                    Kind::Modified => "MODIFIED",
                    Kind::Deleted => "DELETED",
                };
                json!({"type": kind, "object": change.object.as_ref()})
            })
            .collect();
        Ok(Answer {
            code: 200,
            body: Value::Array(events),
        })
    }

    fn create(
        &mut self,
        target: &request::Target,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Answer, Answer> {
        let mut object = request.body()?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let key = target.with_name(name);
        if key.name.is_empty() {
            return Err(answer::invalid(
                &key,
                "metadata.name",
                "name or generateName is required",
            ));
        }
        if self.is_terminating(&key.namespace) {
            return Err(answer::namespace_terminating(&key));
        }
        if self.objects.contains_key(&key) {
            return Err(answer::already_exists(&key));
        }
        self.uids += 1;
        object["kind"] = json!(key.resource.kind());
        object["apiVersion"] = json!(key.resource.api_version());
        let metadata = &mut object["metadata"];
        if key.resource.is_namespaced() {
            metadata["namespace"] = json!(key.namespace);
        }
        metadata["uid"] = json!(format!("uid-{:06}", self.uids));
        metadata["creationTimestamp"] = json!(seconds(now));
        if key.resource.counts_generations() {
            metadata["generation"] = json!(1);
        }
        match key.resource {
            Resource::Jobs => object["status"] = json!({"observedGeneration": -1}),
            Resource::Pods => object["status"] = json!({"phase": "Pending"}),
            _ => {}
        }
        rules::check(&key, None, &object, self.lenient)?;
        let stored = self.store(key, object, Kind::Added);
        Ok(Answer {
            code: 201,
            body: stored.as_ref().clone(),
        })
    }

    /// Writes an object that has changed, and removes it when nothing holds it any more.
    fn update(&mut self, key: &Key, mut object: Value) -> Result<Answer, Answer> {
        let old = self
            .objects
            .get(key)
            .ok_or_else(|| answer::not_found(key))?;
        let sent = &object["metadata"]["resourceVersion"];
        if !sent.is_null() && *sent != old["metadata"]["resourceVersion"] {
            return Err(answer::conflict(
                key,
                "the object has been modified; please apply your changes to the latest version and try again",
            ));
        }
        for fixed in [
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "generation",
            "resourceVersion",
        ] {
            object["metadata"][fixed] = old["metadata"][fixed].clone();
        }
        tidy(&mut object);
        if **old == object {
            return Ok(Answer::ok(old));
        }
        rules::check(key, Some(old), &object, self.lenient)?;
        if key.resource.counts_generations() && old["spec"] != object["spec"] {
            let generation = old["metadata"]["generation"].as_u64().unwrap_or(0);
            object["metadata"]["generation"] = json!(generation + 1);
        }
        if delete::is_free(&object) {
            return Ok(Answer::ok(&self.remove(key, object)));
        }
        Ok(Answer::ok(&self.store(key.clone(), object, Kind::Modified)))
    }

    fn store(&mut self, key: Key, mut object: Value, kind: Kind) -> Arc<Value> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object = Arc::new(object);
        self.objects.insert(key.clone(), Arc::clone(&object));
        self.tell(key, kind, Arc::clone(&object));
        object
    }

    fn remove(&mut self, key: &Key, mut object: Value) -> Arc<Value> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object = Arc::new(object);
        self.objects.remove(key);
        self.applied.retain(|(of, _), _| of != key);
        self.tell(key.clone(), Kind::Deleted, Arc::clone(&object));
        object
    }

    fn tell(&mut self, key: Key, kind: Kind, object: Arc<Value>) {
        self.history.push(Change {
            version: self.version,
            kind,
            key,
            object,
        });
    }

    fn is_terminating(&self, namespace: &str) -> bool {
        self.objects
            .get(&Key::new(Resource::Namespaces, "", namespace))
            .is_some_and(|found| !found["metadata"]["deletionTimestamp"].is_null())
    }
}

/// A time as Kubernetes writes it.
pub fn seconds(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Fields that are absent are not null, and an empty list of finalizers is none.
fn tidy(object: &mut Value) {
    let Some(metadata) = object["metadata"].as_object_mut() else {
        return;
    };
    metadata.retain(|_, value| !value.is_null());
    if metadata
        .get("finalizers")
        .and_then(Value::as_array)
        .is_some_and(Vec::is_empty)
    {
        metadata.remove("finalizers");
    }
}
