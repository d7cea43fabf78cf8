use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::*;
use crate::{
    api::{
        agent::AgentSpec,
        job::JobSpec,
        record::{Output, Report},
    },
    plan::facts::tests::pod as a_pod,
};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn settings() -> Settings {
    Settings {
        operator_image: "o:1".into(),
        agent_image: "a:1".into(),
        seal_timeout: Duration::from_secs(600),
        ..Settings::default()
    }
}

/// The Job `hello` of the Agent `reviewer`, as a person has just created it, held by our finalizer.
fn job() -> Job {
    let mut job = Job::new(
        "hello",
        JobSpec {
            agent: "reviewer".into(),
            prompt: Some("do it".into()),
            ..JobSpec::default()
        },
    );
    job.metadata.namespace = Some("team-a".into());
    job.metadata.uid = Some("job-uid".into());
    job.metadata.generation = Some(1);
    job.metadata.finalizers = Some(vec![JOB_FINALIZER.into()]);
    job
}

fn agent() -> Agent {
    Agent::new(
        "reviewer",
        AgentSpec {
            start_deadline: Some("60s".into()),
            ..AgentSpec::default()
        },
    )
}

fn cancelled(mut job: Job) -> Job {
    job.spec.cancel = Some(true);
    job
}

fn deleted(mut job: Job) -> Job {
    job.metadata.deletion_timestamp = Some(Time(
        k8s_openapi::jiff::Timestamp::from_second(1_800_000_000).unwrap(),
    ));
    job
}

fn next(job: &Job, agent: Option<&Agent>, pod: PodLookup, now: DateTime<Utc>) -> Action {
    let settings = settings();
    let means = Means {
        now,
        session_id: "s-1",
        settings: &settings,
        store_ca: Some("CA"),
    };
    decide(&Observed { job, agent, pod }, means)
}

/// The status that an action writes, put on the Job.
fn written(job: &Job, action: Action) -> Job {
    let Action::WriteStatus(status) = action else {
        panic!("not a status: {action:?}")
    };
    Job {
        status: Some(*status),
        ..job.clone()
    }
}

/// The Job after its intent.
fn intended() -> Job {
    let job = job();
    written(&job, next(&job, Some(&agent()), PodLookup::NotSeen, at(0)))
}

fn running() -> Job {
    let job = intended();
    written(&job, next(&job, None, seen(pod_running()), at(2)))
}

fn with_agent_state(state: serde_json::Value) -> PodFacts {
    PodFacts::from(&a_pod(json!({"phase": "Running", "containerStatuses": [{
        "name": "agent", "image": "a", "imageID": "", "ready": false, "restartCount": 0, "state": state,
    }]})))
}

fn pod_running() -> PodFacts {
    with_agent_state(json!({"running": {"startedAt": "2027-01-15T08:00:01Z"}}))
}

fn pod_starting() -> PodFacts {
    with_agent_state(json!({"waiting": {"reason": "PodInitializing"}}))
}

fn pod_completed() -> PodFacts {
    let verdict = json!({"phase": "completed", "exitReason": "success", "reason": "Completed",
        "message": "m", "stoppedBy": "nobody", "exit": {"code": 0},
        "segment": {"bytes": 1, "lines": 1, "sha256": ""}, "text": {"text": "done", "truncated": false}});
    with_agent_state(json!({"terminated": {"exitCode": 0, "reason": "Completed",
        "message": verdict.to_string()}}))
}

fn seen(pod: PodFacts) -> PodLookup {
    PodLookup::Seen(Box::new(pod))
}

fn reason(job: &Job) -> Option<Reason> {
    job.status.as_ref().and_then(|status| status.reason)
}

#[test]
fn a_new_job_is_held_then_intended_then_given_its_pod() {
    let mut fresh = job();
    fresh.metadata.finalizers = None;
    assert_eq!(
        next(&fresh, Some(&agent()), PodLookup::NotSeen, at(0)),
        Action::HoldJob
    );
    let job = intended();
    let status = job.status.clone().unwrap();
    assert_eq!(
        (status.phase, status.reason),
        (Some(Phase::Pending), Some(Reason::Starting))
    );
    assert_eq!(status.session_id.as_deref(), Some("s-1"));
    assert_eq!(status.attempt().unwrap().pod, "hello-1");
    assert_eq!(status.agent.unwrap().spec, agent().spec);
    let Action::CreatePod(pod) = next(&job, None, PodLookup::NotSeen, at(1)) else {
        panic!()
    };
    assert_eq!(pod.metadata.name.as_deref(), Some("hello-1"));
}

#[test]
fn the_same_facts_give_the_same_pod_whatever_became_of_the_agent_meanwhile() {
    let job = intended();
    let edited = Agent::new(
        "reviewer",
        AgentSpec {
            model: Some("opus".into()),
            ..AgentSpec::default()
        },
    );
    let first = next(&job, None, PodLookup::NotSeen, at(1));
    assert_eq!(first, next(&job, Some(&edited), PodLookup::NotSeen, at(30)));
}

#[test]
fn a_job_without_its_agent_waits_and_says_so_once() {
    let job = job();
    let waiting = written(&job, next(&job, None, PodLookup::NotSeen, at(0)));
    assert_eq!(reason(&waiting), Some(Reason::AgentNotFound));
    assert_eq!(
        next(&waiting, None, PodLookup::NotSeen, at(9)),
        Action::Wait(None)
    );
    let begun = written(
        &waiting,
        next(&waiting, Some(&agent()), PodLookup::NotSeen, at(10)),
    );
    assert_eq!(reason(&begun), Some(Reason::Starting));
}

#[test]
fn a_job_without_any_prompt_waits_for_one() {
    let mut job = job();
    job.spec.prompt = None;
    let waiting = written(&job, next(&job, Some(&agent()), PodLookup::NotSeen, at(0)));
    assert_eq!(reason(&waiting), Some(Reason::ConfigMissing));
}

#[test]
fn a_running_agent_is_told_once_and_its_end_is_final() {
    let job = running();
    assert_eq!(reason(&job), Some(Reason::Working));
    assert_eq!(
        next(&job, None, seen(pod_running()), at(3)),
        Action::Wait(None)
    );
    let done = written(&job, next(&job, None, seen(pod_completed()), at(9)));
    let status = done.status.clone().unwrap();
    assert_eq!(
        (status.phase, status.reason),
        (Some(Phase::Completed), Some(Reason::Completed))
    );
    assert_eq!(status.result.unwrap().text, "done");
    for pod in [seen(pod_running()), PodLookup::NotSeen, PodLookup::Gone] {
        let after = next(&done, Some(&agent()), pod, at(99));
        assert!(!matches!(after, Action::CreatePod(_)), "{after:?}");
        if let Action::WriteStatus(_) = after {
            let mut status = written(&done, after).status.unwrap();
            status.attempts[0].closed = None;
            assert_eq!(Some(status), done.status);
        }
    }
}

#[test]
fn a_job_may_be_over_before_anybody_saw_it_run() {
    let job = intended();
    let done = written(&job, next(&job, None, seen(pod_completed()), at(9)));
    assert_eq!(reason(&done), Some(Reason::Completed));
}

#[test]
fn a_pod_is_let_go_only_after_the_outcome_is_written_and_it_is_dead() {
    let job = running();
    let mut pod = pod_completed();
    let done = written(&job, next(&job, None, seen(pod.clone()), at(9)));
    assert_eq!(
        next(&done, None, seen(pod.clone()), at(9)),
        Action::Wait(None)
    );
    pod.terminal = true;
    let closed = written(&done, next(&done, None, seen(pod.clone()), at(10)));
    assert_eq!(
        closed.status.as_ref().unwrap().attempt().unwrap().closed,
        Some(at(10)),
        "no report came, and none can come"
    );
    let sealed = sealed(closed);
    let release = next(&sealed, None, seen(pod.clone()), at(10));
    assert_eq!(release, release_pod(true));
    pod.held = false;
    assert_eq!(next(&sealed, None, seen(pod), at(11)), Action::Wait(None));
}

fn release_pod(sealed: bool) -> Action {
    Action::ReleasePod {
        name: "hello-1".into(),
        uid: "pod-uid".into(),
        sealed,
    }
}

/// The Job as the store has sealed its record.
fn sealed(mut job: Job) -> Job {
    job.status.as_mut().unwrap().output = Some(Output {
        sealed: Some(at(100)),
        ..Output::default()
    });
    job
}

/// The Job as the store has told that its pod's agent did well.
fn reported(mut job: Job) -> Job {
    let AgentState::Ended(end) = pod_completed().agent else {
        panic!()
    };
    job.status.as_mut().unwrap().report = Some(Report {
        attempt: 1,
        uid: "pod-uid".into(),
        at: at(5),
        verdict: end.message,
    });
    job
}

#[test]
fn a_report_makes_the_job_final_while_its_pod_still_runs_and_drains() {
    let job = reported(running());
    let done = written(&job, next(&job, None, seen(pod_running()), at(6)));
    let status = done.status.as_ref().unwrap();
    assert_eq!(status.reason, Some(Reason::Completed));
    assert_eq!(status.result.as_ref().unwrap().text, "done");
    assert_eq!(
        (status.attempts[0].closed, status.attempts[0].recorded),
        (None, None)
    );
    assert_eq!(
        next(&done, None, seen(pod_running()), at(6)),
        Action::Wait(None)
    );
    let mut gone = pod_completed();
    gone.terminal = true;
    let sealed = sealed(done);
    assert_eq!(next(&sealed, None, seen(gone), at(8)), release_pod(true));
}

#[test]
fn a_report_of_another_pod_says_nothing() {
    let mut job = reported(running());
    job.status.as_mut().unwrap().report.as_mut().unwrap().uid = "another".into();
    assert_eq!(
        next(&job, None, seen(pod_running()), at(6)),
        Action::Wait(None)
    );
}

#[test]
fn a_dead_pod_waits_for_the_seal_as_long_as_was_agreed_and_less_when_the_job_is_deleted() {
    let job = running();
    let mut pod = pod_completed();
    pod.terminal = true;
    pod.ended = Some(at(9));
    let done = written(&job, next(&job, None, seen(pod.clone()), at(9)));
    let wait = next(&done, None, seen(pod.clone()), at(19));
    assert_eq!(wait, Action::Wait(Some(Duration::from_secs(590))));
    let deleted = deleted(done.clone());
    let wait = next(&deleted, None, seen(pod.clone()), at(19));
    assert_eq!(wait, Action::Wait(Some(Duration::from_secs(50))));
    assert_eq!(next(&done, None, seen(pod), at(609)), release_pod(false));
}

#[test]
fn what_the_kubelets_message_counted_is_kept_where_no_report_came() {
    let job = running();
    let done = written(&job, next(&job, None, seen(pod_completed()), at(9)));
    assert_eq!(done.status.unwrap().attempts[0].recorded, Some(1));
}

#[test]
fn nothing_starts_before_the_store_has_started_once() {
    let job = job();
    let settings = settings();
    let means = Means {
        now: at(0),
        session_id: "s-1",
        settings: &settings,
        store_ca: None,
    };
    let seen = Observed {
        job: &job,
        agent: Some(&agent()),
        pod: PodLookup::NotSeen,
    };
    let waiting = written(&job, decide(&seen, means));
    assert_eq!(reason(&waiting), Some(Reason::Starting));
    assert_eq!(waiting.status.unwrap().message.as_deref(), Some(NO_STORE));
}

#[test]
fn a_pod_that_knows_old_certificates_of_the_store_is_given_new_ones() {
    let old = PodFacts {
        store_ca: Some("old".into()),
        ..pod_running()
    };
    assert_eq!(
        next(&running(), None, seen(old), at(3)),
        Action::RenewStoreCa {
            name: "hello-1".into(),
            uid: "pod-uid".into()
        }
    );
}

#[test]
fn a_job_whose_pod_vanished_after_its_end_is_closed_only_when_the_api_server_says_so() {
    let job = running();
    let done = written(&job, next(&job, None, seen(pod_completed()), at(9)));
    assert_eq!(
        next(&done, None, PodLookup::NotSeen, at(10)),
        Action::LookUpPod
    );
    let closed = written(&done, next(&done, None, PodLookup::Gone, at(10)));
    assert_eq!(closed.status.unwrap().attempts[0].closed, Some(at(10)));
}

#[test]
fn cancelling_a_running_job_is_recorded_before_the_pod_is_deleted() {
    let job = cancelled(running());
    let stopping = written(&job, next(&job, None, seen(pod_running()), at(5)));
    assert_eq!(reason(&stopping), Some(Reason::Cancelling));
    let delete = next(&stopping, None, seen(pod_running()), at(6));
    assert_eq!(
        delete,
        Action::DeletePod {
            name: "hello-1".into(),
            uid: "pod-uid".into()
        }
    );
    let leaving = PodFacts {
        deleting: true,
        ..pod_running()
    };
    assert_eq!(
        next(&stopping, None, seen(leaving), at(7)),
        Action::Wait(None)
    );
    let late = PodFacts {
        deleting: true,
        ..pod_completed()
    };
    let done = written(&stopping, next(&stopping, None, seen(late), at(8)));
    assert_eq!(reason(&done), Some(Reason::Cancelled));
}

#[test]
fn a_verdict_that_is_there_before_the_cancel_is_recorded_wins() {
    let job = cancelled(running());
    let done = written(&job, next(&job, None, seen(pod_completed()), at(5)));
    assert_eq!(reason(&done), Some(Reason::Completed));
}

#[test]
fn cancelling_before_the_intent_never_makes_a_pod() {
    let job = cancelled(job());
    let done = written(&job, next(&job, Some(&agent()), PodLookup::NotSeen, at(0)));
    assert_eq!(reason(&done), Some(Reason::Cancelled));
}

#[test]
fn cancelling_between_intent_and_pod_asks_the_api_server_first() {
    let job = cancelled(intended());
    assert_eq!(
        next(&job, None, PodLookup::NotSeen, at(1)),
        Action::LookUpPod
    );
    let done = written(&job, next(&job, None, PodLookup::Gone, at(1)));
    assert_eq!(reason(&done), Some(Reason::Cancelled));
}

#[test]
fn cancelling_a_finished_job_changes_nothing_but_the_generation() {
    let job = running();
    let mut done = written(&job, next(&job, None, seen(pod_completed()), at(9)));
    done.spec.cancel = Some(true);
    done.metadata.generation = Some(2);
    let again = written(&done, next(&done, None, PodLookup::NotSeen, at(20)));
    let (before, after) = (done.status.unwrap(), again.status.unwrap());
    assert_eq!(
        after,
        JobStatus {
            observed_generation: Some(2),
            ..before
        }
    );
}

#[test]
fn a_deleted_job_is_stopped_ended_and_only_then_let_go() {
    let job = deleted(running());
    let stopping = written(&job, next(&job, None, seen(pod_running()), at(5)));
    assert_eq!(reason(&stopping), Some(Reason::Cancelling));
    let gone = PodFacts {
        deleting: true,
        terminal: true,
        ..pod_completed()
    };
    let done = written(&stopping, next(&stopping, None, seen(gone.clone()), at(8)));
    assert_eq!(reason(&done), Some(Reason::JobDeleted));
    let done = sealed(done);
    let release = next(&done, None, seen(gone.clone()), at(9));
    assert_eq!(release, release_pod(true));
    let released = PodFacts {
        held: false,
        ..gone
    };
    assert_eq!(
        next(&done, None, seen(released), at(10)),
        Action::ReleaseJob
    );
    assert_eq!(
        next(&done, None, PodLookup::NotSeen, at(10)),
        Action::LookUpPod
    );
    assert_eq!(
        next(&done, None, PodLookup::Gone, at(10)),
        Action::ReleaseJob
    );
}

#[test]
fn a_job_deleted_before_its_start_ends_without_a_pod() {
    let job = deleted(job());
    let done = written(&job, next(&job, Some(&agent()), PodLookup::NotSeen, at(0)));
    assert_eq!(reason(&done), Some(Reason::JobDeleted));
    assert_eq!(
        next(&done, None, PodLookup::NotSeen, at(1)),
        Action::ReleaseJob
    );
}

#[test]
fn a_pod_that_was_seen_once_is_never_made_again() {
    let job = running();
    assert_eq!(
        next(&job, None, PodLookup::NotSeen, at(5)),
        Action::LookUpPod
    );
    let done = written(&job, next(&job, None, PodLookup::Gone, at(5)));
    assert_eq!(reason(&done), Some(Reason::PodDeleted));
}

#[test]
fn a_pod_of_the_same_name_that_is_not_ours_is_left_alone() {
    let job = intended();
    let foreign = PodFacts {
        owner: None,
        ..pod_running()
    };
    let done = written(&job, next(&job, None, seen(foreign.clone()), at(1)));
    assert_eq!(reason(&done), Some(Reason::InvalidPod));
    assert_eq!(next(&done, None, seen(foreign), at(2)), Action::Wait(None));
}

#[test]
fn a_second_pod_under_the_same_name_does_not_continue_a_lost_attempt() {
    let job = running();
    let another = PodFacts {
        uid: "another".into(),
        ..pod_running()
    };
    let done = written(&job, next(&job, None, seen(another), at(5)));
    assert_eq!(reason(&done), Some(Reason::PodDeleted));
}

#[test]
fn a_pod_that_does_not_start_is_ended_at_its_deadline_and_not_before() {
    let job = intended();
    let wait = next(&job, None, seen(pod_starting()), at(20));
    assert_eq!(wait, Action::Wait(Some(Duration::from_secs(40))));
    let delete = next(&job, None, seen(pod_starting()), at(60));
    assert!(matches!(delete, Action::DeletePod { .. }));
    let dead = PodFacts {
        deleting: true,
        terminal: true,
        ..pod_starting()
    };
    let done = written(&job, next(&job, None, seen(dead), at(61)));
    assert_eq!(reason(&done), Some(Reason::StartTimedOut));
}

#[test]
fn an_agent_that_started_at_the_last_moment_is_let_run() {
    let job = intended();
    let started = written(&job, next(&job, None, seen(pod_running()), at(61)));
    assert_eq!(reason(&started), Some(Reason::Working));
}

#[test]
fn an_impossible_pod_ends_the_job_and_is_removed_afterwards() {
    let job = intended();
    let pod = with_agent_state(json!({"waiting": {"reason": "InvalidImageName"}}));
    let done = written(&job, next(&job, None, seen(pod.clone()), at(1)));
    assert_eq!(reason(&done), Some(Reason::InvalidPod));
    assert!(matches!(
        next(&done, None, seen(pod), at(2)),
        Action::DeletePod { .. }
    ));
}

#[test]
fn a_refused_pod_is_tried_again_or_ends_the_job() {
    let job = intended();
    let refused = |code, message: &str| {
        PodLookup::Refused(Refusal {
            code,
            message: message.into(),
            namespace_terminating: false,
        })
    };
    let waiting = written(
        &job,
        next(&job, None, refused(403, "exceeded quota"), at(1)),
    );
    assert_eq!(reason(&waiting), Some(Reason::QuotaExceeded));
    let again = next(&waiting, None, refused(403, "exceeded quota"), at(2));
    assert_eq!(again, Action::Wait(Some(RETRY_REFUSED)));
    assert!(matches!(
        next(&waiting, None, PodLookup::NotSeen, at(7)),
        Action::CreatePod(_)
    ));
    let done = written(
        &job,
        next(&job, None, refused(422, "spec.tolerations[0]"), at(1)),
    );
    assert_eq!(reason(&done), Some(Reason::InvalidPod));
}

#[test]
fn trouble_is_told_and_forgotten_when_the_agent_runs() {
    let job = intended();
    let stuck = with_agent_state(
        json!({"waiting": {"reason": "CreateContainerConfigError", "message": "secret \"x\" not found"}}),
    );
    let waiting = written(&job, next(&job, None, seen(stuck), at(1)));
    assert_eq!(reason(&waiting), Some(Reason::ConfigMissing));
    let runs = written(&waiting, next(&waiting, None, seen(pod_running()), at(9)));
    assert_eq!(reason(&runs), Some(Reason::Working));
}

#[test]
fn the_pod_of_an_earlier_job_of_the_same_name_is_seen_off_and_waited_for() {
    let job = intended();
    let earlier = PodFacts {
        owner: Some("earlier".into()),
        ..pod_running()
    };
    let delete = next(&job, None, seen(earlier.clone()), at(1));
    assert!(matches!(delete, Action::DeletePod { .. }), "{delete:?}");
    let leaving = PodFacts {
        deleting: true,
        ..earlier
    };
    let waiting = written(&job, next(&job, None, seen(leaving.clone()), at(2)));
    assert_eq!(reason(&waiting), Some(Reason::Starting));
    let dead = PodFacts {
        terminal: true,
        ..leaving
    };
    let release = next(&waiting, None, seen(dead), at(3));
    assert!(matches!(release, Action::ReleasePod { .. }), "{release:?}");
    let create = next(&waiting, None, PodLookup::NotSeen, at(4));
    assert!(matches!(create, Action::CreatePod(_)), "{create:?}");
}
