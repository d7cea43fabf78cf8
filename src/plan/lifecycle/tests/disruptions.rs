//! Pods that were taken from their agents.

use super::*;

fn said(reason: &'static str) -> PodFacts {
    PodFacts {
        disruption: Some(Said {
            reason: reason.into(),
            message: "words".into(),
        }),
        ..pod_stopped()
    }
}

fn with_exit(code: i32, word: &str) -> PodFacts {
    PodFacts {
        terminal: true,
        ..with_agent_state(
            json!({"terminated": {"exitCode": code, "reason": word, "message": "",
            "startedAt": "2027-01-15T08:00:01Z", "finishedAt": "2027-01-15T08:00:02Z"}}),
        )
    }
}

/// The Job at its running attempt, whose Agent is of this spec.
fn running_with(spec: AgentSpec) -> Job {
    let mut job = running();
    job.status.as_mut().unwrap().agent.as_mut().unwrap().spec = spec;
    job
}

#[test]
fn what_was_not_the_agents_fault_goes_on_and_what_was_does_not() {
    let never_ran = || PodFacts {
        terminal: true,
        ..pod_starting()
    };
    let deadline = PodFacts {
        reason: Some("DeadlineExceeded".into()),
        ..pod_stopped()
    };
    let evicted = PodFacts {
        reason: Some("Evicted".into()),
        ..pod_stopped()
    };
    let cases: [(PodFacts, Reason, bool); 15] = [
        (pod_deleted(), Reason::PodDeleted, true),
        (said("EvictionByEvictionAPI"), Reason::Evicted, true),
        (said("PreemptionByScheduler"), Reason::Evicted, true),
        (said("TerminationByKubelet"), Reason::Evicted, true),
        (said("DeletionByTaintManager"), Reason::NodeLost, true),
        (said("DeletionByPodGC"), Reason::NodeLost, true),
        (evicted, Reason::Evicted, true),
        (never_ran(), Reason::Evicted, true),
        (with_exit(75, "Error"), Reason::RunnerError, true),
        (deadline, Reason::TimedOut, false),
        (with_exit(74, "Error"), Reason::RunnerError, false),
        (with_exit(78, "Error"), Reason::RunnerError, false),
        (with_exit(137, "OOMKilled"), Reason::OomKilled, false),
        (with_exit(137, "Error"), Reason::AgentCrashed, false),
        (pod_completed(), Reason::Completed, false),
    ];
    for (pod, expected, goes_on) in cases {
        let job = running();
        let next = written(&job, after(&job, seen(pod.clone()), at(30)));
        if goes_on {
            assert_eq!(reason(&next), Some(Reason::Recovering), "{pod:?}");
            assert_eq!(last(&next).outcome, Some(expected), "{pod:?}");
            assert_eq!(next.status.unwrap().completed_at, None);
        } else {
            assert_eq!(reason(&next), Some(expected), "{pod:?}");
            assert_eq!(last(&next).outcome, None, "{pod:?}");
        }
    }
}

#[test]
fn an_interrupted_job_goes_on_with_its_session_and_says_so_to_the_agent() {
    let job = recovering();
    assert_eq!(
        (phase(&job), last(&job).outcome),
        (Phase::Pending, Some(Reason::PodDeleted))
    );
    let release = after(&job, seen(pod_deleted()), at(31));
    assert_eq!(release, release_pod(true), "its seal is not waited for");
    let released = PodFacts {
        held: false,
        ..pod_deleted()
    };
    let on = written(&job, after(&job, seen(released), at(31)));
    assert_eq!((last(&on).number, reason(&on)), (2, Some(Reason::Starting)));
    let resume = inputs(after(&on, PodLookup::NotSeen, at(32)))
        .resume
        .unwrap();
    assert!(
        resume.required && resume.prompt.contains("pod was deleted"),
        "{resume:?}"
    );
}

#[test]
fn a_job_starts_once_however_many_attempts_it_takes() {
    let job = recovering();
    let on = written(&job, after(&job, PodLookup::Gone, at(31)));
    let runs = written(&on, after(&on, seen(of_attempt(2, pod_running())), at(40)));
    let status = runs.status.as_ref().unwrap();
    assert_eq!(status.started_at, running().status.unwrap().started_at);
    assert!(last(&runs).started.is_some());
    assert_eq!(phase(&runs), Phase::Running);
}

#[test]
fn each_attempt_has_a_start_deadline_of_its_own() {
    let job = recovering();
    let on = written(&job, after(&job, PodLookup::Gone, at(1000)));
    let starting = seen(of_attempt(2, pod_starting()));
    assert_eq!(
        after(&on, starting.clone(), at(1020)),
        Action::Wait(Some(Duration::from_secs(40)))
    );
    let on = written(&on, asked(&on, starting.clone(), at(1060)));
    let delete = asked(&on, starting, at(1060));
    assert!(matches!(delete, Action::DeletePod { .. }), "{delete:?}");
    let dead = of_attempt(2, pod_removed());
    let done = written(&on, after(&on, seen(dead), at(1061)));
    assert_eq!(reason(&done), Some(Reason::StartTimedOut));
}

#[test]
fn no_attempt_follows_before_the_pod_of_the_one_before_is_dead() {
    let dying = PodFacts {
        terminal: false,
        deleting: false,
        ..said("EvictionByEvictionAPI")
    };
    let job = running();
    let job = written(&job, after(&job, seen(dying.clone()), at(30)));
    assert_eq!(reason(&job), Some(Reason::Recovering));
    assert_eq!(last(&job).closed, None);
    assert_eq!(after(&job, seen(dying), at(31)), Action::Wait(None));
    assert_eq!(after(&job, PodLookup::NotSeen, at(31)), Action::LookUpPod);
    // Dead: that stands in the status before anything else follows from it.
    let dead = said("EvictionByEvictionAPI");
    let closed = written(&job, after(&job, seen(dead.clone()), at(32)));
    assert_eq!(
        (last(&closed).closed, last(&closed).number),
        (Some(at(32)), 1)
    );
    assert_eq!(after(&closed, seen(dead), at(33)), release_pod(true));
    let on = written(&closed, after(&closed, PodLookup::NotSeen, at(34)));
    assert_eq!(last(&on).number, 2);
}

#[test]
fn a_pod_that_was_taken_away_before_it_was_seen_dead_proves_nothing() {
    let dying = PodFacts {
        terminal: false,
        ..said("EvictionByEvictionAPI")
    };
    let job = running();
    let job = written(&job, after(&job, seen(dying), at(30)));
    let another = PodFacts {
        uid: "another".into(),
        ..pod_running()
    };
    for gone in [PodLookup::Gone, seen(another)] {
        let done = written(&job, after(&job, gone, at(31)));
        assert_eq!(reason(&done), Some(Reason::PodDeleted));
        assert_eq!(last(&done).number, 1);
    }
}

#[test]
fn an_agent_may_refuse_to_go_on_and_says_so_in_the_end() {
    let job = running_with(AgentSpec {
        on_disruption: Some(OnDisruption::Fail),
        ..AgentSpec::default()
    });
    let done = written(&job, after(&job, seen(pod_deleted()), at(30)));
    assert_eq!(reason(&done), Some(Reason::PodDeleted));
    assert!(
        message(&done).contains("onDisruption"),
        "{}",
        message(&done)
    );
}

#[test]
fn only_so_many_attempts_may_be_lost_and_pauses_are_not_among_them() {
    let earlier = |outcomes: &[Reason]| {
        let attempt = |(number, outcome): (u32, &Reason)| Attempt {
            number,
            pod: format!("hello-{number}"),
            outcome: Some(*outcome),
            closed: Some(at(1)),
            ..Attempt::default()
        };
        (1..).zip(outcomes).map(attempt).collect::<Vec<_>>()
    };
    let end = |max_attempts: Option<u32>, outcomes: &[Reason]| {
        let mut job = running_with(AgentSpec {
            max_attempts,
            ..AgentSpec::default()
        });
        let attempts = &mut job.status.as_mut().unwrap().attempts;
        let mut present = attempts.remove(0);
        present.number = u32::try_from(outcomes.len()).unwrap() + 1;
        *attempts = earlier(outcomes);
        attempts.push(present);
        written(&job, after(&job, seen(pod_deleted()), at(30)))
    };
    use Reason::{Evicted, NodeLost, Suspended};
    for (max_attempts, outcomes, expected) in [
        (None, &[][..], Reason::Recovering),
        (None, &[Evicted], Reason::Recovering),
        (None, &[Evicted, NodeLost], Reason::PodDeleted),
        (None, &[Suspended, Evicted, Suspended], Reason::Recovering),
        (None, &[Suspended, Evicted, NodeLost], Reason::PodDeleted),
        (Some(1), &[], Reason::PodDeleted),
        (Some(1), &[Suspended], Reason::PodDeleted),
        (Some(4), &[Evicted, NodeLost], Reason::Recovering),
        (None, &[Suspended; 62], Reason::Recovering),
        (None, &[Suspended; 63], Reason::PodDeleted),
    ] {
        let job = end(max_attempts, outcomes);
        assert_eq!(
            reason(&job),
            Some(expected),
            "{max_attempts:?} {outcomes:?}"
        );
    }
    let done = end(None, &[Evicted, NodeLost]);
    assert!(
        message(&done).contains("attempt 3 of 3"),
        "{}",
        message(&done)
    );
}

/// `herdctl jobs resume` refuses a Job whose agent never began.
#[test]
fn a_job_that_was_lost_is_resumed_only_where_its_agent_had_begun() {
    let lost_for_good = |job: Job, pod: PodFacts| {
        let mut job = job;
        let captured = job.status.as_mut().unwrap().agent.as_mut().unwrap();
        captured.spec.max_attempts = Some(1);
        let done = written(&job, after(&job, seen(pod), at(30)));
        assert!(
            message(&done).contains("attempt 1 of 1"),
            "{}",
            message(&done)
        );
        (message(&done).contains("jobs resume"), done)
    };
    let (resumes, done) = lost_for_good(intended(), pod_removed());
    assert_eq!((resumes, done.status.unwrap().started_at), (false, None));
    let (resumes, done) = lost_for_good(running(), pod_deleted());
    assert!(resumes && done.status.unwrap().started_at.is_some());
    // The controller never saw it run, but its verdict says that it did.
    let (resumes, done) = lost_for_good(intended(), pod_deleted());
    assert!(resumes && done.status.unwrap().started_at.is_some());
}

#[test]
fn the_pods_of_a_namespace_that_goes_are_nobodys_disruption() {
    let job = running();
    let asks = next(&job, Some(&agent()), seen(pod_deleted()), at(30));
    assert_eq!(asks, Action::LookUp(LookUp::Namespace));
    let going = Looked {
        namespace: NamespaceLookup::Going,
        ..Looked::default()
    };
    for pod in [
        seen(pod_deleted()),
        seen(with_exit(75, "Error")),
        PodLookup::Gone,
    ] {
        let done = decided(&job, Some(&agent()), pod, going.clone(), at(30));
        assert_eq!(reason(&written(&job, done)), Some(Reason::JobDeleted));
    }
    let done = decided(&job, Some(&agent()), seen(pod_completed()), going, at(30));
    assert_eq!(reason(&written(&job, done)), Some(Reason::Completed));
}

#[test]
fn a_verdict_that_is_the_agents_own_wins_over_what_was_done_to_its_pod() {
    let job = reported(running());
    let done = written(&job, after(&job, seen(pod_deleted()), at(30)));
    assert_eq!(reason(&done), Some(Reason::Completed));
}

#[test]
fn a_job_that_recovers_can_be_cancelled_deleted_and_paused() {
    for (job, expected) in [
        (cancelled(recovering()), Reason::Cancelled),
        (deleted(recovering()), Reason::JobDeleted),
    ] {
        let done = written(&job, after(&job, seen(pod_deleted()), at(31)));
        assert_eq!(reason(&done), Some(expected));
        assert_eq!(last(&done).number, 1);
    }
    let job = suspended(recovering());
    let paused = written(&job, after(&job, PodLookup::Gone, at(31)));
    assert_eq!(reason(&paused), Some(Reason::Suspended));
}
