//! How long a reader waits before it asks again: longer each time, and not all readers together.

use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(100);
const LAST: Duration = Duration::from_secs(3);

/// The pause before the next try. It stands as a moment, so that a wait that is dropped is not begun anew.
#[derive(Debug, Default)]
pub struct Pause {
    next: Option<(Instant, Duration)>,
}

impl Pause {
    /// When to try; now, where nothing failed.
    pub fn until(&self) -> Instant {
        self.next.map_or_else(Instant::now, |(until, _)| until)
    }

    /// It failed again.
    pub fn grow(&mut self) {
        let pause = self.next.map_or(FIRST, |(_, pause)| (pause * 2).min(LAST));
        self.next = Some((Instant::now() + pause.mul_f64(0.5 + chance() / 2.0), pause));
    }
}

/// Between 0 and 1.
fn chance() -> f64 {
    let (_, low) = uuid::Uuid::new_v4().as_u64_pair();
    f64::from(low as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_three_seconds() {
        let mut pause = Pause::default();
        let mut lengths = Vec::new();
        for _ in 0..8 {
            let before = Instant::now();
            pause.grow();
            lengths.push(pause.until() - before);
        }
        assert!(lengths[0] >= FIRST / 2 && lengths[0] <= FIRST * 2);
        assert!(lengths[7] >= LAST / 2 && lengths[7] <= LAST + FIRST);
    }
}
