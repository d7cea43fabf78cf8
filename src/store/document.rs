//! `job.json`: what a record is about, for people and for the store itself. It is replaced as a whole, when
//! an attempt begins and when the record is sealed.
//!
//! It goes before what it speaks of: an attempt's bytes are acknowledged only when it names the attempt,
//! and the closing lines stand in it before they stand in the record. So a store that was killed between
//! the two writes them again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::gate::RecordKey;
use super::layout::{JOB, OUTPUT};
use super::news::{Closing, Sealed};
use crate::api::reason::{ExitReason, Phase, Reason};
use crate::api::text::Clean;
use crate::plan::seal::Came;

/// The new one, until it takes the old one's place.
const DRAFT: &str = "job.json.new";

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// The Job's name.
    pub id: String,
    pub agent: String,
    pub schedule: Option<String>,
    pub status: Phase,
    pub exit_reason: Option<ExitReason>,
    pub session_id: Option<String>,
    pub started_at: Option<DateTime<Utc>>,
    pub completed_at: Option<DateTime<Utc>>,
    /// The file of the record's lines, beside this one.
    pub output: String,
    pub error: Option<Clean>,
    #[serde(default)]
    pub reason: Option<Reason>,
    #[serde(default)]
    pub message: Option<Clean>,
    pub namespace: String,
    pub namespace_uid: String,
    /// The Job's.
    pub uid: String,
    /// In the order of the file.
    #[serde(default)]
    pub segments: Vec<Segment>,
    /// What about acknowledged bytes was not as it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub altered: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Seal>,
}

/// The bytes of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    pub attempt: u32,
    /// The only pod that may feed it.
    pub pod_uid: String,
    /// Its first byte in the file.
    pub start: u64,
    /// Known once another attempt has begun or the record is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// It ends with the runner's verdict.
    #[serde(default)]
    pub ended: bool,
}

/// The end of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seal {
    pub at: DateTime<Utc>,
    /// Of the whole file.
    pub bytes: u64,
    pub lines: u64,
    pub sha256: String,
    pub missing: u64,
    /// What the store itself adds to the file: its last lines.
    pub closing: String,
}

impl Segment {
    fn came(&self) -> (u32, Came) {
        let came = Came {
            bytes: self.length.unwrap_or_default(),
            spoken: self.ended,
        };
        (self.attempt, came)
    }
}

impl Document {
    /// Of a record that begins.
    pub fn new(key: &RecordKey, agent: &str, now: DateTime<Utc>) -> Document {
        Document {
            id: key.job.clone(),
            agent: agent.to_owned(),
            schedule: None,
            status: Phase::Running,
            exit_reason: None,
            session_id: None,
            started_at: Some(now),
            completed_at: None,
            output: OUTPUT.to_owned(),
            error: None,
            reason: None,
            message: None,
            namespace: key.namespace.clone(),
            namespace_uid: key.namespace_uid.clone(),
            uid: key.job_uid.clone(),
            segments: Vec::new(),
            altered: None,
            sealed: None,
        }
    }

    /// The record that it is of.
    pub fn key(&self) -> RecordKey {
        RecordKey {
            namespace: self.namespace.clone(),
            namespace_uid: self.namespace_uid.clone(),
            job: self.id.clone(),
            job_uid: self.uid.clone(),
        }
    }

    /// Takes over the Job's final status. Of a Job that is gone less is known than stands here already.
    pub fn close(&mut self, closing: Closing) {
        if !closing.agent.is_empty() {
            self.agent = closing.agent;
        }
        self.status = closing.phase;
        self.exit_reason = closing.exit_reason;
        self.reason = closing.reason;
        self.message = closing.message;
        self.error = closing.error;
        self.session_id = closing.session_id.or(self.session_id.take());
        self.started_at = closing.started_at.or(self.started_at);
        self.completed_at = closing.completed_at;
    }

    /// What the other half wants to know of a sealed record that lies here.
    pub fn sealed(&self, folder: &Path) -> Option<Sealed> {
        let seal = self.sealed.as_ref()?;
        Some(Sealed {
            path: folder.join(OUTPUT).display().to_string(),
            bytes: seal.bytes,
            lines: seal.lines,
            sha256: seal.sha256.clone(),
            missing: seal.missing,
            at: seal.at,
            altered: self.altered.clone(),
            came: self.segments.iter().map(Segment::came).collect(),
        })
    }

    /// None where no record is.
    pub fn read(folder: &Path) -> io::Result<Option<Document>> {
        match fs::read(folder.join(JOB)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes it beside the old one. It is for the caller to sync the file.
    pub fn draft(&self, folder: &Path) -> io::Result<File> {
        let mut file = File::create(folder.join(DRAFT))?;
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        file.write_all(&text)?;
        Ok(file)
    }

    /// Puts a synced draft in the old one's place. It is for the caller to sync the folder.
    pub fn publish(folder: &Path) -> io::Result<()> {
        fs::rename(folder.join(DRAFT), folder.join(JOB))
    }
}
