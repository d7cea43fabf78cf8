//! Pods of attempts that others have followed.

use super::*;

fn with_earlier(job: &Job, pod: PodFacts) -> Action {
    let settings = settings();
    let means = Means {
        now: at(50),
        session_id: "s-1",
        settings: &settings,
        store_ca: Some("CA"),
    };
    let seen = Observed {
        job,
        agent: Some(&agent()),
        pod: seen(of_attempt(2, pod_running())),
        earlier: vec![pod],
        looked: Looked::default(),
        pod_is_live: false,
    };
    decide(&seen, means)
}

#[test]
fn they_are_ended_and_let_go_and_nothing_else_follows_from_them() {
    let job = recovering();
    let on = written(&job, after(&job, PodLookup::Gone, at(31)));
    let job = written(&on, after(&on, seen(of_attempt(2, pod_running())), at(40)));
    let late = pod_running();
    let leaving = PodFacts {
        deleting: true,
        ..pod_running()
    };
    let released = PodFacts {
        held: false,
        ..pod_deleted()
    };
    let foreign = PodFacts {
        owner: Some("another".into()),
        uid: "another-pod-uid".into(),
        ..pod_deleted()
    };
    let orphaned = PodFacts {
        owner: None,
        ..pod_deleted()
    };
    let delete = with_earlier(&job, late);
    assert!(
        matches!(&delete, Action::DeletePod { uid, .. } if uid == "pod-uid"),
        "{delete:?}"
    );
    for ours in [pod_deleted(), orphaned] {
        assert_eq!(with_earlier(&job, ours), release_pod(true));
    }
    for nothing in [leaving, released, foreign] {
        assert_eq!(with_earlier(&job, nothing), Action::Wait(None));
    }
}
