//! The spool on disk: one file, whose existence says that it was handed over, and whose lock says that
//! the process it was handed to still lives.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::api::verdict;

/// The file's name in the spool's folder.
const FILE: &str = "output.jsonl";

/// Only `ship` opens the file by its name.
const MODE: u32 = 0o600;

/// The end of the file that holds its last line, if that is a verdict: the verdict and what an event
/// puts around it.
pub const TAIL_BYTES: u64 = 2 * verdict::MAX_BYTES as u64;

/// The pod's spool.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: PathBuf,
    file: PathBuf,
}

impl Spool {
    pub fn in_folder(folder: &Path) -> Spool {
        Spool {
            folder: folder.to_owned(),
            file: folder.join(FILE),
        }
    }

    /// True once it was created, by this or by an earlier `ship`.
    pub fn exists(&self) -> bool {
        self.file.exists()
    }

    /// Creates the file, on disk with its name, for the one hand-over; `AlreadyExists` if that was
    /// before. The lock goes along with the descriptor and ends with its last holder.
    pub fn create(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let spool = options
            .append(true)
            .create_new(true)
            .mode(MODE)
            .open(&self.file)?;
        spool.lock()?;
        spool.sync_all()?;
        File::open(&self.folder)?.sync_all()?;
        Ok(spool)
    }

    /// Returns when nobody holds the descriptor any more that was handed over. An error is none of the
    /// lock's and says nothing about its holder.
    pub fn wait_until_free(&self) -> io::Result<()> {
        File::open(&self.file)?.lock_shared()
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// The file, for reading and for taking away what is no longer needed.
    pub fn open(&self) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(&self.file)
    }

    /// How the record ends, as part of a sentence.
    pub fn ending(&self) -> String {
        match File::open(&self.file).and_then(|file| last_verdict(&file)) {
            Ok(Some(verdict)) => {
                let word = |field: &str| verdict[field].as_str().unwrap_or("?").to_owned();
                format!("with a verdict: {} ({})", word("phase"), word("reason"))
            }
            Ok(None) => "without a verdict".to_owned(),
            Err(error) => format!("and its spool can't be read: {error}"),
        }
    }
}

/// The verdict, if the last whole line is one.
pub fn last_verdict(spool: &File) -> io::Result<Option<Value>> {
    let length = spool.metadata()?.len();
    let mut tail = [0; TAIL_BYTES as usize];
    let tail = &mut tail[..length.min(TAIL_BYTES) as usize];
    spool.read_exact_at(tail, length - tail.len() as u64)?;
    Ok(verdict_of(tail))
}

fn verdict_of(tail: &[u8]) -> Option<Value> {
    let lines = tail.strip_suffix(b"\n")?;
    let last = lines.rsplit(|byte| *byte == b'\n').next()?;
    let mut event: Value = serde_json::from_slice(last).ok()?;
    let is_verdict =
        event["type"] == "system" && event["subtype"] == "verdict" && event["line"].is_null();
    is_verdict.then(|| event["data"].take())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, TryLockError};
    use std::thread;

    use super::*;

    const VERDICT: &str = "{\"type\":\"system\",\"subtype\":\"verdict\",\"data\":{\"phase\":\"failed\",\"reason\":\"MaxTurns\"}}\n";

    fn spool() -> (tempfile::TempDir, Spool) {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::in_folder(folder.path());
        (folder, spool)
    }

    #[test]
    fn it_is_created_once() {
        let (_folder, spool) = spool();
        assert!(!spool.exists());
        spool.create().unwrap();
        assert!(spool.exists());
        assert_eq!(
            spool.create().unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
    }

    #[test]
    fn it_is_held_until_its_descriptor_is_closed() {
        let (_folder, spool) = spool();
        let descriptor = spool.create().unwrap();
        let waiter = {
            let spool = spool.clone();
            thread::spawn(move || spool.wait_until_free())
        };
        let held = File::open(spool.path()).unwrap().try_lock_shared();
        assert!(matches!(held, Err(TryLockError::WouldBlock)), "{held:?}");
        assert!(!waiter.is_finished());
        drop(descriptor);
        waiter.join().unwrap().unwrap();
    }

    #[test]
    fn only_a_whole_last_line_is_a_verdict() {
        let long = format!("{}\n{VERDICT}", "x".repeat(100_000));
        for (text, ending) in [
            (long.as_str(), "with a verdict: failed (MaxTurns)"),
            (VERDICT.trim_end(), "without a verdict"),
            (
                "{\"type\":\"output\",\"content\":\"\\\"subtype\\\":\\\"verdict\\\"\"}\n",
                "without a verdict",
            ),
            ("", "without a verdict"),
        ] {
            let (_folder, spool) = spool();
            fs::write(&spool.file, text).unwrap();
            assert_eq!(spool.ending(), ending);
        }
    }
}
