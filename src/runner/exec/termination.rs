//! The termination message: the verdict once more, where the kubelet finds it. The file has the mode
//! 0666, so the agent may have written into it; it is written over when nobody else is left.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::api::verdict::{MAX_BYTES, Verdict};

/// The message of a run with a verdict.
pub fn of_verdict(verdict: &Verdict) -> String {
    verdict.to_message().to_string()
}

/// Replaces the file's content; the file itself is a mount of the kubelet's and can't be replaced.
/// There is no fsync: the kubelet reads it on the same node, and a node that dies has no use for it.
pub fn write(path: &Path, message: &str) -> io::Result<()> {
    let message = &message[..message.floor_char_boundary(MAX_BYTES)];
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    file.write_all(message.as_bytes())
}

/// How often the file's size is looked at. An agent can write as much as the disk takes in that time.
const EVERY: Duration = Duration::from_secs(1);
/// A larger file is emptied: the kubelet reads less of it.
const MAX_FILE: u64 = 64 * 1024;

/// What the kernel counts blocks in, whatever the file system's own are.
const BLOCK: u64 = 512;

/// Keeps the file small while the agent lives. It lies on the node's disk, and no limit of the pod counts it.
pub struct Guard<'a> {
    path: &'a Path,
    next: Duration,
}

impl<'a> Guard<'a> {
    pub fn new(path: &'a Path) -> Guard<'a> {
        Guard {
            path,
            next: Duration::ZERO,
        }
    }

    /// When to look next, on the clock of the run.
    pub fn next(&self) -> Duration {
        self.next
    }

    /// Looks, if it is time to. Answers how large the file was, in bytes, if it had to be emptied.
    pub fn look(&mut self, now: Duration) -> Option<u64> {
        if now < self.next {
            return None;
        }
        self.next = now + EVERY;
        let file = fs::metadata(self.path).ok()?;
        // Blocks can be taken beyond the file's end, and a file can be longer than its blocks.
        let size = file.len().max(file.blocks() * BLOCK);
        if !file.is_file() || size <= MAX_FILE {
            return None;
        }
        let open = OpenOptions::new().write(true).open(self.path).ok()?;
        open.set_len(0).ok()?;
        Some(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_what_stood_there() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "success! ".repeat(1000)).unwrap();
        write(file.path(), "no").unwrap();
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "no");
    }

    #[test]
    fn a_file_that_grows_is_emptied_and_looked_at_once_a_second() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut guard = Guard::new(file.path());
        let small = "x".repeat(64 * 1024);
        fs::write(file.path(), &small).unwrap();
        assert_eq!(guard.look(Duration::ZERO), None);
        fs::write(file.path(), small + "x").unwrap();
        assert_eq!(guard.look(Duration::from_millis(999)), None);
        assert!(guard.look(guard.next()).is_some_and(|size| size > MAX_FILE));
        assert_eq!(fs::read(file.path()).unwrap(), b"");
        let taken = std::process::Command::new("fallocate")
            .args(["--keep-size", "--length", "1MiB"])
            .arg(file.path())
            .status();
        if taken.is_ok_and(|it| it.success()) {
            assert_eq!(fs::metadata(file.path()).unwrap().len(), 0);
            assert!(guard.look(guard.next()).is_some_and(|size| size >= 1 << 20));
            assert_eq!(fs::metadata(file.path()).unwrap().blocks(), 0);
        }
        let mut nowhere = Guard::new(Path::new("/nowhere"));
        assert_eq!(nowhere.look(Duration::ZERO), None);
    }

    #[test]
    fn a_message_ends_before_the_kubelet_would_cut_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        write(file.path(), &"ä".repeat(MAX_BYTES)).unwrap();
        assert_eq!(
            fs::read_to_string(file.path()).unwrap(),
            "ä".repeat(MAX_BYTES / 2)
        );
    }
}
