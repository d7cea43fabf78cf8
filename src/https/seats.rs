//! Who may hold a connection. A seat is evictable until its holder has been served well once: then it is
//! kept for as long as the connection lasts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The seats of a server.
#[derive(Debug)]
pub struct Seats {
    free: Arc<Semaphore>,
    newcomers: Arc<Newcomers>,
}

/// Those who have not proved anything, in the order in which they came.
#[derive(Debug, Default)]
struct Newcomers(Mutex<(u64, BTreeMap<u64, Arc<Notify>>)>);

/// One seat; free again when dropped.
#[derive(Debug)]
pub struct Seat {
    number: u64,
    wanted: Arc<Notify>,
    newcomers: Arc<Newcomers>,
    _permit: OwnedSemaphorePermit,
}

impl Seats {
    pub fn new(seats: usize) -> Seats {
        Seats {
            free: Arc::new(Semaphore::new(seats)),
            newcomers: Arc::default(),
        }
    }

    /// A seat, of the newcomer who has sat longest where none is free; waits when all are kept.
    pub async fn take(&self) -> Seat {
        if self.free.available_permits() == 0 {
            self.newcomers.evict_the_oldest();
        }
        let permit = match Arc::clone(&self.free).acquire_owned().await {
            Ok(permit) => permit,
            // Nobody closes the semaphore.
            Err(_) => std::future::pending().await,
        };
        let wanted = Arc::new(Notify::new());
        Seat {
            number: self.newcomers.add(Arc::clone(&wanted)),
            wanted,
            newcomers: Arc::clone(&self.newcomers),
            _permit: permit,
        }
    }
}

impl Seat {
    /// Its holder has been served well: nobody takes it away any more.
    pub fn keep(&self) {
        self.newcomers.remove(self.number);
    }

    /// Waits until somebody else is to have it.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.newcomers.remove(self.number);
    }
}

impl Newcomers {
    fn add(&self, wanted: Arc<Notify>) -> u64 {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.0 += 1;
        let number = all.0;
        all.1.insert(number, wanted);
        number
    }

    fn remove(&self, number: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.1.remove(&number);
    }

    fn evict_the_oldest(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, wanted)) = all.1.pop_first() {
            wanted.notify_one();
        }
    }
}
