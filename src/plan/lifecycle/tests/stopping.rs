//! Cancelling and deleting.

use super::*;

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
