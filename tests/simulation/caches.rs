//! A controller's caches: each a point in the history of its kind. They lag, and may go back in time when
//! a watch is begun anew, as lists from an API server that is behind make them.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use herdctl::{
    api::{agent::Agent, job::Job},
    controller::{
        caches::{Caches, Filled, prune_pod},
        watches,
    },
};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    ResourceExt,
    runtime::{
        reflector::{self, store::Writer},
        watcher::Event,
    },
};
use serde::de::DeserializeOwned;

use super::{
    api::{Change, Kind, Resource},
    controllers::Name,
};

/// The writing ends of the caches, and how far each has read.
pub struct Views {
    pub caches: Caches,
    jobs: View<Job>,
    agents: View<Agent>,
    pods: View<Pod>,
    config_maps: View<ConfigMap>,
}

struct View<K: kube::Resource<DynamicType = ()> + Clone + 'static> {
    resource: Resource,
    writer: Writer<K>,
    /// So much of the whole history has been read.
    read: usize,
}

/// The kinds that controllers watch.
pub const WATCHED: [Resource; 4] = [
    Resource::Jobs,
    Resource::Agents,
    Resource::Pods,
    Resource::ConfigMaps,
];

impl Views {
    /// Caches that are filled with what was there at this point of the history.
    pub fn at(history: &[Change], point: usize) -> Views {
        let (jobs, jobs_writer) = reflector::store();
        let (agents, agents_writer) = reflector::store();
        let (pods, pods_writer) = reflector::store();
        let (store_ca, published_writer) = reflector::store();
        let filled = Filled::default();
        for one in [&filled.jobs, &filled.agents, &filled.pods, &filled.store_ca] {
            one.store(true, Ordering::Relaxed);
        }
        let mut views = Views {
            caches: Caches {
                jobs,
                agents,
                pods,
                store_ca,
                filled,
            },
            jobs: View::new(Resource::Jobs, jobs_writer),
            agents: View::new(Resource::Agents, agents_writer),
            pods: View::new(Resource::Pods, pods_writer),
            config_maps: View::new(Resource::ConfigMaps, published_writer),
        };
        for resource in WATCHED {
            views.list(resource, history, point);
        }
        views
    }

    /// Begins anew with what was there at this point; answers which Jobs to look at.
    pub fn list(&mut self, resource: Resource, history: &[Change], point: usize) -> Vec<Name> {
        match resource {
            Resource::Jobs => {
                self.jobs.list(history, point, |_| {});
                self.every_job()
            }
            Resource::Pods => self
                .pods
                .list(history, point, prune_pod)
                .iter()
                .filter_map(owner)
                .collect(),
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
        match resource {
            Resource::Jobs => match self.jobs.next(history, |_| {}) {
                Some((Kind::Deleted, _)) | None => Vec::new(),
                Some((_, job)) => vec![name_of(&job)],
            },
            Resource::Pods => {
                let change = self.pods.next(history, prune_pod);
                change.iter().filter_map(|(_, pod)| owner(pod)).collect()
            }
            Resource::Agents => match self.agents.next(history, |_| {}) {
                Some((Kind::Deleted, _)) | None => Vec::new(),
                Some((_, agent)) => {
                    let waiting = self.caches.jobs_waiting_for(&agent);
                    let mut names: Vec<Name> = waiting
                        .into_iter()
                        .map(|job| (job.namespace.unwrap_or_default(), job.name))
                        .collect();
                    names.sort();
                    names
                }
            },
            Resource::ConfigMaps => {
                self.config_maps.next(history, |_| {});
                self.every_job()
            }
            Resource::Namespaces | Resource::Nodes => Vec::new(),
        }
    }

    /// The Jobs in the cache.
    pub fn every_job(&self) -> Vec<Name> {
        let mut names: Vec<Name> = self
            .caches
            .jobs
            .state()
            .iter()
            .map(|job| name_of(job.as_ref()))
            .collect();
        names.sort();
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
        }
    }

    fn list(&mut self, history: &[Change], point: usize, prune: impl Fn(&mut K)) -> Vec<K> {
        let mut there = BTreeMap::new();
        for change in history[..point]
            .iter()
            .filter(|it| it.key.resource == self.resource)
        {
            match change.kind {
                Kind::Deleted => there.remove(&change.key),
                Kind::Added | Kind::Modified => there.insert(&change.key, change),
            };
        }
        self.read = point;
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
        let place = ahead
            .iter()
            .position(|it| it.key.resource == self.resource)?;
        self.read += place + 1;
        let change = &ahead[place];
        let object = typed(change, prune);
        let event = match change.kind {
            Kind::Added | Kind::Modified => Event::Apply(object.clone()),
            Kind::Deleted => Event::Delete(object.clone()),
        };
        self.writer.apply_watcher_event(&event);
        Some((change.kind, object))
    }
}

fn typed<K: DeserializeOwned>(change: &Change, prune: impl Fn(&mut K)) -> K {
    let mut object = K::deserialize(change.object.as_ref()).unwrap();
    prune(&mut object);
    object
}

fn name_of(job: &Job) -> Name {
    (job.namespace().unwrap_or_default(), job.name_any())
}

fn owner(pod: &Pod) -> Option<Name> {
    let owner = watches::owner(pod)?;
    Some((owner.namespace.unwrap_or_default(), owner.name))
}
