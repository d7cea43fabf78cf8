//! The one place with `unsafe`: what a child does to itself between fork and exec.
//!
//! The standard library lets a child inherit the mask of blocked signals, and ours has them all. It can
//! only be emptied in the child: emptied in the parent, even for a moment, PID 1 would lose the
//! kubelet's signal, since PID 1 has no default actions. A seccomp filter can't be taken off again, so it
//! too is for the child to put on.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::SigSet;
use seccompiler::{BpfProgram, apply_filter};

/// Lets the program start with no signal blocked, as every program expects, and under the filter.
pub fn set_up(command: &mut Command, filter: BpfProgram) {
    let none = SigSet::empty();
    // SAFETY: after a fork only async-signal-safe functions may be called. This calls sigprocmask(2),
    // prctl(2) and seccomp(2) alone, with a set and a filter made before the fork; nothing allocates or
    // locks, also not on the way of an error.
    unsafe {
        command.pre_exec(move || {
            none.thread_set_mask()?;
            apply_filter(&filter).map_err(errno)
        });
    }
}

/// Nothing but the two system calls can fail: the filter is not empty, and put on one thread alone.
fn errno(error: seccompiler::Error) -> io::Error {
    match error {
        seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error) => error,
        _ => io::ErrorKind::InvalidInput.into(),
    }
}
