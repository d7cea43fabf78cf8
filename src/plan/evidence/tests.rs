use serde_json::{Value, json};

use super::*;
use crate::{
    api::reason::ExitReason,
    plan::facts::{Said, tests::pod},
};

/// A verdict as the runner writes it.
fn spoken(reason: Reason, stopped_by: &str, exit: Value) -> String {
    let (phase, exit_reason) = reason.place();
    json!({
        "phase": phase, "exitReason": exit_reason.unwrap_or(ExitReason::Error), "reason": reason,
        "message": "the runner's words", "stoppedBy": stopped_by, "exit": exit,
        "segment": {"bytes": 1, "lines": 1, "sha256": ""},
    })
    .to_string()
}

/// A pod whose agent has ended; the pod itself is still up.
fn ended(code: i32, reason: &str, message: &str) -> PodFacts {
    PodFacts::from(&pod(json!({"phase": "Running", "containerStatuses": [{
        "name": "agent", "image": "a", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": code, "reason": reason, "message": message}},
    }]})))
}

fn dead(mut pod: PodFacts) -> PodFacts {
    pod.terminal = true;
    pod
}

fn reason(pod: &PodFacts, asked: Asked<'_>) -> Option<Reason> {
    match conclude(pod, None, asked) {
        Conclusion::Over(end) => Some(end.outcome.reason),
        Conclusion::Alive | Conclusion::Unclear => None,
    }
}

fn finished() -> String {
    spoken(Reason::Completed, "nobody", json!({"code": 0}))
}

fn stopped() -> String {
    spoken(Reason::Stopped, "signal", json!({"code": 143}))
}

const NOTHING: Asked<'_> = Asked {
    waited_for: None,
    cancel: false,
    deletion: false,
    agent_gone: false,
    suspend: false,
    stopping: false,
    start_overdue: false,
};
const CANCEL: Asked<'_> = Asked {
    cancel: true,
    ..NOTHING
};

#[test]
fn a_verdict_that_agrees_with_its_exit_code_decides_at_once() {
    assert_eq!(
        reason(&ended(0, "Completed", &finished()), NOTHING),
        Some(Reason::Completed)
    );
    let turns = spoken(Reason::MaxTurns, "nobody", json!({"code": 1}));
    assert_eq!(
        reason(&ended(1, "Error", &turns), NOTHING),
        Some(Reason::MaxTurns)
    );
    let late = spoken(Reason::TimedOut, "timeout", json!({"code": 143}));
    assert_eq!(
        reason(&ended(1, "Error", &late), NOTHING),
        Some(Reason::TimedOut)
    );
}

#[test]
fn an_agent_that_had_finished_when_it_was_asked_to_stop_has_finished() {
    let finished = spoken(Reason::Completed, "signal", json!({"code": 0}));
    let suspend = Asked {
        suspend: true,
        ..NOTHING
    };
    let mut evicted = dead(ended(0, "Completed", &finished));
    evicted.reason = Some("Evicted".into());
    for (pod, asked) in [
        (ended(0, "Completed", &finished), NOTHING),
        (ended(0, "Completed", &finished), suspend),
        (evicted, NOTHING),
    ] {
        assert_eq!(reason(&pod, asked), Some(Reason::Completed), "{asked:?}");
    }
    let report: Verdict = serde_json::from_str(&finished).unwrap();
    let gone = conclude_without_pod("hello-1", false, Some(&report), suspend);
    assert_eq!(gone.outcome.reason, Reason::Completed);
}

#[test]
fn a_signal_that_nothing_explains_is_told_in_the_runners_words() {
    let Conclusion::Over(end) = conclude(&dead(ended(1, "Error", &stopped())), None, NOTHING)
    else {
        panic!()
    };
    assert_eq!(end.outcome.reason, Reason::Stopped);
    let said: Verdict = serde_json::from_str(&stopped()).unwrap();
    let message = end.outcome.message;
    assert!(
        message.starts_with(said.message.as_str()) && message.contains("who stopped it"),
        "{message}"
    );
}

#[test]
fn a_forged_success_counts_with_no_other_exit_code() {
    for code in [1, 2, 74, 75, 76, 78, 137, 143] {
        let pod = dead(ended(code, "Error", &finished()));
        let Conclusion::Over(end) = conclude(&pod, None, NOTHING) else {
            panic!("{code}")
        };
        assert_ne!(end.outcome.phase(), Phase::Completed, "{code}");
        assert_eq!(end.verdict, None, "{code}");
    }
}

#[test]
fn a_message_that_contradicts_itself_is_no_verdict() {
    let mut forged: Value = serde_json::from_str(&finished()).unwrap();
    forged["reason"] = json!("MaxTurns");
    assert_eq!(
        reason(&dead(ended(0, "Completed", &forged.to_string())), NOTHING),
        Some(Reason::RunnerError)
    );
    assert_eq!(
        reason(&dead(ended(0, "Completed", "{}")), NOTHING),
        Some(Reason::RunnerError)
    );
}

#[test]
fn a_run_that_ended_before_the_stop_was_recorded_keeps_its_verdict() {
    let pod = ended(0, "Completed", &finished());
    assert_eq!(reason(&pod, CANCEL), Some(Reason::Completed));
    assert_eq!(
        reason(
            &pod,
            Asked {
                stopping: true,
                ..CANCEL
            }
        ),
        Some(Reason::Cancelled)
    );
    let deletion = Asked {
        deletion: true,
        stopping: true,
        ..NOTHING
    };
    assert_eq!(reason(&pod, deletion), Some(Reason::JobDeleted));
}

#[test]
fn a_stop_from_outside_is_what_was_asked_for_or_waits_for_kubernetes() {
    let pod = ended(1, "Error", &stopped());
    assert_eq!(reason(&pod, CANCEL), Some(Reason::Cancelled));
    assert_eq!(
        reason(
            &pod,
            Asked {
                deletion: true,
                ..NOTHING
            }
        ),
        Some(Reason::JobDeleted)
    );
    assert_eq!(conclude(&pod, None, NOTHING), Conclusion::Unclear);
    assert_eq!(reason(&dead(pod.clone()), NOTHING), Some(Reason::Stopped));
    let deleted = PodFacts {
        deleting: true,
        ..dead(pod)
    };
    assert_eq!(reason(&deleted, NOTHING), Some(Reason::PodDeleted));
}

#[test]
fn what_kubernetes_says_killed_it_comes_before_the_exit_code() {
    let said = |reason: &'static str| {
        Some(Said {
            reason: reason.into(),
            message: "m".into(),
        })
    };
    for (word, expected) in [
        ("EvictionByEvictionAPI", Reason::Evicted),
        ("PreemptionByScheduler", Reason::Evicted),
        ("TerminationByKubelet", Reason::Evicted),
        ("DeletionByTaintManager", Reason::NodeLost),
        ("DeletionByPodGC", Reason::NodeLost),
    ] {
        let pod = PodFacts {
            disruption: said(word),
            ..ended(137, "Error", "")
        };
        assert_eq!(reason(&pod, NOTHING), Some(expected), "{word}");
    }
    for (word, expected) in [
        ("Evicted", Reason::Evicted),
        ("DeadlineExceeded", Reason::TimedOut),
    ] {
        let pod = PodFacts {
            reason: Some(word.into()),
            ..dead(ended(137, "Error", ""))
        };
        assert_eq!(reason(&pod, NOTHING), Some(expected), "{word}");
    }
}

#[test]
fn every_exit_code_has_a_reason_of_its_own() {
    for (code, word, expected) in [
        (74, "Error", Reason::RunnerError),
        (75, "Error", Reason::RunnerError),
        (76, "Error", Reason::AgentCrashed),
        (78, "Error", Reason::RunnerError),
        (137, "OOMKilled", Reason::OomKilled),
        (137, "Error", Reason::AgentCrashed),
        (128, "StartError", Reason::InvalidPod),
        (127, "ContainerCannotRun", Reason::InvalidPod),
        (3, "Error", Reason::AgentCrashed),
    ] {
        assert_eq!(
            reason(&dead(ended(code, word, "")), NOTHING),
            Some(expected),
            "{code} {word}"
        );
    }
}

#[test]
fn a_child_killed_for_memory_spoils_only_a_run_that_it_ended() {
    let killed = spoken(Reason::AgentCrashed, "nobody", json!({"signal": 9}));
    assert_eq!(
        reason(&ended(1, "OOMKilled", &killed), NOTHING),
        Some(Reason::OomKilled)
    );
    assert_eq!(
        reason(&ended(0, "OOMKilled", &finished()), NOTHING),
        Some(Reason::Completed)
    );
    assert_eq!(
        reason(&ended(1, "Error", &killed), NOTHING),
        Some(Reason::AgentCrashed)
    );
}

#[test]
fn a_pod_that_died_without_its_agent_is_what_was_asked_for_or_who_killed_it() {
    let pod = PodFacts::from(&pod(json!({"phase": "Failed"})));
    assert_eq!(reason(&pod, CANCEL), Some(Reason::Cancelled));
    assert_eq!(
        reason(
            &pod,
            Asked {
                start_overdue: true,
                ..NOTHING
            }
        ),
        Some(Reason::StartTimedOut)
    );
    assert_eq!(
        reason(
            &PodFacts {
                deleting: true,
                ..pod.clone()
            },
            NOTHING
        ),
        Some(Reason::PodDeleted)
    );
    assert_eq!(reason(&pod, NOTHING), Some(Reason::Evicted));
}

#[test]
fn a_pod_that_waits_is_alive_and_an_impossible_one_is_not() {
    let waiting = |word: &str| {
        PodFacts::from(&pod(json!({"phase": "Pending", "containerStatuses": [{
            "name": "agent", "image": "a", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": word}},
        }]})))
    };
    assert_eq!(
        conclude(&waiting("ErrImagePull"), None, CANCEL),
        Conclusion::Alive
    );
    assert_eq!(
        reason(&waiting("InvalidImageName"), NOTHING),
        Some(Reason::InvalidPod)
    );
}

#[test]
fn a_pod_that_vanished_is_lost_unless_its_end_was_asked_for() {
    assert_eq!(
        conclude_without_pod("hello-1", false, None, NOTHING)
            .outcome
            .reason,
        Reason::PodDeleted
    );
    assert_eq!(
        conclude_without_pod("hello-1", false, None, CANCEL)
            .outcome
            .reason,
        Reason::Cancelled
    );
}

#[test]
fn a_start_that_took_too_long_says_what_it_waited_for() {
    let overdue = |waited_for| Asked {
        start_overdue: true,
        waited_for,
        ..NOTHING
    };
    for (waited_for, expected) in [
        (None, Reason::StartTimedOut),
        (Some((Reason::Scheduling, "no room")), Reason::StartTimedOut),
        (
            Some((Reason::ConfigMissing, "no secret")),
            Reason::StartTimedOut,
        ),
        (
            Some((Reason::ImagePull, "no image")),
            Reason::ImageUnavailable,
        ),
    ] {
        let end = conclude_without_pod("hello-1", false, None, overdue(waited_for));
        assert_eq!(end.outcome.reason, expected);
        let why = waited_for.map_or("hello-1", |(_, why)| why);
        assert!(end.outcome.message.contains(why), "{}", end.outcome.message);
    }
}

fn reported(reason: Reason, stopped_by: &str, exit: Value) -> Verdict {
    serde_json::from_str(&spoken(reason, stopped_by, exit)).unwrap()
}

fn by_report(pod: &PodFacts, report: &Verdict, asked: Asked<'_>) -> Option<Reason> {
    match conclude(pod, Some(report), asked) {
        Conclusion::Over(end) => Some(end.outcome.reason),
        Conclusion::Alive | Conclusion::Unclear => None,
    }
}

#[test]
fn a_report_ends_a_run_before_the_kubelet_speaks_where_the_runner_determined_the_end() {
    let running = PodFacts::from(&pod(json!({"phase": "Running", "containerStatuses": [{
        "name": "agent", "image": "a", "imageID": "", "ready": true, "restartCount": 0,
        "state": {"running": {"startedAt": "2027-01-15T08:00:01Z"}},
    }]})));
    let stopping = Asked {
        stopping: true,
        ..CANCEL
    };
    for (report, asked, expected) in [
        (
            reported(Reason::Completed, "nobody", json!({"code": 0})),
            NOTHING,
            Some(Reason::Completed),
        ),
        (
            reported(Reason::MaxTurns, "nobody", json!({"code": 1})),
            NOTHING,
            Some(Reason::MaxTurns),
        ),
        (
            reported(Reason::TimedOut, "timeout", json!({"signal": 9})),
            NOTHING,
            Some(Reason::TimedOut),
        ),
        (
            reported(Reason::Stalled, "stall", json!({"code": 143})),
            NOTHING,
            Some(Reason::Stalled),
        ),
        // Who sent a signal, and why, Kubernetes knows.
        (
            reported(Reason::Stopped, "signal", json!({"code": 143})),
            NOTHING,
            None,
        ),
        (
            reported(Reason::AgentCrashed, "nobody", json!({"signal": 9})),
            NOTHING,
            None,
        ),
        // But who asked for it is known without.
        (
            reported(Reason::Stopped, "signal", json!({"code": 143})),
            CANCEL,
            Some(Reason::Cancelled),
        ),
        // A verdict that was there before the cancel was recorded wins, a later one doesn't.
        (
            reported(Reason::Completed, "nobody", json!({"code": 0})),
            CANCEL,
            Some(Reason::Completed),
        ),
        (
            reported(Reason::Completed, "nobody", json!({"code": 0})),
            stopping,
            Some(Reason::Cancelled),
        ),
    ] {
        assert_eq!(
            by_report(&running, &report, asked),
            expected,
            "{report:?} {asked:?}"
        );
    }
}

#[test]
fn a_report_needs_no_exit_code() {
    let good = reported(Reason::Completed, "nobody", json!({"code": 0}));
    let killed_later = ended(137, "Error", "");
    assert_eq!(
        by_report(&killed_later, &good, NOTHING),
        Some(Reason::Completed)
    );
    assert_eq!(
        conclude_without_pod("hello-1", false, Some(&good), NOTHING)
            .outcome
            .reason,
        Reason::Completed
    );
}

#[test]
fn a_report_of_a_kill_is_explained_by_kubernetes() {
    let killed = reported(Reason::AgentCrashed, "nobody", json!({"signal": 9}));
    let pod = ended(1, "OOMKilled", "");
    assert_eq!(by_report(&pod, &killed, NOTHING), Some(Reason::OomKilled));
}

/// Somebody who was not there to see it run must not take it for one that never did.
#[test]
fn an_agent_that_ran_by_the_kubelets_last_word_has_started() {
    let ran = PodFacts::from(&pod(json!({"phase": "Running", "containerStatuses": [{
        "name": "agent", "image": "a", "imageID": "", "ready": true, "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
    }]})));
    let AgentState::Running { since } = ran.agent else {
        panic!("{:?}", ran.agent)
    };
    assert!(since.is_some());
    assert_eq!(conclude_unheard(&ran, None, NOTHING).started, since);
    let Conclusion::Over(end) = conclude(&dead(ran), None, NOTHING) else {
        panic!("a dead pod is over")
    };
    assert_eq!(end.started, since);
}
