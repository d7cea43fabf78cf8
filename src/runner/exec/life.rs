//! The life of a run as a state machine: what has happened goes in, what is to be done comes out.
//! Pure, so that every order of events can be tried in a test; the loop in [`super`] carries it out.
//!
//! All times count from the hand-over and come from the monotonic clock.

use std::time::Duration;

use super::fill::Fill;
use crate::api::verdict::{ProcessExit, StoppedBy};

/// How long the agent's processes may take to die of SIGKILL. A process that is stuck in the kernel
/// never does, and then nobody may say that the run is over.
pub const CLEARING: Duration = Duration::from_secs(2);

/// Pause between two looks at whether everybody is dead.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The same while a full spool is paused for: nobody tells us when `ship` has made room.
const LOOK_FOR_ROOM: Duration = Duration::from_millis(100);

/// What a run may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub timeout: Duration,
    /// Without a line, while no tool runs.
    pub stall: Duration,
    /// Between TERM and KILL.
    pub grace: Duration,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Running {
        last_line: Duration,
    },
    /// The agent stands still until the store has more of its output.
    Paused {
        /// How long no line had come, which is what counts when it goes on.
        silent: Duration,
    },
    /// TERM was sent.
    Terminating {
        by: StoppedBy,
        kill_at: Duration,
    },
    /// KILL goes to everybody until nobody is left. The CLI is dead once `exit` is known.
    Clearing {
        by: StoppedBy,
        exit: Option<ProcessExit>,
        give_up_at: Duration,
    },
    Over(End),
}

/// How a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every process is gone, a verdict can be given.
    Ended {
        by: StoppedBy,
        exit: Option<ProcessExit>,
    },
    SpoolFailed,
    /// Somebody survived [`CLEARING`].
    Immortal,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The CLI wrote at least one whole line.
    Line,
    /// The CLI ended and was reaped.
    Exited(ProcessExit),
    /// Somebody outside wants the run to end.
    StopAsked,
    /// The store says that this attempt is over.
    Fenced,
    /// How full the spool is.
    Spool(Fill),
    SpoolFailed,
    /// No process but us is left.
    Alone,
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Nothing,
    /// TERM to the CLI's process group.
    Terminate(StoppedBy),
    /// STOP to every process of the agent's.
    Pause,
    /// CONT to every process of the agent's.
    Resume,
    /// KILL to every process of the agent's.
    KillAll,
    /// The same, because they wrote on though they were stopped.
    Overrun,
}

impl State {
    pub fn new() -> State {
        State::Running {
            last_line: Duration::ZERO,
        }
    }

    /// One step. `tools` is the number of tool calls that have no result yet.
    pub fn step(
        self,
        event: Event,
        now: Duration,
        tools: usize,
        limits: &Limits,
    ) -> (State, Action) {
        if event == Event::SpoolFailed {
            // There will be no verdict, whoever else wanted the end before.
            return self.fail(now);
        }
        match self {
            State::Running { last_line } => running(last_line, event, now, tools, limits),
            State::Paused { silent } => paused(silent, event, now, limits),
            State::Terminating { by, kill_at } => terminating(by, kill_at, event, now),
            State::Clearing {
                by,
                exit,
                give_up_at,
            } => clearing(by, exit, give_up_at, event, now),
            State::Over(end) => (State::Over(end), Action::Nothing),
        }
    }

    /// When the next [`Event::Tick`] is due, if nothing else happens before.
    pub fn next_tick(self, now: Duration, tools: usize, limits: &Limits) -> Duration {
        match self {
            State::Running { last_line } => match stall_at(last_line, tools, limits) {
                Some(stall_at) => stall_at.min(limits.timeout),
                None => limits.timeout,
            },
            State::Paused { .. } => limits.timeout.min(now + LOOK_FOR_ROOM),
            State::Terminating { kill_at, .. } => kill_at,
            State::Clearing { give_up_at, .. } => give_up_at.min(now + LOOK_AGAIN),
            State::Over(_) => now,
        }
    }

    fn fail(self, now: Duration) -> (State, Action) {
        match self {
            State::Running { .. } | State::Paused { .. } | State::Terminating { .. } => {
                clear(StoppedBy::SpoolFailure, None, now)
            }
            State::Clearing {
                exit, give_up_at, ..
            } => {
                let by = StoppedBy::SpoolFailure;
                (
                    State::Clearing {
                        by,
                        exit,
                        give_up_at,
                    },
                    Action::Nothing,
                )
            }
            State::Over(_) => (State::Over(End::SpoolFailed), Action::Nothing),
        }
    }
}

fn running(
    last_line: Duration,
    event: Event,
    now: Duration,
    tools: usize,
    limits: &Limits,
) -> (State, Action) {
    let silent = now.saturating_sub(last_line);
    match event {
        Event::Line => (State::Running { last_line: now }, Action::Nothing),
        Event::Exited(exit) => clear(StoppedBy::Nobody, Some(exit), now),
        Event::StopAsked => terminate(StoppedBy::Signal, now, limits),
        Event::Fenced => terminate(StoppedBy::Fence, now, limits),
        Event::Spool(Fill::High | Fill::Brim) => (State::Paused { silent }, Action::Pause),
        Event::Tick if now >= limits.timeout => terminate(StoppedBy::Timeout, now, limits),
        Event::Tick if stall_at(last_line, tools, limits).is_some_and(|at| now >= at) => {
            terminate(StoppedBy::Stall, now, limits)
        }
        Event::Spool(_) | Event::Tick | Event::Alone | Event::SpoolFailed => {
            (State::Running { last_line }, Action::Nothing)
        }
    }
}

/// The timeout goes on, and the stall clock stands: it is not the agent that is silent.
fn paused(silent: Duration, event: Event, now: Duration, limits: &Limits) -> (State, Action) {
    match event {
        Event::Line => {
            let silent = Duration::ZERO;
            (State::Paused { silent }, Action::Nothing)
        }
        Event::Exited(exit) => clear(StoppedBy::Nobody, Some(exit), now),
        Event::StopAsked => terminate(StoppedBy::Signal, now, limits),
        Event::Fenced => terminate(StoppedBy::Fence, now, limits),
        Event::Spool(Fill::Low) => {
            let last_line = now.saturating_sub(silent);
            (State::Running { last_line }, Action::Resume)
        }
        // STOP does not hold who lets a timer send him CONT. Beyond the limit the kubelet would evict the
        // pod, and what the agent said would be lost.
        Event::Spool(Fill::Brim) => (clear(StoppedBy::Nobody, None, now).0, Action::Overrun),
        Event::Tick if now >= limits.timeout => terminate(StoppedBy::Timeout, now, limits),
        Event::Spool(_) | Event::Tick | Event::Alone | Event::SpoolFailed => {
            (State::Paused { silent }, Action::Nothing)
        }
    }
}

fn terminate(by: StoppedBy, now: Duration, limits: &Limits) -> (State, Action) {
    let kill_at = now + limits.grace;
    (State::Terminating { by, kill_at }, Action::Terminate(by))
}

fn terminating(by: StoppedBy, kill_at: Duration, event: Event, now: Duration) -> (State, Action) {
    match event {
        Event::Exited(exit) => clear(by, Some(exit), now),
        Event::Tick if now >= kill_at => clear(by, None, now),
        // Who is to end can't be paused, and must not run the spool over.
        Event::Spool(Fill::Brim) => clear(by, None, now),
        // The first cause is kept, and the grace is not begun anew.
        Event::StopAsked
        | Event::Fenced
        | Event::Line
        | Event::Spool(_)
        | Event::Tick
        | Event::Alone
        | Event::SpoolFailed => (State::Terminating { by, kill_at }, Action::Nothing),
    }
}

fn clearing(
    by: StoppedBy,
    exit: Option<ProcessExit>,
    give_up_at: Duration,
    event: Event,
    now: Duration,
) -> (State, Action) {
    let over = |alone: bool| match (by, alone) {
        (StoppedBy::SpoolFailure, _) => State::Over(End::SpoolFailed),
        (_, true) => State::Over(End::Ended { by, exit }),
        (_, false) => State::Over(End::Immortal),
    };
    let still = |exit| State::Clearing {
        by,
        exit,
        give_up_at,
    };
    match event {
        // The kernel may give the CLI's pid to another process once it was reaped.
        Event::Exited(now_known) => (still(exit.or(Some(now_known))), Action::Nothing),
        Event::Alone => (over(true), Action::Nothing),
        Event::Tick if now >= give_up_at => (over(false), Action::Nothing),
        Event::Tick => (still(exit), Action::KillAll),
        Event::StopAsked | Event::Fenced | Event::Line | Event::Spool(_) | Event::SpoolFailed => {
            (still(exit), Action::Nothing)
        }
    }
}

fn clear(by: StoppedBy, exit: Option<ProcessExit>, now: Duration) -> (State, Action) {
    (
        State::Clearing {
            by,
            exit,
            give_up_at: now + CLEARING,
        },
        Action::KillAll,
    )
}

/// A tool may be silent for as long as it likes; the timeout bounds it.
fn stall_at(last_line: Duration, tools: usize, limits: &Limits) -> Option<Duration> {
    (tools == 0).then(|| last_line + limits.stall)
}

#[cfg(test)]
mod tests;
