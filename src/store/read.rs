//! Reading a record: what is safe of it, and what becomes safe while somebody waits.
//!
//! A reader costs a piece of the file that it has not taken yet, and a waker. Files are read off the
//! threads that serve.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::{self, Stream};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::document::Document;
use super::gate::{Named, RecordKey};
use super::layout::{JOB, OUTPUT};
use super::published::Tail;
use super::records::Records;
use crate::api::protocol::{RecordInfo, Refusal, RefusalReason};

mod begin;

/// A file is read in pieces of this size.
const PIECE: u64 = 64 * 1024;

/// What a reader wants of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Until the record is sealed.
    pub follow: bool,
    /// From this byte on.
    pub offset: Option<u64>,
    /// This many finished lines, and what follows.
    pub tail: Option<u64>,
    /// From the first line on that is not older.
    pub since: Option<DateTime<Utc>>,
}

/// A record as it is found, or still awaited.
#[derive(Debug)]
struct Found {
    job_uid: String,
    /// None while there is no record.
    folder: Option<PathBuf>,
    tail: watch::Receiver<Tail>,
}

/// The lines on their way to a reader.
pub struct Lines<S> {
    /// The Job's.
    pub uid: String,
    /// The byte of the record that comes first.
    pub begins: u64,
    /// Ends with an error where more would have to come.
    pub stream: S,
}

struct Position {
    records: Arc<Records>,
    key: RecordKey,
    file: Option<Arc<File>>,
    at: u64,
    /// Where a reader who does not follow ends.
    end: Option<u64>,
    cuts: u32,
    tail: watch::Receiver<Tail>,
}

impl Records {
    /// What is known of the record that a name stands for.
    pub async fn info(
        self: &Arc<Self>,
        namespace: &str,
        job: &str,
        named: Named,
    ) -> Result<RecordInfo, Refusal> {
        let found = self.found(namespace, job, named).await?;
        let Tail { bytes, sealed, .. } = *found.tail.borrow();
        let Some(folder) = found.folder else {
            let job = serde_json::Value::Null;
            return Ok(RecordInfo { job, bytes, sealed });
        };
        let job =
            off(move || Ok(serde_json::from_slice(&std::fs::read(folder.join(JOB))?)?)).await?;
        Ok(RecordInfo { job, bytes, sealed })
    }

    /// The record's lines. A Job that said nothing yet has none, and a follower waits for them.
    pub async fn lines(
        self: &Arc<Self>,
        namespace: &str,
        job: &str,
        named: Named,
        wanted: Wanted,
    ) -> Result<Lines<impl Stream<Item = io::Result<Bytes>> + Send + use<>>, Refusal> {
        let namespace_uid = named.namespace_uid.clone();
        let mut found = self.found(namespace, job, named).await?;
        let tail = *found.tail.borrow_and_update();
        let (file, begins) = match found.folder {
            Some(folder) => {
                // What is looked for may be far in a large file, and a search is no less work than a piece.
                let turn = Arc::clone(&self.readers).acquire_owned().await;
                off(move || {
                    let _turn = turn;
                    begin::find(&folder.join(OUTPUT), tail.bytes, wanted)
                })
                .await?
            }
            None => (None, wanted.offset.unwrap_or(0)),
        };
        if begins > tail.bytes {
            let message = format!("the record has {} bytes, not {begins}", tail.bytes);
            return Err(Refusal::new(RefusalReason::Gap, message).at(tail.bytes));
        }
        let position = Position {
            records: Arc::clone(self),
            key: RecordKey {
                namespace: namespace.to_owned(),
                namespace_uid,
                job: job.to_owned(),
                job_uid: found.job_uid.clone(),
            },
            file,
            at: begins,
            end: (!wanted.follow).then_some(tail.bytes),
            cuts: tail.cuts,
            tail: found.tail,
        };
        Ok(Lines {
            uid: found.job_uid,
            begins,
            stream: stream::try_unfold(position, Position::next),
        })
    }

    async fn found(
        self: &Arc<Self>,
        namespace: &str,
        job: &str,
        named: Named,
    ) -> Result<Found, Refusal> {
        let (records, namespace, job) = (Arc::clone(self), namespace.to_owned(), job.to_owned());
        off(move || records.find(namespace, job, named)).await?
    }

    fn find(
        &self,
        namespace: String,
        job: String,
        named: Named,
    ) -> io::Result<Result<Found, Refusal>> {
        let Named {
            namespace_uid,
            job_uid,
        } = named;
        let find = |uid| self.layout.find(&namespace, &namespace_uid, &job, uid);
        let Some(job_uid) = job_uid else {
            return Ok(match find(None)? {
                Some((folder, document)) => self.found_on_disk(folder, &document),
                None => Err(Refusal::new(RefusalReason::NotFound, no_record(&job))),
            });
        };
        // Asked for before it is looked for on the disk, so that it can't come in between.
        let tail = self.published.await_record(&RecordKey {
            namespace: namespace.clone(),
            namespace_uid: namespace_uid.clone(),
            job: job.clone(),
            job_uid: job_uid.clone(),
        });
        match find(Some(&job_uid))? {
            Some((folder, document)) => Ok(self.found_on_disk(folder, &document)),
            None => Ok(Ok(Found {
                job_uid,
                folder: None,
                tail,
            })),
        }
    }

    fn found_on_disk(&self, folder: PathBuf, document: &Document) -> Result<Found, Refusal> {
        let job_uid = document.uid.clone();
        if let Some(seal) = &document.sealed {
            // Before its last line is there, the other half was not told of the seal either.
            let published = self.published.get(&document.key());
            let tail = published.map_or_else(|| sealed(seal.bytes), |(_, tail)| tail);
            return Ok(Found {
                job_uid,
                folder: Some(folder),
                tail,
            });
        }
        match self.published.get(&document.key()) {
            Some((folder, tail)) => Ok(Found {
                job_uid,
                folder: Some(folder),
                tail,
            }),
            None => Err(Refusal::new(
                RefusalReason::Retry,
                "the record is being opened, or can't be read: see the store's log",
            )),
        }
    }
}

impl Position {
    async fn next(mut self) -> io::Result<Option<(Bytes, Position)>> {
        loop {
            let tail = *self.tail.borrow_and_update();
            if tail.cuts != self.cuts {
                return Err(io::Error::other("bytes that were read were taken back"));
            }
            let end = self.end.unwrap_or(tail.bytes);
            if self.at < end {
                return self.piece(end).await.map(Some);
            }
            if self.end.is_some() || tail.sealed {
                return Ok(None);
            }
            if self.tail.changed().await.is_err() {
                return Err(io::Error::other("the store is stopping"));
            }
        }
    }

    async fn piece(mut self, end: u64) -> io::Result<(Bytes, Position)> {
        let length = usize::try_from(PIECE.min(end - self.at)).unwrap_or_default();
        let (records, key, at) = (Arc::clone(&self.records), self.key.clone(), self.at);
        let file = self.file.take();
        let turn = Arc::clone(&self.records.readers).acquire_owned();
        let turn = turn.await.map_err(io::Error::other)?;
        let read = move || {
            let _turn = turn;
            let file = file.map_or_else(|| records.open_output(&key).map(Arc::new), Ok)?;
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, at)?;
            Ok::<_, io::Error>((file, Bytes::from(bytes)))
        };
        let (file, bytes) = spawn_blocking(read).await.map_err(io::Error::other)??;
        self.file = Some(file);
        self.at += bytes.len() as u64;
        Ok((bytes, self))
    }
}

impl Records {
    fn open_output(&self, key: &RecordKey) -> io::Result<File> {
        let uid = Some(key.job_uid.as_str());
        let folder = match self.published.folder(key) {
            Some(folder) => Some(folder),
            None => self
                .layout
                .find(&key.namespace, &key.namespace_uid, &key.job, uid)?
                .map(|(folder, _)| folder),
        };
        File::open(folder.ok_or(io::ErrorKind::NotFound)?.join(OUTPUT))
    }
}

/// Does what blocks elsewhere. An error is the disk's.
async fn off<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    let done = spawn_blocking(work).await.map_err(io::Error::other);
    done.flatten().map_err(|error| {
        tracing::warn!(%error, "a record could not be read");
        Refusal::new(
            RefusalReason::Retry,
            "the store could not read this record: see its log",
        )
    })
}

fn no_record(job: &str) -> String {
    format!("there is no Job {job} here, and no record of one")
}

/// A tail that does not change any more.
fn sealed(bytes: u64) -> watch::Receiver<Tail> {
    let tail = Tail {
        exists: true,
        bytes,
        sealed: true,
        ..Tail::default()
    };
    watch::channel(tail).1
}
