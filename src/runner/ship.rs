//! The sidecar that owns the output spool: it hands the file over to `exec`, once in a pod's life, brings
//! what is written there to the output store, and stays until `exec` is gone and the store has all.
//!
//! That the spool exists is the mark of the hand-over: it is created, and on disk, before its descriptor
//! is sent, and nobody gets it who finds it there. So a container that is started a second time, as a
//! kubelet does that was killed at the wrong moment, is refused, also by a `ship` that was itself
//! restarted. The volume is mounted in this container alone.
//!
//! The loop here never waits for the store: that is the courier's work. An error that may pass is waited
//! out: a sidecar that exits is started again with a growing pause.

mod courier;
mod door;
mod news;
mod orders;
mod patience;
mod runner;
mod segment;
mod spool;
mod store;
mod transcript;

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, getpid, set_dumpable_behavior};

use self::courier::{ASKING, Courier};
use self::door::Door;
use self::news::{Ear, News, Teller};
use self::orders::Orders;
use self::runner::Runner;
use self::spool::Spool;
use self::store::Store;
use self::transcript::Transcript;
use super::handover::{fence, give, hear, tell_landed};
use super::signals::Signals;
use crate::api::run::path;
use crate::api::text::{Clean, LONGEST};

/// The pause after an error that may pass.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// Answered at once at the socket, where an agent can knock faster than it is answered.
const ANSWERED_AT_ONCE: usize = 16;

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
    /// Without a store the output stays in the spool
    #[command(flatten)]
    store: Option<store::Destination>,
    #[command(flatten)]
    transcript: transcript::Place,
}

/// Why `ship` left.
enum Left {
    /// `exec` is gone, and the store has what it can have.
    RunOver,
    /// The kubelet wants it, before anything was handed over.
    Told(String),
}

/// Serves the pod until the run is over and shipped, or until we are told to leave before it has begun.
/// The error is one that doesn't pass.
pub fn run(options: &Options) -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let signals = Signals::block(getpid() == Pid::INIT)?;
    let mut ship = Ship::new(options, signals)?;
    match ship.serve()? {
        Left::RunOver => say(&format!("the run is over, {}", ship.spool.ending())),
        Left::Told(signal) => say(&format!("leaving after {signal}")),
    }
    Ok(())
}

/// A log that nobody takes is no reason to leave.
fn say(sentence: &str) {
    let sentence = Clean::line(sentence, LONGEST);
    let _ = writeln!(io::stderr(), "herd-runner ship: {sentence}");
}

struct Ship {
    door: Door,
    signals: Signals,
    spool: Spool,
    runner: Runner,
    /// None without a store.
    courier: Option<Arc<Orders>>,
    teller: Teller,
    ear: Ear,
    /// The session's transcript is on its way: nobody may knock before it is there.
    restoring: bool,
    shipped: bool,
}

impl Ship {
    fn new(options: &Options, signals: Signals) -> io::Result<Ship> {
        let (teller, ear) = news::channel()?;
        let spool = Spool::in_folder(&options.spool);
        // Once in a pod's life: afterwards the transcript is the agent's.
        let restoring = options.transcript.resume && !spool.exists();
        let courier = options.store.as_ref().map(|destination| {
            let store = Store::new(destination);
            let transcript = Transcript::new(&options.transcript);
            Courier::new(spool.clone(), store, transcript, restoring, teller.clone()).start()
        });
        let mut ship = Ship {
            door: Door::at(&options.socket),
            signals,
            spool,
            runner: Runner::Awaited,
            courier: courier.transpose()?,
            teller,
            ear,
            restoring,
            shipped: false,
        };
        if restoring {
            ship.door.keep_shut()?;
        }
        if ship.spool.exists() {
            ship.lose_sight()?;
        }
        Ok(ship)
    }

    fn serve(&mut self) -> io::Result<Left> {
        loop {
            if let Some(signal) = self.told_to_leave()? {
                return Ok(Left::Told(signal));
            }
            self.hear_news()?;
            if !self.restoring {
                self.door.open();
            }
            self.hear_runner();
            self.answer()?;
            if self.is_over() {
                return Ok(Left::RunOver);
            }
            self.wait();
        }
    }

    /// Once the spool is handed over, what is in it is brought to the store, whoever wants us to end: the
    /// pod's grace is the limit.
    fn told_to_leave(&self) -> io::Result<Option<String>> {
        while let Some(signal) = self.signals.next()? {
            match self.runner {
                _ if !signal.is_stop() => {}
                Runner::Awaited | Runner::Asking { .. } => return Ok(Some(signal.name())),
                Runner::Connected(_) | Runner::Unseen(_) | Runner::Gone => say(&format!(
                    "{}: staying until the run is over and its output is in the store",
                    signal.name()
                )),
            }
        }
        Ok(None)
    }

    fn hear_news(&mut self) -> io::Result<()> {
        while let Some(news) = self.ear.next() {
            match news {
                News::Restored => self.restoring = false,
                News::MayStart => self.let_start()?,
                News::Fenced => self.fence(),
                News::RunnerGone => self.runner = Runner::Gone,
                News::Shipped => {
                    self.shipped = true;
                    self.tell_landed();
                }
            }
        }
        match self.runner {
            Runner::Asking { until, .. } if until <= Instant::now() => self.let_start(),
            _ => Ok(()),
        }
    }

    fn hear_runner(&mut self) {
        let heard = self.runner.hear();
        let Some(courier) = &self.courier else {
            if heard.over {
                self.tell_landed();
            }
            return;
        };
        if heard.written {
            courier.look();
        }
        if heard.over || matches!(self.runner, Runner::Gone) {
            courier.finish();
        }
    }

    fn tell_landed(&self) {
        if let Runner::Connected(connection) = &self.runner {
            tell_landed(connection);
        }
    }

    /// Answers those who wait at the socket. While the store is asked about one, the others wait.
    fn answer(&mut self) -> io::Result<()> {
        for _ in 0..ANSWERED_AT_ONCE {
            if matches!(self.runner, Runner::Asking { .. }) {
                break;
            }
            let Some(connection) = self.door.next() else {
                break;
            };
            match (&self.runner, &self.courier) {
                (Runner::Awaited, Some(courier)) => {
                    courier.ask();
                    self.runner = Runner::Asking {
                        connection,
                        until: Instant::now() + ASKING,
                    };
                }
                (Runner::Awaited, None) => self.hand_over(connection)?,
                _ => self.door.refuse(&connection),
            }
        }
        Ok(())
    }

    /// Hands the spool over to the one who asks.
    fn let_start(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.runner, Runner::Awaited) {
            // The one that is gone meanwhile has started nothing, and may ask again.
            Runner::Asking { connection, .. } if hear(&connection).ended => Ok(()),
            Runner::Asking { connection, .. } => self.hand_over(connection),
            // The answer came late.
            other => {
                self.runner = other;
                Ok(())
            }
        }
    }

    fn hand_over(&mut self, connection: UnixStream) -> io::Result<()> {
        let spool = match self.spool.create() {
            Ok(spool) => spool,
            Err(error) => {
                // The other side finds the connection ended, and asks again.
                say(&format!("can't hand the spool over: {error}"));
                return Ok(());
            }
        };
        // From here on nobody else gets it, whatever happens.
        match give(&connection, spool) {
            Ok(()) => {
                self.runner = Runner::Connected(connection);
                say("the spool is handed over");
            }
            Err(error) => {
                say(&format!("can't hand the spool over: {error}"));
                self.lose_sight()?;
            }
        }
        if let Some(courier) = &self.courier {
            courier.hand_over();
        }
        Ok(())
    }

    /// There is a spool, and no connection to whoever has it.
    fn lose_sight(&mut self) -> io::Result<()> {
        self.runner = Runner::unseen(&self.spool, &self.teller)?;
        if let Some(courier) = &self.courier {
            courier.hand_over();
        }
        Ok(())
    }

    /// The store says that this attempt is over.
    fn fence(&mut self) {
        let told = match std::mem::replace(&mut self.runner, Runner::Awaited) {
            Runner::Asking { connection, .. } => fence(&connection),
            Runner::Connected(connection) => {
                let told = fence(&connection);
                self.runner = Runner::Connected(connection);
                told
            }
            other => {
                self.runner = other;
                Ok(())
            }
        };
        if let Err(error) = told {
            say(&format!("can't tell the runner: {error}"));
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.runner, Runner::Gone) && (self.courier.is_none() || self.shipped)
    }

    fn wait(&self) {
        let asked = match self.runner {
            Runner::Asking { until, .. } => Some(until.saturating_duration_since(Instant::now())),
            _ => None,
        };
        // Who knocks while the store is asked about another waits.
        let door = self.door.listener().filter(|_| asked.is_none());
        let blind = matches!(&self.runner, Runner::Unseen(watch) if watch.is_blind());
        let failed = self.door.listener().is_none() && !self.restoring;
        let pause = asked.or((failed || blind).then_some(AFTER_ERROR));
        let mut fds = vec![
            PollFd::new(&self.signals, PollFlags::IN),
            PollFd::new(&self.ear, PollFlags::IN),
        ];
        for source in [door, self.runner.source()].into_iter().flatten() {
            fds.push(PollFd::from_borrowed_fd(source, PollFlags::IN));
        }
        let timeout = pause.and_then(|pause| Timespec::try_from(pause).ok());
        if poll(&mut fds, timeout.as_ref()).is_err_and(|error| error != Errno::INTR) {
            thread::sleep(AFTER_ERROR);
        }
    }
}
