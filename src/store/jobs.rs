//! The Jobs as the watch brings them: the gate asks it what is known, the steward is told what changes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::StreamExt;
use kube::{
    Api, Client,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store, store::Writer},
        watcher::Event,
    },
};
use tokio::sync::mpsc;

use crate::{
    api::job::Job,
    kubernetes::watch::{guarded, prune, readable},
};

/// The cache.
#[derive(Clone)]
pub struct Jobs {
    store: Store<Job>,
    filled: Arc<AtomicBool>,
}

/// What the watch tells.
#[derive(Debug)]
pub enum Change {
    Seen(Arc<Job>),
    Deleted(Arc<Job>),
    /// The cache holds exactly the Jobs that there are.
    Complete,
}

impl Jobs {
    /// The Job of this name, as far as is known.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Job>> {
        self.store.get(&ObjectRef::new(name).within(namespace))
    }

    /// True once the cache has been filled: before that, what is missing proves nothing.
    pub fn are_known(&self) -> bool {
        self.filled.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
impl Jobs {
    /// A cache that a watch has filled with these.
    pub fn holding(jobs: Vec<Job>) -> Self {
        let (cache, mut watch) = cache();
        let events = jobs.into_iter().map(Event::InitApply);
        let events = [Event::Init].into_iter().chain(events);
        for event in events.chain([Event::InitDone]) {
            watch.writer.apply_watcher_event(&event);
        }
        watch.filled.store(true, Ordering::Relaxed);
        cache
    }
}

/// The watch: an empty cache, and what fills it once it runs.
pub struct Watch {
    writer: Writer<Job>,
    filled: Arc<AtomicBool>,
}

/// A cache and its watch.
pub fn cache() -> (Jobs, Watch) {
    let (store, writer) = reflector::store();
    let filled = Arc::<AtomicBool>::default();
    let watch = Watch {
        writer,
        filled: Arc::clone(&filled),
    };
    (Jobs { store, filled }, watch)
}

impl Watch {
    /// Runs until nobody listens.
    pub async fn run(self, client: Client, to: mpsc::Sender<Change>) {
        let Watch { writer, filled } = self;
        let mut events = guarded(Api::<DeserializeGuard<Job>>::all(client))
            .modify(forget)
            .reflect(writer)
            .boxed();
        while let Some(event) = events.next().await {
            let change = match readable(event) {
                None | Some(Event::Init) => continue,
                Some(Event::InitApply(job) | Event::Apply(job)) => Change::Seen(Arc::new(job)),
                Some(Event::Delete(job)) => Change::Deleted(Arc::new(job)),
                Some(Event::InitDone) => {
                    filled.store(true, Ordering::Relaxed);
                    Change::Complete
                }
            };
            if to.send(change).await.is_err() {
                return;
            }
        }
    }
}

/// Most of a Job is what its agent was told; none of that is needed here.
pub fn forget(job: &mut Job) {
    prune(job);
    job.metadata.annotations = None;
    job.metadata.labels = None;
    job.spec.prompt = None;
    if let Some(status) = &mut job.status {
        status.agent = None;
        status.result = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::job::{CapturedAgent, JobSpec, JobStatus};

    #[test]
    fn what_the_agent_was_told_is_not_kept() {
        let mut job = Job::new(
            "hello",
            JobSpec {
                agent: "reviewer".into(),
                prompt: Some("p".repeat(98_304)),
                ..JobSpec::default()
            },
        );
        job.status = Some(JobStatus {
            agent: Some(CapturedAgent::default()),
            session_id: Some("s".into()),
            ..JobStatus::default()
        });
        forget(&mut job);
        assert!(serde_json::to_vec(&job).unwrap().len() < 500);
        assert_eq!(job.spec.agent, "reviewer");
        assert_eq!(job.status.unwrap().session_id.as_deref(), Some("s"));
    }
}
