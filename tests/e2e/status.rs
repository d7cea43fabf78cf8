//! What a Job's status says, and whether it says all of an ending.

use herdctl::api::{
    job::{Attempt, ConditionStatus, ConditionType, Job, JobStatus},
    reason::{ExitReason, Phase, Reason},
};
use kube::ResourceExt;

/// The Job's status; a Job without one has an empty one.
pub fn status(job: &Job) -> JobStatus {
    job.status.clone().unwrap_or_default()
}

/// The status for a failed test's message, without the captured Agent.
pub fn told(job: &Job) -> String {
    let told = JobStatus {
        agent: None,
        ..status(job)
    };
    serde_json::to_string_pretty(&told).unwrap()
}

/// The only attempt of a Job that must have exactly one.
pub fn only_attempt(job: &Job) -> Attempt {
    let attempts = status(job).attempts;
    assert_eq!(attempts.len(), 1, "{}: {attempts:#?}", job.name_any());
    attempts[0].clone()
}

/// The session that the controller chose.
pub fn session(job: &Job) -> String {
    status(job)
        .session_id
        .expect("a Job that started has a session")
}

pub fn condition(job: &Job, wanted: ConditionType) -> Option<ConditionStatus> {
    let conditions = status(job).conditions;
    conditions
        .iter()
        .find(|condition| condition.type_ == wanted)
        .map(|condition| condition.status)
}

/// The Job ended as wanted: phase, exit reason and reason, the conditions that say the same, both times.
pub fn assert_ended(job: &Job, exit: ExitReason, reason: Reason) {
    let whole = format!("{}: {}", job.name_any(), told(job));
    let (phase, _) = reason.place();
    let status = status(job);
    let ending = (status.phase, status.exit_reason, status.reason);
    assert_eq!(ending, (Some(phase), Some(exit), Some(reason)), "{whole}");
    let well = phase == Phase::Completed;
    for (type_, wanted) in [
        (ConditionType::Finished, true),
        (ConditionType::Complete, well),
        (ConditionType::Failed, !well),
    ] {
        let wanted = wanted.then_some(ConditionStatus::True);
        assert_eq!(condition(job, type_), wanted, "{type_:?} of {whole}");
    }
    assert!(
        status.message.is_some_and(|message| !message.is_empty()),
        "no message in {whole}"
    );
    let completed = status.completed_at.expect("a finished Job has an end");
    assert!(
        status.started_at.is_none_or(|started| started <= completed),
        "{whole}"
    );
}
