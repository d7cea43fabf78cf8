use chrono::TimeDelta;
use json_patch::Patch;

use super::*;
use crate::api::{
    job::{Attempt, Condition, ConditionStatus, ConditionType, JobSpec, JobStatus},
    reason::{ExitReason, Phase, Reason},
    record::Progress,
    verdict::{Segment, StoppedBy, Verdict},
};
use crate::plan::seal::Came;

fn time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn key() -> RecordKey {
    RecordKey {
        namespace: "team-a".into(),
        namespace_uid: "ns-uid".into(),
        job: "hello".into(),
        job_uid: "job-uid".into(),
    }
}

/// A running Job with one attempt, as of this version.
fn job(version: u64) -> Job {
    let mut job = Job::new("hello", JobSpec::default());
    job.metadata.namespace = Some("team-a".into());
    job.metadata.uid = Some("job-uid".into());
    job.metadata.resource_version = Some(version.to_string());
    job.status = Some(JobStatus {
        phase: Some(Phase::Running),
        attempts: vec![Attempt {
            number: 1,
            pod: "hello-1".into(),
            uid: Some("pod-uid".into()),
            intended: time(),
            started: Some(time()),
            ..Attempt::default()
        }],
        ..JobStatus::default()
    });
    job
}

fn completed(mut job: Job) -> Job {
    let status = job.status.as_mut().unwrap();
    status.phase = Some(Phase::Completed);
    status.exit_reason = Some(ExitReason::Success);
    status.reason = Some(Reason::Completed);
    job
}

fn grown(bytes: u64) -> News {
    News::Grown {
        record: key(),
        progress: Progress {
            turns: bytes / 100,
            ..Progress::default()
        },
        bytes,
        lines: bytes / 10,
    }
}

fn verdict() -> News {
    News::Verdict {
        record: key(),
        attempt: 1,
        pod_uid: "pod-uid".into(),
        at: time(),
        verdict: Box::new(Verdict {
            phase: Phase::Completed,
            exit_reason: ExitReason::Success,
            reason: Reason::Completed,
            message: "done".into(),
            result: None,
            exit: None,
            stopped_by: StoppedBy::Nobody,
            turns: 1,
            cost_usd: None,
            cost_before_usd: None,
            usage: Default::default(),
            session_id: None,
            started_at: None,
            ended_at: None,
            segment: Segment::default(),
            text: None,
            stderr: None,
        }),
    }
}

const SPOKEN: Came = Came {
    bytes: 900,
    spoken: true,
};

fn sealed() -> Sealed {
    Sealed {
        path: "/data/x".into(),
        bytes: 999,
        lines: 9,
        sha256: "ab".repeat(32),
        missing: 0,
        at: time(),
        altered: None,
        came: [(1, SPOKEN)].into(),
    }
}

fn hear(entry: &mut Entry, news: News) {
    entry.hear(news, "/data/x".into());
}

/// What the API server makes of a patch.
fn answered(patch: &PatchOf, version: u64) -> Arc<Job> {
    let mut object = serde_json::to_value(&*patch.job).unwrap();
    json_patch::patch(&mut object, &Patch(patch.operations.clone())).unwrap();
    object["metadata"]["resourceVersion"] = version.to_string().into();
    Arc::new(serde_json::from_value(object).unwrap())
}

struct Clock(Instant);

impl Clock {
    fn after(&mut self, seconds: u64) -> Instant {
        self.0 += Duration::from_secs(seconds);
        self.0
    }

    fn next(&self, entry: &mut Entry) -> Next {
        entry.next(self.0, time() + TimeDelta::seconds(1))
    }
}

fn clock() -> Clock {
    Clock(Instant::now())
}

#[test]
fn a_verdict_goes_out_at_once_also_right_after_progress() {
    let clock = clock();
    let mut entry = Entry::of(job(1).into());
    hear(&mut entry, grown(100));
    assert!(clock.next(&mut entry).patch.is_none());
    hear(&mut entry, verdict());
    let patch = clock.next(&mut entry).patch.unwrap();
    assert!(patch.urgent);
    let status = answered(&patch, 2).status.clone().unwrap();
    assert_eq!(status.output.unwrap().bytes, 100);
    let report = status.report.unwrap();
    assert_eq!((report.attempt, report.uid.as_str()), (1, "pod-uid"));
    assert!(serde_json::from_str::<Verdict>(&report.verdict).is_ok());
}

#[test]
fn progress_goes_out_at_most_every_five_seconds_and_the_newest_wins() {
    let mut clock = clock();
    let mut entry = Entry::of(job(1).into());
    hear(&mut entry, grown(100));
    assert!(clock.next(&mut entry).patch.is_none());
    clock.after(5);
    let first = clock.next(&mut entry).patch.unwrap();
    entry.patched(answered(&first, 2), clock.0);
    for bytes in [200, 300] {
        hear(&mut entry, grown(bytes));
        let next = clock.next(&mut entry);
        assert!(next.patch.is_none());
        assert_eq!(next.wake, Some(clock.0 + GROWTH_EVERY));
    }
    clock.after(5);
    let second = clock.next(&mut entry).patch.unwrap();
    let status = answered(&second, 3).status.clone().unwrap();
    assert_eq!(status.output.unwrap().bytes, 300);
}

#[test]
fn one_thing_at_a_time_and_nothing_twice() {
    let clock = clock();
    let mut entry = Entry::of(job(1).into());
    hear(&mut entry, verdict());
    let patch = clock.next(&mut entry).patch.unwrap();
    assert!(clock.next(&mut entry).patch.is_none());
    entry.patched(answered(&patch, 2), clock.0);
    assert!(clock.next(&mut entry).patch.is_none());
    // The watch is behind our own write.
    entry.see(job(1).into());
    assert!(clock.next(&mut entry).patch.is_none());
}

#[test]
fn after_a_conflict_the_newer_job_is_patched_at_once() {
    let clock = clock();
    let mut entry = Entry::of(job(1).into());
    hear(&mut entry, verdict());
    assert!(clock.next(&mut entry).patch.is_some());
    entry.failed(Task::Patch, Failure::Conflict, clock.0);
    let wait = clock.next(&mut entry);
    assert!(wait.patch.is_none() && wait.wake.is_some_and(|at| at >= clock.0 + CONFLICT));
    entry.see(job(2).into());
    assert!(clock.next(&mut entry).patch.is_some());
    // The newer one came before the answer did.
    entry.see(job(3).into());
    entry.failed(Task::Patch, Failure::Conflict, clock.0);
    assert!(clock.next(&mut entry).patch.is_some());
}

#[test]
fn a_write_that_fails_is_tried_for_ever_and_ever_more_rarely() {
    let mut clock = clock();
    let mut entry = Entry::of(job(1).into());
    hear(&mut entry, verdict());
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        assert!(clock.next(&mut entry).patch.is_some());
        entry.failed(Task::Patch, Failure::Other, clock.0);
        let next = clock.next(&mut entry);
        assert!(next.patch.is_none() && !next.done);
        let wait = next.wake.unwrap() - clock.0;
        assert!(wait <= backoff::LAST);
        longest = longest.max(wait);
        clock.0 += wait;
    }
    assert!(longest > Duration::from_secs(10));
}

#[test]
fn a_patch_that_is_refused_again_and_again_is_left_alone_for_minutes() {
    let mut clock = clock();
    let mut entry = Entry::of(job(1).into());
    hear(&mut entry, verdict());
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        assert!(clock.next(&mut entry).patch.is_some());
        entry.failed(Task::Patch, Failure::Refused, clock.0);
        let wait = clock.next(&mut entry).wake.unwrap() - clock.0;
        longest = longest.max(wait);
        clock.0 += wait;
    }
    assert!(
        longest > Duration::from_secs(60) && longest <= REFUSED,
        "{longest:?}"
    );
}

#[test]
fn a_report_does_not_wait_for_progress_that_is_refused() {
    let mut clock = clock();
    let mut entry = Entry::of(completed(job(1)).into());
    hear(&mut entry, grown(100));
    hear(&mut entry, verdict());
    let both = clock.next(&mut entry).patch.unwrap();
    assert!(
        answered(&both, 2)
            .status
            .as_ref()
            .unwrap()
            .progress
            .is_some()
    );
    entry.failed(Task::Patch, Failure::Refused, clock.0);
    clock.after(31);
    let report = clock.next(&mut entry).patch.unwrap();
    let told = answered(&report, 2);
    let status = told.status.clone().unwrap();
    assert!(status.report.is_some() && status.progress.is_none());
    entry.patched(told, clock.0);
    assert!(clock.next(&mut entry).seal.is_some());
}

#[test]
fn a_sealed_record_is_not_said_to_wait_for_room() {
    let clock = clock();
    let mut job = completed(job(1));
    let status = job.status.as_mut().unwrap();
    status.attempts[0].closed = Some(time());
    // By a store before this one.
    status.conditions.push(Condition {
        type_: ConditionType::OutputStalled,
        status: ConditionStatus::True,
        reason: "StoreFull".into(),
        message: "the store's disk is full".into(),
        last_transition_time: time(),
    });
    let mut entry = Entry::of(job.into());
    assert!(clock.next(&mut entry).seal.is_some());
    entry.sealed(Some(&sealed()));
    let last = clock.next(&mut entry).patch.unwrap();
    let status = answered(&last, 2).status.clone().unwrap();
    let stalled = status.conditions.first().unwrap();
    assert_eq!(
        (stalled.status, stalled.reason.as_str()),
        (ConditionStatus::False, "Resumed")
    );
}

#[test]
fn a_final_job_is_sealed_after_its_verdict_and_then_left_alone() {
    let clock = clock();
    let mut entry = Entry::of(job(1).into());
    entry.see(completed(job(2)).into());
    assert!(clock.next(&mut entry).seal.is_none());
    hear(&mut entry, verdict());
    let report = clock.next(&mut entry).patch.unwrap();
    entry.patched(answered(&report, 3), clock.0);
    let seal = clock.next(&mut entry).seal.unwrap();
    assert!(seal.closing.spoken);
    assert_eq!(seal.closing.phase, Phase::Completed);
    entry.sealed(Some(&sealed()));
    // News on their way from before the seal take nothing back.
    hear(&mut entry, grown(300));
    let told = clock.next(&mut entry).patch.unwrap();
    assert!(told.urgent);
    let told = answered(&told, 4);
    let status = told.status.clone().unwrap();
    let output = status.output.unwrap();
    assert_eq!((output.bytes, output.sealed), (999, Some(time())));
    assert_eq!(status.conditions.last().unwrap().reason, "Sealed");
    entry.patched(told, clock.0);
    let end = clock.next(&mut entry);
    assert!(end.done && end.patch.is_none() && end.seal.is_none());
}

#[test]
fn after_a_restart_the_status_itself_tells_that_the_verdict_has_come() {
    let clock = clock();
    let mut job = completed(job(5));
    job.status.as_mut().unwrap().report = Some(Report {
        attempt: 1,
        uid: "pod-uid".into(),
        at: time(),
        verdict: "{}".into(),
    });
    let mut entry = Entry::of(job.into());
    let seal = clock.next(&mut entry).seal.unwrap();
    assert!(seal.closing.spoken);
}

#[test]
fn a_seal_that_fails_is_tried_again() {
    let mut clock = clock();
    let mut closed = completed(job(2));
    closed.status.as_mut().unwrap().attempts[0].closed = Some(time());
    let mut entry = Entry::of(closed.into());
    assert!(!clock.next(&mut entry).seal.unwrap().closing.spoken);
    entry.failed(Task::Seal, Failure::Other, clock.0);
    assert!(clock.next(&mut entry).seal.is_none());
    clock.after(31);
    assert!(clock.next(&mut entry).seal.is_some());
}

#[test]
fn the_record_of_a_job_that_is_gone_is_sealed_and_its_status_left_alone() {
    let clock = clock();
    let mut entry = Entry::of(job(1).into());
    hear(&mut entry, grown(100));
    entry.found(&key(), || None);
    entry.lose();
    let seal = clock.next(&mut entry).seal.unwrap();
    assert_eq!(seal.closing.reason, Some(Reason::JobDeleted));
    entry.sealed(Some(&sealed()));
    let end = clock.next(&mut entry);
    assert!(end.done && end.patch.is_none());
}

#[test]
fn a_record_whose_job_nobody_saw_is_sealed_too() {
    let clock = clock();
    let mut entry = Entry::of_record(key());
    assert!(clock.next(&mut entry).seal.is_none());
    entry.lose();
    let seal = clock.next(&mut entry).seal.unwrap();
    assert_eq!((seal.key, seal.job), (Some(key()), None));
    entry.sealed(Some(&sealed()));
    assert!(clock.next(&mut entry).done);
}

#[test]
fn a_job_that_went_before_anything_came_is_forgotten() {
    let clock = clock();
    let mut entry = Entry::of(job(1).into());
    entry.lose();
    let end = clock.next(&mut entry);
    assert!(end.done && end.seal.is_none());
}

#[test]
fn a_patch_that_finds_no_job_ends_the_patching() {
    let clock = clock();
    let mut entry = Entry::of(job(1).into());
    hear(&mut entry, verdict());
    assert!(clock.next(&mut entry).patch.is_some());
    entry.missed();
    assert!(clock.next(&mut entry).done);
}

#[test]
fn what_was_altered_is_never_called_intact_again() {
    let clock = clock();
    let mut entry = Entry::of(completed(job(1)).into());
    hear(
        &mut entry,
        News::Altered {
            record: key(),
            message: "byte 7 differs".into(),
        },
    );
    let patch = clock.next(&mut entry).patch.unwrap();
    let told = answered(&patch, 2);
    entry.patched(Arc::clone(&told), clock.0);
    let after_restart = Entry::of(told);
    let by_the_record_alone = Entry::of(completed(job(2)).into());
    for (mut entry, altered) in [
        (entry, None),
        (after_restart, None),
        (by_the_record_alone, Some("byte 7 differs".to_owned())),
    ] {
        hear(&mut entry, verdict());
        let report = clock.next(&mut entry).patch.unwrap();
        entry.patched(answered(&report, 3), clock.0);
        assert!(clock.next(&mut entry).seal.is_some());
        entry.sealed(Some(&Sealed {
            altered,
            ..sealed()
        }));
        let last = clock.next(&mut entry).patch.unwrap();
        let status = answered(&last, 4).status.clone().unwrap();
        assert_eq!(status.conditions.last().unwrap().reason, "Altered");
    }
}
