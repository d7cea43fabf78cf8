//! The sidecar that owns the output spool: it hands the file over to `exec`, once in a pod's life, and
//! stays until `exec` is gone.
//!
//! That the spool exists is the mark of the hand-over: it is created, and on disk, before its descriptor
//! is sent, and nobody gets it who finds it there. So a container that is started a second time, as a
//! kubelet does that was killed at the wrong moment, is refused, also by a `ship` that was itself
//! restarted. The volume is mounted in this container alone.
//!
//! An error that may pass is waited out: a sidecar that exits is started again with a growing pause.

mod spool;

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, getpid, set_dumpable_behavior};

use self::spool::Spool;
use super::handover::{give, refuse};
use super::signals::Signals;
use crate::api::run::path;

/// Everybody in the pod who sees the socket may connect, under whatever user; who sees it is decided by
/// the mounts.
const SOCKET_MODE: u32 = 0o666;

/// The pause after an error that may pass.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// So many refusals are said; an agent may ask as often as it likes.
const REFUSALS_SAID: u32 = 10;

/// How often a `ship` without a connection looks whether `exec` still lives.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Where things are: in a pod at the paths of [`path`], and elsewhere only in tests, which is why the
/// flags are hidden.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where to listen
    #[arg(long, hide = true, default_value = path::SOCKET)]
    socket: PathBuf,
    /// The spool's folder
    #[arg(long, hide = true, default_value = path::SPOOL)]
    spool: PathBuf,
}

/// Where the `exec` of this pod is.
enum Exec {
    /// Nobody has asked yet.
    Awaited,
    /// It has the spool; the connection ends with it.
    Connected(UnixStream),
    /// It has the spool from a `ship` before us, so there is no connection; it holds the spool's lock.
    Unseen,
}

/// Why `ship` left.
enum Left {
    /// `exec` is gone.
    RunOver,
    /// The kubelet wants it.
    Told(String),
}

/// Serves the pod until `exec` is gone or we are told to leave. The error is one that doesn't pass.
pub fn run(options: &Options) -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let signals = Signals::block(getpid() == Pid::INIT)?;
    let spool = Spool::in_folder(&options.spool);
    let exec = if spool.exists() {
        Exec::Unseen
    } else {
        Exec::Awaited
    };
    let mut ship = Ship {
        socket: &options.socket,
        listener: None,
        signals,
        spool,
        exec,
        refusals: 0,
    };
    match ship.serve()? {
        Left::RunOver => say(&format!("the run is over, {}", ship.spool.ending())),
        Left::Told(signal) => say(&format!("leaving after {signal}")),
    }
    Ok(())
}

/// A log that nobody takes is no reason to leave.
fn say(sentence: &str) {
    let _ = writeln!(io::stderr(), "herd-runner ship: {sentence}");
}

struct Ship<'a> {
    socket: &'a Path,
    /// None until the socket could be opened.
    listener: Option<UnixListener>,
    signals: Signals,
    spool: Spool,
    exec: Exec,
    refusals: u32,
}

impl Ship<'_> {
    fn serve(&mut self) -> io::Result<Left> {
        loop {
            if let Some(signal) = self.told_to_leave()? {
                return Ok(Left::Told(signal));
            }
            self.listen();
            self.answer_all();
            if self.is_over() {
                return Ok(Left::RunOver);
            }
            self.wait();
        }
    }

    fn told_to_leave(&self) -> io::Result<Option<String>> {
        while let Some(signal) = self.signals.next()? {
            if signal.is_stop() {
                return Ok(Some(signal.name()));
            }
        }
        Ok(None)
    }

    fn listen(&mut self) {
        if self.listener.is_none() {
            match listen(self.socket) {
                Ok(listener) => self.listener = Some(listener),
                Err(error) => say(&format!(
                    "can't listen on {}: {error}; trying again",
                    self.socket.display()
                )),
            }
        }
    }

    /// Answers everybody who waits at the socket.
    fn answer_all(&mut self) {
        while let Some(Ok((connection, _))) = self.listener.as_ref().map(UnixListener::accept) {
            if let Err(error) = self.answer(connection) {
                // The other side finds the connection ended, and asks again.
                say(&format!("can't hand the spool over: {error}"));
            }
        }
    }

    fn answer(&mut self, connection: UnixStream) -> io::Result<()> {
        let spool = match self.spool.create() {
            Ok(spool) => spool,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.refusals = self.refusals.saturating_add(1);
                if self.refusals <= REFUSALS_SAID {
                    say("refused: the spool was handed over before");
                }
                return refuse(&connection);
            }
            Err(error) => return Err(error),
        };
        // From here on nobody else gets it, whatever happens.
        self.exec = Exec::Unseen;
        connection.set_nonblocking(true)?;
        give(&connection, spool)?;
        self.exec = Exec::Connected(connection);
        say("the spool is handed over");
        Ok(())
    }

    fn is_over(&mut self) -> bool {
        match &mut self.exec {
            Exec::Awaited => false,
            Exec::Connected(connection) => has_ended(connection),
            Exec::Unseen => !self.spool.is_held(),
        }
    }

    fn wait(&self) {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        fds.extend(
            self.listener
                .as_ref()
                .map(|listener| PollFd::new(listener, PollFlags::IN)),
        );
        if let Exec::Connected(connection) = &self.exec {
            fds.push(PollFd::new(connection, PollFlags::IN));
        }
        let pause = match (&self.exec, &self.listener) {
            (_, None) => Some(AFTER_ERROR),
            (Exec::Unseen, Some(_)) => Some(LOOK_AGAIN),
            (Exec::Awaited | Exec::Connected(_), Some(_)) => None,
        };
        let timeout = pause.and_then(|pause| Timespec::try_from(pause).ok());
        if poll(&mut fds, timeout.as_ref()).is_err_and(|error| error != Errno::INTR) {
            thread::sleep(AFTER_ERROR);
        }
    }
}

/// Opens the socket. One that is there already is of a `ship` before us: nobody else may write into
/// the folder.
fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// True when the other side is gone; what it says is not for us yet.
fn has_ended(connection: &mut UnixStream) -> bool {
    let mut ignored = [0; 64];
    loop {
        match connection.read(&mut ignored) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}
