//! A pod that is followed to its end.

use super::*;

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

/// Somebody removed it, with its finalizer, before the controller had seen it: the store had.
#[test]
fn a_pod_that_the_store_has_a_report_of_is_never_made_again() {
    let job = reported(intended());
    assert_eq!(
        next(&job, None, PodLookup::NotSeen, at(5)),
        Action::LookUpPod
    );
    let done = written(&job, next(&job, None, PodLookup::Gone, at(5)));
    assert_eq!(reason(&done), Some(Reason::Completed));
}

#[test]
fn a_pod_that_was_seen_once_is_never_made_again() {
    let job = running();
    assert_eq!(
        next(&job, None, PodLookup::NotSeen, at(5)),
        Action::LookUpPod
    );
    let done = written(&job, after(&job, PodLookup::Gone, at(5)));
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
    let done = written(&job, after(&job, seen(another.clone()), at(5)));
    assert_eq!(reason(&done), Some(Reason::PodDeleted));
    let delete = after(&done, seen(another.clone()), at(6));
    assert!(
        matches!(&delete, Action::DeletePod { uid, .. } if uid == "another"),
        "{delete:?}"
    );
    let dead = PodFacts {
        terminal: true,
        ..another
    };
    let release = after(&done, seen(dead), at(7));
    assert!(
        matches!(&release, Action::ReleasePod { uid, .. } if uid == "another"),
        "{release:?}"
    );
}

#[test]
fn a_pod_that_does_not_start_is_ended_at_its_deadline_and_not_before() {
    let job = intended();
    let wait = next(&job, None, seen(pod_starting()), at(20));
    assert_eq!(wait, Action::Wait(Some(Duration::from_secs(40))));
    let starting = seen(pod_starting());
    assert_eq!(
        next(&job, None, starting.clone(), at(60)),
        Action::LookUpPod
    );
    let why = written(&job, asked(&job, starting.clone(), at(60)));
    assert_eq!(reason(&why), Some(Reason::Starting));
    assert!(message(&why).contains("startDeadline"), "{}", message(&why));
    let delete = asked(&why, starting, at(60));
    assert!(matches!(delete, Action::DeletePod { .. }), "{delete:?}");
    let started = written(&job, asked(&job, seen(pod_running()), at(60)));
    assert_eq!(reason(&started), Some(Reason::Working));
    let dead = pod_removed();
    let done = written(&job, next(&job, None, seen(dead.clone()), at(61)));
    assert_eq!(reason(&done), Some(Reason::StartTimedOut));
    let done = written(&why, next(&why, None, seen(dead), at(61)));
    assert_eq!(reason(&done), Some(Reason::StartTimedOut));
    assert_eq!(message(&done), message(&why));
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
fn what_a_pod_waits_for_no_more_is_not_why_it_started_too_late() {
    let pulling = with_agent_state(json!({"waiting": {"reason": "ErrImagePull"}}));
    let overdue = |job: &Job| reason(&written(job, next(job, None, seen(pod_removed()), at(61))));
    let job = intended();
    let waits = written(&job, next(&job, None, seen(pulling), at(3)));
    assert_eq!(overdue(&waits), Some(Reason::ImageUnavailable));
    let pulled = written(&waits, next(&waits, None, seen(pod_starting()), at(4)));
    assert_eq!(reason(&pulled), Some(Reason::Starting));
    assert_eq!(message(&pulled), message(&job));
    assert_eq!(overdue(&pulled), Some(Reason::StartTimedOut));
    let rests = next(&pulled, None, seen(pod_starting()), at(5));
    assert_eq!(rests, Action::Wait(Some(Duration::from_secs(55))));
}

#[test]
fn a_start_that_something_kept_until_its_deadline_names_it() {
    let kept = with_agent_state(json!({"waiting": {"reason": "CreateContainerError"}}));
    let job = intended();
    let waits = written(&job, next(&job, None, seen(kept), at(3)));
    assert_eq!(reason(&waits), Some(Reason::Starting));
    let dead = pod_removed();
    let done = written(&waits, next(&waits, None, seen(dead), at(61)));
    assert_eq!(reason(&done), Some(Reason::StartTimedOut));
    assert!(
        message(&done).contains("CreateContainerError"),
        "{}",
        message(&done)
    );
}

#[test]
fn the_pod_of_an_earlier_job_of_the_same_name_is_left_alone_and_waited_for() {
    let job = intended();
    let earlier = PodFacts {
        owner: Some("earlier".into()),
        ..pod_running()
    };
    let waiting = written(&job, next(&job, None, seen(earlier.clone()), at(2)));
    assert_eq!(reason(&waiting), Some(Reason::Starting));
    assert!(message(&waiting).contains("hello-1 of an earlier Job"));
    let still = next(&waiting, None, seen(earlier), at(3));
    assert_eq!(still, Action::Wait(Some(Duration::from_secs(57))));
    let create = next(&waiting, None, PodLookup::NotSeen, at(4));
    assert!(matches!(create, Action::CreatePod(_)), "{create:?}");
}

#[test]
fn a_renewal_that_is_refused_keeps_nothing_else_waiting() {
    let old = PodFacts {
        store_ca: Some("old".into()),
        ..pod_running()
    };
    let looked = Looked {
        agent: AgentLookup::Found("agent-uid".into()),
        renewal_refused: true,
        ..Looked::default()
    };
    let job = intended();
    let on = written(&job, decided(&job, None, seen(old), looked, at(3)));
    assert_eq!(reason(&on), Some(Reason::Working));
}

#[test]
fn a_pod_whose_owner_was_taken_off_is_still_the_attempts_own() {
    let orphaned = PodFacts {
        owner: None,
        ..pod_running()
    };
    let job = deleted(running());
    let stopping = written(&job, next(&job, None, seen(orphaned.clone()), at(3)));
    assert_eq!(reason(&stopping), Some(Reason::Cancelling));
    let delete = next(&stopping, None, seen(orphaned), at(3));
    assert!(matches!(delete, Action::DeletePod { .. }), "{delete:?}");
}
