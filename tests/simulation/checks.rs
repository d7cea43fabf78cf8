//! What must hold after every step, and what must be true of an outcome; the judge knows what really
//! happened to every agent.

use std::collections::{BTreeMap, BTreeSet};

use herdctl::api::{
    job::{Attempt, Job, JobStatus},
    reason::Reason,
    run,
    verdict::Verdict,
};
use serde_json::Value;

use super::{
    agents::Agent,
    api::{Change, Kind, Resource},
    meddlers::foreign,
    nodes::{attempt, owner},
    wire::Process,
    world::World,
};

/// As many as an Agent allows that says nothing.
const MAX_ATTEMPTS: usize = 3;

/// What was seen, as far as later steps are held against it.
#[derive(Default)]
pub struct Checks {
    pub violation: Option<String>,
    /// Outcomes, by the UID of their Job.
    outcomes: BTreeMap<String, String>,
    /// The phases and reasons that each Job went through, by UID in the order of creation.
    paths: Vec<(String, Vec<String>)>,
    /// Attempts whose Job's status holds the word that their agent has finished, by the Job's UID.
    finished: BTreeSet<(String, u32)>,
    /// When a Job came to its end last, in milliseconds.
    pub ended: u64,
    /// How many attempts each Job has, by UID.
    pub attempts: BTreeMap<String, usize>,
    /// Pods that people deleted, by UID.
    pub deleted: BTreeSet<String>,
    /// Pods and Jobs whose finalizer they took, and pods that they made, by UID: they vouch for them.
    pub stripped: BTreeSet<String>,
    /// Pods whose deletion has been seen.
    deletions: BTreeSet<String>,
    /// By how many finalizers of somebody else something is held, by UID.
    pub foreign: BTreeMap<String, usize>,
    /// Pods that hold our finalizer, with the UID of their Job.
    pub held: BTreeMap<String, String>,
    /// Jobs that do.
    pub held_jobs: BTreeSet<String>,
    /// The pods of which processes were told that they are made.
    pub made: BTreeSet<(Process, String, String)>,
    /// Somebody deleted the namespace.
    pub namespace_deleted: bool,
    /// Somebody deleted the Agent.
    pub agents_deleted: bool,
    /// Somebody made a pod that is no Job's.
    pub strangers: bool,
    /// Statuses were too large for a while: a Job may end for that, and a deleted one may go without a word.
    pub unwritable: bool,
    /// A cache went back in time, perhaps to before there was an Agent.
    pub agents_listed_again: bool,
}

impl Checks {
    pub fn paths(&self) -> Vec<String> {
        let paths = self.paths.iter();
        paths.map(|(_, reasons)| reasons.join(" ")).collect()
    }

    pub fn first_deletion(&mut self, pod: &str) -> bool {
        self.deletions.insert(pod.to_owned())
    }

    pub fn people_delete(&mut self, pod: &str) {
        self.deleted.insert(pod.to_owned());
    }

    pub fn people_strip(&mut self, pod: &str) {
        self.stripped.insert(pod.to_owned());
    }
}

impl World {
    pub fn break_rule(&mut self, rule: impl Into<String>) {
        let rule = rule.into();
        self.trace(format!("BROKEN: {rule}"));
        self.checks.violation.get_or_insert(rule);
    }

    pub fn job_with(&self, uid: &str) -> Option<Job> {
        let mut jobs = self.api.all(Resource::Jobs);
        let (_, job) = jobs.find(|(_, job)| job["metadata"]["uid"] == uid)?;
        serde_json::from_value(job.as_ref().clone()).ok()
    }

    /// Never two agents for one Job, and none for one that has ended.
    pub fn check_agents(&mut self) {
        let Some(newest) = self.agents.last().cloned() else {
            return;
        };
        // Whoever takes our finalizer off a pod and forces it away vouches for its end.
        let works = |agent: &&Agent| {
            let stripped = self.checks.stripped.contains(&agent.pod);
            agent.job == newest.job && agent.alive && !agent.fenced && !stripped
        };
        if self.agents.iter().filter(works).count() > 1 {
            self.break_rule("two agents work for one Job");
        }
        let ended = self
            .job_with(&newest.job)
            .and_then(|job| job.status)
            .is_some_and(|it| it.is_final());
        if ended && !self.records.down && !self.checks.unwritable {
            self.break_rule("an agent starts for a Job that has ended");
        }
    }

    pub fn check_change(&mut self, change: &Change) {
        let uid = change.object["metadata"]["uid"].as_str();
        let held = uid.and_then(|uid| self.checks.foreign.get(uid));
        if held.is_some_and(|held| foreign(&change.object) < *held) {
            self.break_rule("somebody else's finalizer is taken off");
        }
        match (change.key.resource, change.kind) {
            (Resource::Jobs, Kind::Deleted) => self.check_gone(change),
            (Resource::Jobs, _) => {
                self.check_job(change);
                self.check_job_hold(change);
            }
            (Resource::Pods, Kind::Added) => self.check_intent(change),
            (Resource::Agents, Kind::Deleted) => self.checks.agents_deleted = true,
            _ => {}
        }
        if change.key.resource == Resource::Pods {
            self.check_hold(change);
        }
    }

    fn check_job(&mut self, change: &Change) {
        let object = &change.object;
        let uid = object["metadata"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let Ok(job) = serde_json::from_value::<Job>(object.as_ref().clone()) else {
            return self.break_rule("a Job can't be read");
        };
        let status = job.status.clone().unwrap_or_default();
        let sealed = status.output.as_ref().is_some_and(|it| it.sealed.is_some());
        if sealed && !status.is_final() {
            self.break_rule("a record is sealed before its Job has ended");
        }
        let counted = status
            .attempts
            .iter()
            .filter(|it| it.outcome != Some(Reason::Suspended));
        if counted.count() > MAX_ATTEMPTS {
            self.break_rule("a Job begins more often than it may");
        }
        let unseen = status.reason == Some(Reason::AgentNotFound);
        if unseen && !self.checks.agents_deleted && !self.checks.agents_listed_again {
            self.break_rule("an Agent is missed that was always there");
        }
        self.note_path(&uid, &status);
        let attempts = status.attempts.len();
        if self.checks.attempts.insert(uid.clone(), attempts) < Some(attempts)
            && attempts > 0
            && is_unwanted(&job)
        {
            self.break_rule("an attempt begins and the Job is not to go on");
        }
        for attempt in &status.attempts {
            self.check_attempt(&uid, &status, attempt);
        }
        self.check_finished(&uid, &status);
        let outcome = format!(
            "{:?} {:?} {:?}",
            status.phase, status.reason, status.message
        );
        match self.checks.outcomes.get(&uid) {
            Some(before) if *before != outcome => {
                let rule = format!("an outcome changes from {before} to {outcome}");
                self.break_rule(rule);
            }
            None if status.is_final() => {
                self.checks.outcomes.insert(uid.clone(), outcome);
                self.checks.ended = self.now;
                if let Some(rule) = self.untrue(&uid, &job, &status) {
                    self.break_rule(rule);
                }
            }
            _ => {}
        }
    }

    /// A Job whose agent is known to have finished ends so, unless it is stopped.
    fn check_finished(&mut self, uid: &str, status: &JobStatus) {
        let Some(last) = status.attempt() else {
            return;
        };
        let key = (uid.to_owned(), last.number);
        let stopped = matches!(
            status.reason,
            Some(Reason::Cancelled | Reason::JobDeleted | Reason::AgentDeleted)
        );
        let ends_so = stopped || status.reason == Some(Reason::Completed);
        let goes_on = last.outcome.is_some() && !status.is_final();
        let known = self.checks.finished.contains(&key) && self.checks.stripped.is_empty();
        if known && (goes_on || status.is_final() && !ends_so) {
            self.break_rule("an agent has finished and its Job does not end so");
        }
        let verdict = status
            .report_on(last)
            .and_then(|it| serde_json::from_str::<Verdict>(&it.verdict).ok());
        // A word that comes after the end, as from a node that was silent, changes nothing.
        let may_count = last.outcome.is_none() && !status.is_final();
        if verdict.is_some_and(|it| it.reason == Reason::Completed) && may_count {
            self.checks.finished.insert(key);
        }
    }

    fn note_path(&mut self, uid: &str, status: &JobStatus) {
        let paths = &mut self.checks.paths;
        let place = paths.iter().position(|(of, _)| of == uid);
        let place = place.unwrap_or_else(|| {
            paths.push((uid.to_owned(), Vec::new()));
            paths.len() - 1
        });
        let now = match (status.reason, status.phase) {
            (Some(reason), _) => reason.to_string(),
            (None, Some(phase)) => phase.to_string(),
            (None, None) => return,
        };
        let path = &mut paths[place].1;
        if path.last() != Some(&now) {
            path.push(now);
        }
    }

    /// The attempt's pod is there, and nothing says yet that it is dead.
    fn may_say_more(&self, attempt: &Attempt) -> bool {
        let Some(uid) = &attempt.uid else {
            return false;
        };
        let mut pods = self.api.all(Resource::Pods);
        let Some((_, pod)) = pods.find(|(_, pod)| pod["metadata"]["uid"] == uid.as_str()) else {
            return false;
        };
        self.lives_on(pod)
    }

    /// Nothing says of this pod that it is dead.
    pub fn lives_on(&self, pod: &Value) -> bool {
        let over = matches!(
            pod["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed")
        );
        let node = pod["spec"]["nodeName"].as_str();
        !over && node.is_some_and(|node| !self.nodes[node].gone)
    }

    /// An attempt that is over has no agent, and one that another follows neither.
    fn check_attempt(&mut self, uid: &str, status: &JobStatus, attempt: &Attempt) {
        if attempt.closed.is_some() && self.may_say_more(attempt) {
            let rule = format!("attempt {} is closed and its pod is not", attempt.number);
            self.break_rule(rule);
        }
        let last = status
            .attempt()
            .is_some_and(|last| last.number == attempt.number);
        if last && attempt.closed.is_none() {
            return;
        }
        let lives = |agent: &Agent| {
            agent.job == uid
                && agent.attempt == attempt.number
                && agent.alive
                && !agent.fenced
                && !self.checks.stripped.contains(&agent.pod)
        };
        if self.agents.iter().any(lives) {
            let rule = format!("attempt {} is over while its agent lives", attempt.number);
            self.break_rule(rule);
        }
    }

    /// No pod whose attempt does not stand in the status.
    fn check_intent(&mut self, change: &Change) {
        let Some(job) = self.job_with(&owner(&change.object)) else {
            return;
        };
        let status = job.status.unwrap_or_default();
        if !status.attempts.iter().any(|it| it.pod == change.key.name) {
            let rule = format!(
                "pod {} is made and its Job's status does not know it",
                change.key.name
            );
            self.break_rule(rule);
        }
        let (uid, number) = (owner(&change.object), attempt(&change.object));
        let open = |it: &&Attempt| it.number < number && it.closed.is_none();
        if let Some(open) = status.attempts.iter().find(open) {
            let rule = format!("attempt {number} begins and {} is not over", open.number);
            self.break_rule(rule);
        }
        let worked = |it: &Agent| {
            it.job == uid
                && !self.checks.stripped.contains(&it.pod)
                && it.attempt < number
                && it.end.as_ref().is_some_and(|end| end.verdict.is_some())
        };
        let inputs = change.object["metadata"]["annotations"][run::ANNOTATION].as_str();
        let inputs: Value = inputs
            .and_then(|it| serde_json::from_str(it).ok())
            .unwrap_or_default();
        let continues = job.spec.resume.is_some() || self.agents.iter().any(worked);
        if continues && inputs["resume"].is_null() {
            self.break_rule("an attempt begins anew what another had begun");
        }
    }

    fn check_gone(&mut self, change: &Change) {
        self.check_job_hold(change);
        let uid = change.object["metadata"]["uid"]
            .as_str()
            .unwrap_or_default();
        let alive = |it: &Agent| {
            it.job == uid && it.alive && !it.fenced && !self.checks.stripped.contains(&it.pod)
        };
        if self.agents.iter().any(alive) {
            self.break_rule("a Job is gone while its agent lives");
        }
    }
}

fn is_unwanted(job: &Job) -> bool {
    let spec = &job.spec;
    let stops = spec.cancel == Some(true) || spec.suspend == Some(true);
    stops || job.metadata.deletion_timestamp.is_some()
}
