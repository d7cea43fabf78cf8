//! Waits for the `ship` that takes the place of one that died. What a run leaves in the spool needs one that
//! lives; the kubelet starts it again, but only while the agent's container is there. So a run that ends
//! while there is none stays until there is.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::start::wait;
use crate::runner::handover::hear;
use crate::runner::signals::Signals;

/// The kubelet's longest pause between two starts of a container is five minutes.
const PATIENCE: Duration = Duration::from_secs(330);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// True when the `ship` of this connection is gone, and no other has come yet.
pub fn is_missing(connection: &UnixStream, socket: &Path) -> bool {
    hear(connection).ended && !listens(socket)
}

/// Returns once one listens at the socket, or when none is to be expected: nothing is started in a pod that is
/// being stopped.
pub fn wait_for(socket: &Path, signals: &Signals) {
    let give_up = Instant::now() + PATIENCE;
    while !listens(socket) && Instant::now() < give_up {
        if wait(signals, None, Instant::now() + PAUSE).is_err() {
            return;
        }
    }
}

/// One that died leaves its socket behind, which nobody answers.
fn listens(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}
