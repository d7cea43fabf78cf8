//! A controller's caches: each a point in the history of its kind. They lag, and may go back in time when
//! a watch is begun anew, as lists from an API server that is behind make them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
};

use herdctl::{
    api::{agent::Agent, job::Job},
    controller::caches::{self, Caches, Filled, prune_job, prune_pod},
    plan::pod::LABEL_JOB,
};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    ResourceExt,
    runtime::{
        reflector::{self, ObjectRef, Store, store::Writer},
        watcher::Event,
    },
};
use serde::de::DeserializeOwned;

use super::{
    api::{Change, Key, Kind, Resource},
    controllers::Name,
};

/// The writing ends of the caches, and how far each has read.
pub struct Views {
    pub caches: Caches,
    jobs: View<Job>,
    agents: View<Agent>,
    pods: View<Pod>,
    config_maps: View<ConfigMap>,
    /// A pod is taken for that of whatever Job its owner's name leads to: a planted bug.
    by_name: bool,
}

struct View<K: kube::Resource<DynamicType = ()> + Clone + 'static> {
    resource: Resource,
    writer: Writer<K>,
    /// So much of the whole history has been read.
    read: usize,
    /// What is in the cache.
    known: BTreeSet<Key>,
}

/// The kinds that controllers watch.
pub const WATCHED: [Resource; 4] = [
    Resource::Jobs,
    Resource::Agents,
    Resource::Pods,
    Resource::ConfigMaps,
];

impl Views {
    /// Caches that nothing is in yet.
    pub fn new(by_name: bool) -> Views {
        let (jobs, jobs_writer) = reflector::store();
        let (agents, agents_writer) = reflector::store();
        let (pods, pods_writer) = reflector::store();
        let (store_ca, published_writer) = reflector::store();
        Views {
            caches: Caches {
                jobs,
                agents,
                pods,
                store_ca,
                filled: Filled::default(),
            },
            jobs: View::new(Resource::Jobs, jobs_writer),
            agents: View::new(Resource::Agents, agents_writer),
            pods: View::new(Resource::Pods, pods_writer),
            config_maps: View::new(Resource::ConfigMaps, published_writer),
            by_name,
        }
    }

    /// Whether the first list of this kind has come.
    pub fn has(&self, resource: Resource) -> bool {
        self.mark(resource)
            .is_some_and(|it| it.load(Ordering::Relaxed))
    }

    /// It has.
    pub fn filled(&self, resource: Resource) {
        if let Some(mark) = self.mark(resource) {
            mark.store(true, Ordering::Relaxed);
        }
    }

    fn mark(&self, resource: Resource) -> Option<&AtomicBool> {
        let filled = &self.caches.filled;
        match resource {
            Resource::Jobs => Some(&filled.jobs),
            Resource::Agents => Some(&filled.agents),
            Resource::Pods => Some(&filled.pods),
            Resource::ConfigMaps => Some(&filled.store_ca),
            Resource::Namespaces | Resource::Nodes => None,
        }
    }

    /// Begins anew with what was there at this point; answers which Jobs to look at.
    pub fn list(&mut self, resource: Resource, history: &[Change], point: usize) -> Vec<Name> {
        let by_name = self.by_name.then(|| self.caches.jobs.clone());
        match resource {
            Resource::Jobs => {
                self.jobs.list(history, point, prune_job);
                self.every_job()
            }
            Resource::Pods => {
                self.pods.list(history, point, pruned(by_name));
                self.every_job()
            }
            Resource::Agents => {
                self.agents.list(history, point, |_| {});
                self.every_job()
            }
            Resource::ConfigMaps => {
                self.config_maps.list(history, point, |_| {});
                self.every_job()
            }
            Resource::Namespaces | Resource::Nodes => Vec::new(),
        }
    }

    /// Reads the next event of a kind; answers which Jobs to look at.
    pub fn next(&mut self, resource: Resource, history: &[Change]) -> Vec<Name> {
        let by_name = self.by_name.then(|| self.caches.jobs.clone());
        match resource {
            Resource::Jobs => {
                let change = self.jobs.next(history, prune_job);
                if by_name.is_some() {
                    self.list(Resource::Pods, history, self.pods.read);
                }
                change.iter().map(|(_, job)| name_of(job)).collect()
            }
            Resource::Pods => {
                let change = self.pods.next(history, pruned(by_name));
                change.iter().filter_map(|(_, pod)| owner(pod)).collect()
            }
            Resource::Agents => {
                let change = self.agents.next(history, |_| {});
                let jobs = change
                    .iter()
                    .flat_map(|(_, agent)| self.caches.jobs_of(agent));
                let mut names: Vec<Name> = jobs
                    .map(|job| (job.namespace.unwrap_or_default(), job.name))
                    .collect();
                names.sort();
                names
            }
            Resource::ConfigMaps => {
                self.config_maps.next(history, |_| {});
                self.every_job()
            }
            Resource::Namespaces | Resource::Nodes => Vec::new(),
        }
    }

    /// Those in the cache, and those that have left pods there.
    pub fn every_job(&self) -> Vec<Name> {
        let jobs = self.caches.every_job().into_iter();
        let mut names: Vec<Name> = jobs
            .map(|job| (job.namespace.unwrap_or_default(), job.name))
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

impl<K> View<K>
where
    K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + 'static,
{
    fn new(resource: Resource, writer: Writer<K>) -> Self {
        View {
            resource,
            writer,
            read: 0,
            known: BTreeSet::new(),
        }
    }

    /// What the watch tells of a change, if anything. Pods are watched by their label: one that loses it is
    /// gone, as far as the watch knows.
    fn told(&self, change: &Change, known: bool) -> Option<Kind> {
        let labels = &change.object["metadata"]["labels"];
        let labelled = self.resource != Resource::Pods || !labels[LABEL_JOB].is_null();
        match change.kind {
            _ if change.key.resource != self.resource => None,
            Kind::Added | Kind::Modified if !labelled => known.then_some(Kind::Deleted),
            Kind::Deleted => known.then_some(Kind::Deleted),
            kind => Some(kind),
        }
    }

    fn list(&mut self, history: &[Change], point: usize, prune: impl Fn(&mut K)) -> Vec<K> {
        let mut there = BTreeMap::new();
        for change in &history[..point] {
            match self.told(change, there.contains_key(&change.key)) {
                Some(Kind::Deleted) => drop(there.remove(&change.key)),
                Some(Kind::Added | Kind::Modified) => drop(there.insert(&change.key, change)),
                None => {}
            }
        }
        self.read = point;
        self.known = there.keys().map(|key| (*key).clone()).collect();
        self.writer.apply_watcher_event(&Event::Init);
        let mut listed = Vec::new();
        for change in there.values() {
            let object = typed(change, &prune);
            self.writer
                .apply_watcher_event(&Event::InitApply(object.clone()));
            listed.push(object);
        }
        self.writer.apply_watcher_event(&Event::InitDone);
        listed
    }

    fn next(&mut self, history: &[Change], prune: impl Fn(&mut K)) -> Option<(Kind, K)> {
        let ahead = history.get(self.read..)?;
        let told = |it: &Change| self.told(it, self.known.contains(&it.key));
        let (place, kind) =
            (ahead.iter().enumerate()).find_map(|(place, change)| Some((place, told(change)?)))?;
        self.read += place + 1;
        let change = &ahead[place];
        let object = typed(change, prune);
        let event = match kind {
            Kind::Added | Kind::Modified => {
                self.known.insert(change.key.clone());
                Event::Apply(object.clone())
            }
            Kind::Deleted => {
                self.known.remove(&change.key);
                Event::Delete(object.clone())
            }
        };
        self.writer.apply_watcher_event(&event);
        Some((kind, object))
    }
}

fn typed<K: DeserializeOwned>(change: &Change, prune: impl Fn(&mut K)) -> K {
    let mut object = K::deserialize(change.object.as_ref()).unwrap();
    prune(&mut object);
    object
}

/// Prunes pods as the real watch does; with Jobs, the planted bug looks at the owner's name alone.
fn pruned(by_name: Option<Store<Job>>) -> impl Fn(&mut Pod) {
    move |pod| {
        prune_pod(pod);
        let namespace = pod.namespace().unwrap_or_default();
        for owner in pod.owner_references_mut() {
            let job = ObjectRef::new(&owner.name).within(&namespace);
            if let Some(job) = by_name.as_ref().and_then(|jobs| jobs.get(&job)) {
                owner.uid = job.uid().unwrap_or_default();
            }
        }
    }
}

fn name_of(job: &Job) -> Name {
    (job.namespace().unwrap_or_default(), job.name_any())
}

fn owner(pod: &Pod) -> Option<Name> {
    let owner = caches::owner(pod)?;
    Some((owner.namespace.unwrap_or_default(), owner.name))
}
