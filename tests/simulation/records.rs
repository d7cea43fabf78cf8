//! The output store: it lets one pod of an attempt feed a record, fences the others, tells the status what
//! it knows, and seals. What it writes is decided by the store's own code in `plan`.

use std::collections::{BTreeMap, BTreeSet};

use herdctl::{
    api::{
        job::Job,
        record::{Output, Report},
        text::Clean,
        verdict::{self, Verdict},
    },
    plan::{
        record_status::{Known, next_write},
        seal::{self, Came, Seal},
    },
};
use serde_json::json;

use super::{
    agents::Agent,
    api::{Key, Request, Resource},
    bugs::Bug,
    world::{Event, World},
};

/// The stream of an attempt whose verdict has come.
const SPOKEN: Came = Came {
    bytes: 1,
    spoken: true,
};

/// The records, by the UID of their Job.
#[derive(Default)]
pub struct Records {
    pub down: bool,
    records: BTreeMap<String, Record>,
}

#[derive(Default)]
struct Record {
    /// The attempt that feeds it, and the UID of its pod.
    fed_by: Option<(u32, String)>,
    verdicts: BTreeSet<u32>,
    known: Known,
    /// What ended while the store was away, or did not know the attempt yet.
    waiting: Vec<(u32, String, Verdict)>,
}

impl World {
    fn job(&self, uid: &str) -> Option<(Key, Job)> {
        let mut jobs = self.api.all(Resource::Jobs);
        let (key, job) = jobs.find(|(_, job)| job["metadata"]["uid"] == uid)?;
        Some((
            key.clone(),
            serde_json::from_value(job.as_ref().clone()).unwrap(),
        ))
    }

    /// Whether an agent may start, as the sidecar asks the store. One that can't say lets it.
    pub fn may_start(&mut self, job: &str, attempt: u32, pod: &str) -> bool {
        if self.records.down {
            return true;
        }
        self.pin(job, attempt, pod)
    }

    /// Takes this pod as the one that feeds the record, if there can be none before it.
    fn pin(&mut self, uid: &str, attempt: u32, pod: &str) -> bool {
        let Some((_, job)) = self.job(uid) else {
            return false;
        };
        let status = job.status.unwrap_or_default();
        let newest = status.attempt().map_or(0, |it| it.number);
        let known = status.attempts.iter().find(|it| it.number == attempt);
        let another = known
            .and_then(|it| it.uid.as_ref())
            .is_some_and(|uid| uid != pod);
        if status.is_final() || attempt < newest || another {
            return false;
        }
        let record = self.records.records.entry(uid.to_owned()).or_default();
        match &record.fed_by {
            Some((number, _)) if *number > attempt => false,
            Some((number, by)) if *number == attempt => by == pod,
            _ => {
                record.fed_by = Some((attempt, pod.to_owned()));
                true
            }
        }
    }

    /// The pod's sidecar still waits for the store to have all.
    pub fn drains(&self, agent: &Agent) -> bool {
        let patience = super::controllers::settings().drain_timeout;
        let since = agent.end.as_ref().map(|end| self.time() - end.at);
        let late = since.is_none_or(|since| since.to_std().is_ok_and(|since| since > patience));
        self.records.down && !late && !agent.fenced
    }

    /// A verdict reaches the store, or waits for it.
    pub fn ship(&mut self, job: &str, attempt: u32, pod: &str, verdict: Verdict) {
        if self.records.down {
            let record = self.records.records.entry(job.to_owned()).or_default();
            record.waiting.push((attempt, pod.to_owned(), verdict));
            return;
        }
        if !self.is_fed_by(job, attempt, pod) && !self.pin(job, attempt, pod) {
            return;
        }
        let at = self.time();
        let record = self.records.records.entry(job.to_owned()).or_default();
        record.verdicts.insert(attempt);
        record.known.report = Some(Report {
            attempt,
            uid: pod.to_owned(),
            at,
            verdict: Clean::lines(&verdict.to_message(), verdict::MAX_BYTES),
        });
        self.after(1, 50, Event::Record(job.to_owned()));
    }

    fn is_fed_by(&self, job: &str, attempt: u32, pod: &str) -> bool {
        let record = self.records.records.get(job);
        record.and_then(|it| it.fed_by.as_ref()) == Some(&(attempt, pod.to_owned()))
    }

    pub fn store_goes(&mut self) {
        self.records.down = true;
    }

    /// The store is back: it hears what waited, and fences whom it would not have let start.
    pub fn store_comes(&mut self) {
        self.records.down = false;
        let alive: Vec<Agent> = self.agents.iter().filter(|it| it.alive).cloned().collect();
        for agent in alive {
            let heard = !self.nodes[&agent.node].gone;
            let feeds = self.is_fed_by(&agent.job, agent.attempt, &agent.pod);
            if heard && !feeds && !self.pin(&agent.job, agent.attempt, &agent.pod) {
                self.fence(&agent.pod);
            }
        }
        let jobs: Vec<String> = self.records.records.keys().cloned().collect();
        for job in jobs {
            let record = self.records.records.entry(job.clone()).or_default();
            for (attempt, pod, verdict) in std::mem::take(&mut record.waiting) {
                self.ship(&job, attempt, &pod, verdict);
            }
        }
        let jobs: Vec<String> = self.uids(Resource::Jobs);
        for job in jobs {
            self.after(1, 500, Event::Record(job));
        }
    }

    pub fn uids(&self, resource: Resource) -> Vec<String> {
        let uid =
            |object: &serde_json::Value| object["metadata"]["uid"].as_str().map(str::to_owned);
        self.api
            .all(resource)
            .filter_map(|(_, object)| uid(object))
            .collect()
    }

    /// Looks after one record: seals it when it is complete, and brings the status up to it.
    pub fn look_after_record(&mut self, uid: &str) {
        if self.records.down {
            return;
        }
        let Some((key, job)) = self.job(uid) else {
            return;
        };
        let now = self.time();
        let early = self.scenario.bug == Some(Bug::SealsBeforeTheEnd);
        let record = self.records.records.entry(uid.to_owned()).or_default();
        let unsealed = record
            .known
            .output
            .as_ref()
            .is_none_or(|it| it.sealed.is_none());
        let decision = seal::decide(&job, &record.verdicts, false);
        let complete = matches!(decision, Seal::Now(_)) || (early && !record.verdicts.is_empty());
        if unsealed && complete {
            record.known.output = Some(Output {
                path: format!("jobs/{}", key.name),
                sealed: Some(now),
                ..Output::default()
            });
            let came = record.verdicts.iter().map(|attempt| (*attempt, SPOKEN));
            record.known.intact = Some(seal::intact(&job, &came.collect(), 0));
        }
        let Some(write) = next_write(&job, &record.known, now) else {
            return;
        };
        let operations = serde_json::to_value(&write.operations).unwrap_or(json!([]));
        let request =
            Request::new("PATCH", &key, "status").with("application/json-patch+json", &operations);
        let answer = self.api.handle(&request, now);
        self.trace(format!("store PATCH {} {}", key.name, answer.code));
        if !answer.is_success() {
            self.after(800, 1_200, Event::Record(uid.to_owned()));
        }
    }
}
