//! When a record is complete: its Job is final, and of the last attempt either the runner's verdict has
//! arrived or the controller knows that nothing more can come; of those before it nothing can since the next
//! one began. And what can then be said of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::job::{Attempt, Job, JobStatus};

/// Whether to seal now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seal {
    /// It is sealed, and the status says so.
    Done,
    /// The Job is not over, or something may still come.
    Later,
    Now(Ending),
}

/// How the attempts' streams ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The last one with the runner's verdict.
    pub spoken: bool,
    /// By attempt, the bytes that the runner counted, where its word came with the pod's end only.
    pub counted: BTreeMap<u32, u64>,
}

/// What came of an attempt's stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Came {
    pub bytes: u64,
    /// The last of them is the runner's verdict.
    pub spoken: bool,
}

/// What is sure about a sealed record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intact {
    /// All that the runner recorded is there, unchanged.
    Sealed,
    /// So many bytes of it never arrived.
    Missing(u64),
    /// The runner had no last word to compare with.
    NoVerdict,
    /// It has been changed; with how that showed.
    Altered(String),
}

/// Decides. `verdicts` are the attempts whose verdict is in the record; `gone` says that the Job object is
/// no more.
pub fn decide(job: &Job, verdicts: &BTreeSet<u32>, gone: bool) -> Seal {
    let empty = JobStatus::default();
    let status = job.status.as_ref().unwrap_or(&empty);
    if status.is_sealed() {
        return Seal::Done;
    }
    let spoken = |attempt: &Attempt| verdicts.contains(&attempt.number);
    let over = |attempt: &Attempt| attempt.closed.is_some() || spoken(attempt);
    let last = status.attempt();
    let complete = status.is_final() && last.is_none_or(over);
    if !complete && !gone {
        return Seal::Later;
    }
    let silent = status.attempts.iter().filter(|attempt| !spoken(attempt));
    Seal::Now(Ending {
        spoken: last.is_some_and(spoken),
        counted: silent
            .filter_map(|attempt| Some((attempt.number, attempt.recorded?)))
            .collect(),
    })
}

/// What can be said of a record that lacks so many counted bytes.
pub fn intact(job: &Job, came: &BTreeMap<u32, Came>, missing: u64) -> Intact {
    if missing > 0 {
        return Intact::Missing(missing);
    }
    let attempts = job.status.as_ref().map(|status| status.attempts.as_slice());
    let proved = |attempt: &Attempt| {
        let Came { bytes, spoken } = came.get(&attempt.number).copied().unwrap_or_default();
        let silent = attempt.started.is_none() && bytes == 0;
        spoken || attempt.recorded.is_some() || silent
    };
    if attempts.unwrap_or_default().iter().all(proved) {
        Intact::Sealed
    } else {
        Intact::NoVerdict
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::api::{job::JobSpec, reason::Phase, record::Output};

    const OPEN: u8 = 0;
    const CLOSED: u8 = 1;
    const STARTED: u8 = 2;
    const RECORDED: u8 = 4;

    fn job(phase: Phase, attempts: &[u8]) -> Job {
        let time = |flags: u8, flag| (flags & flag != 0).then_some(DateTime::UNIX_EPOCH);
        let attempt = |(number, flags): (u32, &u8)| Attempt {
            number,
            pod: format!("hello-{number}"),
            started: time(*flags, STARTED),
            recorded: (flags & RECORDED != 0).then_some(500),
            closed: time(*flags, CLOSED),
            ..Attempt::default()
        };
        let mut job = Job::new("hello", JobSpec::default());
        job.status = Some(JobStatus {
            phase: Some(phase),
            attempts: (1..).zip(attempts).map(attempt).collect(),
            ..JobStatus::default()
        });
        job
    }

    fn now(spoken: bool, counted: &[(u32, u64)]) -> Seal {
        Seal::Now(Ending {
            spoken,
            counted: counted.iter().copied().collect(),
        })
    }

    #[test]
    fn a_record_is_sealed_when_its_job_is_final_and_nothing_more_can_come() {
        use Phase::{Completed, Failed, Running};
        type Row<'a> = (Phase, &'a [u8], &'a [u32], bool, Seal);
        let table: &[Row<'_>] = &[
            (Running, &[OPEN], &[], false, Seal::Later),
            (Running, &[OPEN], &[1], false, Seal::Later),
            (Completed, &[OPEN], &[], false, Seal::Later),
            (Completed, &[OPEN], &[1], false, now(true, &[])),
            (Failed, &[CLOSED], &[], false, now(false, &[])),
            (
                Failed,
                &[CLOSED | RECORDED],
                &[],
                false,
                now(false, &[(1, 500)]),
            ),
            (Failed, &[CLOSED | RECORDED], &[1], false, now(true, &[])),
            (Failed, &[CLOSED, OPEN], &[], false, Seal::Later),
            (Failed, &[CLOSED, OPEN], &[1], false, Seal::Later),
            (Failed, &[CLOSED, OPEN], &[2], false, now(true, &[])),
            // The store that heard the first one's verdict may be gone.
            (Failed, &[OPEN, CLOSED], &[], false, now(false, &[])),
            (Failed, &[OPEN, CLOSED], &[2], false, now(true, &[])),
            (
                Failed,
                &[CLOSED | RECORDED, CLOSED | RECORDED],
                &[2],
                false,
                now(true, &[(1, 500)]),
            ),
            (Failed, &[], &[], false, now(false, &[])),
            (Running, &[OPEN], &[], true, now(false, &[])),
            (Running, &[OPEN], &[1], true, now(true, &[])),
        ];
        for (phase, attempts, verdicts, gone, expected) in table {
            let verdicts = verdicts.iter().copied().collect();
            assert_eq!(
                decide(&job(*phase, attempts), &verdicts, *gone),
                *expected,
                "{phase} {attempts:?} {verdicts:?} {gone}"
            );
        }
    }

    #[test]
    fn a_seal_that_is_told_is_left_alone() {
        let mut job = job(Phase::Completed, &[OPEN]);
        let sealed = Output {
            sealed: Some(DateTime::UNIX_EPOCH),
            ..Output::default()
        };
        job.status.as_mut().unwrap().output = Some(sealed);
        for gone in [false, true] {
            assert_eq!(decide(&job, &[1].into(), gone), Seal::Done);
        }
    }

    #[test]
    fn only_what_is_proved_is_called_intact() {
        let came = |bytes, spoken| Came { bytes, spoken };
        let (said, silent, all) = (came(900, false), came(0, false), came(900, true));
        type Row<'a> = (&'a [u8], &'a [Came], u64, Intact);
        let table: &[Row<'_>] = &[
            (&[OPEN | STARTED], &[all], 0, Intact::Sealed),
            (&[CLOSED | STARTED | RECORDED], &[said], 0, Intact::Sealed),
            (
                &[CLOSED | STARTED | RECORDED],
                &[said],
                7,
                Intact::Missing(7),
            ),
            (&[CLOSED | STARTED], &[said], 0, Intact::NoVerdict),
            (&[CLOSED], &[said], 0, Intact::NoVerdict),
            (&[CLOSED], &[], 0, Intact::Sealed),
            (&[], &[], 0, Intact::Sealed),
            (
                &[CLOSED | STARTED, OPEN | STARTED],
                &[said, all],
                0,
                Intact::NoVerdict,
            ),
            (&[OPEN | STARTED, CLOSED], &[all, silent], 0, Intact::Sealed),
            (
                &[CLOSED | STARTED | RECORDED, OPEN | STARTED],
                &[said, all],
                0,
                Intact::Sealed,
            ),
        ];
        for (attempts, came, missing, expected) in table {
            let came = (1..).zip(came.iter().copied()).collect();
            let job = job(Phase::Failed, attempts);
            assert_eq!(
                intact(&job, &came, *missing),
                *expected,
                "{attempts:?} {came:?} {missing}"
            );
        }
    }
}
