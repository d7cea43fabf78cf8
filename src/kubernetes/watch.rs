//! Watches that go on. One that breaks is started again with a growing pause; an object that can't be read
//! is named in the log and stops nothing.

use futures::{Stream, StreamExt, future};
use kube::{
    Api, Resource, ResourceExt,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use tracing::warn;

use super::Chain;

/// A watch whose connection has silently died is noticed when the server should have ended it.
const WATCH_SECONDS: u32 = 60;

/// Objects of a list that are in memory at once, before most of each is forgotten. People decide how large theirs
/// are, up to what etcd takes.
const PAGE: u32 = 20;

/// All objects of a kind, by a watch that the server ends in time.
pub fn everything() -> watcher::Config {
    watcher::Config::default()
        .timeout(WATCH_SECONDS)
        .page_size(PAGE)
}

/// Watches objects of which some may be unreadable, for instance written by a newer version.
pub fn guarded<K>(
    api: Api<DeserializeGuard<K>>,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send
where
    K: Resource<DynamicType = ()> + DeserializeOwned + Clone + std::fmt::Debug + Send + 'static,
{
    watcher::watcher(api, everything())
        .default_backoff()
        .filter_map(|event| future::ready(event.map(unguard).transpose()))
}

/// The change, if the watch brought one; that it broke is logged.
pub fn readable<K>(change: Result<K, watcher::Error>) -> Option<K> {
    change
        .map_err(|error| warn!(error = %Chain(&error), "a watch broke and is started again"))
        .ok()
}

/// The managed fields of our own kinds are never read.
pub fn prune<K: ResourceExt>(object: &mut K) {
    object.managed_fields_mut().clear();
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
