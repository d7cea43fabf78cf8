//! All records of a volume, for whoever feeds, seals or reads them. What changes a file goes to the one
//! thread that owns the disk (`sync`), what reads one does not.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use rustix::fs::{FlockOperation, flock};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::disk::{Disk, Volume};
use super::gate::{RecordKey, Shipper};
use super::layout::{Layout, is_safe};
use super::log;
use super::news::{Closing, News, Sealed};
use super::outbox::Outbox;
use super::published::Published;
use super::recovery::recover;
use super::sync::{Command, Keeper, Reply};
use crate::api::protocol::{Position, Refusal, RefusalReason};

/// Commands that wait for the disk; who comes then waits with the request in hand.
const WAITING_COMMANDS: usize = 1024;

/// When a line wakes hundreds of followers, so many threads read it for them.
const READERS: usize = 16;

/// As `sysexits.h` has it: an input or output error.
const EXIT_IO_ERROR: i32 = 74;

/// The records of a volume. When the last handle goes, what was asked for is done first.
#[derive(Debug)]
pub struct Records {
    pub(super) layout: Layout,
    pub(super) published: Arc<Published>,
    /// Pieces of files that are read at the same time.
    pub(super) readers: Arc<Semaphore>,
    commands: Option<mpsc::Sender<Command>>,
    keeper: Option<JoinHandle<()>>,
}

/// Why the store can't do what its own process asks.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "another process writes to {}: stop it first, a volume has room for one store",
        .0.display()
    )]
    Locked(PathBuf),
    #[error("could not {what} {}: {source}", .path.display())]
    Volume {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{}", .0.message)]
    Refused(Refusal),
    #[error("the store is stopping")]
    Stopping,
}

impl StoreError {
    pub(super) fn refused(refusal: Refusal) -> StoreError {
        StoreError::Refused(refusal)
    }
}

impl Records {
    /// Opens the volume at this folder, finishes what a process before left half done, and takes it for
    /// this process alone. It blocks for as long as it takes to read all records that are not sealed.
    ///
    /// When a sync fails, the process ends with status 74.
    pub fn open(
        folder: &Path,
        news: mpsc::Sender<News>,
        clock: fn() -> DateTime<Utc>,
    ) -> Result<Arc<Records>, StoreError> {
        let exit = |error: io::Error| {
            tracing::error!(%error, "the volume could not be synced: nobody knows what is on it, so this process ends");
            std::process::exit(EXIT_IO_ERROR)
        };
        Records::open_on(folder, Box::new(Volume), news, clock, exit)
    }

    /// The same on another disk, and with something else to do when a sync fails: after it, nothing that
    /// waits is ever answered with success.
    pub fn open_on(
        folder: &Path,
        mut disk: Box<dyn Disk>,
        news: mpsc::Sender<News>,
        clock: fn() -> DateTime<Utc>,
        failed: impl FnOnce(io::Error) + Send + 'static,
    ) -> Result<Arc<Records>, StoreError> {
        let problem = |what| {
            let path = folder.to_owned();
            move |source| StoreError::Volume { what, path, source }
        };
        let volume = File::open(folder).map_err(problem("open"))?;
        match flock(&volume, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(StoreError::Locked(folder.to_owned()));
            }
            Err(error) => return Err(problem("lock")(error.into())),
        }
        disk.sync_volume(&volume).map_err(problem("sync"))?;
        let layout = Layout::new(folder);
        let published = Arc::new(Published::default());
        let outbox = Outbox::start(news).map_err(problem("start a thread for"))?;
        let records = recover(&layout, &published, &outbox, &mut *disk, clock);
        let records = records.map_err(problem("read"))?;
        let keeper = Keeper {
            disk,
            volume,
            layout: layout.clone(),
            records,
            published: Arc::clone(&published),
            outbox,
            clock,
            stalled: Default::default(),
        };
        let (commands, waiting) = mpsc::channel(WAITING_COMMANDS);
        let run = move || {
            if let Err(error) = keeper.run(waiting) {
                failed(error);
            }
        };
        let thread = thread::Builder::new().name("disk".to_owned()).spawn(run);
        Ok(Arc::new(Records {
            layout,
            published,
            readers: Arc::new(Semaphore::new(READERS)),
            commands: Some(commands),
            keeper: Some(thread.map_err(problem("start a thread for"))?),
        }))
    }

    /// The records that are not sealed.
    pub fn known(&self) -> Vec<RecordKey> {
        self.published.known()
    }

    /// Ends a record: closing lines, digest, final `job.json`, readable log. The second time it answers the
    /// same. A Job that never said anything gets a record of closing lines alone.
    pub async fn seal(&self, key: &RecordKey, closing: Closing) -> Result<Sealed, StoreError> {
        if !is_safe(key) {
            let refusal = Refusal::new(RefusalReason::BadRequest, "no name of a Job");
            return Err(StoreError::Refused(refusal));
        }
        let (reply, answer) = oneshot::channel();
        let command = Command::Seal {
            key: key.clone(),
            closing: Box::new(closing),
            reply,
        };
        let commands = self.commands.as_ref().ok_or(StoreError::Stopping)?;
        commands
            .send(command)
            .await
            .map_err(|_| StoreError::Stopping)?;
        let (sealed, document, folder) = answer.await.map_err(|_| StoreError::Stopping)??;
        let job = key.job.clone();
        let written = tokio::task::spawn_blocking(move || log::write(&folder, &document));
        if let Ok(Err(error)) = written.await {
            // The record is whole without it.
            tracing::warn!(job, %error, "the readable log could not be written");
        }
        Ok(sealed)
    }

    /// Begins or takes up an attempt's stream; gives the length of its segment.
    pub async fn take_up(&self, shipper: Shipper) -> Result<Position, Refusal> {
        self.ask(shipper, |shipper, reply| Command::TakeUp { shipper, reply })
            .await
    }

    /// Appends to an attempt's segment, at `offset` of it; gives its new length.
    pub async fn append(
        &self,
        shipper: Shipper,
        offset: u64,
        acked: u64,
        body: Bytes,
    ) -> Result<Position, Refusal> {
        let command = |shipper, reply| Command::Append {
            shipper,
            offset,
            acked,
            body,
            reply,
        };
        self.ask(shipper, command).await
    }

    /// Writes to the session's transcript, at `offset` of it; gives its new length.
    pub async fn transcribe(
        &self,
        shipper: Shipper,
        offset: u64,
        body: Bytes,
    ) -> Result<Position, Refusal> {
        let command = |shipper, reply| Command::Transcribe {
            shipper,
            offset,
            body,
            reply,
        };
        self.ask(shipper, command).await
    }

    /// Makes sure that there is the transcript which this shipper's agent continues; gives its length.
    pub(super) async fn restore(&self, shipper: Shipper) -> Result<Position, Refusal> {
        self.ask(shipper, |shipper, reply| Command::Restore {
            shipper,
            reply,
        })
        .await
    }

    async fn ask(
        &self,
        shipper: Shipper,
        command: impl FnOnce(Shipper, Reply) -> Command,
    ) -> Result<Position, Refusal> {
        if !is_safe(&shipper.record) {
            return Err(Refusal::new(RefusalReason::BadRequest, "no name of a Job"));
        }
        let stopping = || Refusal::new(RefusalReason::Retry, "the store is stopping");
        let (reply, answer) = oneshot::channel();
        let commands = self.commands.as_ref().ok_or_else(stopping)?;
        let sent = commands.send(command(shipper, reply)).await;
        sent.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        drop(self.commands.take());
        if let Some(keeper) = self.keeper.take() {
            // It has told why, if it failed.
            let _ = keeper.join();
        }
    }
}
