//! The agent's processes: one place that reaps them all, and the means to be rid of them.
//!
//! There is one reaper, because a second one would steal exit codes from the first. As PID 1 we inherit
//! every orphan, and reach every process by kill(-1), also what left its process group or session. Where
//! we are not PID 1 (a person's own machine, a shared PID namespace) the others are not ours to kill:
//! then we are the reaper of our descendants, and kill our children until no grandchild comes after.

use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, kill_process_group,
    set_child_subreaper, test_kill_process, test_kill_process_group, wait,
};

use crate::api::verdict::ProcessExit;

/// Whom we may kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// We are PID 1: everybody in the namespace.
    Namespace,
    /// Whoever descends from us.
    Descendants,
}

/// A process that ended and was reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaped {
    pub pid: Pid,
    pub exit: ProcessExit,
}

impl Reach {
    /// Finds out where we are, and sees to it that orphans come to us.
    pub fn claim() -> io::Result<Reach> {
        if getpid() == Pid::INIT {
            return Ok(Reach::Namespace);
        }
        set_child_subreaper(Some(getpid()))?;
        Ok(Reach::Descendants)
    }

    /// Sends a signal to everybody within reach, once.
    pub fn signal_all(self, signal: Signal) {
        // Whoever can't be killed is seen by `is_empty` or is still a child.
        match self {
            Reach::Namespace => {
                // For kill(2) this is -1: every process that we may signal, but ourselves.
                let _ = kill_process_group(Pid::INIT, signal);
            }
            Reach::Descendants => {
                let processes = processes().unwrap_or_default();
                for child in processes
                    .iter()
                    .filter(|process| process.parent == Some(getpid()))
                {
                    let _ = kill_process(child.pid, signal);
                }
            }
        }
    }

    /// True when there is nobody within reach whom we could still signal. Who is there and can't be
    /// signalled came into the container from outside, as an administrator's debugger does, if it is
    /// not our descendant; whether we have descendants [`reap`] tells.
    pub fn is_empty(self) -> bool {
        match self {
            Reach::Descendants => true,
            Reach::Namespace => match test_kill_process_group(Pid::INIT) {
                Err(Errno::SRCH) => true,
                _ => processes().is_ok_and(|processes| processes.iter().all(is_out_of_reach)),
            },
        }
    }
}

fn is_out_of_reach(process: &Process) -> bool {
    process.pid == Pid::INIT || process.dead || test_kill_process(process.pid).is_err()
}

/// What [`reap`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Children {
    /// As many had ended as are collected at a time.
    More,
    Some,
    /// Nobody descends from us any more, since orphans come to us.
    None,
}

/// Collected at a time: an agent can have its processes end faster than they are collected.
const REAPED_AT_ONCE: usize = 256;

/// Collects the children that have ended.
pub fn reap(mut ended: impl FnMut(Reaped)) -> Children {
    for _ in 0..REAPED_AT_ONCE {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                if let Some(exit) = exit_of(status) {
                    ended(Reaped { pid, exit });
                }
            }
            Ok(None) => return Children::Some,
            Err(Errno::INTR) => {}
            Err(_) => return Children::None,
        }
    }
    Children::More
}

/// None for a child that was only stopped or continued.
fn exit_of(status: WaitStatus) -> Option<ProcessExit> {
    status
        .exit_status()
        .map(ProcessExit::Code)
        .or(status.terminating_signal().map(ProcessExit::Signal))
}

/// A process in /proc.
#[derive(Debug, PartialEq, Eq)]
struct Process {
    pid: Pid,
    /// None for what was put into the namespace from outside, and for PID 1.
    parent: Option<Pid>,
    /// Ended, but not yet reaped by its parent.
    dead: bool,
}

/// Every process that we can see. One that ends meanwhile is left out.
fn processes() -> io::Result<Vec<Process>> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.parse().ok())
            .and_then(Pid::from_raw);
        let Some(pid) = pid else { continue };
        match fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())) {
            Ok(stat) => processes.extend(parse(pid, &stat)),
            Err(error) if ended(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(processes)
}

fn ended(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOENT | Errno::SRCH))
}

/// Reads `PID (NAME) STATE PPID …`; the name may hold anything, also spaces and parentheses.
fn parse(pid: Pid, stat: &[u8]) -> Option<Process> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let dead = matches!(fields.next()?, "Z" | "X");
    let parent = Pid::from_raw(fields.next()?.parse().ok()?);
    Some(Process { pid, parent, dead })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_hide_the_parent() {
        let pid = Pid::from_raw(9).unwrap();
        let read = |stat: &str| parse(pid, stat.as_bytes()).unwrap();
        let living = Process {
            pid,
            parent: Pid::from_raw(1),
            dead: false,
        };
        assert_eq!(read("9 (a) Z 7 (b)) S 1 9 9 0"), living);
        assert_eq!(
            read("9 (sh) Z 0 9 9 0"),
            Process {
                pid,
                parent: None,
                dead: true
            }
        );
    }

    #[test]
    fn we_are_among_the_processes() {
        assert!(
            processes()
                .unwrap()
                .iter()
                .any(|process| process.pid == getpid() && !process.dead)
        );
    }
}
