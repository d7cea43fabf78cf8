//! Where the `exec` of this pod is, as far as `ship` knows. It may have the spool from a `ship` before
//! this one; then the spool itself tells of it: it changes when something is written, and its lock goes
//! with its holder.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use super::news::{News, Teller};
use super::spool::Spool;
use crate::runner::handover::{Heard, hear};

/// The pause between two tries to wait for the lock.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// Events come in a few bytes each; what they say is known.
const EVENT_BYTES: usize = 4096;

/// Where `exec` is.
#[derive(Debug)]
pub enum Runner {
    /// Nobody has asked yet.
    Awaited,
    /// It asks for the spool, and the store is asked about it.
    Asking {
        connection: UnixStream,
        until: Instant,
    },
    /// It has the spool; the connection ends with it.
    Connected(UnixStream),
    /// It has the spool and there is no connection.
    Unseen(Watch),
    /// Nobody has the spool any more.
    Gone,
}

impl Runner {
    /// Finds the holder of a spool that was handed over before.
    pub fn unseen(spool: &Spool, news: &Teller) -> io::Result<Runner> {
        tell_when_gone(spool.clone(), news.clone())?;
        Ok(Runner::Unseen(Watch::new(spool)))
    }

    /// What to wait for, if it can tell of itself.
    pub fn source(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Runner::Asking { connection, .. } | Runner::Connected(connection) => {
                Some(connection.as_fd())
            }
            Runner::Unseen(watch) => watch.events.as_ref().map(AsFd::as_fd),
            Runner::Awaited | Runner::Gone => None,
        }
    }

    /// Hears what it has to say.
    pub fn hear(&mut self) -> Heard {
        match self {
            Runner::Awaited | Runner::Gone => Heard::default(),
            Runner::Asking { connection, .. } => {
                if hear(connection).ended {
                    *self = Runner::Awaited;
                }
                Heard::default()
            }
            Runner::Connected(connection) => {
                let heard = hear(connection);
                if heard.ended {
                    *self = Runner::Gone;
                }
                heard
            }
            Runner::Unseen(watch) => Heard {
                written: watch.has_changed(),
                ..Heard::default()
            },
        }
    }
}

/// Hears of writes into the spool by the file system.
#[derive(Debug)]
pub struct Watch {
    /// None where the node has no watch left for us; then the loop looks once in a while.
    events: Option<OwnedFd>,
}

impl Watch {
    fn new(spool: &Spool) -> Watch {
        let watch = || {
            let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            inotify::add_watch(&events, spool.path(), WatchFlags::MODIFY)?;
            Ok::<_, io::Error>(events)
        };
        Watch {
            events: watch().ok(),
        }
    }

    /// True when there is no watch, whenever it is asked.
    pub fn is_blind(&self) -> bool {
        self.events.is_none()
    }

    fn has_changed(&self) -> bool {
        let Some(events) = &self.events else {
            return true;
        };
        let mut changed = false;
        while rustix::io::read(events, &mut [0; EVENT_BYTES]).is_ok() {
            changed = true;
        }
        changed
    }
}

/// Waits for the lock in a thread of its own, which has nothing else to do and may take forever.
fn tell_when_gone(spool: Spool, news: Teller) -> io::Result<()> {
    thread::Builder::new()
        .name("holder".to_owned())
        .spawn(move || {
            while spool.wait_until_free().is_err() {
                thread::sleep(AFTER_ERROR);
            }
            news.tell(News::RunnerGone);
        })?;
    Ok(())
}
