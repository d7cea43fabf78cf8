//! Everything before the agent's first process: the inputs are read and the spool is taken over. Until
//! that is done a run may be refused, and then nothing of the agent's ever ran in this container.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::api::run::{MAX_BYTES, RunInputs};
use crate::api::runner_exit::RunnerExit;
use crate::runner::handover::{Answer, take};
use crate::runner::signals::Signals;

/// How long `ship` may take to listen. Its postStart hook, which the kubelet awaits before it starts
/// us, can be over before its main process has opened the socket.
const PATIENCE: Duration = Duration::from_secs(30);

/// The pause before the second try to connect; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Why a run did not start.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("can't read the run's inputs at {path}: {source}")]
    NoInputs { path: PathBuf, source: io::Error },
    #[error(
        "the run's inputs at {path} are not understood: {source}; \
         is this runner older than the controller?"
    )]
    BadInputs {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error(
        "the output spool of this pod was handed over before: this container was started twice, \
         and the agent may run only once in a pod"
    )]
    HandedOverBefore,
    #[error(
        "the output store says that this attempt is over: another one has begun, or the Job has \
         ended; nothing was started"
    )]
    Fenced,
    #[error(
        "no output spool after {seconds} s: {source}; see the log of the container `ship`",
        seconds = PATIENCE.as_secs()
    )]
    NoSpool { source: io::Error },
    #[error("stopped by {0} before the agent was started")]
    Stopped(String),
    #[error("can't set up the runner: {0}")]
    Setup(#[from] io::Error),
}

impl Refusal {
    /// How the runner ends then.
    pub fn exit(&self) -> RunnerExit {
        match self {
            Refusal::NoInputs { .. } | Refusal::BadInputs { .. } => RunnerExit::InputsUnreadable,
            Refusal::HandedOverBefore
            | Refusal::Fenced
            | Refusal::NoSpool { .. }
            | Refusal::Stopped(_)
            | Refusal::Setup(_) => RunnerExit::StartRefused,
        }
    }
}

/// Reads the file that the controller's annotation became.
pub fn inputs(path: &Path) -> Result<RunInputs, Refusal> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_string(&mut text))
        .map_err(|source| Refusal::NoInputs {
            path: path.to_owned(),
            source,
        })?;
    serde_json::from_str(&text).map_err(|source| Refusal::BadInputs {
        path: path.to_owned(),
        source,
    })
}

/// Asks `ship` for the spool until it answers. A connection that stands is never given up for a new
/// one: `ship` hands over once, and it would be to the one we left.
pub fn take_spool(socket: &Path, signals: &Signals) -> Result<(File, UnixStream), Refusal> {
    let give_up = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    loop {
        let source = match ask(socket, signals, give_up)? {
            Ok((Answer::Spool(spool), connection)) => {
                return Ok((File::from(spool), connection));
            }
            Ok((Answer::Refused, _)) => return Err(Refusal::HandedOverBefore),
            Ok((Answer::Fenced, _)) => return Err(Refusal::Fenced),
            Ok((Answer::Nothing, _)) => io::ErrorKind::UnexpectedEof.into(),
            Err(source) => source,
        };
        if Instant::now() >= give_up {
            return Err(Refusal::NoSpool { source });
        }
        wait(signals, None, Instant::now() + pause)?;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The outer error ends the start, the inner one is worth another try.
fn ask(
    socket: &Path,
    signals: &Signals,
    give_up: Instant,
) -> Result<io::Result<(Answer, UnixStream)>, Refusal> {
    let connection = match UnixStream::connect(socket) {
        Ok(connection) => connection,
        Err(source) => return Ok(Err(source)),
    };
    if !wait(signals, Some(&connection), give_up)? {
        return Ok(Err(io::ErrorKind::TimedOut.into()));
    }
    Ok(take(&connection).map(|answer| (answer, connection)))
}

/// Waits until something is there to read (true) or the time has come (false). A stop is an error.
pub(super) fn wait(
    signals: &Signals,
    connection: Option<&UnixStream>,
    until: Instant,
) -> Result<bool, Refusal> {
    loop {
        while let Some(signal) = signals.next()? {
            if signal.is_stop() {
                return Err(Refusal::Stopped(signal.name()));
            }
        }
        let mut fds = vec![PollFd::new(signals, PollFlags::IN)];
        fds.extend(connection.map(|connection| PollFd::new(connection, PollFlags::IN)));
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) if fds.iter().skip(1).any(|fd| !fd.revents().is_empty()) => return Ok(true),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Refusal::Setup(error.into())),
        }
    }
}
