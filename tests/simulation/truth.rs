//! Whether an outcome is what happened, and whether all is settled in the end.

use herdctl::api::{
    job::{Job, JobStatus, MOST_ATTEMPTS},
    reason::Reason,
};
use serde_json::Value;

use super::{
    api::{self, Key, Resource},
    collector::referenced,
    finalizers::holds,
    injected::Injected,
    scenario::Deed,
    world::World,
};

/// So many crashes and lost requests may take a minute together, each by the lease that it lets run out.
const MANY: usize = 3;

impl World {
    /// Why an outcome is not what happened.
    pub fn untrue(&self, uid: &str, job: &Job, status: &JobStatus) -> Option<String> {
        let mut ours = self.agents.iter().filter(|agent| agent.job == uid);
        let names: Vec<&String> = status.attempts.iter().map(|it| &it.pod).collect();
        let ended = |word: &str| {
            let mut ours = self.agents.iter().filter(|agent| agent.job == uid);
            ours.any(|it| {
                it.end
                    .as_ref()
                    .is_some_and(|end| end.verdict.is_none() && end.word == word)
            })
        };
        let reason = status.reason?;
        let holds = match reason {
            Reason::Cancelled => job.spec.cancel == Some(true),
            Reason::JobDeleted => {
                job.metadata.deletion_timestamp.is_some() || self.checks.namespace_deleted
            }
            Reason::AgentDeleted => self.checks.agents_deleted,
            Reason::PodDeleted => {
                !self.checks.deleted.is_empty() || !self.checks.stripped.is_empty()
            }
            Reason::Evicted | Reason::NodeLost => {
                names.iter().any(|name| self.disrupted.contains(*name))
            }
            Reason::OomKilled => ended("OOMKilled"),
            Reason::AgentCrashed => ended("Error"),
            Reason::InvalidPod => {
                self.checks.strangers || self.checks.unwritable || self.init_failed
            }
            Reason::ResumeFailed => {
                job.spec.resume.is_some() || status.attempts.len() == MOST_ATTEMPTS as usize
            }
            // An end that could not be written for a while counts from when it was written.
            Reason::TimedOut if self.is_skewed() || self.writes_were_refused() => true,
            Reason::StartTimedOut => self.may_start_late(status),
            Reason::RunnerError if self.checks.unwritable => true,
            Reason::RunnerError => ours.any(|it| it.end.as_ref().is_some_and(|end| end.code != 0)),
            _ => ours.any(|it| {
                let verdict = it.end.as_ref().and_then(|end| end.verdict.as_ref());
                verdict.is_some_and(|verdict| verdict.reason == reason)
            }),
        };
        (!holds).then(|| {
            format!(
                "a Job ends as {reason} though that never happened: {:?}",
                status.message
            )
        })
    }

    /// The sandbox of the last pod died before anything started in it, or so much went wrong that a minute
    /// may have passed.
    fn may_start_late(&self, status: &JobStatus) -> bool {
        let uid = status.attempt().and_then(|it| it.uid.as_deref());
        let lost = uid.is_some_and(|uid| self.scenario.is_lost(uid));
        let long = |deed: &Deed| {
            matches!(
                deed,
                Deed::Skew(..)
                    | Deed::Silence(_)
                    | Deed::Pause(..)
                    | Deed::Mute(..)
                    | Deed::Refuse(_)
                    | Deed::Inject(Injected::Gate)
            )
        };
        let crashes = |deed: &Deed| matches!(deed, Deed::Crash(_));
        let deeds = || self.scenario.deeds.iter().map(|(_, deed)| deed);
        let troubles = self.scenario.faults.len() + deeds().filter(|deed| crashes(deed)).count();
        lost || deeds().any(long) || troubles >= MANY
    }

    fn writes_were_refused(&self) -> bool {
        let refused = |deed: &Deed| matches!(deed, Deed::Forbid(_) | Deed::Limit(_));
        self.scenario.deeds.iter().any(|(_, deed)| refused(deed))
    }

    pub fn is_skewed(&self) -> bool {
        self.scenario
            .deeds
            .iter()
            .any(|(_, deed)| matches!(deed, Deed::Skew(..)))
    }

    /// What is not settled yet.
    pub fn open(&self) -> Option<String> {
        if let Some(agent) = self.agents.iter().find(|agent| agent.alive) {
            return Some(format!("the agent in {} lives", agent.pod));
        }
        let going = |object: &Value| !object["metadata"]["deletionTimestamp"].is_null();
        if self.api.all(Resource::Namespaces).any(|(_, it)| going(it)) {
            return Some("the namespace is still there".to_owned());
        }
        for (key, job) in self.api.all(Resource::Jobs) {
            if let Some(why) = open_job(job) {
                return Some(format!("Job {}: {why}", key.name));
            }
        }
        let jobs = self.uids(Resource::Jobs);
        self.api
            .all(Resource::Pods)
            .find_map(|(key, pod)| open_pod(key, pod, &jobs))
    }
}

fn open_job(job: &Value) -> Option<String> {
    let (metadata, status) = (&job["metadata"], &job["status"]);
    if !metadata["deletionTimestamp"].is_null() {
        return Some("is being deleted".to_owned());
    }
    let rests = status["reason"] == "Suspended" && is_over(&status["attempts"]);
    if job["spec"]["suspend"] == true && rests {
        return None;
    }
    if !api::is_final(status) {
        return Some(format!("is {} {}", status["phase"], status["reason"]));
    }
    if status["observedGeneration"] != metadata["generation"] {
        return Some("is not looked at".to_owned());
    }
    status["output"]["sealed"]
        .is_null()
        .then(|| "is not sealed".to_owned())
}

/// No attempt is open.
fn is_over(attempts: &Value) -> bool {
    let mut attempts = attempts.as_array().into_iter().flatten();
    attempts.all(|it| !it["closed"].is_null())
}

fn open_pod(key: &Key, pod: &Value, jobs: &[String]) -> Option<String> {
    let name = &key.name;
    if holds(pod) {
        return Some(format!("pod {name} is held"));
    }
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return Some(format!("pod {name} is being deleted"));
    }
    let owner = referenced(pod);
    (!owner.is_empty() && !jobs.contains(&owner)).then(|| format!("pod {name} has no Job"))
}
