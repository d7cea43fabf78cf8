//! Stopping and killing the controller at a chosen moment.
//!
//! A moment between two of its requests lasts a millisecond or two, too short to be hit by chance. So the
//! controller is stepped: it runs for slices that are shorter than a request to the API server takes, and
//! stands still in between until what it sent has been done. Each of its writes is then followed by a pause
//! in which the next has not been sent, and the test looks and kills there.

use std::{thread, time::Duration};

use rustix::process::Signal;

use crate::{
    node::{self, Process},
    wait::{RUN, until_true},
};

/// How long the controller runs at a time; a write takes the API server two or more.
const SLICE: Duration = Duration::from_millis(1);
/// How long the API server gets to do what the controller sent before it was stopped.
const SETTLE: Duration = Duration::from_millis(40);

/// The controller's process.
pub struct Controller {
    process: Process,
}

/// A controller that stands still. Dropped, it goes on.
pub struct Frozen {
    controller: Controller,
}

/// The controllers that live now.
fn living() -> Vec<Process> {
    node::operator("controller")
}

impl Controller {
    /// The one that runs, which may take a while after a crash: the kubelet backs off.
    pub async fn running() -> Controller {
        until_true("exactly one controller runs", RUN, || async {
            let living = living();
            if living.len() == 1 {
                Ok(())
            } else {
                Err(format!("{living:?}"))
            }
        })
        .await;
        Controller {
            process: living().pop().expect("it ran a moment ago"),
        }
    }

    /// The one in this pod.
    pub fn in_pod(uid: &str) -> Controller {
        let mut living = node::operator_in(uid, "controller");
        assert_eq!(living.len(), 1, "{living:?}");
        Controller {
            process: living.remove(0),
        }
    }

    pub fn freeze(self) -> Frozen {
        assert!(self.process.signal(Signal::STOP), "the controller is gone");
        Frozen { controller: self }
    }
}

impl Frozen {
    /// Runs the controller in slices until `reached`, asked while it stands still, says yes. False: the
    /// moment did not come within `slices`.
    pub async fn step_until<F: Future<Output = bool>>(
        &self,
        slices: u32,
        mut reached: impl FnMut() -> F,
    ) -> bool {
        for _ in 0..slices {
            tokio::time::sleep(SETTLE).await;
            if reached().await {
                return true;
            }
            self.controller.process.signal(Signal::CONT);
            // Not tokio's sleep: its clock is no finer than the slice.
            thread::sleep(SLICE);
            self.controller.process.signal(Signal::STOP);
        }
        false
    }

    /// Lets it go on, as the process that it was.
    pub fn wake(self) {
        assert!(
            self.controller.process.lives(),
            "it did not outlive its rest"
        );
    }

    /// Ends the process as a crash does, without a chance to say a word, and returns once another runs.
    pub async fn kill(self) {
        assert!(
            self.controller.process.signal(Signal::KILL),
            "the controller was gone before it was killed"
        );
        let killed = self.controller.process.clone();
        until_true("the killed controller is gone", RUN, || async {
            if killed.lives() {
                Err(format!("{killed:?} lives"))
            } else {
                Ok(())
            }
        })
        .await;
        Controller::running().await;
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.controller.process.signal(Signal::CONT);
    }
}
