//! What one pass of the controller knows of a Job's pods and of what it asked for: from the caches first, then
//! from what the API server itself answered.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::reconcile::Context;
use crate::{
    api::job::Job,
    plan::{
        facts::PodFacts,
        lifecycle::{Action, Looked, PodLookup},
        refusal::Refusal,
    },
};

/// What this pass knows besides the Job.
pub struct View {
    /// The last attempt's pod.
    pub sight: Sight,
    /// The pods of attempts before it, as the cache has them.
    pub earlier: Vec<Arc<Pod>>,
    pub looked: Looked,
    /// The Job is as the API server itself told it in this pass.
    pub live: bool,
}

/// The last attempt's pod, as far as this pass knows.
pub enum Sight {
    Cached(Option<Arc<Pod>>),
    Live(Option<Box<Pod>>),
    Refused(Refusal),
}

impl Sight {
    pub fn pod(&self) -> Option<&Pod> {
        match self {
            Sight::Cached(pod) => pod.as_deref(),
            Sight::Live(pod) => pod.as_deref(),
            Sight::Refused(_) => None,
        }
    }

    pub fn lookup(&self) -> PodLookup {
        match (self, self.pod()) {
            (_, Some(pod)) => PodLookup::Seen(Box::new(PodFacts::from(pod))),
            (Sight::Cached(_), None) => PodLookup::NotSeen,
            (Sight::Live(_), None) => PodLookup::Gone,
            (Sight::Refused(refusal), None) => PodLookup::Refused(refusal.clone()),
        }
    }
}

impl View {
    pub fn of(job: &Job, context: &Context) -> Self {
        View {
            sight: Sight::Cached(known_pod(job, context)),
            earlier: earlier_pods(job, context),
            looked: Looked::default(),
            live: false,
        }
    }

    /// A cache that is behind may show an intent whose pod has come and gone, or a Job whose name another
    /// has by now. A creation can carry no precondition against that, and what is done to the pod of
    /// another Job none that helps: they rest on what the API server itself says of the Job.
    pub fn must_be_live(&self, action: &Action, job: &Job) -> bool {
        match action {
            Action::CreatePod(_) => true,
            Action::DeletePod { uid, .. } | Action::ReleasePod { uid, .. } => {
                let pod = self
                    .sight
                    .pod()
                    .filter(|pod| pod.uid().as_ref() == Some(uid));
                pod.is_some_and(|pod| PodFacts::from(pod).owner != job.uid())
            }
            _ => false,
        }
    }

    pub fn earlier_facts(&self) -> Vec<PodFacts> {
        let pods = self.earlier.iter();
        pods.map(|pod| PodFacts::from(pod.as_ref())).collect()
    }

    /// The pod of this UID. One of an earlier attempt is taken: a pass does one thing with it.
    pub fn take(&mut self, uid: &str) -> Option<Pod> {
        let is_it = |pod: &Pod| pod.metadata.uid.as_deref() == Some(uid);
        if let Some(place) = self.earlier.iter().position(|pod| is_it(pod)) {
            return Some(self.earlier.swap_remove(place).as_ref().clone());
        }
        self.sight.pod().filter(|pod| is_it(pod)).cloned()
    }
}

/// The pod of the last attempt, from the cache or, where that lags, from our own last write.
fn known_pod(job: &Job, context: &Context) -> Option<Arc<Pod>> {
    let attempt = job.status.as_ref()?.attempt()?;
    let cached = context.caches.pod_of(job);
    context.recent.newest(job.namespace(), &attempt.pod, cached)
}

/// The pods of the attempts before it, from where its own comes.
fn earlier_pods(job: &Job, context: &Context) -> Vec<Arc<Pod>> {
    let cached = context.caches.earlier_pods_of(job).into_iter();
    let newest = |pod: Arc<Pod>| {
        let name = pod.name_any();
        context.recent.newest(job.namespace(), &name, Some(pod))
    };
    cached.filter_map(newest).collect()
}
