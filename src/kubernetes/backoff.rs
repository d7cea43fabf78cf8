//! How long to leave alone what failed: longer each time, and spread at random so that many don't return
//! together.

use std::time::Duration;

/// The longest wait after a first failure.
pub const FIRST: Duration = Duration::from_millis(200);
/// The longest wait of all.
pub const LAST: Duration = Duration::from_secs(30);

/// The wait after so many failures before this one; `chance` is between 0 and 1.
pub fn wait(failures: u32, chance: f64) -> Duration {
    wait_between(FIRST, LAST, failures, chance)
}

/// The same with other bounds.
pub fn wait_between(first: Duration, last: Duration, failures: u32, chance: f64) -> Duration {
    let longest = first
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(last);
    longest.mul_f64(0.5 + chance / 2.0)
}

/// Waits so long.
pub async fn pause(failures: u32) {
    tokio::time::sleep(wait(failures, chance())).await;
}

/// Between 0 and 1, uniform enough: the random bits of a fresh id.
pub fn chance() -> f64 {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    f64::from((high >> 32) as u32) / f64::from(u32::MAX)
}
