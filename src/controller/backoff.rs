//! How long a Job that could not be brought further is left alone: longer each time, spread at random so
//! that many Jobs don't return together, and from the start again after a success.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kube::ResourceExt;

use super::reconcile::ReconcileError;
use crate::{api::job::Job, kubernetes::backoff};

/// What we knew was old; the watch brings the news within moments.
const CONFLICT: Duration = Duration::from_millis(50);

/// Failures in a row, by the Job's UID.
pub struct Backoff {
    failures: Mutex<BTreeMap<String, u32>>,
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
        if matches!(error, ReconcileError::Call(error) if error.is_conflict()) {
            return CONFLICT;
        }
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key(job)).or_default();
        let wait = backoff::wait(*count, (self.chance)());
        *count = count.saturating_add(1);
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
        kubernetes::backoff::{FIRST, LAST},
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
}
