//! Containers and gates that a webhook or a policy of the cluster has put into a pod.

use serde_json::{Value, json};

use super::*;

/// A pod in which somebody else's container `mesh` stands beside ours.
fn with_mesh(phase: &str, list: &str, mesh: Value, agent: Value) -> PodFacts {
    let is = |name: &str, state: Value| {
        json!({"name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "started": false, "state": state})
    };
    let mut status = json!({
        "phase": phase,
        "initContainerStatuses": [is("ship", json!({"running": {}}))],
        "containerStatuses": [is("agent", agent)],
    });
    status[list].as_array_mut().unwrap().push(is("mesh", mesh));
    PodFacts::from(&a_pod(status))
}

fn before_the_agent(phase: &str, mesh: Value) -> PodFacts {
    let agent = json!({"waiting": {"reason": "PodInitializing"}});
    with_mesh(phase, "initContainerStatuses", mesh, agent)
}

fn failed() -> Value {
    json!({"terminated": {"exitCode": 3, "reason": "Error", "message": "no iptables"}})
}

/// The agent has ended well, and `mesh` is as told.
fn beside_the_ended_agent(list: &str, mesh: Value) -> PodFacts {
    let AgentState::Ended(end) = pod_completed().agent else {
        panic!()
    };
    let agent = json!({"terminated": {"exitCode": 0, "reason": "Completed", "message": end.termination_message}});
    with_mesh("Running", list, mesh, agent)
}

fn delete_pod() -> Action {
    Action::DeletePod {
        name: "hello-1".into(),
        uid: "pod-uid".into(),
    }
}

#[test]
fn an_init_container_that_fails_ends_the_job_by_its_name_and_is_not_tried_again() {
    let job = intended();
    let done = written(
        &job,
        after(&job, seen(before_the_agent("Failed", failed())), at(9)),
    );
    assert_eq!(reason(&done), Some(Reason::InvalidPod));
    for words in [
        "container mesh ended with code 3",
        "no iptables",
        "administrators",
    ] {
        assert!(
            message(&done).contains(words),
            "{words}: {}",
            message(&done)
        );
    }
    assert_eq!(done.status.unwrap().attempts.len(), 1);
}

/// What the cluster did to the pod is not the container's doing, though it ends with the same codes.
#[test]
fn an_init_container_that_ended_with_its_evicted_pod_is_not_blamed() {
    let evicted = PodFacts {
        reason: Some("Evicted".into()),
        ..before_the_agent("Failed", failed())
    };
    let preempted = PodFacts {
        disruption: Some(Said {
            reason: "PreemptionByScheduler".into(),
            message: "m".into(),
        }),
        ..before_the_agent("Failed", failed())
    };
    let deleted = PodFacts {
        deleting: true,
        ..before_the_agent("Failed", failed())
    };
    let unknown = json!({"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}});
    for pod in [
        evicted,
        preempted,
        deleted,
        before_the_agent("Failed", unknown),
    ] {
        let job = intended();
        let next = written(&job, after(&job, seen(pod.clone()), at(9)));
        assert_eq!(reason(&next), Some(Reason::Recovering), "{pod:?}");
    }
}

#[test]
fn what_a_start_waits_for_is_named_while_it_waits_and_at_its_deadline() {
    let runs = json!({"running": {"startedAt": "2027-01-15T08:00:01Z"}});
    let pod = before_the_agent("Pending", runs);
    let job = intended();
    // It may well be over in a moment.
    let soon = after(&job, seen(pod.clone()), at(2));
    assert_eq!(soon, Action::Wait(Some(Duration::from_secs(4))));
    let job = written(&job, after(&job, seen(pod.clone()), at(6)));
    assert_eq!(reason(&job), Some(Reason::Starting));
    assert!(
        message(&job).contains("container mesh must end"),
        "{}",
        message(&job)
    );
    assert_eq!(asked(&job, seen(pod.clone()), at(60)), delete_pod());
    let removed = PodFacts {
        deleting: true,
        terminal: true,
        ..pod
    };
    let done = written(&job, after(&job, seen(removed), at(61)));
    assert_eq!(reason(&done), Some(Reason::StartTimedOut));
    assert!(
        message(&done).contains("container mesh must end"),
        "{}",
        message(&done)
    );
}

#[test]
fn a_scheduling_gate_is_named_while_it_holds_the_pod_and_at_the_deadline() {
    let gated = PodFacts {
        gates: vec!["example.com/queue".into()],
        node: None,
        ..pod_starting()
    };
    let job = intended();
    let job = written(&job, after(&job, seen(gated.clone()), at(1)));
    assert_eq!(reason(&job), Some(Reason::Scheduling));
    assert!(
        message(&job).contains("example.com/queue"),
        "{}",
        message(&job)
    );
    let lifted = written(&job, after(&job, seen(pod_starting()), at(2)));
    assert_eq!(reason(&lifted), Some(Reason::Starting));
    let removed = PodFacts {
        deleting: true,
        ..gated
    };
    let done = written(&job, after(&job, seen(removed), at(61)));
    assert_eq!(reason(&done), Some(Reason::StartTimedOut));
    assert!(
        message(&done).contains("example.com/queue"),
        "{}",
        message(&done)
    );
}

#[test]
fn a_pod_that_others_keep_is_deleted_once_the_record_is_sealed() {
    let runs = || json!({"running": {}});
    for (list, mesh) in [
        ("containerStatuses", runs()),
        (
            "containerStatuses",
            json!({"waiting": {"reason": "ImagePullBackOff"}}),
        ),
    ] {
        let pod = beside_the_ended_agent(list, mesh);
        let job = reported(running());
        let done = written(&job, next(&job, None, seen(pod.clone()), at(9)));
        assert_eq!(reason(&done), Some(Reason::Completed));
        let waits = next(&done, None, seen(pod.clone()), at(19));
        assert!(matches!(waits, Action::Wait(Some(_))), "{waits:?}");
        let sealed = sealed(done.clone());
        assert_eq!(next(&sealed, None, seen(pod.clone()), at(19)), delete_pod());
        assert_eq!(
            next(&done, None, seen(pod.clone()), at(609)),
            delete_pod(),
            "never sealed"
        );
        let deleting = PodFacts {
            deleting: true,
            ..pod
        };
        assert_eq!(
            next(&sealed, None, seen(deleting), at(20)),
            Action::Wait(None)
        );
    }
}

#[test]
fn an_ephemeral_container_that_runs_on_does_not_keep_an_ended_pod() {
    let mut status = json!({"phase": "Running", "containerStatuses": [], "ephemeralContainerStatuses": [
        {"name": "debugger", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"running": {}}},
    ]});
    let AgentState::Ended(end) = pod_completed().agent else {
        panic!()
    };
    status["containerStatuses"] = json!([{"name": "agent", "image": "i", "imageID": "", "ready": false,
        "restartCount": 0,
        "state": {"terminated": {"exitCode": 0, "reason": "Completed", "message": end.termination_message}}}]);
    let pod = PodFacts::from(&a_pod(status));
    let job = running();
    let done = sealed(written(&job, next(&job, None, seen(pod.clone()), at(9))));
    assert_eq!(next(&done, None, seen(pod), at(19)), delete_pod());
}

/// No later word of the kubelet's comes, and nothing can be sealed before the pod is dead.
#[test]
fn an_agent_that_crashed_in_a_pod_that_others_keep_ends_its_job_and_the_pod_is_deleted() {
    for (code, word, expected) in [
        (137, "Error", Reason::AgentCrashed),
        (137, "OOMKilled", Reason::OomKilled),
    ] {
        let agent = json!({"terminated": {"exitCode": code, "reason": word}});
        let pod = with_mesh(
            "Running",
            "containerStatuses",
            json!({"running": {}}),
            agent,
        );
        let job = running();
        let done = written(&job, after(&job, seen(pod.clone()), at(9)));
        assert_eq!(reason(&done), Some(expected));
        assert_eq!(after(&done, seen(pod.clone()), at(10)), delete_pod());
        // What its deletion comes to, the kubelet tells with the whole pod.
        let deleted = PodFacts {
            deleting: true,
            ..pod
        };
        assert_eq!(after(&job, seen(deleted), at(9)), Action::Wait(None));
    }
}

/// The kubelet ends it by itself, and a deletion would only be one more request.
#[test]
fn a_pod_of_our_containers_alone_is_left_to_the_kubelet() {
    let ended = beside_the_ended_agent("containerStatuses", json!({"terminated": {"exitCode": 0}}));
    let sidecar = beside_the_ended_agent("initContainerStatuses", json!({"running": {}}));
    for pod in [pod_completed(), ended, sidecar] {
        let job = running();
        let done = sealed(written(&job, next(&job, None, seen(pod.clone()), at(9))));
        assert_eq!(next(&done, None, seen(pod), at(19)), Action::Wait(None));
    }
}

/// Nothing else would ever end it, and the next attempt waits for that.
#[test]
fn a_pod_that_others_keep_is_deleted_before_the_next_attempt() {
    let agent = json!({"terminated": {"exitCode": 1, "reason": "Error", "message": ""}});
    let pod = PodFacts {
        disruption: Some(Said {
            reason: "EvictionByEvictionAPI".into(),
            message: "m".into(),
        }),
        ..with_mesh(
            "Running",
            "containerStatuses",
            json!({"running": {}}),
            agent,
        )
    };
    let job = running();
    let job = written(&job, after(&job, seen(pod.clone()), at(9)));
    assert_eq!(reason(&job), Some(Reason::Recovering));
    assert_eq!(after(&job, seen(pod), at(10)), delete_pod());
}

#[test]
fn a_pod_that_lost_our_sidecar_ends_the_job_at_once_and_says_who_can_help() {
    let altered = PodFacts {
        altered: Some(Altered::Gone("ship")),
        ..pod_starting()
    };
    let refused = PodFacts {
        altered: Some(Altered::Gone("ship")),
        terminal: true,
        ..with_agent_state(
            json!({"terminated": {"exitCode": 75, "reason": "Error", "message": ""}}),
        )
    };
    for pod in [altered, refused] {
        let job = intended();
        let done = written(&job, after(&job, seen(pod), at(9)));
        assert_eq!(reason(&done), Some(Reason::InvalidPod));
        assert!(
            message(&done).contains("container ship was taken out"),
            "{}",
            message(&done)
        );
    }
}

#[test]
fn a_changed_command_is_named_only_where_the_runner_had_no_say() {
    let altered = |pod: PodFacts| PodFacts {
        altered: Some(Altered::Command),
        terminal: true,
        ..pod
    };
    let job = running();
    let done = written(&job, after(&job, seen(altered(pod_completed())), at(9)));
    assert_eq!(reason(&done), Some(Reason::Completed));
    let silent = with_agent_state(
        json!({"terminated": {"exitCode": 0, "reason": "Completed", "message": ""}}),
    );
    let done = written(&job, after(&job, seen(altered(silent)), at(9)));
    assert_eq!(reason(&done), Some(Reason::InvalidPod));
    assert!(
        message(&done).contains("command of container agent"),
        "{}",
        message(&done)
    );
}
