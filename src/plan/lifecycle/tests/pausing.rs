//! Suspended and gone on.

use super::*;

fn resumed(mut job: Job, prompt: Option<&str>) -> Job {
    job.spec.suspend = Some(false);
    job.spec.resume_prompt = prompt.map(Into::into);
    job
}

/// The Job whose running agent was stopped by a pause.
fn paused() -> Job {
    let job = suspended(running());
    let stopping = written(&job, after(&job, seen(pod_running()), at(5)));
    written(&stopping, after(&stopping, seen(pod_deleted()), at(21)))
}

#[test]
fn a_pause_is_told_before_the_agent_is_stopped_and_waits_until_it_ends() {
    let job = suspended(running());
    let stopping = written(&job, after(&job, seen(pod_running()), at(5)));
    assert_eq!(
        (phase(&stopping), reason(&stopping)),
        (Phase::Running, Some(Reason::Suspending))
    );
    let delete = after(&stopping, seen(pod_running()), at(6));
    assert!(matches!(delete, Action::DeletePod { .. }), "{delete:?}");
    let paused = paused();
    assert_eq!(
        (phase(&paused), reason(&paused)),
        (Phase::Pending, Some(Reason::Suspended))
    );
    let attempt = last(&paused);
    assert_eq!(attempt.outcome, Some(Reason::Suspended));
    assert_eq!(attempt.closed, Some(at(21)));
    assert_eq!((attempt.turns, attempt.cost_usd), (Some(2), Some(0.5)));
    assert_eq!(attempt.recorded, Some(1), "no report came");
    assert_eq!(after(&paused, PodLookup::Gone, at(99)), Action::Wait(None));
}

#[test]
fn a_paused_job_goes_on_in_another_pod_with_its_session_and_the_new_prompt() {
    let job = resumed(paused(), Some("now that"));
    let released = PodFacts {
        held: false,
        ..pod_deleted()
    };
    let job = written(&job, after(&job, seen(released), at(600)));
    let attempt = last(&job);
    assert_eq!((attempt.number, attempt.pod.as_str()), (2, "hello-2"));
    assert_eq!(attempt.intended, at(600));
    let inputs = inputs(after(&job, PodLookup::NotSeen, at(601)));
    assert_eq!((inputs.attempt, inputs.session_id.as_str()), (2, "s-1"));
    assert_eq!(
        inputs.resume,
        Some(Resume {
            prompt: "now that".into(),
            required: true
        })
    );
}

#[test]
fn a_pause_that_is_taken_back_too_late_is_carried_through_and_then_goes_on() {
    let job = suspended(running());
    let stopping = written(&job, after(&job, seen(pod_running()), at(5)));
    let job = resumed(stopping, None);
    let delete = after(&job, seen(pod_running()), at(6));
    assert!(matches!(delete, Action::DeletePod { .. }), "{delete:?}");
    let paused = written(&job, after(&job, seen(pod_deleted()), at(21)));
    assert_eq!(last(&paused).outcome, Some(Reason::Suspended));
    let on = written(&paused, after(&paused, PodLookup::Gone, at(22)));
    assert_eq!(last(&on).number, 2);
}

#[test]
fn what_the_agent_had_finished_before_it_was_stopped_is_its_end() {
    let job = suspended(running());
    let stopping = written(&job, after(&job, seen(pod_running()), at(5)));
    for job in [job, stopping] {
        let done = written(&job, after(&job, seen(pod_completed()), at(6)));
        assert_eq!(reason(&done), Some(Reason::Completed));
        let job = reported(job);
        let done = written(&job, after(&job, seen(pod_running()), at(6)));
        assert_eq!(reason(&done), Some(Reason::Completed));
    }
}

#[test]
fn a_pause_is_not_what_kubernetes_did_at_the_same_time() {
    let evicted = PodFacts {
        disruption: Some(Said {
            reason: "EvictionByEvictionAPI".into(),
            message: "m".into(),
        }),
        ..pod_deleted()
    };
    let job = suspended(running());
    let paused = written(&job, after(&job, seen(evicted), at(9)));
    assert_eq!(last(&paused).outcome, Some(Reason::Suspended));
}

#[test]
fn a_job_suspended_before_its_start_gets_no_pod_until_it_may_go_on() {
    let job = suspended(job());
    let waiting = written(&job, after(&job, PodLookup::NotSeen, at(0)));
    assert_eq!(reason(&waiting), Some(Reason::Suspended));
    assert_eq!(
        after(&waiting, PodLookup::NotSeen, at(9)),
        Action::Wait(None)
    );
    let job = resumed(waiting, None);
    let begun = written(&job, after(&job, PodLookup::NotSeen, at(10)));
    assert_eq!(reason(&begun), Some(Reason::Starting));
    let inputs = inputs(after(&begun, PodLookup::NotSeen, at(11)));
    assert_eq!(inputs.resume, None, "there is nothing to go on with");
}

#[test]
fn a_job_suspended_between_intent_and_pod_asks_the_api_server_first() {
    let job = suspended(intended());
    assert_eq!(after(&job, PodLookup::NotSeen, at(1)), Action::LookUpPod);
    let paused = written(&job, after(&job, PodLookup::Gone, at(1)));
    assert_eq!(reason(&paused), Some(Reason::Suspended));
    assert_eq!(last(&paused).closed, Some(at(1)));
}

#[test]
fn a_pod_that_never_started_is_removed_by_a_pause_and_that_is_no_disruption() {
    let job = suspended(intended());
    let waiting = written(&job, after(&job, seen(pod_starting()), at(1)));
    assert_eq!(
        (phase(&waiting), reason(&waiting)),
        (Phase::Pending, Some(Reason::Suspended))
    );
    // Taken back meanwhile: the pod goes all the same.
    let job = resumed(waiting, None);
    let delete = after(&job, seen(pod_starting()), at(2));
    assert!(matches!(delete, Action::DeletePod { .. }), "{delete:?}");
    let dead = pod_removed();
    // Its deadline passes, but that no longer counts.
    let paused = written(&job, after(&job, seen(dead.clone()), at(90)));
    assert_eq!(last(&paused).outcome, Some(Reason::Suspended));
    let released = PodFacts {
        held: false,
        ..dead
    };
    let on = written(&paused, after(&paused, seen(released), at(91)));
    assert_eq!(last(&on).number, 2);
    assert_eq!(reason(&on), Some(Reason::Starting));
}

#[test]
fn a_pod_that_vanished_while_it_was_to_pause_is_lost_for_good() {
    let job = suspended(running());
    let stopping = written(&job, after(&job, seen(pod_running()), at(5)));
    let done = written(&stopping, after(&stopping, PodLookup::Gone, at(9)));
    assert_eq!(reason(&done), Some(Reason::PodDeleted));
}

#[test]
fn a_paused_job_can_be_cancelled_and_deleted() {
    for (job, expected) in [
        (cancelled(paused()), Reason::Cancelled),
        (deleted(paused()), Reason::JobDeleted),
    ] {
        let done = written(&job, after(&job, PodLookup::NotSeen, at(99)));
        assert_eq!(reason(&done), Some(expected));
        assert_eq!(last(&done).outcome, Some(Reason::Suspended));
        let status = done.status.unwrap();
        assert_eq!(status.completed_at, Some(at(99)));
        assert!(status.duration.is_some());
    }
}

#[test]
fn cancelling_comes_before_pausing() {
    let job = cancelled(suspended(running()));
    let stopping = written(&job, after(&job, seen(pod_running()), at(5)));
    assert_eq!(reason(&stopping), Some(Reason::Cancelling));
    let pausing = suspended(running());
    let pausing = written(&pausing, after(&pausing, seen(pod_running()), at(5)));
    let job = cancelled(pausing);
    let done = written(&job, after(&job, seen(pod_deleted()), at(9)));
    assert_eq!(reason(&done), Some(Reason::Cancelled));
}

#[test]
fn pauses_are_never_counted_as_disruptions_but_bounded_by_the_room_for_attempts() {
    let mut job = paused();
    let status = job.status.as_mut().unwrap();
    let one = status.attempts[0].clone();
    let attempts = |number| Attempt {
        number,
        pod: format!("hello-{number}"),
        ..one.clone()
    };
    status.attempts = (1..=63).map(attempts).collect();
    let on = resumed(job, None);
    let on = written(&on, after(&on, PodLookup::Gone, at(99)));
    assert_eq!(last(&on).number, 64);
    let on = suspended(on);
    let full = written(&on, after(&on, PodLookup::Gone, at(100)));
    let full = resumed(full, None);
    let done = written(&full, after(&full, PodLookup::Gone, at(101)));
    assert_eq!(reason(&done), Some(Reason::ResumeFailed));
    assert!(message(&done).contains("64"), "{}", message(&done));
}
