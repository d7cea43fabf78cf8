//! The table in docs/outcomes.md is what the code decides: each row is made into facts, and the code is
//! asked.

use std::collections::BTreeSet;

use herdctl::{
    api::{reason::Reason, verdict::Verdict},
    plan::{
        evidence::{self, Asked, Conclusion, End},
        facts::{Altered, PodFacts},
    },
};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

/// A row: what is known, and what it comes to.
struct Row {
    verdict: String,
    exit: String,
    asked: String,
    pod: String,
    outcome: [String; 3],
    goes_on: String,
}

fn rows() -> Vec<Row> {
    super::table("outcomes.md")
        .into_iter()
        .map(|cells| {
            let wanted = <[String; 8]>::try_from(cells)
                .unwrap_or_else(|cells| panic!("eight cells are wanted: {cells:?}"));
            let [
                verdict,
                exit,
                asked,
                pod,
                phase,
                exit_reason,
                reason,
                goes_on,
            ] = wanted;
            Row {
                verdict,
                exit,
                asked,
                pod,
                outcome: [phase, exit_reason, reason],
                goes_on,
            }
        })
        .collect()
}

/// What the runner said, by a reason or by what was done to the CLI.
fn verdict(word: &str) -> Verdict {
    let (reason, stopped_by, exit) = match word {
        "Completed, signal" => (Reason::Completed, "signal", json!({"code": 0})),
        "signal" => (Reason::Stopped, "signal", json!({"code": 143})),
        "SIGKILL" => (Reason::AgentCrashed, "nobody", json!({"signal": 9})),
        _ => {
            let reason: Reason = serde_json::from_value(json!(word)).unwrap();
            let by = match reason {
                Reason::TimedOut => "timeout",
                Reason::Stalled => "stall",
                Reason::ResumeFailed => "noSession",
                _ => "nobody",
            };
            (
                reason,
                by,
                json!({"code": i32::from(reason != Reason::Completed)}),
            )
        }
    };
    let (phase, exit_reason) = reason.place();
    let verdict = json!({
        "phase": phase, "exitReason": exit_reason, "reason": reason, "message": "m",
        "stoppedBy": stopped_by, "exit": exit,
        "segment": {"bytes": 1, "lines": 1, "sha256": ""},
    });
    serde_json::from_value(verdict).unwrap()
}

fn asked(word: &str) -> Asked<'static> {
    let nothing = Asked::default();
    match word {
        "" => nothing,
        "cancel" => Asked {
            cancel: true,
            ..nothing
        },
        "cancel, recorded" => Asked {
            cancel: true,
            stopping: true,
            ..nothing
        },
        "deletion" => Asked {
            deletion: true,
            ..nothing
        },
        "Agent deleted" => Asked {
            agent_gone: true,
            ..nothing
        },
        "start overdue" => Asked {
            start_overdue: true,
            ..nothing
        },
        "suspend" => Asked {
            suspend: true,
            ..nothing
        },
        "cancel, suspend" => Asked {
            cancel: true,
            suspend: true,
            ..nothing
        },
        "start overdue, suspend" => Asked {
            start_overdue: true,
            suspend: true,
            ..nothing
        },
        other => panic!("nobody asks for {other:?}"),
    }
}

/// The state of the agent's container.
fn container(exit: &str, message: &str) -> Value {
    let (code, word) = exit.split_once(' ').unwrap_or((exit, "Error"));
    let (word, message) = word.split_once(": ").unwrap_or((word, message));
    match code {
        "" => json!({"running": {"startedAt": "2027-01-15T08:00:01Z"}}),
        "waiting" => json!({"waiting": {"reason": word}}),
        code => json!({"terminated": {
            "exitCode": code.parse::<i32>().unwrap(), "reason": word, "message": message,
        }}),
    }
}

/// The pod; none where it is gone.
fn pod(words: &str, container: &Value) -> Option<PodFacts> {
    let disrupted = |reason: &str| json!([{"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "m"}]);
    let mut status = json!({"phase": "Running", "containerStatuses": [{
        "name": "agent", "image": "a", "imageID": "", "ready": false, "restartCount": 0,
        "state": container,
    }]});
    let mut metadata = json!({"name": "hello-1", "uid": "pod-uid"});
    let mut node_gone = None;
    let mut altered = None;
    for word in words.split(", ") {
        match word {
            "up" => {}
            "terminal" => status["phase"] = json!("Failed"),
            "deleted" => metadata["deletionTimestamp"] = json!("2027-01-15T08:00:05Z"),
            "evicted" => status["conditions"] = disrupted("EvictionByEvictionAPI"),
            "preempted" => status["conditions"] = disrupted("PreemptionByScheduler"),
            "node silent" => status["conditions"] = disrupted("DeletionByTaintManager"),
            "node gone" => node_gone = Some("it was removed"),
            "past its deadline" => status["reason"] = json!("DeadlineExceeded"),
            "init container failed" => {
                status["initContainerStatuses"] = json!([{
                    "name": "mesh", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                    "state": {"terminated": {"exitCode": 3, "reason": "Error"}},
                }]);
            }
            "kept by others" => {
                let all = status["containerStatuses"].as_array_mut().unwrap();
                all.push(json!({
                    "name": "mesh", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                    "state": {"running": {}},
                }));
            }
            "without ship" => altered = Some(Altered::Gone("ship")),
            "command changed" => altered = Some(Altered::Command),
            "gone" => return None,
            other => panic!("no pod is {other:?}"),
        }
    }
    let pod: Pod = serde_json::from_value(json!({
        "metadata": metadata, "spec": {"nodeName": "node1", "containers": []}, "status": status,
    }))
    .unwrap();
    Some(PodFacts {
        node_gone,
        altered,
        ..PodFacts::from(&pod)
    })
}

/// What the code makes of a row; none while the end is open.
fn decided(row: &Row) -> Option<End> {
    let (place, word) = row.verdict.split_once(": ").unwrap_or_default();
    let told = (!word.is_empty()).then(|| verdict(word));
    let message = told.as_ref().map(|it| serde_json::to_string(it).unwrap());
    let message = message.filter(|_| place == "message").unwrap_or_default();
    let report = told.filter(|_| place == "store");
    let asked = asked(&row.asked);
    match pod(&row.pod, &container(&row.exit, &message)) {
        None => Some(evidence::conclude_without_pod(
            "hello-1",
            false,
            report.as_ref(),
            asked,
        )),
        Some(pod) => match evidence::conclude(&pod, report.as_ref(), asked) {
            Conclusion::Over(end) => Some(*end),
            Conclusion::Alive | Conclusion::Unclear => None,
        },
    }
}

#[test]
fn every_row_of_the_table_of_outcomes_is_what_the_code_decides() {
    for row in rows() {
        let facts = format!(
            "{} | {} | {} | {}",
            row.verdict, row.exit, row.asked, row.pod
        );
        let (outcome, goes_on) = match decided(&row) {
            None => ([String::new(), String::new(), "open".to_owned()], ""),
            Some(end) => {
                let (phase, exit_reason) = end.outcome.reason.place();
                let outcome = [
                    phase.to_string(),
                    exit_reason.map(|it| it.to_string()).unwrap_or_default(),
                    end.outcome.reason.to_string(),
                ];
                (outcome, if end.disrupted { "yes" } else { "" })
            }
        };
        assert_eq!(row.outcome, outcome, "{facts}");
        assert_eq!(row.goes_on, goes_on, "{facts}");
    }
}

#[test]
fn no_two_rows_of_the_table_of_outcomes_tell_of_the_same() {
    let rows = rows();
    let facts = rows
        .iter()
        .map(|row| [&row.verdict, &row.exit, &row.asked, &row.pod]);
    assert_eq!(facts.collect::<BTreeSet<_>>().len(), rows.len());
}

#[test]
fn the_table_of_outcomes_shows_every_reason_that_a_pod_can_bring() {
    let told: BTreeSet<String> = rows()
        .into_iter()
        .map(|row| row.outcome[2].clone())
        .collect();
    for reason in [
        Reason::Suspended,
        Reason::Completed,
        Reason::MaxTurns,
        Reason::AgentCrashed,
        Reason::Stopped,
        Reason::OomKilled,
        Reason::Evicted,
        Reason::NodeLost,
        Reason::PodDeleted,
        Reason::InvalidPod,
        Reason::RunnerError,
        Reason::ResumeFailed,
        Reason::TimedOut,
        Reason::Stalled,
        Reason::StartTimedOut,
        Reason::Cancelled,
        Reason::AgentDeleted,
        Reason::JobDeleted,
    ] {
        assert!(told.contains(&reason.to_string()), "{reason}");
    }
}
