//! One record that is not sealed yet: its files, and what an append means for them.
//!
//! Nothing here syncs and nothing here answers: a round does both for many records at once (`sync`).

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, fadvise};

use super::append::{Placed, place};
use super::disk::Disk;
use super::document::{Document, Segment};
use super::gate::{RecordKey, Shipper};
use super::layout::{OUTPUT, TRANSCRIPT};
use super::lines::{End, Lines};
use super::news::News;
use super::published::Tail;
use crate::api::protocol::{MAX_TRANSCRIPT_BYTES, Refusal, RefusalReason};

/// Lines are JSON texts, in which no such byte can stand; it is what a disk shows where bytes were lost.
pub const HOLE: u8 = 0;

/// A file is searched for holes in pieces of this size.
const PIECE: usize = 1024 * 1024;

/// See the module.
#[derive(Debug)]
pub struct Record {
    pub key: RecordKey,
    pub folder: PathBuf,
    pub document: Document,
    pub lines: Lines,
    output: Arc<File>,
    /// So many bytes of the newest segment somebody was told to be safe, or may have been by a store before
    /// us. A shipper that says less is not believed.
    confirmed: u64,
    /// This process has written to it.
    written: bool,
    /// Bytes that were taken back after readers may have seen them.
    cuts: u32,
}

/// What an operation left to be done.
#[derive(Debug, Default)]
pub struct Written {
    pub length: u64,
    /// To be synced.
    pub file: Option<Arc<File>>,
    /// What turned out to have been altered: an acknowledged byte, or what a verdict vouches for.
    pub altered: Option<String>,
    /// The segment ended with this append.
    pub ended: bool,
    /// There was room for something.
    pub wrote: bool,
    /// The first time since this process began: what one before said of the room was not taken back.
    pub first: bool,
}

/// Why nothing was written.
#[derive(Debug)]
pub enum Failed {
    /// The other side is told, and the record is as before.
    Refused(Refusal),
    /// As before but for this, which is to be remembered.
    Altered(Refusal),
    /// What is on the disk is not known any more.
    Lost(io::Error),
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Failed {
        Failed::Refused(refusal)
    }
}

impl Record {
    /// A new one, in a folder that was made for it.
    pub fn create(key: RecordKey, folder: PathBuf, document: Document) -> io::Result<Record> {
        let output = open(&folder.join(OUTPUT))?;
        // Left by a store that was killed before the record had a document: nobody was told of it.
        output.set_len(0)?;
        Ok(Record {
            key,
            folder,
            document,
            lines: Lines::default(),
            output: Arc::new(output),
            confirmed: 0,
            written: false,
            cuts: 0,
        })
    }

    /// What a store before us left, on a volume that was just synced. Whatever was acknowledged is there;
    /// behind it may lie bytes that never were, and after a power cut holes between them. Bytes that are
    /// whole are kept, also those of half a line: they may be acknowledged. What the page cache shows proves
    /// nothing after a sync that failed, so the disk is asked.
    pub fn recover(folder: PathBuf, document: Document) -> io::Result<Record> {
        let output = open(&folder.join(OUTPUT))?;
        fadvise(&output, 0, None, Advice::DontNeed)?;
        let starts: Vec<u64> = document
            .segments
            .iter()
            .map(|segment| segment.start)
            .collect();
        let lines = Lines::of_file(&output, &starts, whole(&output)?)?;
        if starts.last().is_some_and(|start| *start > lines.length) {
            let message = format!("bytes that were safe are gone: {} are left", lines.length);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        if lines.length < output.metadata()?.len() {
            output.set_len(lines.length)?;
            output.sync_all()?;
        }
        Ok(Record {
            key: document.key(),
            folder,
            document,
            // Of half a line only its shipper knows whether it was ever told to be safe.
            confirmed: lines.segment_length() - lines.torn(),
            lines,
            output: Arc::new(output),
            written: false,
            cuts: 0,
        })
    }

    /// For readers.
    pub fn tail(&self) -> Tail {
        Tail {
            exists: true,
            bytes: self.lines.length,
            sealed: false,
            cuts: self.cuts,
        }
    }

    /// Nothing can be added to the newest segment any more.
    pub fn is_over(&self) -> bool {
        self.lines.end().is_some() || self.document.sealed.is_some()
    }

    /// How far it is, for the other half.
    pub fn growth(&self) -> News {
        News::Grown {
            record: self.key.clone(),
            progress: self.lines.tally.progress(),
            bytes: self.lines.length,
            lines: self.lines.lines,
        }
    }

    pub fn output(&self) -> &Arc<File> {
        &self.output
    }

    /// The segment that this shipper may feed: the newest attempt's, from the pod that began it. None when
    /// it has still to begin.
    pub fn segment_of(&self, shipper: &Shipper) -> Result<Option<&Segment>, Refusal> {
        let newest = self.document.segments.last();
        let Some(newest) = newest.filter(|newest| shipper.attempt <= newest.attempt) else {
            return Ok(None);
        };
        if shipper.attempt < newest.attempt {
            let message = format!(
                "attempt {} is over: attempt {} has begun",
                shipper.attempt, newest.attempt
            );
            return Err(Refusal::new(RefusalReason::Fenced, message));
        }
        if shipper.pod_uid != newest.pod_uid {
            let message = format!(
                "attempt {} belongs to another pod than the one of this token",
                shipper.attempt
            );
            return Err(Refusal::new(RefusalReason::Fenced, message));
        }
        Ok(Some(newest))
    }

    /// The document with another attempt's segment, behind what the one before it left. A line that it left
    /// torn is ended: it can't be taken back, since it may be acknowledged.
    pub fn with_segment(
        &mut self,
        shipper: &Shipper,
        disk: &mut dyn Disk,
    ) -> Result<Document, Failed> {
        let mut document = self.settled();
        if self.lines.is_torn() {
            self.write(disk, b"\n", self.lines.length)?;
            self.lines
                .absorb(b"\n", &self.output)
                .map_err(Failed::Lost)?;
        }
        document.segments.push(Segment {
            attempt: shipper.attempt,
            pod_uid: shipper.pod_uid.clone(),
            start: self.lines.length,
            length: None,
            ended: false,
        });
        Ok(document)
    }

    /// That document is drafted: the segment begins.
    pub fn begin_segment(&mut self, document: Document) {
        self.document = document;
        self.lines.begin_segment();
        self.confirmed = 0;
    }

    /// The length of the newest segment, for its shipper to go on from.
    pub fn taken_up(&mut self) -> Written {
        self.confirmed = self.lines.segment_length();
        Written {
            length: self.confirmed,
            file: Some(Arc::clone(&self.output)),
            ..Written::default()
        }
    }

    /// The document with all that is known of the newest segment, to which nothing is added any more.
    pub fn settled(&self) -> Document {
        let mut document = self.document.clone();
        if let Some(newest) = document.segments.last_mut() {
            newest.length = Some(self.lines.segment_length());
            newest.ended = self.lines.end().is_some();
        }
        document
    }

    /// Appends to the newest segment, by the rules of [`place`].
    pub fn append(
        &mut self,
        offset: u64,
        acked: u64,
        body: &[u8],
        disk: &mut dyn Disk,
    ) -> Result<Written, Failed> {
        let written = self.write_at(offset, acked.max(self.confirmed), body, disk)?;
        self.confirmed = written.length;
        Ok(written)
    }

    fn write_at(
        &mut self,
        offset: u64,
        acked: u64,
        body: &[u8],
        disk: &mut dyn Disk,
    ) -> Result<Written, Failed> {
        let start = self.lines.segment_start();
        let length = self.lines.segment_length();
        let placed = place(offset, acked, body, length, |range| {
            read(&self.output, start + range.start, range.end - range.start)
        });
        let placed = placed.map_err(|error| Failed::Refused(unreadable(&error)))?;
        let unchanged = Written {
            length,
            ..Written::default()
        };
        let over = self.is_over();
        match placed {
            Placed::Gap => {
                let message =
                    format!("the store holds {length} bytes of this attempt, not {offset}");
                Err(Refusal::new(RefusalReason::Gap, message).at(length).into())
            }
            Placed::Altered { at } => {
                let message = format!("byte {at} of the attempt was acknowledged, and now differs");
                let refusal = Refusal::new(RefusalReason::Altered, message).at(length);
                Err(Failed::Altered(refusal))
            }
            // It may be in this round that it was written.
            Placed::Known => Ok(Written {
                file: Some(Arc::clone(&self.output)),
                ..unchanged
            }),
            Placed::Next { .. } | Placed::Instead { .. } if over => {
                let message = "this attempt is over: nothing can follow";
                Err(Refusal::new(RefusalReason::Fenced, message)
                    .at(length)
                    .into())
            }
            Placed::Next { skip } => self.grow(&body[skip..], disk),
            Placed::Instead { keep, skip } => {
                self.cut(start + keep).map_err(Failed::Lost)?;
                self.grow(&body[skip..], disk)
            }
        }
    }

    /// Writes to the session's transcript: at `offset`, and whatever lay behind is gone. What is there already
    /// stays with all behind it: a shipper that starts again sends everything anew, and may not come to its
    /// end.
    pub fn transcribe(
        &mut self,
        offset: u64,
        body: &[u8],
        disk: &mut dyn Disk,
    ) -> Result<Written, Failed> {
        let failed = |error: io::Error| Failed::Refused(unwritable(&error));
        let file = open(&self.folder.join(TRANSCRIPT)).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let end = offset.saturating_add(body.len() as u64);
        if end > MAX_TRANSCRIPT_BYTES {
            let message = format!("a transcript has at most {MAX_TRANSCRIPT_BYTES} bytes");
            return Err(Refusal::new(RefusalReason::TooLarge, message)
                .at(length)
                .into());
        }
        if offset > length {
            let message = format!("the store holds {length} bytes of the transcript, not {offset}");
            return Err(Refusal::new(RefusalReason::Gap, message).at(length).into());
        }
        let is_there = end <= length && read(&file, offset, end - offset).map_err(failed)? == body;
        if !is_there {
            file.set_len(offset).map_err(failed)?;
            if let Err(error) = disk.write(&file, body, offset) {
                file.set_len(offset).map_err(Failed::Lost)?;
                return Err(failed(error));
            }
        }
        Ok(Written {
            length: end,
            file: Some(Arc::new(file)),
            wrote: true,
            first: !std::mem::replace(&mut self.written, true),
            ..Written::default()
        })
    }

    /// Writes the store's own last lines, which stand in the document already.
    pub fn close(&mut self, closing: &[u8], disk: &mut dyn Disk) -> Result<(), Failed> {
        self.write(disk, closing, self.lines.length)?;
        self.lines.add_closing(closing);
        Ok(())
    }

    fn grow(&mut self, bytes: &[u8], disk: &mut dyn Disk) -> Result<Written, Failed> {
        self.write(disk, bytes, self.lines.length)?;
        let taken = self
            .lines
            .absorb(bytes, &self.output)
            .map_err(Failed::Lost)?;
        if taken < bytes.len() {
            // Behind a verdict nothing follows.
            self.output
                .set_len(self.lines.length)
                .map_err(Failed::Lost)?;
        }
        let altered = match self.lines.end() {
            Some(End::Altered(message)) => Some(message.clone()),
            Some(End::Verdict(_)) | None => None,
        };
        Ok(Written {
            length: self.lines.segment_length(),
            file: Some(Arc::clone(&self.output)),
            altered,
            ended: self.lines.end().is_some(),
            wrote: true,
            first: !std::mem::replace(&mut self.written, true),
        })
    }

    /// Writes, or leaves the file as long as it was.
    fn write(&mut self, disk: &mut dyn Disk, bytes: &[u8], at: u64) -> Result<(), Failed> {
        let Err(error) = disk.write(&self.output, bytes, at) else {
            return Ok(());
        };
        self.output.set_len(at).map_err(Failed::Lost)?;
        Err(unwritable(&error).into())
    }

    /// Takes bytes back that nobody was told to be safe.
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.output.set_len(length)?;
        let segments = &self.document.segments;
        let starts: Vec<u64> = segments.iter().map(|segment| segment.start).collect();
        self.lines = Lines::of_file(&self.output, &starts, length)?;
        self.cuts += 1;
        Ok(())
    }
}

/// The answer to whoever wants to write where it fails.
pub fn unwritable(error: &io::Error) -> Refusal {
    if matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    ) {
        return Refusal::new(
            RefusalReason::Full,
            "the store's disk is full: enlarge its volume or remove old records, what waits then goes on by itself",
        );
    }
    let message = format!("the store's disk takes no output: {error}");
    Refusal::new(RefusalReason::Retry, message)
}

fn unreadable(error: &io::Error) -> Refusal {
    let message = format!("the store's disk gives no output: {error}");
    Refusal::new(RefusalReason::Retry, message)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

fn read(file: &File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    std::os::unix::fs::FileExt::read_exact_at(file, &mut bytes, at)?;
    Ok(bytes)
}

/// The length of what has no hole.
fn whole(file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut at = 0;
    while at < length {
        let piece = read(file, at, (length - at).min(PIECE as u64))?;
        if let Some(hole) = memchr::memchr(HOLE, &piece) {
            return Ok(at + hole as u64);
        }
        at += piece.len() as u64;
    }
    Ok(length)
}
