//! How a record ends, within a round. Its document goes first and holds the closing lines: whoever finds
//! it without them in the record puts them there.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::{Dirty, Keeper, Round, SealReply};
use crate::store::closing::closing_lines;
use crate::store::document::{Document, Seal};
use crate::store::gate::RecordKey;
use crate::store::layout::OUTPUT;
use crate::store::news::Closing;
use crate::store::published::Tail;
use crate::store::record::{Failed, Record, unwritable};
use crate::store::records::StoreError;
use crate::store::recovery::finish_seal;

/// The folder of a sealed record, its document, and its file where that was just written.
type Finished = (PathBuf, Document, Option<File>);

impl Keeper {
    /// Seals a record, also one of which nothing ever came. A sealed one is as it was.
    pub(super) fn seal(
        &mut self,
        key: RecordKey,
        closing: Closing,
        reply: SealReply,
        round: &mut Round,
    ) -> io::Result<()> {
        match self.settle(&key, closing, round) {
            Ok(()) => {}
            Err(Failed::Lost(error)) => return Err(error),
            Err(Failed::Refused(refusal) | Failed::Altered(refusal)) => {
                let _ = reply.send(Err(StoreError::refused(refusal)));
                return Ok(());
            }
        }
        if self.records.contains_key(&key) {
            round.seals.entry(key).or_default().push(reply);
            return Ok(());
        }
        let answer = match self.sealed_before(&key) {
            Ok(Some((folder, document, unsynced))) => {
                if let Some(file) = unsynced {
                    self.disk.sync_file(&file)?;
                }
                let sealed = document.sealed(&folder);
                sealed.map(|sealed| (sealed, Box::new(document), folder))
            }
            Ok(None) => None,
            Err(error) => {
                let _ = reply.send(Err(StoreError::refused(unwritable(&error))));
                return Ok(());
            }
        };
        let _ = reply.send(answer.ok_or(StoreError::Stopping));
        Ok(())
    }

    /// A record that is sealed already, with its closing lines also where the store before us, or our own
    /// start, had no room for them. The file is to be synced.
    fn sealed_before(&self, key: &RecordKey) -> io::Result<Option<Finished>> {
        let Some((folder, document)) = self.sealed_on_disk(key)? else {
            return Ok(None);
        };
        let unsynced = match &document.sealed {
            Some(seal) => finish_seal(&folder.join(OUTPUT), seal)?,
            None => None,
        };
        Ok(Some((folder, document, unsynced)))
    }

    /// Drafts the document of the sealed record.
    fn settle(
        &mut self,
        key: &RecordKey,
        closing: Closing,
        round: &mut Round,
    ) -> Result<(), Failed> {
        let known = self.records.contains_key(key);
        if !known
            && self
                .sealed_on_disk(key)
                .map_err(|error| unwritable(&error))?
                .is_some()
        {
            return Ok(());
        }
        self.find_or_create(key, &closing.agent, round)?;
        let now = (self.clock)();
        match self.records.get_mut(key) {
            Some(record) if record.document.sealed.is_none() => {
                let document = sealed_document(record, closing, now);
                let drafted = Keeper::draft(&record.folder, &document, round);
                drafted.inspect_err(|_| self.forget_undrafted(key))?;
                if let Some(record) = self.records.get_mut(key) {
                    record.document = document;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes the closing lines of records whose documents hold them.
    pub(super) fn close(&mut self, seals: HashMap<RecordKey, Vec<SealReply>>) -> io::Result<()> {
        let mut dirty = Dirty::default();
        let mut closed = Vec::new();
        for (key, replies) in seals {
            let Some(record) = self.records.get_mut(&key) else {
                continue;
            };
            match close(record, &mut *self.disk) {
                Ok(()) => {
                    dirty.file(record.output().clone());
                    closed.push((key, replies));
                }
                Err(Failed::Lost(error)) => return Err(error),
                Err(Failed::Refused(refusal) | Failed::Altered(refusal)) => {
                    for reply in replies {
                        let _ = reply.send(Err(StoreError::refused(refusal.clone())));
                    }
                }
            }
        }
        self.sync(dirty)?;
        for (key, replies) in closed {
            self.tell_sealed(&key, replies);
        }
        Ok(())
    }

    fn tell_sealed(&mut self, key: &RecordKey, replies: Vec<SealReply>) {
        self.stalled.remove(key);
        let Some(record) = self.records.remove(key) else {
            return;
        };
        let tail = Tail {
            sealed: true,
            ..record.tail()
        };
        self.published.tell(key, &record.folder, tail);
        let Some(sealed) = record.document.sealed(&record.folder) else {
            return;
        };
        for reply in replies {
            let document = Box::new(record.document.clone());
            let _ = reply.send(Ok((sealed.clone(), document, record.folder.clone())));
        }
    }
}

fn sealed_document(
    record: &Record,
    closing: Closing,
    now: chrono::DateTime<chrono::Utc>,
) -> Document {
    let mut document = record.settled();
    let text = closing_lines(&record.lines, &closing, now);
    let mut lines = record.lines.clone();
    lines.add_closing(text.as_bytes());
    let missing = missing(&document, &closing);
    document.close(closing);
    document.sealed = Some(Seal {
        at: now,
        bytes: lines.length,
        lines: lines.lines,
        sha256: lines.sha256(),
        missing,
        closing: text,
    });
    document
}

/// What was counted and never came, of all attempts.
fn missing(document: &Document, closing: &Closing) -> u64 {
    let of_attempt = |(attempt, counted): (&u32, &u64)| {
        let mut segments = document.segments.iter();
        match segments.find(|segment| segment.attempt == *attempt) {
            Some(segment) if segment.ended => 0,
            Some(segment) => counted.saturating_sub(segment.length.unwrap_or_default()),
            None => *counted,
        }
    };
    closing.counted.iter().map(of_attempt).sum()
}

fn close(record: &mut Record, disk: &mut dyn crate::store::disk::Disk) -> Result<(), Failed> {
    let Some(seal) = record.document.sealed.clone() else {
        return Ok(());
    };
    if record.lines.length < seal.bytes {
        record.close(seal.closing.as_bytes(), disk)?;
    }
    Ok(())
}
