//! Writes events, one a line, and keeps the number, the size and the digest of what it wrote: the verdict
//! vouches for them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::lines::parts;
use crate::api::event::{Body, Event, Kind, MAX_BYTES, Place};
use crate::api::text::Clean;
use crate::api::verdict::Segment;

/// The size of an event's fragment. Each byte of JSON text takes at most two in a JSON string, and a few
/// hundred bytes go with it.
const FRAGMENT_BYTES: usize = MAX_BYTES / 2 - 1024;

/// The events of one attempt.
#[derive(Debug, Default)]
pub struct Writer {
    seq: u64,
    bytes: u64,
    digest: Sha256,
}

impl Writer {
    /// Appends an event, in parts where it is too large.
    pub fn write(
        &mut self,
        now: DateTime<Utc>,
        place: Place,
        body: Body,
        data: Option<impl Serialize>,
        out: &mut Vec<u8>,
    ) {
        let kind = body.kind();
        let start = out.len();
        self.append(
            &Event {
                kind,
                timestamp: now,
                seq: self.seq + 1,
                place,
                body,
                data,
            },
            out,
        );
        if out.len() - start > MAX_BYTES {
            let whole = out.split_off(start);
            self.split(now, place, kind, &whole, out);
        } else {
            self.count(&out[start..]);
        }
    }

    /// What was written so far.
    pub fn segment(&self) -> Segment {
        let sha256: String = self
            .digest
            .clone()
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Segment {
            bytes: self.bytes,
            lines: self.seq,
            sha256: Clean::line(&sha256, 64),
        }
    }

    fn split(
        &mut self,
        now: DateTime<Utc>,
        place: Place,
        kind: Kind,
        whole: &[u8],
        out: &mut Vec<u8>,
    ) {
        let whole = whole.trim_ascii_end();
        let total = parts(whole, FRAGMENT_BYTES).count() as u64;
        for (part, fragment) in (1..).zip(parts(whole, FRAGMENT_BYTES)) {
            // Of the rest of the place nothing is bounded.
            let place = Place {
                line: place.line,
                part: Some(part),
                parts: Some(total),
                ..Place::default()
            };
            // JSON text is UTF-8, and its parts end with whole characters.
            let body = Body::Fragment {
                of: kind,
                fragment: str::from_utf8(fragment).unwrap_or_default(),
            };
            let start = out.len();
            self.append(
                &Event {
                    kind,
                    timestamp: now,
                    seq: self.seq + 1,
                    place,
                    body,
                    data: None::<()>,
                },
                out,
            );
            self.count(&out[start..]);
        }
    }

    fn append<D: Serialize>(&mut self, event: &Event<D>, out: &mut Vec<u8>) {
        // Neither a Vec nor our own types can fail here.
        let written = serde_json::to_writer(&mut *out, event);
        debug_assert!(written.is_ok(), "{written:?}");
        out.push(b'\n');
    }

    fn count(&mut self, line: &[u8]) {
        self.seq += 1;
        self.bytes += line.len() as u64;
        self.digest.update(line);
    }
}
