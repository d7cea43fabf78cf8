use chrono::TimeDelta;
use json_patch::Patch;

use super::*;
use crate::api::{job::JobSpec, reason::Phase};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::seconds(seconds)
}

fn attempt(number: u32, uid: Option<&str>) -> Attempt {
    Attempt {
        number,
        pod: format!("hello-{number}"),
        uid: uid.map(str::to_owned),
        intended: at(0),
        ..Attempt::default()
    }
}

fn condition(type_: ConditionType) -> Condition {
    Condition {
        type_,
        status: ConditionStatus::True,
        reason: "Working".into(),
        message: "m".into(),
        last_transition_time: at(0),
    }
}

fn job() -> Job {
    let mut job = Job::new(
        "hello",
        JobSpec {
            agent: "reviewer".into(),
            ..JobSpec::default()
        },
    );
    job.metadata.uid = Some("job-uid".into());
    job.metadata.resource_version = Some("7".into());
    job.status = Some(JobStatus {
        phase: Some(Phase::Running),
        attempts: vec![attempt(1, Some("pod-1")), attempt(2, None)],
        conditions: vec![condition(ConditionType::Started)],
        ..JobStatus::default()
    });
    job
}

fn report(attempt: u32, uid: &str) -> Report {
    Report {
        attempt,
        uid: uid.into(),
        at: at(5),
        verdict: "{}".into(),
    }
}

fn progress(turns: u64) -> Progress {
    Progress {
        turns,
        cost_usd: Some(0.25),
        ..Progress::default()
    }
}

fn output(bytes: u64, sealed: bool) -> Output {
    Output {
        path: "/data/team-a/jobs/hello/output.jsonl".into(),
        bytes,
        lines: 3,
        sealed: sealed.then(|| at(9)),
        ..Output::default()
    }
}

/// What the API server does with a patch: all of it or nothing.
fn applied(job: &Job, write: &Write) -> Option<Job> {
    let mut object = serde_json::to_value(job).unwrap();
    json_patch::patch(&mut object, &Patch(write.operations.clone())).ok()?;
    Some(serde_json::from_value(object).unwrap())
}

fn written(job: &Job, known: &Known) -> JobStatus {
    let write = next_write(job, known, at(20)).unwrap();
    applied(job, &write).unwrap().status.unwrap()
}

/// Every write leaves nothing to write.
fn settled(mut job: Job, known: &Known) -> Job {
    for _ in 0..3 {
        let Some(write) = next_write(&job, known, at(20)) else {
            return job;
        };
        job = applied(&job, &write).unwrap();
    }
    panic!(
        "the writes go in circles: {:?}",
        next_write(&job, known, at(20))
    );
}

#[test]
fn nothing_known_or_nothing_new_is_no_write() {
    assert_eq!(next_write(&job(), &Known::default(), at(20)), None);
    let mut bare = job();
    bare.status = None;
    let known = Known {
        progress: Some(progress(1)),
        ..Known::default()
    };
    assert_eq!(next_write(&bare, &known, at(20)), None);
}

#[test]
fn all_that_is_known_comes_to_stand_in_the_status() {
    let known = Known {
        report: Some(report(2, "pod-2")),
        progress: Some(progress(4)),
        output: Some(output(99, true)),
        intact: Some(Intact::Sealed),
        flow: Flow::Stalled("full".into()),
    };
    let status = settled(job(), &known).status.unwrap();
    assert_eq!(status.report, known.report);
    assert_eq!(status.progress, known.progress);
    assert_eq!(status.output, known.output);
    let types: Vec<_> = status.conditions.iter().map(|it| it.type_).collect();
    assert_eq!(
        types,
        [
            ConditionType::Started,
            ConditionType::OutputIntact,
            ConditionType::OutputStalled
        ]
    );
}

#[test]
fn a_report_goes_out_first_and_brings_how_far_the_run_is() {
    let known = Known {
        report: Some(report(2, "pod-2")),
        progress: Some(progress(4)),
        flow: Flow::Stalled("full".into()),
        ..Known::default()
    };
    let write = next_write(&job(), &known, at(20)).unwrap();
    assert!(write.urgent);
    let status = applied(&job(), &write).unwrap().status.unwrap();
    assert_eq!(
        (&status.report, &status.progress),
        (&known.report, &known.progress)
    );
    assert_eq!(status.conditions.len(), 1);
}

#[test]
fn no_write_reaches_another_job_or_another_attempt() {
    let known = Known {
        report: Some(report(1, "pod-1")),
        ..Known::default()
    };
    let write = next_write(&job(), &known, at(20)).unwrap();
    assert!(applied(&job(), &write).is_some());
    let mut another = job();
    another.metadata.uid = Some("another".into());
    assert_eq!(applied(&another, &write), None);
    let mut renumbered = job();
    renumbered.status.as_mut().unwrap().attempts.remove(0);
    assert_eq!(applied(&renumbered, &write), None);
    let mut another_pod = job();
    another_pod.status.as_mut().unwrap().attempts[0].uid = Some("pod-0".into());
    assert_eq!(applied(&another_pod, &write), None);
    for known in [
        Known {
            progress: Some(progress(1)),
            ..Known::default()
        },
        Known {
            flow: Flow::Stalled("full".into()),
            ..Known::default()
        },
    ] {
        let write = next_write(&job(), &known, at(20)).unwrap();
        assert_eq!(applied(&another, &write), None, "{known:?}");
    }
}

#[test]
fn a_report_that_can_not_be_of_this_job_or_is_old_is_not_written() {
    let mut later = job();
    later.status.as_mut().unwrap().report = Some(report(2, "pod-2"));
    for (job, report) in [
        (job(), report(1, "another pod")),
        (job(), report(3, "pod-3")),
        (later.clone(), report(1, "pod-1")),
        (later, report(2, "pod-2")),
    ] {
        let known = Known {
            report: Some(report),
            ..Known::default()
        };
        assert_eq!(next_write(&job, &known, at(20)), None, "{known:?}");
    }
}

#[test]
fn growth_alone_can_wait_and_a_seal_can_not() {
    for (known, urgent) in [
        (
            Known {
                progress: Some(progress(1)),
                output: Some(output(9, false)),
                ..Known::default()
            },
            false,
        ),
        (
            Known {
                output: Some(output(9, true)),
                ..Known::default()
            },
            true,
        ),
        (
            Known {
                flow: Flow::Stalled("full".into()),
                ..Known::default()
            },
            true,
        ),
    ] {
        let write = next_write(&job(), &known, at(20)).unwrap();
        assert_eq!(write.urgent, urgent, "{known:?}");
    }
}

#[test]
fn what_is_sealed_is_not_unsealed_by_late_news() {
    let mut sealed = job();
    sealed.status.as_mut().unwrap().output = Some(output(9, true));
    let known = Known {
        output: Some(output(8, false)),
        ..Known::default()
    };
    assert_eq!(next_write(&sealed, &known, at(20)), None);
}

#[test]
fn a_condition_is_changed_where_it_was_seen_and_appended_to_what_was_seen() {
    let known = Known {
        flow: Flow::Stalled("full".into()),
        ..Known::default()
    };
    let mut seen = job();
    let appends = next_write(&seen, &known, at(20)).unwrap();
    let mut newer = job();
    newer.metadata.resource_version = Some("8".into());
    assert_eq!(applied(&newer, &appends), None);

    seen = settled(seen, &known);
    let flows = Known {
        flow: Flow::Flowing,
        ..Known::default()
    };
    let replaces = next_write(&seen, &flows, at(30)).unwrap();
    let mut moved = seen.clone();
    moved.metadata.resource_version = Some("8".into());
    assert!(
        applied(&moved, &replaces).is_some(),
        "another version with the same place is fine"
    );
    moved.status.as_mut().unwrap().conditions.swap(0, 1);
    assert_eq!(applied(&moved, &replaces), None);

    let mut bare = job();
    bare.status.as_mut().unwrap().conditions.clear();
    assert_eq!(written(&bare, &known).conditions.len(), 1);
}

#[test]
fn a_condition_keeps_its_time_until_its_status_changes() {
    let stalled = |why: &str| Known {
        flow: Flow::Stalled(why.into()),
        ..Known::default()
    };
    let first = settled(job(), &stalled("full"));
    let other = next_write(&first, &stalled("still full"), at(30)).unwrap();
    let second = applied(&first, &other).unwrap();
    let known = Known {
        flow: Flow::Flowing,
        ..Known::default()
    };
    let flows = next_write(&second, &known, at(40)).unwrap();
    let third = applied(&second, &flows).unwrap();
    let times: Vec<_> = [first, second, third]
        .iter()
        .map(|job| job.status.as_ref().unwrap().conditions[1].last_transition_time)
        .collect();
    assert_eq!(times, [at(20), at(20), at(40)]);
}

#[test]
fn that_output_flows_is_said_only_after_it_did_not() {
    let known = Known {
        flow: Flow::Flowing,
        ..Known::default()
    };
    assert_eq!(next_write(&job(), &known, at(20)), None);
}

#[test]
fn every_word_on_a_sealed_record_has_its_status() {
    for (intact, expected) in [
        (Intact::Sealed, (ConditionStatus::True, "Sealed")),
        (Intact::Missing(12), (ConditionStatus::False, "Missing")),
        (Intact::NoVerdict, (ConditionStatus::Unknown, "NoVerdict")),
        (
            Intact::Altered("a\u{1b}b".repeat(1000)),
            (ConditionStatus::False, "Altered"),
        ),
    ] {
        let known = Known {
            intact: Some(intact),
            ..Known::default()
        };
        let status = written(&job(), &known);
        let said = status.conditions.last().unwrap();
        assert_eq!((said.status, said.reason.as_str()), expected);
        assert!(said.message.len() <= MAX_MESSAGE_BYTES && !said.message.contains('\u{1b}'));
    }
}
