//! A session's transcript beside the record: what is there of it, how another Job's becomes this one's, and
//! how the pod that continues the session reads it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, Stream};
use tokio::task::spawn_blocking;

use super::disk::Disk;
use super::gate::Shipper;
use super::layout::TRANSCRIPT;
use super::record::{Failed, unwritable};
use super::records::Records;
use crate::api::protocol::{Refusal, RefusalReason};

/// A copy until it is whole.
const COPY: &str = "session.jsonl.new";

/// It is read in pieces of this size.
const PIECE: u64 = 64 * 1024;

/// A transcript on its way to the pod that continues it.
pub struct Session<S> {
    pub length: u64,
    pub stream: S,
}

impl Records {
    /// The transcript that this shipper's agent continues: its own record's, else a copy of that of the Job
    /// that it resumes. `NotFound` where there is none.
    pub async fn session(
        self: &Arc<Self>,
        shipper: Shipper,
    ) -> Result<Session<impl Stream<Item = io::Result<Bytes>> + Send + use<>>, Refusal> {
        let key = shipper.record.clone();
        let length = self.restore(shipper).await?.length;
        let records = Arc::clone(self);
        let open = move || {
            let folder = records.published.folder(&key);
            File::open(folder.ok_or(io::ErrorKind::NotFound)?.join(TRANSCRIPT))
        };
        let opened = spawn_blocking(open).await.map_err(io::Error::other);
        let file = Arc::new(opened.flatten().map_err(|error| unreadable(&error))?);
        Ok(Session {
            length,
            stream: stream::try_unfold((file, 0, length), next),
        })
    }
}

async fn next(
    (file, at, end): (Arc<File>, u64, u64),
) -> io::Result<Option<(Bytes, (Arc<File>, u64, u64))>> {
    if at == end {
        return Ok(None);
    }
    let length = usize::try_from(PIECE.min(end - at)).unwrap_or_default();
    let read = move || {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, at)?;
        Ok::<_, io::Error>((Bytes::from(bytes), file))
    };
    let (bytes, file) = spawn_blocking(read).await.map_err(io::Error::other)??;
    Ok(Some((bytes, (file, at + length as u64, end))))
}

/// How long the transcript in this folder is; none, or an empty one, has no byte.
pub fn length(folder: &Path) -> Result<u64, Refusal> {
    match fs::metadata(folder.join(TRANSCRIPT)) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(unreadable(&error)),
    }
}

/// Copies a transcript into another record's folder, which is still to be synced. At its name it is whole,
/// and on the disk.
pub fn copy(from: &Path, to: &Path, disk: &mut dyn Disk) -> Result<u64, Failed> {
    let unfinished = to.join(COPY);
    let copied = copy_to(&from.join(TRANSCRIPT), &unfinished, disk);
    if copied.is_err() {
        // The next one begins it anew in any case.
        let _ = fs::remove_file(&unfinished);
    }
    let length = copied?;
    fs::rename(&unfinished, to.join(TRANSCRIPT)).map_err(|error| unwritable(&error))?;
    Ok(length)
}

fn copy_to(from: &Path, to: &Path, disk: &mut dyn Disk) -> Result<u64, Failed> {
    let source = File::open(from).map_err(|error| unreadable(&error))?;
    let target = File::create(to).map_err(|error| unwritable(&error))?;
    let mut piece = vec![0; PIECE as usize];
    let mut at = 0;
    loop {
        let read = source.read_at(&mut piece, at);
        let count = read.map_err(|error| unreadable(&error))?;
        if count == 0 {
            break;
        }
        let written = disk.write(&target, &piece[..count], at);
        written.map_err(|error| unwritable(&error))?;
        at += count as u64;
    }
    disk.sync_file(&target).map_err(Failed::Lost)?;
    Ok(at)
}

fn unreadable(error: &io::Error) -> Refusal {
    tracing::warn!(%error, "a transcript could not be read");
    let message = "the store could not read the session's transcript: see its log";
    Refusal::new(RefusalReason::Retry, message)
}
