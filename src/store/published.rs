//! What readers may see of the records that are not sealed yet: how many of their bytes are safe. It is
//! told by push, so that nobody has to look again and again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::gate::RecordKey;

/// How far a record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// There is a record; before, somebody may wait for it.
    pub exists: bool,
    /// Synced bytes.
    pub bytes: u64,
    /// Nothing follows.
    pub sealed: bool,
    /// Counts how often bytes were taken back that a reader may have seen.
    pub cuts: u32,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Published(Mutex<HashMap<RecordKey, Entry>>);

#[derive(Debug)]
struct Entry {
    folder: PathBuf,
    tail: watch::Sender<Tail>,
}

impl Published {
    /// The record's tail from now on, if there is an unsealed record.
    pub fn get(&self, key: &RecordKey) -> Option<(PathBuf, watch::Receiver<Tail>)> {
        let all = self.lock();
        let entry = all.get(key).filter(|entry| entry.tail.borrow().exists)?;
        Some((entry.folder.clone(), entry.tail.subscribe()))
    }

    /// The same for a record that may not exist yet.
    pub fn await_record(&self, key: &RecordKey) -> watch::Receiver<Tail> {
        let mut all = self.lock();
        all.retain(|_, entry| entry.tail.borrow().exists || entry.tail.receiver_count() > 0);
        let entry = all.entry(key.clone()).or_insert_with(Entry::awaited);
        entry.tail.subscribe()
    }

    /// Where the record lies, while it is not sealed.
    pub fn folder(&self, key: &RecordKey) -> Option<PathBuf> {
        Some(self.get(key)?.0)
    }

    /// Tells readers how far a record is.
    pub fn tell(&self, key: &RecordKey, folder: &Path, tail: Tail) {
        let mut all = self.lock();
        let entry = all.entry(key.clone()).or_insert_with(Entry::awaited);
        if entry.folder != folder {
            entry.folder = folder.to_owned();
        }
        entry.tail.send_replace(tail);
        if tail.sealed {
            all.remove(key);
        }
    }

    /// The records that are not sealed.
    pub fn known(&self) -> Vec<RecordKey> {
        let all = self.lock();
        let existing = all.iter().filter(|(_, entry)| entry.tail.borrow().exists);
        existing.map(|(key, _)| key.clone()).collect()
    }

    /// A folder has another name now.
    pub fn moved(&self, from: &Path, to: &Path) {
        for entry in self.lock().values_mut() {
            if let Ok(rest) = entry.folder.strip_prefix(from) {
                entry.folder = to.join(rest);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RecordKey, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn awaited() -> Entry {
        Entry {
            folder: PathBuf::new(),
            tail: watch::Sender::default(),
        }
    }
}
