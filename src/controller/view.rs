//! What one pass of the controller knows of a Job's pods and of what it asked for: from the caches first, then
//! from what the API server itself answered.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::{caches::owner, recent::MEMORY, reconcile::Context};
use crate::{
    api::job::{Job, JobStatus},
    plan::{
        facts::PodFacts,
        lifecycle::{Action, Looked, PodLookup},
        pod::LABEL_JOB,
        refusal::Refusal,
    },
};

/// How often something is looked at again of which no watch brings news.
pub const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What this pass knows besides the Job.
pub struct View {
    /// The last attempt's pod.
    pub sight: Sight,
    /// The pods of attempts before it, as the cache has them.
    pub earlier: Vec<Arc<Pod>>,
    pub looked: Looked,
    /// The Job is as the API server itself told it in this pass.
    pub live: bool,
    /// When something may be tried again that was refused in this pass and that nothing else waits for.
    pub again: Option<Duration>,
}

/// The last attempt's pod, as far as this pass knows.
pub enum Sight {
    Cached(Option<Arc<Pod>>),
    /// By our own last write; the cache does not have it yet, or not any more.
    Remembered(Arc<Pod>),
    Live(Option<Box<Pod>>),
    Refused(Refusal),
}

impl Sight {
    pub fn pod(&self) -> Option<&Pod> {
        match self {
            Sight::Cached(pod) => pod.as_deref(),
            Sight::Remembered(pod) => Some(pod),
            Sight::Live(pod) => pod.as_deref(),
            Sight::Refused(_) => None,
        }
    }

    pub fn lookup(&self) -> PodLookup {
        match (self, self.pod()) {
            (_, Some(pod)) => PodLookup::Seen(Box::new(PodFacts::from(pod))),
            (Sight::Cached(_) | Sight::Remembered(_), None) => PodLookup::NotSeen,
            (Sight::Live(_), None) => PodLookup::Gone,
            (Sight::Refused(refusal), None) => PodLookup::Refused(refusal.clone()),
        }
    }
}

impl View {
    pub fn of(job: &Job, context: &Context) -> Self {
        View {
            sight: known_pod(job, context),
            earlier: earlier_pods(job, context),
            looked: Looked::default(),
            live: false,
            again: None,
        }
    }

    /// A cache that is behind may show an intent whose pod has come and gone, or a Job whose name another
    /// has by now. A creation can carry no precondition against that: it rests on what the API server itself
    /// says of the Job. And the cache keeps only a part of a Job that has ended, while a status is written whole.
    pub fn must_be_live(&self, action: &Action, job: &Job) -> bool {
        let has_ended = job.status.as_ref().is_some_and(JobStatus::is_final);
        let is_whole = self.live
            || match action {
                Action::CreatePod(_) => false,
                Action::WriteStatus(_) => !has_ended,
                _ => true,
            };
        !is_whole
    }

    /// Waits no longer than what is remembered counts: that the pod is gone meanwhile may have been told before.
    /// Of a pod that has lost its label no watch brings news.
    pub fn in_time(&self, wait: Option<Duration>) -> Option<Duration> {
        let sooner = match &self.sight {
            Sight::Remembered(_) => Some(MEMORY),
            Sight::Live(Some(pod))
                if owner(pod).is_none() || !pod.labels().contains_key(LABEL_JOB) =>
            {
                Some(LOOK_AGAIN)
            }
            Sight::Cached(_) | Sight::Live(_) | Sight::Refused(_) => None,
        };
        wait.into_iter().chain(sooner).chain(self.again).min()
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

/// The pod of the last attempt, from the cache or, where that lags, from our own last write. What was
/// written for an earlier Job of the name says nothing, nor does a pod in the cache that is no Job's: it may
/// have left the name before ours took it.
fn known_pod(job: &Job, context: &Context) -> Sight {
    let Some(attempt) = job.status.as_ref().and_then(|status| status.attempt()) else {
        return Sight::Cached(None);
    };
    let cached = context
        .caches
        .pod_of(job)
        .filter(|pod| owner(pod).is_some());
    let newest = context
        .recent
        .newest(job.namespace(), &attempt.pod, cached.clone());
    match newest {
        Some(pod) if !is_same(&cached, &pod) && PodFacts::from(pod.as_ref()).owner == job.uid() => {
            Sight::Remembered(pod)
        }
        _ => Sight::Cached(cached),
    }
}

fn is_same(cached: &Option<Arc<Pod>>, pod: &Arc<Pod>) -> bool {
    cached
        .as_ref()
        .is_some_and(|cached| Arc::ptr_eq(cached, pod))
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
