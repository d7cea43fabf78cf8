//! The Agent is deleted while its Job is on its way.

use super::*;

fn gone(job: &Job, pod: PodLookup, now: DateTime<Utc>) -> Action {
    let looked = Looked {
        agent: AgentLookup::Gone,
        namespace: NamespaceLookup::Staying,
        ..Looked::default()
    };
    decided(job, None, pod, looked, now)
}

fn another() -> Agent {
    let mut another = agent();
    another.metadata.uid = Some("another".into());
    another
}

#[test]
fn that_the_agent_is_gone_is_believed_of_the_api_server_alone() {
    let ask = Action::LookUp(LookUp::Agent);
    for job in [intended(), running(), recovering()] {
        for cached in [None, Some(&another())] {
            let next = decided(&job, cached, PodLookup::NotSeen, Looked::default(), at(50));
            assert_eq!(next, ask);
        }
        let next = after(&job, PodLookup::NotSeen, at(50));
        assert_ne!(next, ask);
    }
    let job = running();
    assert_eq!(
        next(&job, None, seen(pod_running()), at(5)),
        Action::Wait(None)
    );
}

#[test]
fn a_running_agent_is_stopped_and_the_job_ends_as_cancelled() {
    let job = running();
    let stopping = written(&job, gone(&job, seen(pod_running()), at(5)));
    assert_eq!(reason(&stopping), Some(Reason::Cancelling));
    // Another of this name changes nothing any more.
    let delete = decided(
        &stopping,
        Some(&another()),
        seen(pod_running()),
        Looked::default(),
        at(6),
    );
    assert!(matches!(delete, Action::DeletePod { .. }), "{delete:?}");
    for pod in [pod_deleted(), pod_completed()] {
        let done = written(&stopping, after(&stopping, seen(pod), at(9)));
        assert_eq!(reason(&done), Some(Reason::AgentDeleted));
        assert_eq!(phase(&done), Phase::Cancelled);
    }
}

#[test]
fn one_of_the_same_name_that_came_later_is_another() {
    let looked = Looked {
        agent: AgentLookup::Found("another".into()),
        ..Looked::default()
    };
    let job = running();
    let next = decided(&job, Some(&another()), seen(pod_running()), looked, at(5));
    assert_eq!(reason(&written(&job, next)), Some(Reason::Cancelling));
}

#[test]
fn a_job_without_a_pod_ends_at_once() {
    let job = intended();
    assert_eq!(gone(&job, PodLookup::NotSeen, at(1)), Action::LookUpPod);
    let done = written(&job, gone(&job, PodLookup::Gone, at(1)));
    assert_eq!(reason(&done), Some(Reason::AgentDeleted));
    let job = recovering();
    let done = written(&job, gone(&job, PodLookup::Gone, at(50)));
    assert_eq!(reason(&done), Some(Reason::AgentDeleted));
    assert_eq!(last(&done).number, 1);
}

#[test]
fn a_verdict_that_was_there_before_wins_and_a_job_that_ended_is_left_alone() {
    let job = running();
    let done = written(&job, gone(&job, seen(pod_completed()), at(9)));
    assert_eq!(reason(&done), Some(Reason::Completed));
    let next = decided(
        &sealed(reported(done)),
        None,
        PodLookup::Gone,
        Looked::default(),
        at(99),
    );
    assert_eq!(next, Action::Wait(None));
}
