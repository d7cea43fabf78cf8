//! What is left to do for a Job that has ended.

use super::*;

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

/// Its node was silent for long after the Job's end: before that the store could not know that all had come.
#[test]
fn a_dead_pod_waits_for_its_seal_since_nothing_more_can_come() {
    let job = running();
    let mut pod = pod_completed();
    let done = written(&job, next(&job, None, seen(pod.clone()), at(9)));
    pod.terminal = true;
    let closed = written(&done, next(&done, None, seen(pod.clone()), at(2000)));
    for job in [closed.clone(), deleted(closed)] {
        let wait = next(&job, None, seen(pod.clone()), at(2001));
        assert_eq!(wait, Action::Wait(Some(Duration::from_secs(4))));
        let release = next(&job, None, seen(pod.clone()), at(2005));
        assert_eq!(release, release_pod(false));
    }
}

#[test]
fn what_the_kubelets_message_counted_is_kept_where_no_report_came() {
    let job = running();
    let done = written(&job, next(&job, None, seen(pod_completed()), at(9)));
    assert_eq!(done.status.unwrap().attempts[0].recorded, Some(1));
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

/// Its agent ended at 21, in a namespace that was deleted; the store is away.
#[test]
fn a_dead_pod_waits_for_its_seal_no_longer_than_a_minute_where_its_namespace_goes() {
    let job = running();
    let ended = PodFacts {
        ended: Some(at(21)),
        ..pod_deleted()
    };
    let job = written(
        &job,
        in_namespace(NamespaceLookup::Going, &job, ended.clone(), 20),
    );
    assert_eq!(reason(&job), Some(Reason::JobDeleted));
    let table = [
        (
            NamespaceLookup::NotAsked,
            30,
            Action::Wait(Some(Duration::from_secs(51))),
        ),
        (
            NamespaceLookup::NotAsked,
            81,
            Action::LookUp(LookUp::Namespace),
        ),
        (
            NamespaceLookup::Staying,
            81,
            Action::Wait(Some(Duration::from_secs(30))),
        ),
        (
            NamespaceLookup::Staying,
            600,
            Action::Wait(Some(Duration::from_secs(21))),
        ),
        (NamespaceLookup::Staying, 621, release_pod(false)),
        (NamespaceLookup::Going, 81, release_pod(false)),
    ];
    for (namespace, now, expected) in table {
        let action = in_namespace(namespace, &job, ended.clone(), now);
        assert_eq!(action, expected, "{namespace:?} {now}");
    }
}

fn in_namespace(namespace: NamespaceLookup, job: &Job, pod: PodFacts, now: i64) -> Action {
    let looked = Looked {
        namespace,
        ..Looked::default()
    };
    decided(job, Some(&agent()), seen(pod), looked, at(now))
}
