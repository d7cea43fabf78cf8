//! The watches: each fills a cache and says which Jobs to look at again. A watch that breaks is started
//! again with a growing pause; an object that can't be read is named in the log and stops nothing.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::{Stream, StreamExt, future, stream::BoxStream};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef},
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tracing::warn;

use super::caches::{Caches, Filled, prune, prune_pod};
use crate::{
    api::{agent::Agent, job::Job},
    plan::pod::LABEL_JOB,
};

/// A watch whose connection has silently died is noticed when the server should have ended it.
const WATCH_SECONDS: u32 = 60;

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
        .modify(prune)
        .reflect(jobs_writer)
        .inspect(tell_filled(filled.jobs, again))
        .applied_objects()
        .filter_map(|change| future::ready(readable(change)))
        .map(|job| vec![ObjectRef::from_obj(&job)]);
    let known = caches.clone();
    let agent_changes = guarded(Api::<DeserializeGuard<Agent>>::all(client.clone()))
        .modify(prune)
        .reflect(agents_writer)
        .inspect(tell_filled(filled.agents, again))
        .applied_objects()
        .filter_map(|change| future::ready(readable(change)))
        .map(move |agent| known.jobs_waiting_for(&agent));
    let ours = everything().labels(LABEL_JOB);
    let pod_changes = watcher::watcher(Api::<Pod>::all(client.clone()), ours)
        .default_backoff()
        .modify(prune_pod)
        .reflect(pods_writer)
        .inspect(tell_filled(filled.pods, again))
        .touched_objects()
        .filter_map(|change| future::ready(readable(change)))
        .map(|pod| owner(&pod).into_iter().collect());
    let published = Api::<ConfigMap>::namespaced(client.clone(), &store_ca.namespace);
    let this_one = everything().fields(&format!("metadata.name={}", store_ca.name));
    let jobs = caches.jobs.clone();
    let store_changes = watcher::watcher(published, this_one)
        .default_backoff()
        .modify(prune)
        .reflect(published_writer)
        .inspect(tell_filled(filled.store_ca, again))
        .touched_objects()
        .filter_map(|change| future::ready(readable(change)))
        .map(move |_| every_job(&jobs));
    let jobs = caches.jobs.clone();
    let all = steps(again.subscribe()).map(move |()| every_job(&jobs));

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

fn every_job(jobs: &reflector::Store<Job>) -> Vec<ObjectRef<Job>> {
    jobs.state()
        .iter()
        .map(|job| ObjectRef::from_obj(job.as_ref()))
        .collect()
}

fn everything() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

/// Notes that a cache is filled, and has all Jobs looked at that could not be judged before.
fn tell_filled<K>(
    filled: Arc<AtomicBool>,
    again: &watch::Sender<u64>,
) -> impl FnMut(&Result<Event<K>, watcher::Error>) + Send + 'static {
    let again = again.clone();
    move |event| {
        if matches!(event, Ok(Event::InitDone)) && !filled.swap(true, Ordering::Relaxed) {
            again.send_modify(|steps| *steps += 1);
        }
    }
}

/// Watches objects of which some may be unreadable, for instance written by a newer version.
fn guarded<K>(
    api: Api<DeserializeGuard<K>>,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send
where
    K: Resource<DynamicType = ()> + DeserializeOwned + Clone + std::fmt::Debug + Send + 'static,
{
    watcher::watcher(api, everything())
        .default_backoff()
        .filter_map(|event| future::ready(event.map(unguard).transpose()))
}

fn unguard<K: Resource<DynamicType = ()>>(event: Event<DeserializeGuard<K>>) -> Option<Event<K>> {
    Some(match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(guard) => Event::InitApply(read(guard)?),
        Event::Apply(guard) => Event::Apply(read(guard)?),
        Event::Delete(guard) => Event::Delete(read(guard)?),
    })
}

fn read<K: Resource<DynamicType = ()>>(guard: DeserializeGuard<K>) -> Option<K> {
    let name = guard.name_any();
    let namespace = guard.namespace();
    guard
        .0
        .map_err(|error| {
            warn!(kind = %K::kind(&()), name, namespace, %error, "an object can't be read and is left alone");
        })
        .ok()
}

fn readable<K>(change: Result<K, watcher::Error>) -> Option<K> {
    change
        .map_err(|error| warn!(error = %Chain(&error), "a watch broke and is started again"))
        .ok()
}

/// The Job that a pod's controller reference names.
fn owner(pod: &Pod) -> Option<ObjectRef<Job>> {
    let namespace = pod.namespace()?;
    let owners = pod.owner_references().iter();
    let mut jobs =
        owners.filter_map(|owner| ObjectRef::from_owner_ref(Some(&namespace), owner, ()));
    jobs.next()
}

fn steps(receiver: watch::Receiver<u64>) -> impl Stream<Item = ()> + Send {
    futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.changed().await.ok()?;
        Some(((), receiver))
    })
}

/// An error with everything that caused it, for a log line.
pub(super) struct Chain<'a>(pub &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// The pods in the cache that say they are this Job's.
pub fn pods_of(caches: &Caches, job: &ObjectRef<Job>) -> Vec<Arc<Pod>> {
    let theirs = |pod: &Arc<Pod>| owner(pod).is_some_and(|owner| owner == *job);
    caches.pods.state().into_iter().filter(theirs).collect()
}
