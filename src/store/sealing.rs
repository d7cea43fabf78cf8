//! What the closing lines of a record say: the Job's final status, or as much as is known of a Job that is
//! gone.

use std::collections::BTreeMap;

use chrono::SubsecRound;

use super::news::{Closing, Sealed};
use crate::{
    api::{
        job::{Job, JobSpec, JobStatus},
        reason::{Phase, Reason},
        record::Output,
    },
    plan::seal::Ending,
};

/// Said of a Job that was removed before it had ended.
const REMOVED: &str = "the Job was removed before it had ended";
/// Said of a Job that was removed while nobody looked.
const UNSEEN: &str =
    "the Job was removed while the output store was away; how it ended is not known here";

/// The closing of a Job's record.
pub fn closing(job: &Job, ending: Ending) -> Closing {
    let empty = JobStatus::default();
    let status = job.status.as_ref().unwrap_or(&empty);
    let mut closing = Closing {
        phase: status.phase.unwrap_or(Phase::Pending),
        exit_reason: status.exit_reason,
        reason: status.reason,
        message: status.message.clone(),
        error: status.error.clone(),
        agent: job.spec.agent.clone(),
        session_id: status.session_id.clone(),
        started_at: status.started_at,
        completed_at: status.completed_at,
        spoken: ending.spoken,
        counted: ending.counted,
    };
    if !closing.phase.is_final() {
        remove(&mut closing, REMOVED);
    }
    closing
}

/// The closing of a record whose Job nobody here has seen.
pub fn closing_unseen(spoken: bool) -> Closing {
    let mut closing = closing(
        &Job::new("", JobSpec::default()),
        Ending {
            spoken,
            counted: BTreeMap::new(),
        },
    );
    remove(&mut closing, UNSEEN);
    closing
}

fn remove(closing: &mut Closing, message: &'static str) {
    let (phase, exit_reason) = Reason::JobDeleted.place();
    closing.phase = phase;
    closing.exit_reason = exit_reason;
    closing.reason = Some(Reason::JobDeleted);
    closing.message = Some(message.into());
    closing.error = None;
}

/// A sealed record as the Job's status tells of it.
pub fn output(sealed: &Sealed) -> Output {
    Output {
        path: sealed.path.clone(),
        bytes: sealed.bytes,
        lines: sealed.lines,
        missing: Some(sealed.missing),
        sha256: Some(sealed.sha256.clone()),
        sealed: Some(sealed.at.trunc_subsecs(3)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::reason::ExitReason;

    fn ending() -> Ending {
        Ending {
            spoken: true,
            counted: BTreeMap::new(),
        }
    }

    fn job(reason: Reason) -> Job {
        let (phase, exit_reason) = reason.place();
        let mut job = Job::new(
            "hello",
            JobSpec {
                agent: "reviewer".into(),
                ..JobSpec::default()
            },
        );
        job.status = Some(JobStatus {
            phase: Some(phase),
            exit_reason,
            reason: Some(reason),
            message: Some("as it is".into()),
            ..JobStatus::default()
        });
        job
    }

    #[test]
    fn the_closing_of_a_final_job_agrees_with_its_status() {
        for reason in [Reason::Completed, Reason::TimedOut, Reason::Cancelled] {
            let said = closing(&job(reason), ending());
            assert_eq!((said.phase, said.exit_reason), reason.place());
            assert_eq!(said.reason, Some(reason));
            assert_eq!(said.message.as_deref(), Some("as it is"));
            assert_eq!(said.agent, "reviewer");
        }
    }

    #[test]
    fn a_job_that_was_removed_on_its_way_ends_as_removed() {
        for said in [
            closing(&job(Reason::Working), ending()),
            closing(&Job::new("hello", JobSpec::default()), ending()),
            closing_unseen(true),
        ] {
            assert_eq!(
                (said.phase, said.exit_reason, said.reason),
                (
                    Phase::Cancelled,
                    Some(ExitReason::ManualCancel),
                    Some(Reason::JobDeleted)
                )
            );
            assert!(said.spoken && said.message.is_some());
        }
    }
}
