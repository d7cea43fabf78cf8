//! Pods that the API server does not take for now, for example because of a quota. Each is tried again after a
//! longer time, up to minutes; where a pod of ours ends in the same namespace, those that have waited longest are
//! tried at once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::Pod;
use kube::{Resource, ResourceExt, runtime::reflector::ObjectRef};
use tokio::time::Instant;

use crate::{api::job::Job, kubernetes::backoff, plan::facts};

/// A quota or a namespace that is new is ready after a second or two.
const FIRST: Duration = Duration::from_secs(1);
/// A larger quota is noticed after this time at the latest.
pub const LAST: Duration = Duration::from_secs(2 * 60);
/// A Job that was not tried for so long is not waiting any more.
const MEMORY: Duration = Duration::from_secs(2 * LAST.as_secs());
/// So many Jobs are tried where a pod has ended: it may have been larger than theirs.
const AT_ONCE: usize = 2;

/// Refused creations by the UID of their Job. Clones share them.
#[derive(Clone)]
pub struct Creations {
    waiting: Arc<Mutex<BTreeMap<String, Waiting>>>,
    /// Between 0 and 1; an argument, so that a simulation can bring its own.
    chance: fn() -> f64,
}

struct Waiting {
    job: ObjectRef<Job>,
    /// The first refusal.
    since: Instant,
    /// In a row.
    times: u32,
    until: Instant,
}

impl Default for Creations {
    fn default() -> Self {
        Creations::new(backoff::chance)
    }
}

impl Creations {
    pub fn new(chance: fn() -> f64) -> Self {
        Creations {
            waiting: Arc::default(),
            chance,
        }
    }

    /// How long this Job's pod is not to be tried; none if it may be.
    pub fn left(&self, job: &Job) -> Option<Duration> {
        let waiting = self.waiting();
        let until = waiting.get(job.uid().as_deref()?)?.until;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// The Job's pod was refused.
    pub fn refused(&self, job: &Job) {
        let Some(uid) = job.uid() else {
            return;
        };
        let now = Instant::now();
        let mut waiting = self.waiting();
        waiting.retain(|_, it| now.saturating_duration_since(it.until) < MEMORY);
        let it = waiting.entry(uid).or_insert_with(|| Waiting {
            job: ObjectRef::from_obj(job),
            since: now,
            times: 0,
            until: now,
        });
        it.until = now + backoff::wait_between(FIRST, LAST, it.times, (self.chance)());
        it.times = it.times.saturating_add(1);
    }

    /// The Job has its pod.
    pub fn taken(&self, job: &Job) {
        if let Some(uid) = job.uid() {
            self.waiting().remove(&uid);
        }
    }

    /// The Jobs to try since this pod has ended. Our finalizer holds a pod for a moment after its end, so that
    /// one which is kept for days is not asked for again and again.
    pub fn next_after(&self, pod: &Pod) -> Vec<ObjectRef<Job>> {
        let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
        let ended = matches!(phase, Some("Succeeded" | "Failed"));
        if !ended || !facts::is_held(pod.meta()) {
            return Vec::new();
        }
        let now = Instant::now();
        let mut waiting = self.waiting();
        let mut here: Vec<&mut Waiting> = waiting
            .values_mut()
            .filter(|it| {
                it.job.namespace == pod.metadata.namespace && it.until > now && it.times > 0
            })
            .collect();
        here.sort_by_key(|it| it.since);
        let next = here.into_iter().take(AT_ONCE);
        // A quota counts the ended pod for a moment longer: from here on its tries are close together again.
        next.map(|it| {
            it.until = now + FIRST;
            it.times = 0;
            it.job.clone()
        })
        .collect()
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<String, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::job::POD_FINALIZER;

    fn job(namespace: &str, name: &str) -> Job {
        let mut job = Job::new(name, Default::default());
        job.metadata.namespace = Some(namespace.into());
        job.metadata.uid = Some(format!("{namespace}/{name}"));
        job
    }

    fn pod(namespace: &str, phase: &str, finalizers: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": namespace, "finalizers": finalizers},
            "status": {"phase": phase},
        }))
        .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_pod_is_tried_less_and_less_often() {
        let creations = Creations::new(|| 1.0);
        let job = job("team-a", "one");
        assert_eq!(creations.left(&job), None);
        let mut waits = Vec::new();
        for _ in 0..9 {
            creations.refused(&job);
            let left = creations.left(&job).unwrap();
            waits.push(left.as_secs());
            tokio::time::advance(left).await;
            assert_eq!(creations.left(&job), None);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
        creations.taken(&job);
        creations.refused(&job);
        assert_eq!(creations.left(&job), Some(FIRST));
    }

    #[tokio::test(start_paused = true)]
    async fn an_ended_pod_makes_room_for_those_that_have_waited_longest_in_its_namespace() {
        let creations = Creations::new(|| 1.0);
        let jobs = ["one", "two", "three"].map(|name| job("team-a", name));
        let elsewhere = job("team-b", "one");
        for job in jobs.iter().chain([&elsewhere]) {
            for _ in 0..5 {
                creations.refused(job);
            }
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        for no in [
            pod("team-a", "Running", json!([POD_FINALIZER])),
            pod("team-a", "Succeeded", json!([])),
            pod("team-c", "Succeeded", json!([POD_FINALIZER])),
        ] {
            assert_eq!(creations.next_after(&no), []);
        }
        let ended = pod("team-a", "Failed", json!([POD_FINALIZER]));
        let [one, two, three] = [0, 1, 2].map(|n| ObjectRef::from_obj(&jobs[n]));
        assert_eq!(creations.next_after(&ended), [one, two]);
        assert_eq!(creations.left(&jobs[0]), Some(FIRST));
        assert_eq!(creations.next_after(&ended), [three]);
        assert_eq!(creations.next_after(&ended), []);
        assert!(creations.left(&elsewhere).is_some());
    }
}
