//! The pods that were created a moment ago, until the cache has them too. It saves a conflict and a live
//! read when a Job is looked at again in between; it is no guard against a second pod, names are.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

/// Watches are rarely further behind; after that the API server is asked.
const MEMORY: Duration = Duration::from_secs(5);

/// A pod's namespace and name.
type Key = (Option<String>, String);

/// Created pods, and when they were.
#[derive(Default)]
pub struct Recent {
    pods: Mutex<BTreeMap<Key, (Instant, Arc<Pod>)>>,
}

impl Recent {
    /// The API server has created this pod.
    pub fn remember(&self, pod: &Pod) {
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        pods.retain(|_, (at, _)| at.elapsed() < MEMORY);
        let key = (pod.namespace(), pod.name_any());
        pods.insert(key, (Instant::now(), Arc::new(pod.clone())));
    }

    /// A pod of this name that was created just now.
    pub fn recall(&self, namespace: Option<String>, name: &str) -> Option<Arc<Pod>> {
        let pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, pod) = pods.get(&(namespace, name.to_owned()))?;
        (at.elapsed() < MEMORY).then(|| Arc::clone(pod))
    }

    /// The cache has it, so what the cache says counts from now on.
    pub fn forget(&self, pod: &Pod) {
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        pods.remove(&(pod.namespace(), pod.name_any()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_pod_is_known_until_the_cache_has_it() {
        let recent = Recent::default();
        let mut pod = Pod::default();
        pod.metadata.name = Some("hello-1".into());
        pod.metadata.namespace = Some("team-a".into());
        let recall = |recent: &Recent| recent.recall(Some("team-a".into()), "hello-1").is_some();
        assert!(!recall(&recent));
        recent.remember(&pod);
        assert!(recall(&recent));
        assert!(recent.recall(Some("team-b".into()), "hello-1").is_none());
        recent.forget(&pod);
        assert!(!recall(&recent));
    }
}
