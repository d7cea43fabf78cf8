//! What must hold of our finalizers: they go when they may, and not before.

use chrono::TimeDelta;
use herdctl::api::job::{JOB_FINALIZER, Job, JobStatus, POD_FINALIZER};
use serde_json::Value;

use super::{
    api::{Change, Kind, Resource, seconds},
    nodes::owner,
    world::World,
};

/// The least that a store gets.
const SEALING: TimeDelta = TimeDelta::seconds(4);

impl World {
    /// Our finalizer goes only when what the pod said stands in the status.
    pub fn check_hold(&mut self, change: &Change) {
        let pod = &change.object;
        let uid = pod["metadata"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if holds(pod) {
            self.checks.held.insert(uid, owner(pod));
            return;
        }
        let Some(job) = self.checks.held.remove(&uid) else {
            return;
        };
        if self.lives_on(pod) {
            self.break_rule("a pod is let go that is not dead");
        }
        let Some(job) = self.job_with(&job) else {
            return;
        };
        let status = job.status.unwrap_or_default();
        let of_it = status.attempts.iter().find(|it| it.pod == change.key.name);
        let settled = of_it.is_some_and(|it| it.outcome.is_some());
        let goes = job.metadata.deletion_timestamp.is_some() && self.checks.unwritable;
        if !status.is_final() && !settled && !goes {
            self.break_rule("a pod is let go before its outcome is in the status");
        }
        self.check_sealing(&uid, &change.key.name, &status);
        let alive = self
            .agents
            .iter()
            .any(|it| it.pod == uid && it.alive && !it.fenced);
        if alive {
            self.break_rule("a pod is let go while its agent lives");
        }
    }

    /// The store had time to seal the record since it could.
    fn check_sealing(&mut self, uid: &str, name: &str, status: &JobStatus) {
        let last = status.attempt().filter(|it| it.pod == name);
        let closed = last.and_then(|it| it.closed);
        let stripped = self.checks.stripped.contains(uid);
        let hurried = closed.is_some_and(|at| self.time() - at < SEALING);
        if status.is_final() && !status.is_sealed() && hurried && !stripped && !self.is_skewed() {
            self.break_rule("a pod is let go before its record could be sealed");
        }
    }

    /// Our finalizer goes from a Job only when that is deleted and has ended.
    pub fn check_job_hold(&mut self, change: &Change) {
        let object = &change.object;
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
        if change.kind != Kind::Deleted && has_finalizer(object, JOB_FINALIZER) {
            self.checks.held_jobs.insert(uid.to_owned());
        } else if self.checks.held_jobs.remove(uid) {
            let job = serde_json::from_value::<Job>(object.as_ref().clone()).ok();
            let may_go = job.is_some_and(|job| {
                let ended = job.status.is_some_and(|it| it.is_final()) || self.checks.unwritable;
                ended && job.metadata.deletion_timestamp.is_some()
            });
            if !may_go {
                self.break_rule("a Job is let go before its end, or before anybody deleted it");
            }
            if self.holds_last_pod(object) {
                self.break_rule("a Job is let go before its last pod");
            }
        }
    }

    /// That of its last attempt is still there, and held, and no cache is so late that it does not know.
    fn holds_last_pod(&self, job: &Value) -> bool {
        let uid = job["metadata"]["uid"].as_str().unwrap_or_default();
        let attempts = job["status"]["attempts"].as_array();
        let last = attempts.and_then(|all| all.last());
        let lag = TimeDelta::milliseconds(self.scenario.lag as i64) + TimeDelta::seconds(1);
        let known = seconds(self.time() - lag);
        let mut pods = self.api.all(Resource::Pods);
        last.is_some_and(|last| {
            pods.any(|(key, pod)| {
                let made = pod["metadata"]["creationTimestamp"].as_str();
                let theirs = last["pod"] == key.name && owner(pod) == uid;
                theirs && holds(pod) && made.is_some_and(|made| made < known.as_str())
            })
        })
    }
}

/// Our finalizer holds it.
pub fn holds(pod: &Value) -> bool {
    has_finalizer(pod, POD_FINALIZER)
}

fn has_finalizer(object: &Value, name: &str) -> bool {
    let finalizers = object["metadata"]["finalizers"].as_array();
    finalizers.into_iter().flatten().any(|it| it == name)
}
