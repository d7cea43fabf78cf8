//! What became of pods by our own last writes, until the cache has caught up. It saves conflicts and live
//! reads when a Job is looked at again in between; it is no guard, preconditions and names are.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tokio::time::Instant;

/// Watches are rarely further behind; after that the API server is asked.
pub const MEMORY: Duration = Duration::from_secs(5);

/// A pod's namespace and name.
type Key = (Option<String>, String);

/// Pods as the API server answered our writes, and when.
#[derive(Default)]
pub struct Recent {
    pods: Mutex<BTreeMap<Key, (Instant, Arc<Pod>)>>,
}

impl Recent {
    /// The API server's answer to a write of ours.
    pub fn remember(&self, pod: &Pod) {
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        pods.retain(|_, (at, _)| at.elapsed() < MEMORY);
        let key = (pod.namespace(), pod.name_any());
        pods.insert(key, (Instant::now(), Arc::new(pod.clone())));
    }

    /// The newest that is known of a pod: what the cache has, or our own write if that is not in it yet.
    pub fn newest(
        &self,
        namespace: Option<String>,
        name: &str,
        cached: Option<Arc<Pod>>,
    ) -> Option<Arc<Pod>> {
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace, name.to_owned());
        let Some((at, written)) = pods.get(&key) else {
            return cached;
        };
        let ahead = cached
            .as_ref()
            .is_none_or(|cached| is_newer(written, cached));
        if ahead && at.elapsed() < MEMORY {
            return Some(Arc::clone(written));
        }
        pods.remove(&key);
        cached
    }
}

/// Resource versions of one kind can be compared as numbers.
fn is_newer(pod: &Pod, than: &Pod) -> bool {
    let version = |pod: &Pod| pod.resource_version()?.parse::<u64>().ok();
    version(pod) > version(than)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(version: &str) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.name = Some("hello-1".into());
        pod.metadata.namespace = Some("team-a".into());
        pod.metadata.resource_version = Some(version.into());
        pod
    }

    fn newest(recent: &Recent, cached: Option<&str>) -> Option<String> {
        let cached = cached.map(|version| Arc::new(pod(version)));
        recent
            .newest(Some("team-a".into()), "hello-1", cached)
            .and_then(|pod| pod.resource_version())
    }

    #[test]
    fn our_own_write_counts_until_the_cache_has_it() {
        let recent = Recent::default();
        assert_eq!(newest(&recent, None), None);
        recent.remember(&pod("10"));
        assert_eq!(newest(&recent, None).as_deref(), Some("10"));
        assert_eq!(newest(&recent, Some("9")).as_deref(), Some("10"));
        assert_eq!(newest(&recent, Some("10")).as_deref(), Some("10"));
        assert_eq!(newest(&recent, None), None);
    }

    #[test]
    fn a_cache_that_is_ahead_wins() {
        let recent = Recent::default();
        recent.remember(&pod("10"));
        assert_eq!(newest(&recent, Some("101")).as_deref(), Some("101"));
    }
}
