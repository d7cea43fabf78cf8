//! An API server in memory: what the controller asks of the real one, by the real one's rules. It takes
//! raw requests and has no clock, so that a sequence of them can be played to it and to a cluster.

mod answer;
mod apply;
mod delete;
mod owners;
mod patch;
mod read;
mod request;
mod rules;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use self::owners::Owners;
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
    owners: BTreeMap<Key, Owners>,
    /// Objects whose defaults are only told, not stored yet: their next write is one, even if it says nothing.
    undefaulted: BTreeSet<Key>,
    pub history: Vec<Change>,
    version: u64,
    uids: u64,
    /// Leaves out the rule that freezes the outcome of a Job, for a planted bug.
    pub lenient: bool,
    /// No status is taken with which a Job has more bytes.
    pub limit: Option<usize>,
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
            ("GET", None) => Ok(self.list(&target, request)),
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
        let owners = self.owners_after(key, "the cluster", &object);
        self.update(key, object, owners).is_ok()
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
        let home = Key::new(Resource::Namespaces, "", &key.namespace);
        if key.resource.is_namespaced() && !self.objects.contains_key(&home) {
            return Err(answer::not_found(&home));
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
        let stored = self.store(key.clone(), object, Kind::Added);
        if key.resource == Resource::Jobs {
            self.undefaulted.insert(key);
        }
        Ok(Answer {
            code: 201,
            body: stored.as_ref().clone(),
        })
    }

    /// Who owns what once somebody has written this. Only our kinds are ever applied.
    fn owners_after(&self, key: &Key, manager: &str, object: &Value) -> Owners {
        let mut owners = self.owners.get(key).cloned().unwrap_or_default();
        if let (true, Some(old)) = (key.resource.is_ours(), self.objects.get(key)) {
            owners.wrote(manager, old, object);
        }
        owners
    }

    /// Writes an object that has changed, and removes it when nothing holds it any more.
    fn update(&mut self, key: &Key, mut object: Value, owners: Owners) -> Result<Answer, Answer> {
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
        // Another owner of the same values is a change too.
        let same = **old == object && !self.undefaulted.contains(key);
        if same && self.owners.get(key).is_none_or(|before| *before == owners) {
            return Ok(Answer::ok(old));
        }
        rules::check(key, Some(old), &object, self.lenient)?;
        if key.resource.counts_generations() && old["spec"] != object["spec"] {
            let generation = old["metadata"]["generation"].as_u64().unwrap_or(0);
            object["metadata"]["generation"] = json!(generation + 1);
        }
        if delete::is_free(&object) {
            // Who watches is told the last state that was ever written.
            self.remove(key);
            return Ok(Answer::ok(&object));
        }
        self.owners.insert(key.clone(), owners);
        Ok(Answer::ok(&self.store(key.clone(), object, Kind::Modified)))
    }

    fn store(&mut self, key: Key, mut object: Value, kind: Kind) -> Arc<Value> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object = Arc::new(object);
        self.objects.insert(key.clone(), Arc::clone(&object));
        self.undefaulted.remove(&key);
        self.tell(key, kind, Arc::clone(&object));
        object
    }

    fn remove(&mut self, key: &Key) {
        let Some(last) = self.objects.remove(key) else {
            return;
        };
        self.version += 1;
        self.owners.remove(key);
        self.undefaulted.remove(key);
        let mut object = last.as_ref().clone();
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.tell(key.clone(), Kind::Deleted, Arc::new(object));
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
