use super::*;

/// The Job's and its pod's deletion has begun, and gives the pod so long.
fn draining(grace: u64) -> PodFacts {
    PodFacts {
        deleting: true,
        grace: Some(Duration::from_secs(grace)),
        owner: job().metadata.uid,
        ..with_agent_state(json!({"running": {"startedAt": "2027-01-15T08:00:01Z"}}))
    }
}

fn in_namespace(namespace: NamespaceLookup, job: &Job, pod: PodFacts) -> Action {
    let looked = Looked {
        namespace,
        ..Looked::default()
    };
    decided(job, Some(&agent()), seen(pod), looked, at(30))
}

fn is_left_alone(action: &Action) -> bool {
    !matches!(
        action,
        Action::HurryPod { .. } | Action::LookUp(LookUp::Namespace)
    )
}

#[test]
fn a_pod_in_a_namespace_that_goes_has_no_time_for_its_output() {
    let job = deleted(running());
    let asked = in_namespace(NamespaceLookup::NotAsked, &job, draining(610));
    assert_eq!(asked, Action::LookUp(LookUp::Namespace));
    let hurried = in_namespace(NamespaceLookup::Going, &job, draining(610));
    let expected = Action::HurryPod {
        name: "hello-1".into(),
        uid: "pod-uid".into(),
        grace: Duration::from_secs(40),
    };
    assert_eq!(hurried, expected);
}

#[test]
fn a_pod_keeps_its_time_where_the_namespace_stays_its_job_does_or_little_is_left() {
    let job = deleted(running());
    let staying = in_namespace(NamespaceLookup::Staying, &job, draining(610));
    assert!(is_left_alone(&staying), "{staying:?}");
    let hurried = in_namespace(NamespaceLookup::NotAsked, &job, draining(40));
    assert!(is_left_alone(&hurried), "{hurried:?}");
    let dead = PodFacts {
        terminal: true,
        ..draining(610)
    };
    let dead = in_namespace(NamespaceLookup::Going, &job, dead);
    assert!(is_left_alone(&dead), "{dead:?}");
    let wanted = in_namespace(NamespaceLookup::Going, &running(), draining(610));
    assert!(is_left_alone(&wanted), "{wanted:?}");
}
