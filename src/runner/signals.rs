//! Signals as messages, with their senders. PID 1 of an agent's container shares its PID namespace with
//! the agent: a stop that the kubelet sends is an order, the same signal from inside is only a fact.
//! That is decided here, from what the kernel says about the sender.
//!
//! Every signal is blocked and read from a signalfd, so none keeps its default action: not SIGXFSZ and
//! SIGXCPU, which the agent can cause by lowering our limits, nor a fault signal somebody sends by hand.
//! A child inherits the blocked signals, and empties its mask before it becomes another program.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};

/// `si_code` of a signal sent by kill(2); only the kernel can set it. (A process may put any other
/// negative code, and with it any sender, into a signal by rt_sigqueueinfo(2).)
const SI_USER: i32 = 0;

/// The pid that the kernel shows for a sender outside of our PID namespace.
const PID_OUTSIDE: u32 = 0;

/// One signal that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub number: i32,
    pub sender: Sender,
}

/// Who sent a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A process outside of our PID namespace: the container runtime, for the kubelet.
    Outside,
    /// A process within it, by the pid that it claims.
    Inside(u32),
    /// The kernel: a child ended, a limit was reached.
    Kernel,
}

impl Received {
    /// The signal's name, for example `SIGTERM`.
    pub fn name(&self) -> String {
        name(self.number)
    }

    /// True when this asks us to end: any signal from outside, since an image's STOPSIGNAL decides
    /// which one the kubelet sends, but for those of job control and terminals.
    pub fn is_stop(&self) -> bool {
        let about_something_else = matches!(
            Signal::try_from(self.number),
            Ok(Signal::SIGCHLD
                | Signal::SIGCONT
                | Signal::SIGTSTP
                | Signal::SIGTTIN
                | Signal::SIGTTOU
                | Signal::SIGURG)
        );
        self.sender == Sender::Outside && !about_something_else
    }
}

/// A signal's name by its number; real-time signals have none but their number.
pub fn name(number: i32) -> String {
    match Signal::try_from(number) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) => format!("signal {number}"),
    }
}

/// All signals of this process, blocked and readable.
#[derive(Debug)]
pub struct Signals {
    queue: SignalFd,
    /// We are the first process of a PID namespace, so that a sender's pid tells where it is.
    first: bool,
}

impl Signals {
    /// Blocks every signal; `first` says whether this process is PID 1.
    pub fn block(first: bool) -> io::Result<Signals> {
        let mut all = SigSet::all();
        // Ignored since our start. Blocked it would be queued, and a log that nobody takes would have us
        // hear of it, say so, and hear of that.
        all.remove(Signal::SIGPIPE);
        all.thread_block()?;
        let queue = SignalFd::with_flags(&all, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Signals { queue, first })
    }

    /// The next signal that has arrived, if there is one.
    pub fn next(&self) -> io::Result<Option<Received>> {
        Ok(self
            .queue
            .read_signal()?
            .map(|info| received(&info, self.first)))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

fn received(info: &siginfo, first: bool) -> Received {
    Received {
        number: info.ssi_signo.cast_signed(),
        sender: sender(info.ssi_code, info.ssi_pid, first),
    }
}

/// Where we are not PID 1, nobody's place can be told by a pid: everybody then counts as outside.
fn sender(code: i32, pid: u32, first: bool) -> Sender {
    match code {
        SI_USER if pid == PID_OUTSIDE || !first => Sender::Outside,
        code if code <= SI_USER => Sender::Inside(pid),
        _ => Sender::Kernel,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SI_QUEUE: i32 = -1;
    const SI_TKILL: i32 = -6;
    const SI_KERNEL: i32 = 0x80;
    const CLD_EXITED: i32 = 1;

    #[test]
    fn only_kill_from_another_namespace_is_from_outside() {
        for (code, pid, first, expected) in [
            (SI_USER, 0, true, Sender::Outside),
            (SI_USER, 7, true, Sender::Inside(7)),
            (SI_USER, 7, false, Sender::Outside),
            (SI_QUEUE, 0, true, Sender::Inside(0)),
            (SI_TKILL, 0, true, Sender::Inside(0)),
            (SI_KERNEL, 0, true, Sender::Kernel),
            (CLD_EXITED, 9, true, Sender::Kernel),
        ] {
            assert_eq!(
                sender(code, pid, first),
                expected,
                "code {code}, pid {pid}, first {first}"
            );
        }
    }

    #[test]
    fn any_signal_from_outside_is_a_stop_but_those_of_job_control() {
        let from_outside = |number: i32| Received {
            number,
            sender: Sender::Outside,
        };
        for number in [
            Signal::SIGTERM as i32,
            Signal::SIGQUIT as i32,
            Signal::SIGUSR1 as i32,
            37,
        ] {
            assert!(from_outside(number).is_stop(), "{}", name(number));
        }
        for number in [Signal::SIGCHLD as i32, Signal::SIGCONT as i32] {
            assert!(!from_outside(number).is_stop(), "{}", name(number));
        }
        let inside = Received {
            number: Signal::SIGTERM as i32,
            sender: Sender::Inside(5),
        };
        assert!(!inside.is_stop());
    }
}
