//! How the program ends, in one number. Scripts live by it, so the set is closed, stands here once, and
//! the help's table is made from it.

use std::process::ExitCode;

use crate::api::reason::{ExitReason, Phase};

/// The exit codes; [`Exit::TABLE`] tells people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    Error,
    /// clap's own code for arguments that make no sense.
    Usage,
    Failed,
    Timeout,
    Cancelled,
    /// As timeout(1) has it.
    GaveUp,
    /// As a shell has it for a program that ended by Ctrl-C.
    Left,
}

impl Exit {
    /// The codes with their meaning, in the order of the help.
    pub const TABLE: [(Exit, &str); 8] = [
        (
            Exit::Done,
            "done; run and jobs resume with --follow: the Job completed",
        ),
        (
            Exit::Error,
            "error; jobs verify: something differs; doctor: something is broken",
        ),
        (Exit::Usage, "invalid arguments"),
        (
            Exit::Failed,
            "run and jobs resume with --follow: the Job failed",
        ),
        (
            Exit::Timeout,
            "run and jobs resume with --follow: the Job failed because a time limit passed",
        ),
        (
            Exit::Cancelled,
            "run and jobs resume with --follow: the Job was cancelled",
        ),
        (
            Exit::GaveUp,
            "jobs cancel and jobs pause with --wait: not done in time; the Job continues",
        ),
        (Exit::Left, "left by Ctrl-C; the Job continues"),
    ];

    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Error => 1,
            Exit::Usage => 2,
            Exit::Failed => 3,
            Exit::Timeout => 4,
            Exit::Cancelled => 5,
            Exit::GaveUp => 124,
            Exit::Left => 130,
        }
    }

    /// The exit code for a Job that was waited for.
    pub fn of_job(phase: Phase, exit_reason: Option<ExitReason>) -> Self {
        match (phase, exit_reason) {
            (Phase::Completed, _) => Exit::Done,
            (Phase::Failed, Some(ExitReason::Timeout)) => Exit::Timeout,
            (Phase::Failed, _) => Exit::Failed,
            (Phase::Cancelled, _) => Exit::Cancelled,
            // Nobody waits for less than an end.
            (Phase::Pending | Phase::Running, _) => Exit::Error,
        }
    }

    /// The table as the help shows it.
    pub fn help() -> String {
        let mut text = String::from("Exit codes:\n");
        for (exit, meaning) in Exit::TABLE {
            text.push_str(&format!("  {:>3}  {meaning}\n", exit.code()));
        }
        text
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_code() {
        for (phase, reason, code) in [
            (Phase::Completed, ExitReason::Success, 0),
            (Phase::Failed, ExitReason::Error, 3),
            (Phase::Failed, ExitReason::Timeout, 4),
            (Phase::Cancelled, ExitReason::ManualCancel, 5),
        ] {
            assert_eq!(Exit::of_job(phase, Some(reason)).code(), code);
        }
    }

    #[test]
    fn no_two_meanings_share_a_code() {
        let mut codes: Vec<u8> = Exit::TABLE.iter().map(|(exit, _)| exit.code()).collect();
        codes.dedup();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 124, 130]);
    }
}
