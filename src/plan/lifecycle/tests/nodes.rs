//! Nodes that are lost, or only silent.

use super::*;

/// A pod that Kubernetes gives up because of its node, and whose kubelet says nothing.
fn given_up() -> PodFacts {
    PodFacts {
        deleting: true,
        delete_by: Some(at(1000)),
        disruption: Some(Said {
            reason: "DeletionByTaintManager".into(),
            message: "words".into(),
        }),
        ..pod_running()
    }
}

fn with_node(job: &Job, pod: PodFacts, node: NodeLookup, now: DateTime<Utc>) -> Action {
    let looked = Looked {
        node,
        namespace: NamespaceLookup::Staying,
        ..Looked::default()
    };
    decided(job, Some(&agent()), seen(pod), looked, now)
}

fn ask() -> Action {
    Action::LookUp(LookUp::Node("node1".into()))
}

#[test]
fn the_node_is_asked_for_when_its_pod_should_be_dead_and_not_before() {
    let job = running();
    let leaving = PodFacts {
        disruption: None,
        ..given_up()
    };
    assert_eq!(after(&job, seen(given_up()), at(30)), ask());
    assert_eq!(
        after(&job, seen(leaving.clone()), at(990)),
        Action::Wait(Some(Duration::from_secs(10)))
    );
    assert_eq!(after(&job, seen(leaving.clone()), at(1000)), ask());
    let stays = PodFacts {
        deleting: false,
        delete_by: None,
        ..given_up()
    };
    assert_eq!(after(&job, seen(stays), at(9999)), Action::Wait(None));
    let dead = PodFacts {
        terminal: true,
        ..leaving
    };
    let next = after(&job, seen(dead), at(1000));
    assert!(matches!(next, Action::WriteStatus(_)), "{next:?}");
}

#[test]
fn only_a_node_that_is_no_more_proves_that_its_agent_is_dead() {
    for (node, dead) in [
        (NodeLookup::Gone, true),
        (NodeLookup::OutOfService, true),
        (NodeLookup::Silent, false),
    ] {
        let job = running();
        let job = written(&job, with_node(&job, given_up(), node, at(30)));
        assert_eq!(reason(&job), Some(Reason::Recovering), "{node:?}");
        let outcome = dead.then_some(Reason::NodeLost);
        assert_eq!(last(&job).outcome, outcome, "{node:?}");
        assert_eq!(last(&job).closed.is_some(), dead, "{node:?}");
        let next = with_node(&job, given_up(), node, at(31));
        let expected = if dead {
            release_pod(true)
        } else {
            Action::Wait(Some(Duration::from_secs(30)))
        };
        assert_eq!(next, expected, "{node:?}");
    }
}

#[test]
fn a_silent_node_is_named_with_what_an_administrator_can_do() {
    let job = running();
    let job = written(
        &job,
        with_node(&job, given_up(), NodeLookup::Silent, at(30)),
    );
    for words in ["node1", "kubectl delete node", "out-of-service"] {
        assert!(message(&job).contains(words), "{}", message(&job));
    }
}

#[test]
fn a_node_that_speaks_again_lets_its_agent_end_as_it_does() {
    let job = running();
    let job = written(
        &job,
        with_node(&job, given_up(), NodeLookup::Silent, at(30)),
    );
    assert_eq!(
        with_node(&job, given_up(), NodeLookup::Heard, at(60)),
        Action::Wait(Some(Duration::from_secs(30)))
    );
    let stopped = PodFacts {
        terminal: true,
        agent: pod_stopped().agent,
        ..given_up()
    };
    let on = written(&job, after(&job, seen(stopped), at(70)));
    assert_eq!(last(&on).outcome, Some(Reason::NodeLost));
    let told = reported(job);
    let done = written(
        &told,
        with_node(&told, given_up(), NodeLookup::Silent, at(60)),
    );
    assert_eq!(reason(&done), Some(Reason::Completed));
}

#[test]
fn time_in_which_nobody_heard_of_the_agent_is_not_the_jobs() {
    let job = running();
    let silent = written(
        &job,
        with_node(&job, given_up(), NodeLookup::Silent, at(30)),
    );
    let lost = written(
        &silent,
        with_node(&silent, given_up(), NodeLookup::Gone, at(900)),
    );
    assert_eq!(last(&lost).ended, Some(at(30)));
}

#[test]
fn what_is_to_end_ends_also_where_nobody_hears_of_the_agent() {
    for (job, expected) in [
        (cancelled(running()), Reason::Cancelled),
        (deleted(running()), Reason::JobDeleted),
    ] {
        let job = written(&job, after(&job, seen(pod_running()), at(5)));
        let done = written(
            &job,
            with_node(&job, given_up(), NodeLookup::Silent, at(30)),
        );
        assert_eq!(reason(&done), Some(expected));
        assert_eq!(last(&done).closed, None, "its agent may still write");
    }
    let mut fails = running();
    let agent = fails.status.as_mut().unwrap().agent.as_mut().unwrap();
    agent.spec.on_disruption = Some(OnDisruption::Fail);
    let done = written(
        &fails,
        with_node(&fails, given_up(), NodeLookup::Silent, at(30)),
    );
    assert_eq!(reason(&done), Some(Reason::NodeLost));
}

#[test]
fn a_pause_on_a_silent_node_waits_and_does_not_go_on_before_the_node_is_no_more() {
    let job = suspended(running());
    let job = written(&job, after(&job, seen(pod_running()), at(5)));
    let waits = written(
        &job,
        with_node(&job, given_up(), NodeLookup::Silent, at(30)),
    );
    assert_eq!(reason(&waits), Some(Reason::Suspended));
    assert_eq!(last(&waits).outcome, None);
    // The silence is not the agent's time, and the pod is known for good.
    assert_eq!(last(&waits).ended, Some(at(30)));
    assert_eq!(last(&waits).uid.as_deref(), Some("pod-uid"));
    let mut resumed = waits;
    resumed.spec.suspend = Some(false);
    assert_eq!(
        with_node(&resumed, given_up(), NodeLookup::Silent, at(31)),
        Action::Wait(Some(Duration::from_secs(30)))
    );
    let paused = written(
        &resumed,
        with_node(&resumed, given_up(), NodeLookup::Gone, at(60)),
    );
    assert_eq!(last(&paused).outcome, Some(Reason::Suspended));
}

#[test]
fn a_node_that_falls_silent_after_its_agents_end_is_named_where_the_job_is_to_go_on() {
    let drains = || PodFacts {
        agent: pod_stopped().agent,
        ..given_up()
    };
    let job = running();
    let job = written(&job, with_node(&job, drains(), NodeLookup::Heard, at(20)));
    assert_eq!(last(&job).outcome, Some(Reason::NodeLost));
    let silent = |job: &Job| with_node(job, drains(), NodeLookup::Silent, at(30));
    let waits = written(&job, silent(&job));
    assert_eq!(reason(&waits), Some(Reason::Recovering));
    let message = message(&waits);
    assert!(message.contains("node node1 is silent"), "{message}");
    // Who paused it does not wait for the node.
    let rests = Action::Wait(Some(Duration::from_secs(30)));
    assert_eq!(silent(&suspended(job)), rests);
}

#[test]
fn an_ended_job_lets_the_pod_of_a_lost_node_go() {
    let job = cancelled(running());
    let job = written(&job, after(&job, seen(pod_running()), at(5)));
    let done = written(
        &job,
        with_node(&job, given_up(), NodeLookup::Silent, at(30)),
    );
    assert_eq!(after(&done, seen(given_up()), at(40)), ask());
    let done = written(
        &done,
        with_node(&done, given_up(), NodeLookup::Gone, at(41)),
    );
    assert_eq!(last(&done).closed, Some(at(41)));
    let release = with_node(&sealed(done), given_up(), NodeLookup::Gone, at(42));
    assert_eq!(release, release_pod(true));
}
