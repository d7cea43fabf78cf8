use super::*;

/// The deletion of the pod has begun, and gives it so long.
fn leaving(begun: i64, grace: u64) -> PodFacts {
    PodFacts {
        deleting: true,
        delete_by: Some(at(begun + i64::try_from(grace).unwrap())),
        grace: Some(Duration::from_secs(grace)),
        ..with_agent_state(json!({"running": {"startedAt": "2027-01-15T08:00:01Z"}}))
    }
}

fn in_namespace(namespace: NamespaceLookup, job: &Job, pod: PodFacts, now: i64) -> Action {
    let looked = Looked {
        namespace,
        ..Looked::default()
    };
    decided(job, Some(&agent()), seen(pod), looked, at(now))
}

fn hurried(uid: &str) -> Action {
    Action::HurryPod {
        name: "hello-1".into(),
        uid: uid.into(),
        grace: Duration::from_secs(10),
    }
}

#[test]
fn a_pod_that_takes_long_to_leave_is_hurried_where_its_namespace_goes() {
    let job = running();
    let table = [
        (NamespaceLookup::NotAsked, Action::LookUp(LookUp::Namespace)),
        (NamespaceLookup::Going, hurried("pod-uid")),
    ];
    for (namespace, expected) in table {
        let action = in_namespace(namespace, &job, leaving(100, 610), 140);
        assert_eq!(action, expected);
    }
}

#[test]
fn the_namespace_is_asked_for_in_time_and_again() {
    let job = running();
    let early = in_namespace(NamespaceLookup::NotAsked, &job, leaving(100, 610), 110);
    assert_eq!(early, Action::Wait(Some(Duration::from_secs(30))));
    let stays = in_namespace(NamespaceLookup::Staying, &job, leaving(100, 610), 150);
    assert_eq!(stays, Action::Wait(Some(Duration::from_secs(30))));
}

#[test]
fn a_pod_that_has_no_more_than_its_agents_grace_or_is_dead_is_left_alone() {
    let dead = PodFacts {
        terminal: true,
        ..leaving(100, 610)
    };
    for pod in [leaving(100, 10), dead] {
        let action = in_namespace(NamespaceLookup::Going, &running(), pod, 200);
        assert!(!matches!(action, Action::HurryPod { .. }), "{action:?}");
    }
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
