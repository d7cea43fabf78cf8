//! What must hold of the requests that controllers send: each carries what makes it harmless when the world
//! has moved on, and nobody's pods are touched but those that a Job has done with.

use chrono::TimeDelta;
use herdctl::{
    api::{job::Attempt, reason::Reason},
    controller::cluster::FIELD_MANAGER,
};
use serde_json::Value;

use super::{
    api::{Answer, Request, Resource},
    nodes::{attempt, owner},
    wire::Process,
    world::World,
};

/// Of the one Agent that there is.
const START_DEADLINE: TimeDelta = TimeDelta::seconds(60);

impl World {
    /// As it is sent.
    pub fn check_request(&mut self, from: Process, request: &Request) {
        let Some(target) = request.target() else {
            return;
        };
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let writes = matches!(request.method.as_str(), "POST" | "PATCH");
        if writes && request.parameter("fieldManager") != Some(FIELD_MANAGER) {
            self.break_rule(format!(
                "{} {} without a name",
                request.method, request.path
            ));
        }
        if target.resource == Resource::Pods && request.method == "POST" {
            self.check_creation(from, &body);
        } else if !has_precondition(request, target.resource, &body) {
            self.break_rule(format!(
                "{} {} without a precondition",
                request.method, request.path
            ));
        }
    }

    /// A controller that is about to have a pod made has seen the Job as it is: there, and waiting for it.
    fn check_creation(&mut self, from: Process, pod: &Value) {
        if self.checks.made.contains(&made_by(from, pod)) {
            self.break_rule("a pod is made by one who knows that there was one");
        }
        let of = owner(pod);
        let Some(job) = self.job_with(&of) else {
            if !self.checks.stripped.contains(&of) {
                self.break_rule("a pod is made for a Job that is gone");
            }
            return;
        };
        let status = job.status.unwrap_or_default();
        let over = |it: &Attempt| it.uid.is_some() || it.closed.is_some() || it.outcome.is_some();
        let of_it = status
            .attempts
            .iter()
            .find(|it| pod["metadata"]["name"] == it.pod);
        if status.is_final() || of_it.is_some_and(over) {
            self.break_rule("a pod is made for an attempt that had one");
        }
    }

    /// A controller was told that its pod is made.
    pub fn learn_creation(&mut self, from: Process, request: &Request, answer: &Answer) {
        let pods = request.target().map(|it| it.resource) == Some(Resource::Pods);
        if pods && request.method == "POST" && answer.is_success() {
            self.checks.made.insert(made_by(from, &answer.body));
        }
    }

    /// Before a controller's request is obeyed: what it would break.
    pub fn before(&self, request: &Request) -> Option<String> {
        let target = request.target()?;
        let changes = matches!(request.method.as_str(), "DELETE" | "PATCH");
        if !changes || target.resource != Resource::Pods {
            return None;
        }
        let pod = self.api.object(&target.key())?;
        if owner(pod).is_empty() {
            return Some("a pod is touched that is no Job's".to_owned());
        }
        if request.method != "DELETE" {
            return None;
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let wanted = &body["preconditions"]["uid"];
        let refused = !wanted.is_null() && *wanted != pod["metadata"]["uid"];
        if refused || !pod["metadata"]["deletionTimestamp"].is_null() {
            return None;
        }
        let job = self.job_with(&owner(pod))?;
        let status = job.status.unwrap_or_default();
        let spec = &job.spec;
        let asked = spec.cancel == Some(true)
            // A pause is said before, and carried through, also if it is taken back meanwhile.
            || matches!(status.reason, Some(Reason::Suspending | Reason::Suspended))
            || job.metadata.deletion_timestamp.is_some()
            || status.is_final()
            || self.checks.agents_deleted;
        let began = self
            .agents
            .iter()
            .any(|it| pod["metadata"]["uid"] == it.pod.as_str());
        let number = attempt(pod);
        let followed = status.attempt().is_none_or(|it| it.number > number);
        let overdue =
            |it: &Attempt| it.started.is_none() && self.time() - it.intended >= START_DEADLINE;
        let of_it = status.attempts.iter().find(|it| it.number == number);
        let over = followed || of_it.is_none_or(|it| it.outcome.is_some() || overdue(it));
        let asked = asked || over;
        (!asked && began && !self.is_skewed())
            .then(|| "a pod is deleted that nobody wants gone".to_owned())
    }

    pub fn after_commit(&mut self, _: &Request, answer: &Answer, broken: Option<String>) {
        if let Some(rule) = broken.filter(|_| answer.is_success()) {
            self.break_rule(rule);
        }
    }
}

/// Whose pod of what name one process was told of.
fn made_by(process: Process, pod: &Value) -> (Process, String, String) {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    (process, owner(pod), name.to_owned())
}

/// The object is still the one that was looked at, or nothing is done.
fn has_precondition(request: &Request, resource: Resource, body: &Value) -> bool {
    let tests = |path: &str| {
        let operations = body.as_array().into_iter().flatten();
        let mut tests = operations.filter(|it| it["op"] == "test");
        tests.any(|it| it["path"] == path && !it["value"].is_null())
    };
    match (request.method.as_str(), resource) {
        ("DELETE", _) => !body["preconditions"]["uid"].is_null(),
        ("PATCH", Resource::Pods) => tests("/metadata/uid"),
        ("PATCH", _) if body.is_array() => {
            tests("/metadata/uid") || tests("/metadata/resourceVersion")
        }
        ("PATCH", _) => !body["metadata"]["resourceVersion"].is_null(),
        _ => true,
    }
}
