//! What the tests' API server holds: Jobs, Agents and records in one namespace, what goes wrong, and what
//! was asked.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{program::Program, server::Server};

pub const NAMESPACE: &str = "team-a";
/// As whom the API server knows the person who runs herdctl.
pub const USER: &str = "dev";

/// Nothing that is waited for takes as long.
const DEADLINE: Duration = Duration::from_secs(20);

/// A name as herdctl mints it.
pub fn minted(id: &str) -> String {
    format!("job-{id}-0000-4000-8000-000000000000")
}

/// What is in the cluster.
#[derive(Default)]
pub struct World {
    pub version: u64,
    pub jobs: BTreeMap<String, Value>,
    /// Every change: its version, type and object.
    pub history: Vec<(u64, &'static str, Value)>,
    pub agents: BTreeMap<String, Value>,
    pub records: BTreeMap<String, Record>,
    /// Whatever else can be read, by its path; a list where it has `items`.
    pub objects: BTreeMap<String, Value>,
    /// What the caller may not do with agents, Jobs and their output: `create jobs`.
    pub denied: Vec<&'static str>,
    pub faults: Vec<Fault>,
    /// Headers of the answers to requests that contain a text: that text, name and value.
    pub headers: Vec<(&'static str, &'static str, &'static str)>,
    /// What the patches that were taken said of the spec.
    pub patches: Vec<Value>,
    /// Status and spec of the Job that somebody else writes right before the next patches.
    pub change_before_patch: VecDeque<(Value, Value)>,
    /// When Jobs are created.
    pub second: Option<DateTime<Utc>>,
    /// So many Jobs are made without an answer.
    pub lost: usize,
    /// Answers of an earlier epoch break off.
    pub epoch: u64,
    /// Method and path of every request.
    pub requests: Vec<String>,
}

/// The bytes that the store has of a Job.
#[derive(Clone, Default)]
pub struct Record {
    pub bytes: Vec<u8>,
    pub sealed: bool,
    /// Of the Job; by its name where it is none.
    pub uid: Option<String>,
    /// The next answers break off after so many bytes each.
    pub cuts: VecDeque<usize>,
}

/// An answer other than the right one.
pub struct Fault {
    /// Applies to requests whose method and path contain this.
    pub to: &'static str,
    pub times: usize,
    pub code: u16,
    pub body: String,
}

/// The world, and the server that shows it.
pub struct Cluster {
    world: Arc<Mutex<World>>,
    changed: watch::Sender<u64>,
    server: Option<Server>,
    port: u16,
    pub program: Program,
}

impl Cluster {
    pub fn start() -> Self {
        let world = Arc::new(Mutex::new(World::default()));
        let (changed, _) = watch::channel(0);
        let server = Server::start(world.clone(), changed.clone(), None);
        let program = Program::new(&format!("http://127.0.0.1:{}", server.port), NAMESPACE);
        Cluster {
            world,
            changed,
            port: server.port,
            server: Some(server),
            program,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the world; whoever watches sees it.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let done = change(&mut self.look());
        self.changed.send_modify(|count| *count += 1);
        done
    }

    pub fn look(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Adds or replaces a Job of agent `reviewer`, made so many seconds ago.
    pub fn job(&self, name: &str, age: i64, status: Value) {
        let made = chrono::Utc::now() - chrono::TimeDelta::seconds(age);
        let job = json!({
            "apiVersion": "herdctl.dev/v1alpha1",
            "kind": "Job",
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "uid": format!("uid-{name}"),
                "creationTimestamp": made.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            },
            "spec": {"agent": "reviewer"},
            "status": status,
        });
        self.put(job);
    }

    pub fn put(&self, job: Value) {
        self.change(|world| world.put(job));
    }

    pub fn agent(&self, name: &str) {
        let agent = json!({"apiVersion": "herdctl.dev/v1alpha1", "kind": "Agent",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"timeout": "2h", "prompt": "Look"}});
        self.change(|world| world.agents.insert(name.into(), agent));
    }

    pub fn record(&self, name: &str, bytes: &[u8], sealed: bool) {
        let record = Record {
            bytes: bytes.to_vec(),
            sealed,
            ..Record::default()
        };
        self.change(|world| world.records.insert(name.into(), record));
    }

    pub fn append(&self, name: &str, bytes: &[u8], sealed: bool) {
        self.change(|world| {
            let record = world.records.entry(name.into()).or_default();
            record.bytes.extend_from_slice(bytes);
            record.sealed = sealed;
        });
    }

    /// The next `times` requests that contain `to` get this answer.
    pub fn fail(&self, to: &'static str, times: usize, code: u16, body: impl Into<String>) {
        let body = body.into();
        self.change(|world| {
            world.faults.push(Fault {
                to,
                times,
                code,
                body,
            })
        });
    }

    /// Answers to requests that contain `to` have this header.
    pub fn adds_header(&self, to: &'static str, name: &'static str, value: &'static str) {
        self.change(|world| world.headers.push((to, name, value)));
    }

    /// The API server goes away with all its connections; none of them carries what comes after.
    pub fn stop(&mut self) {
        self.change(|world| world.epoch += 1);
        self.end();
    }

    fn end(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
        }
    }

    /// It comes back where it was.
    pub fn start_again(&mut self) {
        let server = Server::start(self.world.clone(), self.changed.clone(), Some(self.port));
        self.server = Some(server);
    }

    /// Waits until the world is so.
    pub async fn until(&self, what: &str, is_so: impl Fn(&World) -> bool) {
        let mut changed = self.changed.subscribe();
        let until_so = changed.wait_for(|_| is_so(&self.look()));
        let waited = tokio::time::timeout(DEADLINE, until_so).await;
        waited
            .unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}"))
            .unwrap();
    }

    /// How many requests contained this.
    pub fn count(&self, of: &str) -> usize {
        let world = self.look();
        world
            .requests
            .iter()
            .filter(|request| request.contains(of))
            .count()
    }
}

impl World {
    pub fn put(&mut self, mut job: Value) {
        self.version += 1;
        job["metadata"]["resourceVersion"] = self.version.to_string().into();
        let name = job["metadata"]["name"].as_str().unwrap().to_owned();
        let known = self.jobs.insert(name, job.clone()).is_some();
        let change = if known { "MODIFIED" } else { "ADDED" };
        self.history.push((self.version, change, job));
    }

    pub fn delete(&mut self, name: &str) {
        self.version += 1;
        if let Some(job) = self.jobs.remove(name) {
            self.history.push((self.version, "DELETED", job));
        }
    }

    /// The fault that applies to this request, once less.
    pub fn fault(&mut self, request: &str) -> Option<(u16, String)> {
        let fault = self
            .faults
            .iter_mut()
            .find(|fault| fault.times > 0 && request.contains(fault.to))?;
        fault.times -= 1;
        Some((fault.code, fault.body.clone()))
    }
}

/// Says that this user created the Job with herdctl, so long after the second that Kubernetes keeps.
pub fn created_by(job: &mut Value, user: &str, later: TimeDelta) {
    let second: DateTime<Utc> = job["metadata"]["creationTimestamp"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    job["metadata"]["annotations"] = json!({
        "herdctl.dev/created-by": user,
        "herdctl.dev/created-at": (second + later).to_rfc3339(),
    });
}

/// What the API server answers that no longer knows the next page of a list.
pub fn expired() -> String {
    let words = "The provided continue parameter is too old to display a consistent list result.";
    status(410, "Expired", words, json!({}))
}

/// A `Status` as the API server and the gateway answer it.
pub fn status(code: u16, reason: &str, message: &str, details: Value) -> String {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": message, "details": details, "metadata": {}})
    .to_string()
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end();
    }
}

/// What the gateway answers where neither a Job nor a record has this name.
pub fn no_record(name: &str) -> String {
    let details = json!({"group": "herdctl.dev", "kind": "joboutputs", "name": name});
    status(
        404,
        "NotFound",
        "no Job of that name, and no record",
        details,
    )
}
