use k8s_openapi::api::core::v1::Pod;

use super::*;
use crate::api::job::{ConditionStatus, ConditionType, JobSpec};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn job(status: JobStatus) -> Job {
    let mut job = Job::new(
        "hello",
        JobSpec {
            agent: "reviewer".into(),
            ..JobSpec::default()
        },
    );
    job.metadata.generation = Some(3);
    job.status = Some(status);
    job
}

fn value(status: &JobStatus, type_: ConditionType) -> Option<ConditionStatus> {
    status
        .conditions
        .iter()
        .find(|it| it.type_ == type_)
        .map(|it| it.status)
}

fn end(reason: Reason) -> End {
    End {
        outcome: Outcome {
            reason,
            message: "m".into(),
        },
        verdict: None,
        started: Some(at(10)),
        ended: Some(at(75)),
        why: None,
        disrupted: false,
    }
}

#[test]
fn every_end_is_finished_and_only_its_own_kind_is_there() {
    for (reason, complete, failed, stalled) in [
        (Reason::Completed, true, false, false),
        (Reason::MaxTurns, false, true, true),
        (Reason::Cancelled, false, true, false),
    ] {
        let status = ended(&job(JobStatus::default()), None, &end(reason), at(80));
        let is = |type_| value(&status, type_) == Some(ConditionStatus::True);
        assert!(is(ConditionType::Finished), "{reason}");
        assert_eq!(is(ConditionType::Complete), complete, "{reason}");
        assert_eq!(is(ConditionType::Failed), failed, "{reason}");
        assert_eq!(is(ConditionType::Stalled), stalled, "{reason}");
        assert_eq!(
            value(&status, ConditionType::Reconciling),
            Some(ConditionStatus::False)
        );
    }
}

#[test]
fn a_condition_keeps_its_time_until_it_changes() {
    let first = pending(&job(JobStatus::default()), Reason::Scheduling, "a", at(1));
    let second = pending(&job(first.clone()), Reason::ImagePull, "b", at(2));
    let times = |status: &JobStatus| -> Vec<_> {
        let all = status.conditions.iter();
        all.map(|it| (it.type_, it.status, it.last_transition_time))
            .collect()
    };
    assert_eq!(times(&first), times(&second));
    assert_eq!(
        (second.reason, second.message.as_deref()),
        (Some(Reason::ImagePull), Some("b"))
    );
}

#[test]
fn a_condition_says_nothing_that_is_over() {
    let said = |status: &JobStatus, wanted: ConditionType| {
        let condition = status.conditions.iter().find(|it| it.type_ == wanted);
        let condition = condition.unwrap().clone();
        (
            condition.status,
            condition.reason,
            String::from(condition.message),
        )
    };
    let text = str::to_owned;
    let waits = pending(&job(JobStatus::default()), Reason::Scheduling, "a", at(1));
    let pulls = pending(&job(waits), Reason::ImagePull, "b", at(2));
    assert_eq!(
        said(&pulls, ConditionType::Reconciling),
        (ConditionStatus::True, text("ImagePull"), text("b"))
    );
    let pod: Pod =
        serde_json::from_value(serde_json::json!({"metadata": {"name": "a-1"}})).unwrap();
    let works = running(&job(pulls), &PodFacts::from(&pod), at(3), at(3));
    let done = ended(&job(works), None, &end(Reason::Completed), at(80));
    for (type_, value, reason) in [
        (
            ConditionType::Reconciling,
            ConditionStatus::False,
            "Working",
        ),
        (ConditionType::Started, ConditionStatus::True, "Working"),
    ] {
        assert_eq!(said(&done, type_), (value, text(reason), String::new()));
    }
    assert_eq!(
        said(&done, ConditionType::Complete),
        (ConditionStatus::True, text("Completed"), text("m"))
    );
}

#[test]
fn an_end_is_never_before_its_start_and_its_length_is_told() {
    let status = ended(
        &job(JobStatus::default()),
        None,
        &end(Reason::Completed),
        at(80),
    );
    assert_eq!(status.duration.as_deref(), Some("1m5s"));
    let mut odd = end(Reason::Completed);
    odd.ended = Some(at(5));
    let status = ended(&job(JobStatus::default()), None, &odd, at(80));
    assert_eq!(
        (status.completed_at, status.duration.as_deref()),
        (Some(at(10)), Some("0s"))
    );
}

#[test]
fn only_failures_have_an_error() {
    for (reason, has) in [
        (Reason::Completed, false),
        (Reason::ApiError, true),
        (Reason::Cancelled, false),
    ] {
        let status = ended(&job(JobStatus::default()), None, &end(reason), at(80));
        assert_eq!(status.error.is_some(), has, "{reason}");
    }
}

#[test]
fn every_status_speaks_of_the_jobs_present_generation() {
    assert_eq!(
        current(&job(JobStatus::default())).observed_generation,
        Some(3)
    );
}
