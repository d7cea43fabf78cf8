//! The truth table: from what is known about an ended run to its one outcome.

mod base_url;
mod run;

use crate::api::reason::{ExitReason, Phase, Reason};

pub use base_url::BaseUrl;
pub use run::{Key, RunFacts, Setup, of_result, of_run, turns_of};

/// The end of a Job as its status tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub reason: Reason,
    /// For the person at the terminal: what happened, why, what to do.
    pub message: String,
}

impl Outcome {
    pub fn phase(&self) -> Phase {
        self.reason.place().0
    }

    pub fn exit_reason(&self) -> Option<ExitReason> {
        self.reason.place().1
    }
}
