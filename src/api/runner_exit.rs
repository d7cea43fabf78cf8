//! The exit codes of `herd-runner exec`. They are the agent container's exit codes, so the controller
//! reads them; how the CLI itself ended stands in the verdict alone.

/// How the runner ended. The numbers from 74 on are those of sysexits.h where one fits, and none is
/// what a shell or a signal would give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunnerExit {
    /// The run succeeded; the verdict is the termination message.
    Succeeded,
    /// The run ended without success; the verdict, which is the termination message, says why.
    Unsuccessful,
    /// The spool or the termination message could not be written. There may be no verdict.
    SpoolFailed,
    /// The spool was refused, or `ship` never answered: nothing of the agent's ran in this container.
    StartRefused,
    /// The agent's processes would not die. There is no verdict.
    AgentImmortal,
    /// The file with the run's inputs is missing or makes no sense: nothing ran.
    InputsUnreadable,
}

impl RunnerExit {
    /// Every way to end.
    pub const ALL: [RunnerExit; 6] = [
        RunnerExit::Succeeded,
        RunnerExit::Unsuccessful,
        RunnerExit::SpoolFailed,
        RunnerExit::StartRefused,
        RunnerExit::AgentImmortal,
        RunnerExit::InputsUnreadable,
    ];

    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            RunnerExit::Succeeded => 0,
            RunnerExit::Unsuccessful => 1,
            RunnerExit::SpoolFailed => 74,
            RunnerExit::StartRefused => 75,
            RunnerExit::AgentImmortal => 76,
            RunnerExit::InputsUnreadable => 78,
        }
    }

    /// The way that a container's exit code stands for, if it is one of ours.
    pub fn from_code(code: i32) -> Option<RunnerExit> {
        RunnerExit::ALL
            .into_iter()
            .find(|exit| i32::from(exit.code()) == code)
    }
}
