//! The thread that owns the disk. What waits is written together, synced once, and answered: so many
//! streams cost hardly more than one, and nothing is acknowledged that is not on the disk.
//!
//! A round has up to three steps, each with its sync: what was appended and the drafts of documents; the
//! drafts in their places; the closing lines of records that are sealed. After the second all is answered
//! but the seals.
//!
//! An error of a sync leaves nobody knowing what is on the disk, and asking again would be answered with
//! success. So the round ends, and with it the process.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use rustix::fs::{FlockOperation, flock};
use tokio::sync::{mpsc, oneshot};

use super::disk::Disk;
use super::document::Document;
use super::gate::{RecordKey, Shipper};
use super::layout::Layout;
use super::news::{Closing, News, Sealed};
use super::outbox::Outbox;
use super::published::Published;
use super::record::{Failed, Record, unwritable};
use super::records::StoreError;
use crate::api::protocol::{Position, Refusal};

mod feed;
mod restore;
mod seal;

/// Up to so many dirty files are synced one by one; more, with all of the volume.
const SYNCED_ALONE: usize = 4;

/// A round takes at most so many commands, so that no answer waits for ever.
const MAX_ROUND: usize = 1024;

/// What is asked of the thread. Whoever asked gets no answer when the disk failed.
#[derive(Debug)]
pub enum Command {
    TakeUp {
        shipper: Shipper,
        reply: Reply,
    },
    Append {
        shipper: Shipper,
        offset: u64,
        acked: u64,
        body: Bytes,
        reply: Reply,
    },
    Transcribe {
        shipper: Shipper,
        offset: u64,
        body: Bytes,
        reply: Reply,
    },
    Restore {
        shipper: Shipper,
        reply: Reply,
    },
    Seal {
        key: RecordKey,
        closing: Box<Closing>,
        reply: SealReply,
    },
}

pub type Reply = oneshot::Sender<Result<Position, Refusal>>;

/// The sealed record, its document and its folder.
pub type SealReply = oneshot::Sender<Result<(Sealed, Box<Document>, PathBuf), StoreError>>;

/// What the thread knows.
pub struct Keeper {
    pub disk: Box<dyn Disk>,
    /// Its folder, open since before the first write: errors since then show at its sync.
    pub volume: File,
    pub layout: Layout,
    pub records: HashMap<RecordKey, Record>,
    pub published: Arc<Published>,
    pub outbox: Outbox,
    pub clock: fn() -> DateTime<Utc>,
    /// Records of which the other half was told that there is no room for them.
    pub stalled: HashSet<RecordKey>,
}

/// What a round has still to do.
#[derive(Default)]
struct Round {
    dirty: Dirty,
    /// Folders of records whose documents are drafted.
    drafts: BTreeSet<PathBuf>,
    answers: Vec<(Reply, Result<Position, Refusal>)>,
    touched: HashSet<RecordKey>,
    /// Told when the round is safe.
    news: Vec<News>,
    seals: HashMap<RecordKey, Vec<SealReply>>,
}

#[derive(Default)]
struct Dirty {
    files: Vec<Arc<File>>,
    folders: BTreeSet<PathBuf>,
}

impl Keeper {
    /// Works until nobody can ask any more. An error is that of a sync.
    pub fn run(mut self, mut commands: mpsc::Receiver<Command>) -> io::Result<()> {
        while let Some(command) = commands.blocking_recv() {
            let mut round = Round::default();
            self.begin(command, &mut round)?;
            for _ in 1..MAX_ROUND {
                let Ok(command) = commands.try_recv() else {
                    break;
                };
                self.begin(command, &mut round)?;
            }
            self.finish(round)?;
        }
        // Said aloud, since a process that was just forked may hold the descriptor a moment longer.
        Ok(flock(&self.volume, FlockOperation::Unlock)?)
    }

    fn begin(&mut self, command: Command, round: &mut Round) -> io::Result<()> {
        match command {
            Command::TakeUp { shipper, reply } => self.take_up(&shipper, reply, round),
            Command::Append {
                shipper,
                offset,
                acked,
                body,
                reply,
            } => self.append(&shipper, (offset, acked), &body, reply, round),
            Command::Transcribe {
                shipper,
                offset,
                body,
                reply,
            } => self.transcribe(&shipper, offset, &body, reply, round),
            Command::Restore { shipper, reply } => self.restore(&shipper, reply, round),
            Command::Seal {
                key,
                closing,
                reply,
            } => self.seal(key, *closing, reply, round),
        }
    }

    fn finish(&mut self, mut round: Round) -> io::Result<()> {
        self.sync(std::mem::take(&mut round.dirty))?;
        let mut placed = Dirty::default();
        for folder in std::mem::take(&mut round.drafts) {
            Document::publish(&folder)?;
            placed.folders.insert(folder);
        }
        self.sync(placed)?;
        // Who has an answer and then reads finds what he wrote.
        for record in round.touched.iter().filter_map(|key| self.records.get(key)) {
            self.published
                .tell(&record.key, &record.folder, record.tail());
        }
        for (reply, answer) in round.answers.drain(..) {
            // Whoever asked may have gone: he asks again.
            let _ = reply.send(answer);
        }
        // First what weighs more: a verdict behind its own growth would wait for that one's patch.
        for news in round.news.drain(..) {
            self.outbox.tell(news);
        }
        for record in round.touched.iter().filter_map(|key| self.records.get(key)) {
            self.outbox.tell(record.growth());
        }
        self.close(std::mem::take(&mut round.seals))
    }

    fn sync(&mut self, dirty: Dirty) -> io::Result<()> {
        if dirty.files.len() + dirty.folders.len() > SYNCED_ALONE {
            return self.disk.sync_volume(&self.volume);
        }
        for file in &dirty.files {
            self.disk.sync_file(file)?;
        }
        for folder in &dirty.folders {
            self.disk.sync_folder(&File::open(folder)?)?;
        }
        Ok(())
    }

    /// Writes a document beside the one it is to replace.
    fn draft(folder: &Path, document: &Document, round: &mut Round) -> Result<(), Failed> {
        match document.draft(folder) {
            Ok(file) => {
                round.dirty.file(Arc::new(file));
                round.drafts.insert(folder.to_owned());
                Ok(())
            }
            // A good draft of this round is spoilt.
            Err(error) if round.drafts.contains(folder) => Err(Failed::Lost(error)),
            Err(error) => Err(Failed::Refused(unwritable(&error))),
        }
    }
}

impl Round {
    /// A folder has another name now.
    fn moved(&mut self, from: &Path, to: &Path) {
        for paths in [&mut self.drafts, &mut self.dirty.folders] {
            let renamed = |path: PathBuf| match path.strip_prefix(from) {
                Ok(rest) => to.join(rest),
                Err(_) => path,
            };
            *paths = std::mem::take(paths).into_iter().map(renamed).collect();
        }
    }
}

impl Dirty {
    fn file(&mut self, file: Arc<File>) {
        if !self.files.iter().any(|known| Arc::ptr_eq(known, &file)) {
            self.files.push(file);
        }
    }
}
