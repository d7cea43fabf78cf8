//! A run that is over stays until its output has landed in the store, or can be taken to land without it. `ship`
//! may die meanwhile, and the kubelet starts it again only while the agent's container is there.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::start::{Refusal, wait};
use crate::runner::handover::{hear, tell_over};
use crate::runner::signals::Signals;

/// A `ship` that lives may take so long. After it the run's end must be known, also while the store is away:
/// the kubelet tells it when we are gone.
const LANDING: Duration = Duration::from_secs(5);
/// A `ship` that died may take so long to come back: the kubelet's longest pause between two starts of a
/// container is five minutes.
const RETURN: Duration = Duration::from_secs(330);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// How the wait for a `ship` that lives went.
#[derive(PartialEq, Eq)]
enum Landing {
    /// All has arrived, or will without us.
    Over,
    /// There is no `ship` any more.
    Missing,
}

/// Waits for it. A stop ends the wait: nothing is started in a pod that is being stopped. `missing` is called
/// when there is no `ship` and another is waited for.
pub fn wait_for(connection: &UnixStream, socket: &Path, signals: &Signals, missing: impl FnOnce()) {
    // Every error is a stop, or means that we can't wait.
    if land(connection, signals).is_ok_and(|it| it == Landing::Missing) && !listens(socket) {
        missing();
        let _ = wait_for_another(socket, signals);
    }
}

fn land(connection: &UnixStream, signals: &Signals) -> Result<Landing, Refusal> {
    let give_up = Instant::now() + LANDING;
    let mut told = false;
    loop {
        told = told || tell_over(connection);
        let heard = hear(connection);
        let now = Instant::now();
        if heard.landed || heard.fenced || now >= give_up {
            return Ok(Landing::Over);
        }
        if heard.ended {
            return Ok(Landing::Missing);
        }
        let until = if told { give_up } else { now + PAUSE };
        wait(signals, Some(connection), until)?;
    }
}

fn wait_for_another(socket: &Path, signals: &Signals) -> Result<(), Refusal> {
    let give_up = Instant::now() + RETURN;
    while !listens(socket) && Instant::now() < give_up {
        wait(signals, None, Instant::now() + PAUSE)?;
    }
    Ok(())
}

/// One that died leaves its socket behind, which nobody answers.
fn listens(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}
