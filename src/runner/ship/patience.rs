//! The pauses after errors that may pass: growing, so that a store that comes back is not run down, and
//! uneven, so that all of a cluster's pods don't knock at once.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// How long to wait next.
#[derive(Debug)]
pub struct Patience {
    next: Duration,
}

impl Patience {
    pub fn new() -> Patience {
        Patience { next: FIRST }
    }

    /// The next pause: at least half of what grows from 100 ms to 5 s.
    pub fn pause(&mut self) -> Duration {
        let longest = self.next;
        self.next = (longest * 2).min(LONGEST);
        // The standard library's hasher is seeded by the system's random numbers.
        let part = RandomState::new().hash_one(()) as u32;
        longest / 2 + (longest / 2).mul_f64(f64::from(part) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_longest_and_differ() {
        let mut patience = Patience::new();
        let pauses: Vec<Duration> = (0..20).map(|_| patience.pause()).collect();
        assert!((FIRST / 2..=FIRST).contains(&pauses[0]), "{pauses:?}");
        let late = &pauses[10..];
        assert!(
            late.iter()
                .all(|pause| (LONGEST / 2..=LONGEST).contains(pause)),
            "{pauses:?}"
        );
        assert!(late.iter().any(|pause| *pause != late[0]), "{pauses:?}");
    }
}
