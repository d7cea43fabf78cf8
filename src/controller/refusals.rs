//! Writes that the API server refused, and when each is sent again. Changes that a watch brings have a Job
//! looked at much more often; what is refused is left alone for longer each time, up to minutes.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    kubernetes::backoff,
    plan::refused_write::{Refused, Write},
};

const FIRST: Duration = Duration::from_secs(1);
/// A policy that is put right is noticed after this time at the latest.
pub const LAST: Duration = Duration::from_secs(4 * 60);
/// Kubernetes keeps an Event for an hour if nobody has set it otherwise; it is to be found there as long as
/// the refusal lasts.
const TELL_AGAIN: Duration = Duration::from_secs(30 * 60);
/// What was not tried for so long is not wanted any more.
const MEMORY: Duration = Duration::from_secs(2 * LAST.as_secs());

struct Refusal {
    why: Refused,
    /// In a row.
    times: u32,
    until: Instant,
    told: Instant,
}

/// Refusals by the UID of the object that was to be written.
pub struct Refusals {
    known: Mutex<BTreeMap<(String, Write), Refusal>>,
    /// Between 0 and 1; chance comes in here so that a simulation can bring its own.
    chance: fn() -> f64,
}

/// What follows from a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    pub wait: Duration,
    /// The people whose Job it is are to hear of it.
    pub tell: bool,
}

impl Default for Refusals {
    fn default() -> Self {
        Refusals::new(backoff::chance)
    }
}

impl Refusals {
    pub fn new(chance: fn() -> f64) -> Self {
        Refusals {
            known: Mutex::default(),
            chance,
        }
    }

    /// How long this write is to be left alone, and why it was refused; none if it may be sent.
    pub fn left(&self, uid: &str, write: Write) -> Option<(Duration, Refused)> {
        let known = self.known();
        let refusal = known.get(&(uid.to_owned(), write))?;
        let left = refusal.until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some((left, refusal.why))
    }

    /// It was refused.
    pub fn note(&self, uid: &str, write: Write, why: Refused) -> Noted {
        let now = Instant::now();
        let mut known = self.known();
        known.retain(|_, it| now.saturating_duration_since(it.until) < MEMORY);
        let key = (uid.to_owned(), write);
        let (times, told) = known
            .get(&key)
            .map_or((0, None), |it| (it.times, Some(it.told)));
        let tell = told.is_none_or(|at| now.saturating_duration_since(at) >= TELL_AGAIN);
        let wait = backoff::wait_between(FIRST, LAST, times, (self.chance)());
        let refusal = Refusal {
            why,
            times: times.saturating_add(1),
            until: now + wait,
            told: told.filter(|_| !tell).unwrap_or(now),
        };
        known.insert(key, refusal);
        Noted { wait, tell }
    }

    /// It was taken.
    pub fn taken(&self, uid: &str, write: Write) {
        self.known().remove(&(uid.to_owned(), write));
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<(String, Write), Refusal>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_is_left_alone_for_longer_each_time_and_told_once() {
        let refusals = Refusals::new(|| 1.0);
        let mut waits = Vec::new();
        for times in 0..12 {
            assert_eq!(refusals.left("uid", Write::ReleasePod), None);
            let Noted { wait, tell } =
                refusals.note("uid", Write::ReleasePod, Refused::ByTheCluster);
            let left = Some((wait, Refused::ByTheCluster));
            assert_eq!(refusals.left("uid", Write::ReleasePod), left);
            assert_eq!(tell, times == 0, "{times}");
            waits.push(wait);
            tokio::time::advance(wait).await;
        }
        assert_eq!(waits[..3], [FIRST, FIRST * 2, FIRST * 4]);
        assert_eq!(waits[11], LAST);
        assert_eq!(refusals.left("uid", Write::DeletePod), None);
        assert_eq!(refusals.left("another", Write::ReleasePod), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_that_lasts_is_told_again_and_one_that_is_over_begins_at_the_start() {
        let refusals = Refusals::new(|| 1.0);
        let note = || refusals.note("uid", Write::Status, Refused::ForGood);
        assert!(note().tell);
        let mut told = 0;
        for _ in 0..15 {
            tokio::time::advance(LAST).await;
            told += u32::from(note().tell);
        }
        assert_eq!(told, 1);
        refusals.taken("uid", Write::Status);
        assert_eq!(refusals.left("uid", Write::Status), None);
        let first = Noted {
            wait: FIRST,
            tell: true,
        };
        assert_eq!(note(), first);
    }
}
