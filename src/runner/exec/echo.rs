//! The run as readable text on our own standard output, for `kubectl logs`. A convenience: bounded in
//! all, and dropped, with a mark, rather than waited for when nobody takes it. The record is elsewhere.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::api::text::Clean;

/// All that is ever written; the kubelet rotates a container's log at 10 MiB.
const TOTAL: usize = 8 * 1024 * 1024;

/// What waits for a slow reader.
const WAITING: usize = 256 * 1024;

/// A pipe that polls as writable takes this much without blocking (PIPE_BUF), so standard output needs
/// no O_NONBLOCK, which would stay with whoever shares it with us.
const PIECE: usize = 4096;

/// How long the end of the text may keep the run from ending.
const LAST: Duration = Duration::from_millis(500);

const FULL: &str = "[herd-runner: no more text here; the record of the run has all of it]\n";
const DROPPED: &str = "[herd-runner: text was dropped here, the log was not read fast enough]\n";

/// Standard output, or what stands for it in a test.
#[derive(Debug)]
pub struct Echo<W> {
    out: W,
    waiting: VecDeque<u8>,
    left: usize,
    dropped: bool,
    /// Nothing more is taken: all that may be written is, or nobody reads it.
    closed: bool,
}

impl<W: Write + AsFd> Echo<W> {
    pub fn new(out: W) -> Echo<W> {
        Echo {
            out,
            waiting: VecDeque::new(),
            left: TOTAL,
            dropped: false,
            closed: false,
        }
    }

    /// Takes text to be written when there is room.
    pub fn push(&mut self, text: &Clean) {
        if text.is_empty() || self.closed {
            return;
        }
        if text.len() > self.left {
            self.closed = true;
            self.waiting.extend(FULL.as_bytes());
        } else if self.waiting.len() + text.len() > WAITING && !self.waiting.is_empty() {
            self.dropped = true;
        } else {
            if std::mem::take(&mut self.dropped) {
                self.waiting.extend(DROPPED.as_bytes());
            }
            self.left -= text.len();
            self.waiting.extend(text.as_bytes());
        }
    }

    /// Where to wait for room; none when nothing is to be written.
    pub fn wants_room(&self) -> Option<BorrowedFd<'_>> {
        (!self.waiting.is_empty()).then(|| self.out.as_fd())
    }

    /// Writes as much as goes without waiting.
    pub fn flush(&mut self) {
        while !self.waiting.is_empty() && has_room(self.out.as_fd(), Duration::ZERO) {
            self.write_piece();
        }
    }

    /// Writes the rest, waiting a little for a slow reader.
    pub fn finish(&mut self) {
        if std::mem::take(&mut self.dropped) {
            self.waiting.extend(DROPPED.as_bytes());
        }
        let until = Instant::now() + LAST;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.waiting.is_empty() || !has_room(self.out.as_fd(), left) {
                return;
            }
            self.write_piece();
        }
    }

    fn write_piece(&mut self) {
        let (front, _) = self.waiting.as_slices();
        match self.out.write(&front[..front.len().min(PIECE)]) {
            Ok(count) => drop(self.waiting.drain(..count)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => {
                // The run goes on without.
                self.closed = true;
                self.waiting = VecDeque::new();
            }
        }
    }
}

fn has_room(out: BorrowedFd<'_>, wait: Duration) -> bool {
    let Ok(wait) = Timespec::try_from(wait) else {
        return false;
    };
    let mut fds = [PollFd::from_borrowed_fd(out, PollFlags::OUT)];
    matches!(poll(&mut fds, Some(&wait)), Ok(count) if count > 0)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use super::*;

    fn pipe() -> (std::io::PipeReader, Echo<std::io::PipeWriter>) {
        let (reader, writer) = std::io::pipe().unwrap();
        (reader, Echo::new(writer))
    }

    fn read_all(mut reader: impl Read) -> String {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn text_comes_out_as_it_went_in() {
        let (reader, mut echo) = pipe();
        echo.push(&"one\n".into());
        echo.push(&"two\n".into());
        echo.finish();
        drop(echo);
        assert_eq!(read_all(reader), "one\ntwo\n");
    }

    #[test]
    fn a_reader_that_sleeps_costs_text_and_no_time() {
        let (reader, mut echo) = pipe();
        let line = Clean::lines(&format!("{}\n", "x".repeat(1023)), 1024);
        let started = Instant::now();
        for _ in 0..1024 {
            echo.push(&line);
            echo.flush();
        }
        assert!(started.elapsed() < Duration::from_secs(5));
        assert!(echo.waiting.len() <= WAITING);
        let reading = std::thread::spawn(move || read_all(reader));
        echo.finish();
        drop(echo);
        let text = reading.join().unwrap();
        assert!(text.ends_with(DROPPED), "{}", &text[text.len() - 100..]);
        assert!(text.len() < 512 * 1024);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut echo = Echo::new(file.reopen().unwrap());
        let line = Clean::lines(&"x".repeat(64 * 1024), 64 * 1024);
        for _ in 0..256 {
            echo.push(&line);
            echo.flush();
        }
        echo.finish();
        let text = read_all(File::open(file.path()).unwrap());
        assert_eq!(text.len(), TOTAL + FULL.len());
        assert!(text.ends_with(FULL));
    }

    #[test]
    fn a_reader_that_is_gone_is_no_error() {
        let (reader, mut echo) = pipe();
        drop(reader);
        echo.push(&"lost\n".into());
        echo.finish();
        assert!(echo.closed && echo.wants_room().is_none());
    }
}
