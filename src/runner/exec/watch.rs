//! The loop while the agent's processes live. Single-threaded: it waits for whatever comes first, and
//! nothing in it blocks, so no agent can make the runner miss a deadline. What is done, [`super::life`]
//! decides.

use std::io;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use serde_json::json;

use super::Clock;
use super::child::{Child, Chunk};
use super::life::{Action, CLEARING, End, Event, Limits, State};
use super::processes::{Children, Reach, reap};
use super::record::Record;
use super::termination::Guard;
use crate::api::runner_exit::RunnerExit;
use crate::api::verdict::{ProcessExit, StoppedBy};
use crate::runner::signals::{Received, Sender, Signals};

/// Read at once from one stream, so that the other gets its turn.
const READ_BYTES: usize = 64 * 1024;

/// Signals heard at once, since an agent can send them faster than they are heard.
const SIGNALS_AT_ONCE: usize = 64;

/// Signals from inside that are recorded one by one. An agent can send any number, and each would be a
/// line of its record.
const SIGNALS_RECORDED: u32 = 16;

/// The pause where waiting fails: poll(2) refuses its work when somebody lowered our limit of open
/// files. Everything that the loop does is non-blocking, so it goes on without.
const BLIND_PAUSE: Duration = Duration::from_millis(10);

/// How the CLI ended, and because of whom.
#[derive(Clone, Copy, Debug)]
pub struct Finish {
    pub by: StoppedBy,
    /// None when it was never started.
    pub exit: Option<ProcessExit>,
}

/// Why there can be no verdict.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(
        "the output spool can't be written: {0}; the agent was stopped, since nothing it did from \
         then on would have been on record"
    )]
    Spool(io::Error),
    #[error(
        "the agent's processes did not die of SIGKILL within {} s, so nobody can say that the run \
         is over",
        CLEARING.as_secs()
    )]
    Immortal,
}

impl Failure {
    /// How the runner ends then.
    pub fn exit(&self) -> RunnerExit {
        match self {
            Failure::Spool(_) => RunnerExit::SpoolFailed,
            Failure::Immortal => RunnerExit::AgentImmortal,
        }
    }
}

/// A run under way.
pub struct Watch<'a> {
    child: Child,
    record: &'a mut Record,
    limits: Limits,
    clock: Clock,
    signals: &'a Signals,
    reach: Reach,
    termination_log: Guard<'a>,
    /// That it was emptied stands in the record.
    emptied: bool,
    state: State,
    /// There may be children that have ended and are not collected: of them nothing wakes us.
    is_reaping: bool,
    /// Signals from inside so far.
    unheeded: u32,
    /// The first error of the spool. Nothing is written after it: a record may end early, but it never
    /// has a hole.
    spool_error: Option<io::Error>,
    buffer: Vec<u8>,
}

impl<'a> Watch<'a> {
    pub fn new(
        child: Child,
        record: &'a mut Record,
        limits: Limits,
        clock: Clock,
        signals: &'a Signals,
        reach: Reach,
        termination_log: Guard<'a>,
    ) -> Watch<'a> {
        Watch {
            child,
            record,
            limits,
            clock,
            signals,
            reach,
            termination_log,
            emptied: false,
            state: State::new(),
            is_reaping: false,
            unheeded: 0,
            spool_error: None,
            buffer: vec![0; READ_BYTES],
        }
    }

    /// Returns when no process of the agent's is left and its streams are read to their ends.
    pub fn into_finish(mut self) -> Result<Finish, Failure> {
        loop {
            if let State::Over(end) = self.state {
                return self.over(end);
            }
            self.wait();
            self.hear_signals();
            if self.record.is_fenced() {
                self.on(Event::Fenced);
            }
            self.read_streams();
            self.child.prompt.feed();
            self.record.echo();
            self.reap();
            self.look_at_spool();
            self.look_at_termination_log();
            self.on(Event::Tick);
        }
    }

    fn over(mut self, end: End) -> Result<Finish, Failure> {
        match end {
            End::Ended { by, exit } => {
                // Nobody is left who could write: what is there now is all there is.
                while self.read_streams() {}
                match self.spool_error {
                    None => Ok(Finish { by, exit }),
                    Some(error) => Err(Failure::Spool(error)),
                }
            }
            End::SpoolFailed => Err(Failure::Spool(
                self.spool_error
                    .unwrap_or_else(|| io::ErrorKind::Other.into()),
            )),
            End::Immortal => Err(Failure::Immortal),
        }
    }

    /// Sleeps until something is to be done.
    fn wait(&self) {
        let now = self.clock.elapsed();
        let tick = self
            .state
            .next_tick(now, self.record.open_tool_calls(), &self.limits);
        let mut fds = vec![PollFd::new(self.signals, PollFlags::IN)];
        for stream in [&self.child.stdout, &self.child.stderr] {
            fds.extend(
                stream
                    .socket()
                    .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
            );
        }
        fds.extend(
            self.record
                .ship()
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
        );
        for writing in [self.child.prompt.pipe(), self.record.wants_room()] {
            fds.extend(writing.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::OUT)));
        }
        let time = match self.is_reaping {
            true => Duration::ZERO,
            false => tick.min(self.termination_log.next()).saturating_sub(now),
        };
        // A time too long to be told is no deadline.
        let timeout = Timespec::try_from(time).ok();
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => thread::sleep(BLIND_PAUSE),
        }
    }

    fn on(&mut self, event: Event) {
        let now = self.clock.elapsed();
        let tools = self.record.open_tool_calls();
        let (state, action) = self.state.step(event, now, tools, &self.limits);
        self.state = state;
        match action {
            Action::Nothing => {}
            Action::Terminate(by) => {
                self.child.signal_group(Signal::TERM);
                // Whoever is stopped hears nothing, not even that it is to end.
                self.signal_everybody(Signal::CONT);
                self.record(|record| record.note("stop", json!({ "by": by })));
            }
            Action::Pause => {
                self.signal_everybody(Signal::STOP);
                let waiting = self.record.fill().1;
                self.record(|record| record.note("pause", json!({ "waitingBytes": waiting })));
            }
            Action::Resume => {
                self.signal_everybody(Signal::CONT);
                let waiting = self.record.fill().1;
                self.record(|record| record.note("resume", json!({ "waitingBytes": waiting })));
            }
            Action::KillAll => self.reach.signal_all(Signal::KILL),
            Action::Overrun => {
                self.reach.signal_all(Signal::KILL);
                let waiting = self.record.fill().1;
                let data = json!({ "by": "spoolLimit", "waitingBytes": waiting });
                self.record(|record| record.note("stop", data));
            }
        }
    }

    /// Where we are not PID 1, the CLI's group may hold more than our children.
    fn signal_everybody(&self, signal: Signal) {
        self.reach.signal_all(signal);
        self.child.signal_group(signal);
    }

    fn look_at_spool(&mut self) {
        let (fill, _) = self.record.fill();
        self.on(Event::Spool(fill));
    }

    fn look_at_termination_log(&mut self) {
        let Some(bytes) = self.termination_log.look(self.clock.elapsed()) else {
            return;
        };
        if !self.emptied {
            self.emptied = true;
            let words = format!(
                "the agent wrote {bytes} bytes into the container's termination log, which was emptied: nothing limits its size"
            );
            self.record(|record| record.warn(&words));
        }
    }

    /// Writes into the record, unless that failed before.
    fn record(&mut self, write: impl FnOnce(&mut Record) -> io::Result<()>) {
        if self.spool_error.is_none()
            && let Err(error) = write(self.record)
        {
            self.spool_error = Some(error);
            self.on(Event::SpoolFailed);
        }
    }

    fn hear_signals(&mut self) {
        for _ in 0..SIGNALS_AT_ONCE {
            // An error is that of an empty queue, by another name.
            let Ok(Some(signal)) = self.signals.next() else {
                return;
            };
            if signal.is_stop() {
                self.record(|record| record.note("signal", json!({ "signal": signal.name() })));
                self.on(Event::StopAsked);
            } else if let Sender::Inside(pid) = signal.sender {
                self.note_unheeded(&signal, pid);
            }
        }
    }

    fn note_unheeded(&mut self, signal: &Received, pid: u32) {
        self.unheeded = self.unheeded.saturating_add(1);
        if self.unheeded > SIGNALS_RECORDED {
            return;
        }
        let mut data = json!({ "signal": signal.name(), "fromPid": pid, "obeyed": false });
        if self.unheeded == SIGNALS_RECORDED {
            data["last"] = json!("further signals from inside are not recorded");
        }
        self.record(|record| record.note("signal", data));
    }

    /// Takes a piece of each stream; false when there was nothing.
    fn read_streams(&mut self) -> bool {
        let mut buffer = std::mem::take(&mut self.buffer);
        let stdout = self.child.stdout.read(&mut buffer);
        if let Chunk::Bytes(count) = stdout {
            let bytes = &buffer[..count];
            self.record(|record| record.stdout(bytes));
            if bytes.contains(&b'\n') {
                self.on(Event::Line);
            }
        }
        let stderr = self.child.stderr.read(&mut buffer);
        if let Chunk::Bytes(count) = stderr {
            self.record(|record| record.stderr(&buffer[..count]));
        }
        self.buffer = buffer;
        [stdout, stderr]
            .iter()
            .any(|chunk| matches!(chunk, Chunk::Bytes(_)))
    }

    fn reap(&mut self) {
        let mut exit = None;
        let children = reap(|reaped| {
            if reaped.pid == self.child.pid {
                exit = Some(reaped.exit);
            }
        });
        self.is_reaping = children == Children::More;
        if let Some(exit) = exit {
            self.on(Event::Exited(exit));
        }
        let clearing = matches!(self.state, State::Clearing { .. });
        if clearing && children == Children::None && self.reach.is_empty() {
            self.on(Event::Alone);
        }
    }
}
