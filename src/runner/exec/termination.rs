//! The termination message: the verdict once more, where the kubelet finds it. The file has the mode
//! 0666, so the agent may have written into it; it is written over when nobody else is left.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn nothing_is_left_of_what_stood_there() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "success! ".repeat(1000)).unwrap();
        write(file.path(), "no").unwrap();
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "no");
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
