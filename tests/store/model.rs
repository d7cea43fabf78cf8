//! Any sequence of appends, repeats, lost answers and restarts, against a model of the protocol.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use chrono::Utc;
use herdctl::api::protocol::{Position, Refusal, RefusalReason};
use herdctl::store::records::Records;
use proptest::prelude::*;
use tokio::sync::mpsc;

use crate::server::shipper;

#[derive(Clone, Debug)]
enum Step {
    /// Offset and `acked` are relative to the length, and the bytes are what the spool has there, but for
    /// one that differs.
    Append {
        back: u64,
        ahead: u64,
        acked_back: u64,
        length: usize,
        differs: Option<usize>,
    },
    TakeUp,
    NextAttempt,
    /// The store ends and starts again.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let ahead = prop_oneof![5 => Just(0), 1 => 1..5u64];
    let differs = prop::option::weighted(0.2, 0..20usize);
    let append = (0..12u64, ahead, 0..12u64, 0..20usize, differs);
    prop_oneof![
        10 => append.prop_map(|(back, ahead, acked_back, length, differs)| Step::Append {
            back, ahead, acked_back, length, differs,
        }),
        2 => Just(Step::TakeUp),
        1 => Just(Step::NextAttempt),
        1 => Just(Step::Restart),
    ]
}

/// What the spool of an attempt holds at a byte.
fn spool(at: u64) -> u8 {
    b"{\"a\": 1}\n"[(at % 9) as usize]
}

/// The protocol, in as few words as possible.
#[derive(Default)]
struct Model {
    attempt: u32,
    /// Of this attempt.
    segment: Vec<u8>,
    /// So much of it was acknowledged, or may have been.
    confirmed: usize,
    /// Before it.
    before: Vec<u8>,
}

impl Model {
    fn append(&mut self, offset: u64, acked: u64, body: &[u8]) -> Result<u64, RefusalReason> {
        let (length, from) = (self.segment.len(), offset as usize);
        if from > length {
            return Err(RefusalReason::Gap);
        }
        let end = length.min(from + body.len());
        let safe = self.confirmed.max(acked as usize);
        match (from..end).find(|at| self.segment[*at] != body[at - from]) {
            Some(at) if at < safe => return Err(RefusalReason::Altered),
            Some(at) => self.segment.truncate(at),
            None => {}
        }
        let there = self.segment.len() - from;
        if there < body.len() {
            self.segment.extend_from_slice(&body[there..]);
        }
        Ok(self.acknowledge())
    }

    fn acknowledge(&mut self) -> u64 {
        self.confirmed = self.segment.len();
        self.confirmed as u64
    }

    /// Of half a line the next store does not know.
    fn restart(&mut self) {
        let newline = self.segment.iter().rposition(|byte| *byte == b'\n');
        self.confirmed = newline.map_or(0, |at| at + 1);
    }

    fn next_attempt(&mut self) {
        self.attempt += 1;
        self.confirmed = 0;
        self.before.append(&mut self.segment);
        if self.before.last().is_some_and(|byte| *byte != b'\n') {
            self.before.push(b'\n');
        }
    }
}

fn open(folder: &Path) -> Arc<Records> {
    let (news, _) = mpsc::channel(1);
    Records::open(folder, news, Utc::now).unwrap()
}

fn reason(answer: Result<Position, Refusal>) -> Result<u64, RefusalReason> {
    answer
        .map(|position| position.length)
        .map_err(|refusal| refusal.reason)
}

async fn try_steps(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("ns/jobs/job/output.jsonl");
    let mut records = open(folder.path());
    let mut model = Model {
        attempt: 1,
        ..Model::default()
    };
    for step in steps {
        let ship = shipper("job", model.attempt);
        match step {
            Step::Append {
                back,
                ahead,
                acked_back,
                length,
                differs,
            } => {
                let there = model.segment.len() as u64;
                let offset = there.saturating_sub(back) + ahead;
                let acked = there.saturating_sub(acked_back);
                let mut body: Vec<u8> = (offset..offset + length as u64).map(spool).collect();
                if let Some(byte) = differs.and_then(|index| body.get_mut(index)) {
                    *byte = b'#';
                }
                let expected = model.append(offset, acked, &body);
                let answer = records.append(ship, offset, acked, Bytes::from(body)).await;
                prop_assert_eq!(reason(answer), expected);
            }
            Step::TakeUp => {
                let length = model.acknowledge();
                prop_assert_eq!(reason(records.take_up(ship).await), Ok(length));
            }
            Step::NextAttempt => {
                // An attempt that never took its stream up leaves nothing.
                prop_assert!(records.take_up(ship).await.is_ok());
                model.next_attempt();
                let ship = shipper("job", model.attempt);
                prop_assert_eq!(reason(records.take_up(ship).await), Ok(0));
                let late = shipper("job", model.attempt - 1);
                prop_assert_eq!(
                    reason(records.take_up(late).await),
                    Err(RefusalReason::Fenced)
                );
            }
            Step::Restart => {
                drop(records);
                records = open(folder.path());
                model.restart();
            }
        }
        let file = std::fs::read(&output).unwrap_or_default();
        prop_assert_eq!(&file, &[&model.before[..], &model.segment[..]].concat());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_sequence_of_appends_and_restarts_is_as_the_protocol_says(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(try_steps(steps))?;
    }
}
