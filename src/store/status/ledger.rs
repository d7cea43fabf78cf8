//! What is known of one Job and its record, and what follows: a patch, a seal, or when to look again. It
//! does nothing itself, so every order of events can be tried.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, SubsecRound, Utc};
use json_patch::PatchOperation;
use kube::ResourceExt;

use crate::{
    api::{
        job::{Job, JobStatus},
        record::{Output, Report},
        text::Clean,
        verdict,
    },
    kubernetes::{backoff, call::CallError},
    plan::{
        record_status::{Flow, Known, next_write},
        seal::{self, Intact, Seal},
    },
    store::{
        gate::RecordKey,
        news::{Closing, News, Sealed},
        sealing,
    },
};

/// How far a run is goes out at most so often.
const GROWTH_EVERY: Duration = Duration::from_secs(5);
/// What was known was old: the watch brings the news within moments, and if not, it is tried again.
const CONFLICT: Duration = Duration::from_secs(1);
/// The longest wait until a patch is tried again that the API server refuses.
const REFUSED: Duration = Duration::from_secs(4 * 60);

/// What runs for a Job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    Patch,
    Seal,
}

/// Why a task failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The Job has changed.
    Conflict,
    /// Something in it is never taken.
    Refused,
    Other,
}

impl Failure {
    pub fn of(error: &CallError) -> Failure {
        match error {
            error if error.is_conflict() => Failure::Conflict,
            error if error.is_refused() => Failure::Refused,
            _ => Failure::Other,
        }
    }
}

/// One Job and its record.
#[derive(Debug)]
pub struct Entry {
    /// The newest that is known: of the watch, or of our own patch.
    job: Option<Arc<Job>>,
    key: Option<RecordKey>,
    known: Known,
    /// Attempts whose verdict is in the record.
    verdicts: BTreeSet<u32>,
    /// The Job object is no more.
    gone: bool,
    /// The record is sealed, or there is none to seal.
    settled: bool,
    busy: Option<Task>,
    /// What the running patch, or the one that failed on its test, was made from.
    tried: Option<String>,
    /// Failures in a row.
    failures: u32,
    not_before: Option<Instant>,
    /// When it went out, or there was some for the first time.
    growth_at: Option<Instant>,
    /// When the Job stands in the calendar.
    pub wake: Option<Instant>,
}

/// What follows.
#[derive(Debug, Default)]
pub struct Next {
    pub patch: Option<PatchOf>,
    pub seal: Option<SealOf>,
    pub wake: Option<Instant>,
    /// Nothing will ever follow.
    pub done: bool,
}

/// A patch of a Job's status.
#[derive(Debug)]
pub struct PatchOf {
    /// What it was made from.
    pub job: Arc<Job>,
    pub operations: Vec<PatchOperation>,
    pub urgent: bool,
}

/// A record to be sealed.
#[derive(Debug)]
pub struct SealOf {
    pub key: Option<RecordKey>,
    pub job: Option<Arc<Job>>,
    pub closing: Closing,
}

/// True when the status says all that it ever will of the record.
pub fn is_done(job: &Job) -> bool {
    job.status.as_ref().is_some_and(JobStatus::is_sealed)
}

impl Entry {
    pub fn of(job: Arc<Job>) -> Self {
        let mut entry = Entry::empty();
        entry.see(job);
        entry
    }

    pub fn of_record(key: RecordKey) -> Self {
        Entry {
            key: Some(key),
            ..Entry::empty()
        }
    }

    fn empty() -> Self {
        Entry {
            job: None,
            key: None,
            known: Known::default(),
            verdicts: BTreeSet::new(),
            gone: false,
            settled: false,
            busy: None,
            tried: None,
            failures: 0,
            not_before: None,
            growth_at: None,
            wake: None,
        }
    }

    /// Namespace and name of the Job.
    pub fn name(&self) -> (String, String) {
        match (&self.key, &self.job) {
            (Some(key), _) => (key.namespace.clone(), key.job.clone()),
            (None, Some(job)) => (job.namespace().unwrap_or_default(), job.name_any()),
            (None, None) => Default::default(),
        }
    }

    /// Its record is known under this key, and the Job perhaps by the cache.
    pub fn found(&mut self, key: &RecordKey, cached: impl FnOnce() -> Option<Arc<Job>>) {
        self.key.get_or_insert_with(|| key.clone());
        if self.job.is_none() {
            let job = cached().filter(|job| job.uid().as_ref() == Some(&key.job_uid));
            if let Some(job) = job {
                self.see(job);
            }
        }
    }

    /// The Job as it is now, if it is not older than what is known.
    pub fn see(&mut self, job: Arc<Job>) {
        if self
            .job
            .as_ref()
            .is_some_and(|known| version(known) > version(&job))
        {
            return;
        }
        if let Some(report) = job
            .status
            .as_ref()
            .and_then(|status| status.report.as_ref())
        {
            self.verdicts.insert(report.attempt);
        }
        if self.tried.is_some() && self.tried != job.resource_version() {
            // The test that failed may hold now.
            self.tried = None;
            self.not_before = None;
        }
        self.job = Some(job);
    }

    /// The Job is no more.
    pub fn lose(&mut self) {
        self.gone = true;
    }

    pub fn hear(&mut self, news: News, path: String) {
        match news {
            News::Grown {
                progress,
                bytes,
                lines,
                ..
            } => {
                self.known.progress = Some(progress);
                if !self.settled {
                    self.known.output = Some(Output {
                        path,
                        bytes,
                        lines,
                        ..Output::default()
                    });
                }
            }
            News::Verdict {
                attempt,
                pod_uid,
                at,
                verdict,
                ..
            } => {
                self.verdicts.insert(attempt);
                let known = self.known.report.as_ref();
                if known.is_none_or(|known| known.attempt <= attempt) {
                    self.known.report = Some(Report {
                        attempt,
                        uid: pod_uid,
                        at: at.trunc_subsecs(3),
                        verdict: Clean::lines(&verdict.to_message(), verdict::MAX_BYTES),
                    });
                }
            }
            News::Altered { message, .. } => self.known.intact = Some(Intact::Altered(message)),
            News::Stalled { message, .. } => self.known.flow = Flow::Stalled(message),
            News::Resumed { .. } => self.known.flow = Flow::Flowing,
        }
    }

    /// The patch found no Job.
    pub fn missed(&mut self) {
        self.busy = None;
        self.gone = true;
    }

    /// The patch was taken; this is the Job after it.
    pub fn patched(&mut self, job: Arc<Job>, now: Instant) {
        self.busy = None;
        self.tried = None;
        self.failures = 0;
        self.not_before = None;
        self.growth_at = Some(now);
        self.see(job);
    }

    /// The record is sealed; without an answer there is none to seal.
    pub fn sealed(&mut self, sealed: Option<&Sealed>) {
        self.busy = None;
        self.failures = 0;
        self.not_before = None;
        self.settled = true;
        let (Some(sealed), Some(job)) = (sealed, &self.job) else {
            return;
        };
        self.known.output = Some(sealing::output(sealed));
        // Also where a store before this one said that there was no room.
        self.known.flow = Flow::Flowing;
        if let Some(how) = &sealed.altered {
            self.known.intact = Some(Intact::Altered(how.clone()));
        } else if !matches!(self.known.intact, Some(Intact::Altered(_))) && !is_altered(job) {
            let intact = seal::intact(job, &sealed.came, sealed.missing);
            self.known.intact = Some(intact);
        }
    }

    /// A task failed: it is tried again, longer each time; after a conflict, when the Job has changed. What
    /// is refused goes without how far the run is: the agent has its say in that, and nothing else may wait
    /// for it.
    pub fn failed(&mut self, task: Task, why: Failure, now: Instant) {
        self.busy = None;
        if why == Failure::Refused {
            self.known.progress = None;
        }
        let conflict = why == Failure::Conflict;
        let newer = self.job.as_ref().and_then(|job| job.resource_version()) != self.tried;
        if task == Task::Patch && conflict && newer {
            self.tried = None;
            return;
        }
        let last = match why {
            Failure::Refused => REFUSED,
            Failure::Conflict | Failure::Other => backoff::LAST,
        };
        let chance = backoff::chance();
        let wait = backoff::wait_between(backoff::FIRST, last, self.failures, chance);
        self.failures = self.failures.saturating_add(1);
        let wait = if conflict { wait.max(CONFLICT) } else { wait };
        if !conflict {
            self.tried = None;
        }
        self.not_before = Some(now + wait);
    }

    /// What to do now.
    pub fn next(&mut self, now: Instant, time: DateTime<Utc>) -> Next {
        if self.busy.is_some() {
            return Next::default();
        }
        if let Some(at) = self.not_before.filter(|at| *at > now) {
            return Next {
                wake: Some(at),
                ..Next::default()
            };
        }
        let (patch, growth_due) = self.next_patch(now, time);
        if patch.is_some() {
            self.busy = Some(Task::Patch);
            return Next {
                patch,
                ..Next::default()
            };
        }
        if let Some(seal) = self.next_seal() {
            self.busy = Some(Task::Seal);
            return Next {
                seal: Some(seal),
                ..Next::default()
            };
        }
        Next {
            wake: growth_due,
            done: self.is_done(),
            ..Next::default()
        }
    }

    /// The patch that is due, or when one will be.
    fn next_patch(
        &mut self,
        now: Instant,
        time: DateTime<Utc>,
    ) -> (Option<PatchOf>, Option<Instant>) {
        let Some(job) = self.job.as_ref().filter(|_| !self.gone) else {
            return (None, None);
        };
        let Some(write) = next_write(job, &self.known, time.trunc_subsecs(3)) else {
            return (None, None);
        };
        // Also the first time: a short run then costs no patch but those that matter.
        let due = *self.growth_at.get_or_insert(now) + GROWTH_EVERY;
        if !write.urgent && due > now {
            return (None, Some(due));
        }
        self.tried = job.resource_version();
        let patch = PatchOf {
            job: Arc::clone(job),
            operations: write.operations,
            urgent: write.urgent,
        };
        (Some(patch), None)
    }

    fn next_seal(&self) -> Option<SealOf> {
        if self.settled {
            return None;
        }
        let closing = match &self.job {
            Some(job) => match seal::decide(job, &self.verdicts, self.gone) {
                Seal::Now(ending) => sealing::closing(job, ending),
                Seal::Done | Seal::Later => return None,
            },
            None if self.gone => sealing::closing_unseen(!self.verdicts.is_empty()),
            None => return None,
        };
        // Of a Job that is gone only what came is sealed.
        if self.gone && self.key.is_none() {
            return None;
        }
        Some(SealOf {
            key: self.key.clone(),
            job: self.job.clone(),
            closing,
        })
    }

    fn is_done(&self) -> bool {
        let told = self.job.as_deref().is_some_and(is_done);
        told || (self.gone && (self.settled || self.key.is_none()))
    }
}

/// Said before a restart: it is not taken back.
fn is_altered(job: &Job) -> bool {
    use crate::api::job::{ConditionStatus, ConditionType};
    let conditions = job
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice());
    conditions.unwrap_or_default().iter().any(|condition| {
        condition.type_ == ConditionType::OutputIntact && condition.status == ConditionStatus::False
    })
}

/// Resource versions of one kind can be compared as numbers.
fn version(job: &Job) -> Option<u64> {
    job.resource_version()?.parse().ok()
}

#[cfg(test)]
mod tests;
