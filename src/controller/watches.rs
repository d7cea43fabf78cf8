//! The watches: each fills a cache and says which Jobs to look at again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::{Stream, StreamExt, future, stream::BoxStream};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, Client,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef},
        watcher::{self, Event},
    },
};
use tokio::sync::watch;

use super::{
    caches::{Caches, Filled, owner, prune_job, prune_pod},
    creations::Creations,
};
use crate::{
    api::{agent::Agent, job::Job},
    kubernetes::watch::{everything, guarded, prune, readable},
    plan::pod::LABEL_JOB,
};

/// The ConfigMap in which the store publishes its certificates.
#[derive(Clone, Debug)]
pub struct ConfigMapName {
    pub namespace: String,
    pub name: String,
}

/// Starts the watches; answers the caches and the stream of Jobs to look at. Each step of `again` means
/// all of them; it is also made here when a cache has been filled.
pub fn start(
    client: &Client,
    store_ca: &ConfigMapName,
    again: &watch::Sender<u64>,
    creations: &Creations,
) -> (Caches, BoxStream<'static, ObjectRef<Job>>) {
    let (jobs, jobs_writer) = reflector::store();
    let (agents, agents_writer) = reflector::store();
    let (pods, pods_writer) = reflector::store();
    let (published, published_writer) = reflector::store();
    let filled = Filled::default();
    let caches = Caches {
        jobs,
        agents,
        pods,
        store_ca: published,
        filled: filled.clone(),
    };

    let job_changes = guarded(Api::<DeserializeGuard<Job>>::all(client.clone()))
        .modify(prune_job)
        .reflect(jobs_writer)
        .inspect(tell_filled(filled.jobs, again))
        .touched_objects()
        .filter_map(|change| future::ready(readable(change)))
        .map(|job| vec![ObjectRef::from_obj(&job)]);
    let known = caches.clone();
    let agent_changes = guarded(Api::<DeserializeGuard<Agent>>::all(client.clone()))
        .modify(prune)
        .reflect(agents_writer)
        .inspect(tell_filled(filled.agents, again))
        .touched_objects()
        .filter_map(|change| future::ready(readable(change)))
        .map(move |agent| known.jobs_of(&agent));
    let refused = creations.clone();
    let ours = everything().labels(LABEL_JOB);
    let pod_changes = watcher::watcher(Api::<Pod>::all(client.clone()), ours)
        .default_backoff()
        .modify(prune_pod)
        .reflect(pods_writer)
        .inspect(tell_filled(filled.pods, again))
        .touched_objects()
        .filter_map(|change| future::ready(readable(change)))
        .map(move |pod| {
            let mut jobs = refused.next_after(&pod);
            jobs.extend(owner(&pod));
            jobs
        });
    let published = Api::<ConfigMap>::namespaced(client.clone(), &store_ca.namespace);
    let this_one = everything().fields(&format!("metadata.name={}", store_ca.name));
    let known = caches.clone();
    let store_changes = watcher::watcher(published, this_one)
        .default_backoff()
        .modify(prune)
        .reflect(published_writer)
        .inspect(tell_filled(filled.store_ca, again))
        .touched_objects()
        .filter_map(|change| future::ready(readable(change)))
        .map(move |_| known.every_job());
    let known = caches.clone();
    let all = steps(again.subscribe()).map(move |()| known.every_job());

    let changes = futures::stream::select_all([
        job_changes.boxed(),
        agent_changes.boxed(),
        pod_changes.boxed(),
        store_changes.boxed(),
        all.boxed(),
    ]);
    (
        caches,
        changes.flat_map(futures::stream::iter::<Vec<_>>).boxed(),
    )
}

/// Notes that a cache is filled, and has all Jobs looked at: those that could not be judged before, and those
/// that a list leaves out, since nothing else tells that they are gone.
fn tell_filled<K>(
    filled: Arc<AtomicBool>,
    again: &watch::Sender<u64>,
) -> impl FnMut(&Result<Event<K>, watcher::Error>) + Send + 'static {
    let again = again.clone();
    move |event| {
        if matches!(event, Ok(Event::InitDone)) {
            filled.store(true, Ordering::Relaxed);
            again.send_modify(|steps| *steps += 1);
        }
    }
}

fn steps(receiver: watch::Receiver<u64>) -> impl Stream<Item = ()> + Send {
    futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.changed().await.ok()?;
        Some(((), receiver))
    })
}
