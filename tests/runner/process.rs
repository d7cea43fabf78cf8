//! A running `exec`: how it is signalled from outside, and how it ended.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::pod::{Start, wait_for};

/// A running `exec`, inside of `unshare` when it is PID 1.
pub struct Exec {
    child: Child,
    start: Start,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Exec {
    pub fn spawn(mut command: Command, start: Start) -> Exec {
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().map(read_all);
        let stderr = child.stderr.take().map(read_all);
        Exec {
            child,
            start,
            stdout,
            stderr,
        }
    }

    /// The runner's pid as we see it.
    pub fn pid(&self) -> Pid {
        let pid = self.child.id();
        let pid = match self.start {
            Start::Plain => pid,
            Start::First | Start::FirstUnprivileged | Start::FirstWithSetuid => {
                wait_for("runner in its namespace", || child_of(pid))
            }
        };
        Pid::from_raw(pid.cast_signed()).unwrap()
    }

    /// Sends a signal as the kubelet does: from outside of the namespace.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Ended {
        let started = Instant::now();
        let status = wait_for("end of exec", || self.child.try_wait().unwrap());
        let took = started.elapsed();
        let read = |text: Option<JoinHandle<String>>| text.map(|text| text.join().unwrap());
        let stdout = read(self.stdout.take()).unwrap_or_default();
        let stderr = read(self.stderr.take()).unwrap_or_default();
        let code = status.code().or(status.signal().map(|signal| 128 + signal));
        Ended {
            code,
            stdout,
            stderr,
            took,
        }
    }
}

impl Drop for Exec {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first child of a process.
pub fn child_of(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children
        .split_whitespace()
        .next()
        .map(|child| child.parse().unwrap())
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
