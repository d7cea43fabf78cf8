//! A reader's leave to read on: his right is looked at again and again, as long as he reads.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::BrokenOff;
use crate::gateway::rights::{Answer, Question, Rights};

/// A right that could not be looked at is looked at again so much earlier.
const RETRIES: u32 = 6;

/// Ends when the reader may not read on, and says why. His right was confirmed just now; it is looked at
/// each `recheck`, and goes when nobody could confirm it for `unconfirmed`.
pub async fn end(
    rights: Rights,
    question: Question,
    recheck: Duration,
    unconfirmed: Duration,
) -> BrokenOff {
    let mut confirmed = Instant::now();
    let mut next = confirmed + recheck;
    loop {
        sleep_until(next).await;
        let answer = rights.ask(&question).await;
        let now = Instant::now();
        match answer {
            Ok(Answer::Yes) => {
                confirmed = now;
                next = now + recheck;
            }
            Ok(Answer::No { .. }) => return BrokenOff::Revoked,
            Err(error) if now - confirmed >= unconfirmed => {
                return BrokenOff::Unconfirmed(error.0);
            }
            Err(error) => {
                debug!(%error, "a reader's right could not be looked at; trying again");
                next = now + recheck / RETRIES;
            }
        }
    }
}
