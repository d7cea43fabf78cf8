//! How long a Job that could not be brought further is left alone: longer each time, spread at random so
//! that many Jobs don't return together, and from the start again after a success.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kube::ResourceExt;
use tokio::time::Instant;

use super::reconcile::ReconcileError;
use crate::{api::job::Job, kubernetes::backoff};

/// What we knew was old: the watch brings the news within moments, and with it another look. This is for
/// a watch that is far behind.
const CONFLICT: Duration = Duration::from_millis(50);
/// A Job that was not tried for so long is gone.
const MEMORY: Duration = Duration::from_secs(2 * backoff::LAST.as_secs());

/// How a Job failed.
struct Failures {
    /// In a row.
    count: u32,
    last: Instant,
}

/// Failures by the Job's UID.
pub struct Backoff {
    failures: Mutex<BTreeMap<String, Failures>>,
    /// Between 0 and 1; chance comes in here so that a simulation can bring its own.
    chance: fn() -> f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff::new(backoff::chance)
    }
}

impl Backoff {
    pub fn new(chance: fn() -> f64) -> Self {
        Backoff {
            failures: Mutex::default(),
            chance,
        }
    }

    /// The Job has been brought further.
    pub fn reset(&self, job: &Job) {
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&key(job));
    }

    /// How long to wait after this error.
    pub fn after(&self, job: &Job, error: &ReconcileError) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|_, it| it.last.elapsed() < MEMORY);
        let count = failures.get(&key(job)).map_or(0, |it| it.count);
        let wait = if matches!(error, ReconcileError::Call(error) if error.is_conflict()) {
            CONFLICT
                .saturating_mul(2_u32.saturating_pow(count))
                .min(backoff::LAST)
        } else {
            backoff::wait(count, (self.chance)())
        };
        let failed = Failures {
            count: count.saturating_add(1),
            last: Instant::now(),
        };
        failures.insert(key(job), failed);
        wait
    }
}

fn key(job: &Job) -> String {
    job.uid().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::job::JobSpec,
        kubernetes::{
            backoff::{FIRST, LAST},
            call::CallError,
        },
    };

    #[test]
    fn the_wait_grows_to_its_limit_and_begins_anew_after_a_success() {
        let backoff = Backoff::new(|| 1.0);
        let job = Job::new("hello", JobSpec::default());
        let waits: Vec<Duration> = (0..10)
            .map(|_| backoff.after(&job, &ReconcileError::Restless))
            .collect();
        assert_eq!(waits[..3], [FIRST, FIRST * 2, FIRST * 4]);
        assert_eq!(waits[9], LAST);
        backoff.reset(&job);
        assert_eq!(backoff.after(&job, &ReconcileError::Restless), FIRST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_is_gone_is_forgotten() {
        let backoff = Backoff::new(|| 1.0);
        let job = |uid: &str| {
            let mut job = Job::new("hello", JobSpec::default());
            job.metadata.uid = Some(uid.to_owned());
            job
        };
        backoff.after(&job("gone"), &ReconcileError::Restless);
        tokio::time::advance(MEMORY).await;
        backoff.after(&job("there"), &ReconcileError::Restless);
        let failures = backoff.failures.lock().unwrap();
        assert_eq!(failures.keys().collect::<Vec<_>>(), ["there"]);
    }

    #[test]
    fn a_cache_that_is_far_behind_is_not_tried_against_again_and_again() {
        let backoff = Backoff::new(|| 1.0);
        let job = Job::new("hello", JobSpec::default());
        let old = || ReconcileError::Call(CallError::Outdated { doing: "try it" });
        let waits: Vec<Duration> = (0..20).map(|_| backoff.after(&job, &old())).collect();
        assert_eq!(waits[..3], [CONFLICT, CONFLICT * 2, CONFLICT * 4]);
        assert_eq!(waits[19], LAST);
    }
}
