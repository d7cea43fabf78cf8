//! Tells the Jobs' status what happens to their records, and has a record sealed when its Job is over. One
//! task holds what is known of each Job that is not done yet; what it wants of others (a patch, a seal)
//! runs beside it, one thing a Job at a time. Nothing here has to survive: after a restart the watch brings
//! all Jobs again, and the records tell again what they hold.

mod ledger;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    future::Future,
    sync::Arc,
    time::Instant,
};

use chrono::{DateTime, Utc};
use json_patch::PatchOperation;
use kube::{Api, Client, ResourceExt, api::PatchParams};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};
use tracing::{info, warn};

use self::ledger::{Entry, Failure, PatchOf, SealOf, Task};
use super::{
    gate::RecordKey,
    jobs::{Change, Jobs, forget},
    namespaces::Namespaces,
    news::{Closing, News, Sealed},
    pods::Pods,
};
use crate::{
    api::job::Job,
    kubernetes::{
        Chain, backoff,
        call::{CallError, call, patched, unless_gone},
    },
    plan::json_patch::json_patch,
};

/// The name under which the store writes, and owns its fields of a Job's status.
pub(super) const FIELD_MANAGER: &str = "herd-store";
/// So many patches about how far a run is are under way at the same time; others don't wait for them.
const PATCHES: usize = 16;
/// So many records are sealed at the same time: each is read once more.
const SEALS: usize = 4;

/// Why a record could not be sealed now.
pub type SealError = Box<dyn std::error::Error + Send + Sync>;

/// The records, as far as sealing goes.
pub trait Sealer: Send + Sync + 'static {
    /// The records that are not sealed.
    fn unsealed(&self) -> Vec<RecordKey>;

    /// Where an unsealed record's lines lie on the volume.
    fn path(&self, key: &RecordKey) -> String;

    /// Seals a record, also one of which nothing ever came; a sealed one is told again.
    fn seal(
        &self,
        key: &RecordKey,
        closing: Closing,
    ) -> impl Future<Output = Result<Sealed, SealError>> + Send;
}

/// What the task works with.
pub struct Steward<S> {
    pub client: Client,
    pub sealer: Arc<S>,
    pub jobs: Jobs,
    pub pods: Arc<Pods>,
    pub namespaces: Arc<Namespaces>,
    pub clock: fn() -> DateTime<Utc>,
}

/// What came of a task.
enum Done {
    /// None when the Job is gone.
    Patched(Result<Option<Box<Job>>, CallError>),
    /// None when there is nothing to seal.
    Sealed(Result<Option<Sealed>, SealError>),
    /// The API server itself was asked, and has no such Job.
    Gone(bool),
}

/// What the task remembers.
struct State<S> {
    steward: Arc<Steward<S>>,
    /// By the Job's UID.
    entries: HashMap<String, Entry>,
    /// When to look at which Job again.
    calendar: BTreeSet<(Instant, String)>,
    tasks: JoinSet<(String, Done)>,
    patches: Arc<Semaphore>,
    seals: Arc<Semaphore>,
}

impl<S: Sealer> Steward<S> {
    /// Runs until nobody brings news or changes any more.
    pub async fn run(self, mut news: mpsc::Receiver<News>, mut changes: mpsc::Receiver<Change>) {
        let mut state = State {
            steward: Arc::new(self),
            entries: HashMap::new(),
            calendar: BTreeSet::new(),
            tasks: JoinSet::new(),
            patches: Arc::new(Semaphore::new(PATCHES)),
            seals: Arc::new(Semaphore::new(SEALS)),
        };
        loop {
            let wake = state.calendar.first().map(|(at, _)| (*at).into());
            tokio::select! {
                told = news.recv() => match told {
                    Some(told) => state.hear(told),
                    None => return,
                },
                change = changes.recv() => match change {
                    Some(change) => state.see(change),
                    None => return,
                },
                Some(done) = state.tasks.join_next() => match done {
                    Ok((uid, done)) => state.finish(&uid, done),
                    Err(error) => warn!(%error, "a task for a Job's status broke"),
                },
                () = sleep_until(wake), if wake.is_some() => state.wake(),
            }
        }
    }

    async fn patch(
        &self,
        job: &Job,
        operations: Vec<PatchOperation>,
    ) -> Result<Option<Box<Job>>, CallError> {
        let namespace = job.namespace().unwrap_or_default();
        let api: Api<Job> = Api::namespaced(self.client.clone(), &namespace);
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let name = job.name_any();
        let patch = json_patch(operations);
        let sent = patched(
            "write the status of the Job",
            api.patch_status(&name, &params, &patch),
        );
        Ok(unless_gone(sent.await)?.map(|mut job| {
            forget(&mut job);
            Box::new(job)
        }))
    }

    /// Whether the API server has no Job of this name and UID. Only its answer will do: the cache lacks
    /// also what this version can't read.
    async fn is_gone(&self, namespace: &str, name: &str, uid: &str) -> Result<bool, CallError> {
        let api: Api<Job> = Api::namespaced(self.client.clone(), namespace);
        let found = call("look the Job up", api.get_metadata_opt(name)).await?;
        Ok(found.and_then(|job| job.metadata.uid).as_deref() != Some(uid))
    }

    /// The key of a Job's record, also of one that does not exist yet.
    async fn seal(
        &self,
        key: Option<RecordKey>,
        job: Option<&Job>,
        closing: Closing,
    ) -> Result<Option<Sealed>, SealError> {
        let key = match (key, job) {
            (Some(key), _) => key,
            (None, None) => return Ok(None),
            (None, Some(job)) => {
                let Some(namespace_uid) = self.namespaces.of_job(job).await? else {
                    return Ok(None);
                };
                RecordKey {
                    namespace: job.namespace().unwrap_or_default(),
                    namespace_uid,
                    job: job.name_any(),
                    job_uid: job.uid().unwrap_or_default(),
                }
            }
        };
        let sealed = self.sealer.seal(&key, closing).await?;
        info!(
            namespace = key.namespace,
            job = key.job,
            bytes = sealed.bytes,
            missing = sealed.missing,
            "sealed a record"
        );
        Ok(Some(sealed))
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    tokio::time::sleep_until(at.unwrap_or_else(tokio::time::Instant::now)).await;
}

impl<S: Sealer> State<S> {
    fn hear(&mut self, news: News) {
        let key = news.record().clone();
        let uid = key.job_uid.clone();
        let path = self.steward.sealer.path(&key);
        self.entry_of(&key).hear(news, path);
        self.look(&uid);
    }

    fn see(&mut self, change: Change) {
        match change {
            Change::Seen(job) => {
                let uid = job.uid().unwrap_or_default();
                if let Some(entry) = self.entries.get_mut(&uid) {
                    entry.see(job);
                } else if !ledger::is_done(&job) {
                    self.entries.insert(uid.clone(), Entry::of(job));
                }
                self.look(&uid);
            }
            Change::Deleted(job) => {
                let uid = job.uid().unwrap_or_default();
                let unsealed = self.steward.sealer.unsealed();
                if let Some(key) = unsealed.into_iter().find(|key| key.job_uid == uid) {
                    let entry = self.entry_of(&key);
                    entry.see(job);
                    entry.lose();
                } else if let Some(entry) = self.entries.get_mut(&uid) {
                    entry.lose();
                }
                self.look(&uid);
            }
            Change::Complete => self.compare(),
        }
    }

    /// Looks for the Jobs that went while nobody looked.
    fn compare(&mut self) {
        for key in self.steward.sealer.unsealed() {
            self.entry_of(&key);
        }
        let uids: Vec<String> = self.entries.keys().cloned().collect();
        for uid in uids {
            let Some(entry) = self.entries.get(&uid) else {
                continue;
            };
            let (namespace, name) = entry.name();
            let there = self.steward.jobs.get(&namespace, &name);
            if there.and_then(|job| job.uid()).as_ref() != Some(&uid) {
                let (steward, seats) = (Arc::clone(&self.steward), Arc::clone(&self.patches));
                self.tasks
                    .spawn(run_look_up(steward, seats, uid.clone(), (namespace, name)));
            }
            self.look(&uid);
        }
    }

    fn finish(&mut self, uid: &str, done: Done) {
        let Some(entry) = self.entries.get_mut(uid) else {
            return;
        };
        let now = Instant::now();
        match done {
            Done::Patched(Ok(Some(job))) => entry.patched((*job).into(), now),
            Done::Patched(Ok(None)) => entry.missed(),
            Done::Patched(Err(error)) => {
                if !error.is_conflict() {
                    warn!(job = entry.name().1, error = %Chain(&error), "a Job's status can't be written; trying again");
                }
                entry.failed(Task::Patch, Failure::of(&error), now);
            }
            Done::Gone(true) => entry.lose(),
            Done::Gone(false) => {}
            Done::Sealed(Ok(sealed)) => entry.sealed(sealed.as_ref()),
            Done::Sealed(Err(error)) => {
                warn!(job = entry.name().1, error = %Chain(error.as_ref()), "a record can't be sealed; trying again");
                entry.failed(Task::Seal, Failure::Other, now);
            }
        }
        self.look(uid);
    }

    fn wake(&mut self) {
        let now = Instant::now();
        while let Some((at, uid)) = self.calendar.pop_first() {
            if at > now {
                self.calendar.insert((at, uid));
                return;
            }
            if let Some(entry) = self.entries.get_mut(&uid) {
                entry.wake = None;
            }
            self.look(&uid);
        }
    }

    fn entry_of(&mut self, key: &RecordKey) -> &mut Entry {
        let jobs = &self.steward.jobs;
        let entry = self
            .entries
            .entry(key.job_uid.clone())
            .or_insert_with(|| Entry::of_record(key.clone()));
        entry.found(key, || jobs.get(&key.namespace, &key.job));
        entry
    }

    /// Starts what is due for a Job, and notes when something will be.
    fn look(&mut self, uid: &str) {
        let Some(entry) = self.entries.get_mut(uid) else {
            return;
        };
        let now = Instant::now();
        let next = entry.next(now, (self.steward.clock)());
        if let Some(patch) = next.patch {
            let (steward, seats) = (Arc::clone(&self.steward), Arc::clone(&self.patches));
            self.tasks
                .spawn(run_patch(steward, seats, uid.to_owned(), patch));
        }
        if let Some(seal) = next.seal {
            let (steward, seats) = (Arc::clone(&self.steward), Arc::clone(&self.seals));
            self.tasks
                .spawn(run_seal(steward, seats, uid.to_owned(), seal));
        }
        if let Some(old) = entry.wake.take() {
            self.calendar.remove(&(old, uid.to_owned()));
        }
        if next.done {
            self.entries.remove(uid);
            self.steward.pods.forget(uid);
            return;
        }
        if let Some(at) = next.wake {
            entry.wake = Some(at);
            self.calendar.insert((at, uid.to_owned()));
        }
    }
}

async fn run_patch<S: Sealer>(
    steward: Arc<Steward<S>>,
    seats: Arc<Semaphore>,
    uid: String,
    patch: PatchOf,
) -> (String, Done) {
    let seat = async {
        match patch.urgent {
            true => None,
            // It is never closed.
            false => seats.acquire().await.ok(),
        }
    };
    let _seat = seat.await;
    let done = steward.patch(&patch.job, patch.operations).await;
    (uid, Done::Patched(done))
}

async fn run_seal<S: Sealer>(
    steward: Arc<Steward<S>>,
    seats: Arc<Semaphore>,
    uid: String,
    seal: SealOf,
) -> (String, Done) {
    let _seat = seats.acquire().await;
    let done = steward
        .seal(seal.key, seal.job.as_deref(), seal.closing)
        .await;
    (uid, Done::Sealed(done))
}

/// Asks until there is an answer.
async fn run_look_up<S: Sealer>(
    steward: Arc<Steward<S>>,
    seats: Arc<Semaphore>,
    uid: String,
    (namespace, name): (String, String),
) -> (String, Done) {
    for failures in 0.. {
        let seat = seats.acquire().await;
        match steward.is_gone(&namespace, &name, &uid).await {
            Ok(gone) => return (uid, Done::Gone(gone)),
            Err(error) => {
                warn!(namespace, job = name, error = %Chain(&error), "whether a Job is gone is not known; asking again");
            }
        }
        drop(seat);
        backoff::pause(failures).await;
    }
    (uid, Done::Gone(false))
}
