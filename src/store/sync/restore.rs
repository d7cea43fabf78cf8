//! The transcript of a session that goes on in another pod, within a round.

use std::io;

use super::{Keeper, Reply, Round};
use crate::api::protocol::{Refusal, RefusalReason};
use crate::store::gate::{RecordKey, Shipper, Source};
use crate::store::layout::is_safe;
use crate::store::record::{Failed, Record, Written};
use crate::store::transcript::{copy, length};

impl Keeper {
    /// Makes sure that the record has the transcript that its agent is to continue. It begins the attempt's
    /// segment: from here on none before it writes to the transcript.
    pub(super) fn restore(
        &mut self,
        shipper: &Shipper,
        reply: Reply,
        round: &mut Round,
    ) -> io::Result<()> {
        let restored = self.with_transcript(shipper, round);
        let written = restored.map(|length| Written {
            length,
            ..Written::default()
        });
        self.answer(&shipper.record, written, reply, round)
    }

    fn with_transcript(&mut self, shipper: &Shipper, round: &mut Round) -> Result<u64, Failed> {
        let folder = self.record_of(shipper, round)?.folder.clone();
        match (length(&folder)?, &shipper.resumes) {
            (0, None) => Err(none("no attempt of this Job has left a transcript").into()),
            (0, Some(source)) => {
                round.dirty.folders.insert(folder.clone());
                let from = self.ended_record(shipper, source)?;
                match length(&from)? {
                    0 => Err(none(&format!("Job {} has left no transcript", source.job)).into()),
                    _ => copy(&from, &folder, &mut *self.disk),
                }
            }
            (own, _) => Ok(own),
        }
    }

    /// The folder of the record whose session is resumed; nothing is added to its transcript any more.
    fn ended_record(
        &self,
        shipper: &Shipper,
        source: &Source,
    ) -> Result<std::path::PathBuf, Refusal> {
        let job = &source.job;
        let key = RecordKey {
            job: job.clone(),
            job_uid: source.job_uid.clone(),
            ..shipper.record.clone()
        };
        let gone = || none(&format!("the record of Job {job} is not here any more"));
        if !is_safe(&key) {
            return Err(gone());
        }
        let uid = Some(key.job_uid.as_str());
        let found = self
            .layout
            .find(&key.namespace, &key.namespace_uid, job, uid);
        let (folder, document) = found
            .map_err(|error| Refusal::new(RefusalReason::Retry, error.to_string()))?
            .ok_or_else(gone)?;
        // A Job may have ended by the kubelet's word while its sidecar still waits for this store.
        let spoken = || self.records.get(&key).is_some_and(Record::is_over);
        if document.sealed.is_none() && !(source.ended && spoken()) {
            let message = format!("Job {job} has not ended, or not all of it is here yet");
            return Err(Refusal::new(RefusalReason::Retry, message));
        }
        Ok(folder)
    }
}

fn none(message: &str) -> Refusal {
    Refusal::new(RefusalReason::NotFound, message)
}
