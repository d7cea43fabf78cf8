//! What shippers ask for, within a round.

use std::io;

use super::{Keeper, Reply, Round};
use crate::api::protocol::{Position, Refusal, RefusalReason};
use crate::store::append::{Placed, place};
use crate::store::document::{Document, Segment};
use crate::store::gate::{RecordKey, Shipper};
use crate::store::layout::{Claimed, OUTPUT};
use crate::store::lines::End;
use crate::store::news::News;
use crate::store::record::{Failed, Record, Written, unwritable};

impl Keeper {
    pub(super) fn take_up(
        &mut self,
        shipper: &Shipper,
        reply: Reply,
        round: &mut Round,
    ) -> io::Result<()> {
        let taken = self
            .record_of(shipper, round)
            .map(Record::taken_up)
            .or_else(|failed| self.of_sealed(shipper, failed, None));
        self.answer(&shipper.record, taken, reply, round)
    }

    pub(super) fn append(
        &mut self,
        shipper: &Shipper,
        (offset, acked): (u64, u64),
        body: &[u8],
        reply: Reply,
        round: &mut Round,
    ) -> io::Result<()> {
        let written = match self.record_of(shipper, round) {
            Ok(_) => self.grow(&shipper.record, (offset, acked), body),
            Err(failed) => self.of_sealed(shipper, failed, Some((offset, body))),
        };
        if let Ok(written) = &written {
            self.tell_end(shipper, written, round);
        }
        self.answer(&shipper.record, written, reply, round)
    }

    pub(super) fn transcribe(
        &mut self,
        shipper: &Shipper,
        offset: u64,
        body: &[u8],
        reply: Reply,
        round: &mut Round,
    ) -> io::Result<()> {
        let written = self.write_transcript(shipper, offset, body, round);
        self.answer(&shipper.record, written, reply, round)
    }

    fn write_transcript(
        &mut self,
        shipper: &Shipper,
        offset: u64,
        body: &[u8],
        round: &mut Round,
    ) -> Result<Written, Failed> {
        self.record_of(shipper, round)?;
        let record = self.records.get_mut(&shipper.record).ok_or_else(sealed)?;
        if record.is_over() {
            return Err(sealed().into());
        }
        // The file may be new.
        round.dirty.folders.insert(record.folder.clone());
        record.transcribe(offset, body, &mut *self.disk)
    }

    fn grow(
        &mut self,
        key: &RecordKey,
        (offset, acked): (u64, u64),
        body: &[u8],
    ) -> Result<Written, Failed> {
        let record = self.records.get_mut(key).ok_or_else(sealed)?;
        record.append(offset, acked, body, &mut *self.disk)
    }

    /// The record with this shipper's segment as its newest; makes what lacks.
    pub(super) fn record_of(
        &mut self,
        shipper: &Shipper,
        round: &mut Round,
    ) -> Result<&mut Record, Failed> {
        let key = &shipper.record;
        if shipper.ended && !self.records.contains_key(key) {
            return Err(sealed().into());
        }
        self.find_or_create(key, &shipper.agent, round)?;
        let begun = self.begin_segment(shipper, round);
        begun.inspect_err(|_| self.forget_undrafted(key))?;
        Ok(self.records.get_mut(key).ok_or_else(sealed)?)
    }

    /// Begins this shipper's segment, unless it is the newest already.
    fn begin_segment(&mut self, shipper: &Shipper, round: &mut Round) -> Result<(), Failed> {
        let record = self.records.get_mut(&shipper.record).ok_or_else(sealed)?;
        if record.segment_of(shipper)?.is_some() {
            return Ok(());
        }
        if shipper.ended || record.document.sealed.is_some() {
            return Err(sealed().into());
        }
        let document = record.with_segment(shipper, &mut *self.disk)?;
        round.dirty.file(record.output().clone());
        Keeper::draft(&record.folder, &document, round)?;
        record.begin_segment(document);
        round.touched.insert(shipper.record.clone());
        Ok(())
    }

    /// A record without a document owns nothing on the disk: who takes its name next would not see it,
    /// and share its folder.
    pub(super) fn forget_undrafted(&mut self, key: &RecordKey) {
        let drafted = |record: &Record| {
            !record.document.segments.is_empty() || record.document.sealed.is_some()
        };
        if self.records.get(key).is_some_and(|record| !drafted(record)) {
            self.records.remove(key);
        }
    }

    /// Refuses as `Fenced` when the record is sealed. A new one is to be drafted, or forgotten again.
    pub(super) fn find_or_create(
        &mut self,
        key: &RecordKey,
        agent: &str,
        round: &mut Round,
    ) -> Result<(), Refusal> {
        if self.records.contains_key(key) {
            return Ok(());
        }
        let failed = |error: io::Error| unwritable(&error);
        if self.sealed_on_disk(key).map_err(failed)?.is_some() {
            return Err(sealed());
        }
        let mut claimed = Claimed::default();
        let folder = self.layout.claim(key, &mut claimed);
        self.follow(claimed, round);
        let folder = folder.map_err(failed)?;
        if self.records.values().any(|other| other.folder == folder) {
            // One of this name came in this round, so the disk does not know of it yet.
            let message = "another Job of this name is just being taken up";
            return Err(Refusal::new(RefusalReason::Retry, message));
        }
        let document = Document::new(key, agent, (self.clock)());
        let record = Record::create(key.clone(), folder, document).map_err(failed)?;
        round.dirty.folders.insert(record.folder.clone());
        self.records.insert(key.clone(), record);
        Ok(())
    }

    /// What was set aside is somewhere else from now on.
    fn follow(&mut self, claimed: Claimed, round: &mut Round) {
        for (from, to) in &claimed.moved {
            self.published.moved(from, to);
            round.moved(from, to);
            for record in self.records.values_mut() {
                if let Ok(rest) = record.folder.strip_prefix(from) {
                    record.folder = to.join(rest);
                }
            }
        }
        round.dirty.folders.extend(claimed.changed);
    }

    pub(super) fn sealed_on_disk(
        &self,
        key: &RecordKey,
    ) -> io::Result<Option<(std::path::PathBuf, Document)>> {
        let uid = Some(key.job_uid.as_str());
        let (namespace, job) = (&key.namespace, &key.job);
        let found = self.layout.find(namespace, &key.namespace_uid, job, uid)?;
        if found
            .as_ref()
            .is_some_and(|(_, document)| document.sealed.is_none())
        {
            let message = "this record could not be read when the store started";
            return Err(io::Error::other(message));
        }
        Ok(found)
    }

    /// Of a sealed record one thing can still be said: that it has what is sent once more.
    fn of_sealed(
        &self,
        shipper: &Shipper,
        failed: Failed,
        sent: Option<(u64, &[u8])>,
    ) -> Result<Written, Failed> {
        let Some((folder, document)) = self.sealed_on_disk(&shipper.record).ok().flatten() else {
            return Err(failed);
        };
        let newest = document.segments.last();
        let own = |newest: &&Segment| {
            newest.attempt == shipper.attempt && newest.pod_uid == shipper.pod_uid
        };
        let (Some(newest), Some((offset, body))) = (newest.filter(own), sent) else {
            return Err(failed);
        };
        let length = newest.length.unwrap_or_default();
        let placed = place(offset, u64::MAX, body, length, |range| {
            let mut there = vec![0; usize::try_from(range.end - range.start).unwrap_or_default()];
            let file = std::fs::File::open(folder.join(OUTPUT))?;
            let at = newest.start + range.start;
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut there, at)?;
            Ok(there)
        });
        match placed {
            Ok(Placed::Known) => Ok(Written {
                length,
                ..Written::default()
            }),
            _ => Err(failed),
        }
    }

    /// Tells of a verdict that came with an append.
    fn tell_end(&mut self, shipper: &Shipper, written: &Written, round: &mut Round) {
        let record = self.records.get(&shipper.record);
        let end = record.and_then(|record| record.lines.end());
        if let Some(End::Verdict(verdict)) = end.filter(|_| written.ended) {
            round.news.push(News::Verdict {
                record: shipper.record.clone(),
                attempt: shipper.attempt,
                pod_uid: shipper.pod_uid.clone(),
                at: (self.clock)(),
                verdict: verdict.clone(),
            });
        }
    }

    /// Notes what is to be synced, told and answered.
    pub(super) fn answer(
        &mut self,
        key: &RecordKey,
        done: Result<Written, Failed>,
        reply: Reply,
        round: &mut Round,
    ) -> io::Result<()> {
        let answer = match done {
            Ok(written) => {
                if let Some(file) = written.file {
                    round.dirty.file(file);
                    round.touched.insert(key.clone());
                }
                if let Some(message) = written.altered {
                    self.note_altered(key, message, round)?;
                }
                if (written.wrote && self.stalled.remove(key)) || written.first {
                    let record = key.clone();
                    round.news.push(News::Resumed { record });
                }
                let length = written.length;
                Ok(Position { length })
            }
            Err(Failed::Refused(refusal)) => {
                if refusal.reason == RefusalReason::Full && self.stalled.insert(key.clone()) {
                    self.outbox.tell(News::Stalled {
                        record: key.clone(),
                        message: refusal.message.clone(),
                    });
                }
                Err(refusal)
            }
            Err(Failed::Altered(refusal)) => {
                self.note_altered(key, refusal.message.clone(), round)?;
                Err(refusal)
            }
            Err(Failed::Lost(error)) => return Err(error),
        };
        round.answers.push((reply, answer));
        Ok(())
    }

    /// Remembers for ever that a record is not what it was, and what showed it first.
    fn note_altered(
        &mut self,
        key: &RecordKey,
        message: String,
        round: &mut Round,
    ) -> io::Result<()> {
        let Some(record) = self.records.get_mut(key) else {
            return Ok(());
        };
        if record.document.altered.is_some() {
            return Ok(());
        }
        record.document.altered = Some(message.clone());
        match Keeper::draft(&record.folder, &record.document, round) {
            Err(Failed::Lost(error)) => return Err(error),
            // A disk that is full takes it with the next draft; the other half is told in any case.
            Ok(()) | Err(Failed::Refused(_) | Failed::Altered(_)) => {}
        }
        let record = key.clone();
        round.news.push(News::Altered { record, message });
        Ok(())
    }
}

fn sealed() -> Refusal {
    Refusal::new(
        RefusalReason::Fenced,
        "this attempt is over: nothing can follow",
    )
}
