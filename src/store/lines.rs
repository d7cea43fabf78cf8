//! What is known of a record's bytes without looking at them again: lengths, lines, digests, how far the
//! run is, and whether the attempt has spoken its last word.
//!
//! Nothing of a line is held until its end arrives, however long it is: its beginning is read from the
//! file again. The same code follows appends and reads a file at the start.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use crate::api::event::MAX_BYTES;
use crate::api::text::Clean;
use crate::api::verdict::Verdict;
use crate::plan::progress::Tally;

/// Longer lines are kept like any other, and not understood: no event is as long.
const MAX_UNDERSTOOD: u64 = 2 * MAX_BYTES as u64;

/// At the start a file is read in pieces of this size.
const PIECE: usize = 1024 * 1024;

/// The state after some bytes of a file.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// So many bytes.
    pub length: u64,
    /// Lines of the whole file that have an end.
    pub lines: u64,
    /// Of all bytes; while the first segment grows, its digest is this.
    whole: Sha256,
    /// Where the line begins that has no end yet.
    line_start: u64,
    segment: SegmentLines,
    pub tally: Tally,
}

/// The same for the attempt's part of it.
#[derive(Clone, Debug, Default)]
struct SegmentLines {
    start: u64,
    lines: u64,
    digest: Sha256,
    /// Before the line that has no end yet.
    digest_of_lines: Sha256,
    end: Option<End>,
}

/// How an attempt's bytes end.
#[derive(Clone, Debug)]
pub enum End {
    /// With the runner's verdict, whose digest is that of the bytes before it.
    Verdict(Box<Verdict>),
    /// With a verdict that speaks of other bytes; what differs, as a sentence.
    Altered(String),
}

impl Lines {
    /// An attempt's segment begins here.
    pub fn begin_segment(&mut self) {
        self.whole = self.digest().clone();
        self.line_start = self.length;
        self.segment = SegmentLines {
            start: self.length,
            ..SegmentLines::default()
        };
    }

    /// Bytes of the attempt's segment.
    pub fn segment_length(&self) -> u64 {
        self.length - self.segment.start
    }

    pub fn segment_start(&self) -> u64 {
        self.segment.start
    }

    pub fn end(&self) -> Option<&End> {
        self.segment.end.as_ref()
    }

    /// The last line has no end.
    pub fn is_torn(&self) -> bool {
        self.torn() > 0
    }

    /// Bytes of the line that has no end yet.
    pub fn torn(&self) -> u64 {
        self.length - self.line_start
    }

    /// SHA-256 of all bytes so far, in hex.
    pub fn sha256(&self) -> String {
        hex(self.digest())
    }

    fn digest(&self) -> &Sha256 {
        match self.segment.start {
            0 => &self.segment.digest,
            _ => &self.whole,
        }
    }

    /// Takes bytes that were just written behind the others, up to the end of the attempt's verdict.
    /// Gives how many it took.
    pub fn absorb(&mut self, bytes: &[u8], file: &File) -> io::Result<usize> {
        let mut taken = 0;
        for newline in memchr::memchr_iter(b'\n', bytes) {
            let piece = &bytes[taken..=newline];
            let verdict = self.understand(&piece[..piece.len() - 1], file)?;
            let end = verdict.map(|verdict| self.judge(verdict));
            self.add(piece);
            taken = newline + 1;
            self.lines += 1;
            self.segment.lines += 1;
            self.line_start = self.length;
            self.segment.digest_of_lines = self.segment.digest.clone();
            if let Some(end) = end {
                self.segment.end = Some(end);
                return Ok(taken);
            }
        }
        self.add(&bytes[taken..]);
        Ok(bytes.len())
    }

    /// Adds the store's own last lines; a line that was torn ends with them.
    pub fn add_closing(&mut self, closing: &[u8]) {
        self.add(closing);
        self.lines += memchr::memchr_iter(b'\n', closing).count() as u64;
        self.line_start = self.length;
    }

    /// The state after the first `length` bytes of a file with segments at these places.
    pub fn of_file(file: &File, starts: &[u64], length: u64) -> io::Result<Lines> {
        let mut lines = Lines::default();
        let mut starts = starts.iter().copied().peekable();
        let mut piece = vec![0; PIECE];
        loop {
            while starts.next_if(|start| *start <= lines.length).is_some() {
                lines.begin_segment();
            }
            let limit = starts.peek().map_or(length, |start| length.min(*start));
            let want = PIECE.min(usize::try_from(limit - lines.length).unwrap_or(PIECE));
            if want == 0 {
                return Ok(lines);
            }
            file.read_exact_at(&mut piece[..want], lines.length)?;
            let taken = lines.absorb(&piece[..want], file)?;
            // Nothing is taken behind a verdict but by a store that was killed before it cut that off.
            if taken < want && starts.peek().is_none() {
                return Ok(lines);
            }
            if taken < want {
                lines.add(&piece[taken..want]);
            }
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.segment.digest.update(bytes);
        if self.segment.start > 0 {
            self.whole.update(bytes);
        }
        self.length += bytes.len() as u64;
    }

    /// Counts the line that ends with this piece. Gives the verdict that it is, perhaps.
    fn understand(&mut self, piece: &[u8], file: &File) -> io::Result<Option<Verdict>> {
        let before = self.length - self.line_start;
        if before + piece.len() as u64 > MAX_UNDERSTOOD {
            return Ok(None);
        }
        let mut line = Cow::Borrowed(piece);
        if before > 0 {
            let mut whole = vec![0; usize::try_from(before).unwrap_or_default()];
            file.read_exact_at(&mut whole, self.line_start)?;
            whole.extend_from_slice(piece);
            line = Cow::Owned(whole);
        }
        Ok(self.tally.take(&line))
    }

    fn judge(&self, verdict: Verdict) -> End {
        let said = &verdict.segment;
        let bytes = self.line_start - self.segment.start;
        let sha256 = hex(&self.segment.digest_of_lines);
        if (said.bytes, said.lines, said.sha256.as_str())
            == (bytes, self.segment.lines, sha256.as_str())
        {
            return End::Verdict(Box::new(verdict));
        }
        End::Altered(format!(
            "the runner recorded {} bytes in {} lines with digest {}, what arrived are {bytes} bytes in {} lines with digest {sha256}",
            said.bytes,
            said.lines,
            Clean::line(&said.sha256, 64),
            self.segment.lines,
        ))
    }
}

fn hex(digest: &Sha256) -> String {
    let bytes = digest.clone().finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
