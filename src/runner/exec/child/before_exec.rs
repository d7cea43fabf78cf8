//! The one place with `unsafe`: what a child does to itself between fork and exec.
//!
//! The standard library lets a child inherit the mask of blocked signals, and ours has them all. It can
//! only be emptied in the child: emptied in the parent, even for a moment, PID 1 would lose the
//! kubelet's signal, since PID 1 has no default actions.
#![allow(unsafe_code)]

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::SigSet;

/// Lets the program start with no signal blocked, as every program expects.
pub fn unblock_signals(command: &mut Command) {
    let none = SigSet::empty();
    // SAFETY: after a fork only async-signal-safe functions may be called. This calls sigprocmask(2)
    // alone, which is one, with a set made before the fork; it neither allocates nor locks.
    unsafe {
        command.pre_exec(move || Ok(none.thread_set_mask()?));
    }
}
