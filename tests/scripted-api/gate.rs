//! Holds answers back until a test lets them go.
//!
//! A test that needs a run to be alive at a certain moment must not guess how long that takes: it
//! lets the run wait here, looks, and releases it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// Most keys that are remembered as released.
const MOST_KEYS: usize = 10_000;

/// The released keys, and who waits for one.
#[derive(Default)]
pub struct Gate {
    released: Mutex<BTreeSet<String>>,
    changed: Notify,
}

impl Gate {
    /// Lets everybody through who waits, or will wait, for `key`. False: no more keys fit.
    pub fn release(&self, key: String) -> bool {
        let mut released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
        if released.len() >= MOST_KEYS {
            return false;
        }
        released.insert(key);
        self.changed.notify_waiters();
        true
    }

    /// Waits until one of `keys` is released.
    pub async fn wait(&self, keys: &[String]) {
        loop {
            // Listening begins before looking: a release in between is not missed.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.is_open(keys) {
                return;
            }
            changed.await;
        }
    }

    fn is_open(&self, keys: &[String]) -> bool {
        let released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
        keys.iter().any(|key| released.contains(key))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn keys(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    #[tokio::test]
    async fn a_waiter_passes_when_any_of_its_keys_is_released_and_not_before() {
        let gate = Arc::new(Gate::default());
        let waiter = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.wait(&keys(&["a", "b"])).await }
        });
        gate.release("c".to_owned());
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waiter.is_finished());
        gate.release("b".to_owned());
        tokio::time::timeout(Duration::from_secs(5), waiter)
            .await
            .unwrap()
            .unwrap();
    }

    #[tokio::test]
    async fn a_released_key_stays_released() {
        let gate = Gate::default();
        gate.release("a".to_owned());
        gate.wait(&keys(&["a"])).await;
        gate.wait(&keys(&["a"])).await;
    }
}
