//! `jobs cancel`.

use serde_json::{Value, json};

use crate::cluster::{Cluster, status};

fn running(names: &[&str]) -> Cluster {
    let cluster = Cluster::start();
    for name in names {
        cluster.job(name, 60, json!({"phase": "running"}));
    }
    cluster
}

fn asked(cluster: &Cluster, name: &str) -> bool {
    cluster.look().jobs[name]["spec"]["cancel"] == json!(true)
}

fn end(cluster: &Cluster, name: &str, status: Value) {
    cluster.change(|world| {
        let mut job = world.jobs[name].clone();
        job["status"] = status;
        world.put(job);
    });
}

#[tokio::test]
async fn jobs_are_asked_to_stop() {
    let cluster = running(&["a", "b", "c"]);
    let ran = cluster
        .program
        .run(&["jobs", "cancel", "a", "b", "a"])
        .await
        .exits(0);
    assert_eq!(ran.stdout, "→ a asked to stop\n→ b asked to stop\n");
    assert!(asked(&cluster, "a") && asked(&cluster, "b") && !asked(&cluster, "c"));
    assert_eq!(cluster.count("PATCH"), 2);
}

#[tokio::test]
async fn one_that_has_ended_is_left_alone() {
    let cluster = running(&[]);
    cluster.job(
        "a",
        60,
        json!({"phase": "completed", "exitReason": "success"}),
    );
    let ran = cluster
        .program
        .run(&["jobs", "cancel", "a", "--wait"])
        .await
        .exits(0);
    assert_eq!(ran.stdout, "✔ a had ended before: completed success\n");
    assert_eq!(cluster.count("PATCH"), 0);
}

#[tokio::test]
async fn one_that_ends_meanwhile_is_left_alone_too() {
    let cluster = running(&["a"]);
    cluster.change(|world| {
        let ended = json!({"phase": "completed", "exitReason": "success"});
        world.change_before_patch.push_back((ended, json!({})));
    });
    let ran = cluster.program.run(&["jobs", "cancel", "a"]).await.exits(0);
    assert_eq!(ran.stdout, "✔ a had ended before: completed success\n");
    assert!(!asked(&cluster, "a"));
}

#[tokio::test]
async fn a_job_whose_status_changes_meanwhile_is_asked_all_the_same() {
    let cluster = running(&["a"]);
    cluster.change(|world| {
        for turns in 1..4 {
            let status = json!({"phase": "running", "progress": {"turns": turns}});
            world.change_before_patch.push_back((status, json!({})));
        }
    });
    cluster.program.run(&["jobs", "cancel", "a"]).await.exits(0);
    assert!(asked(&cluster, "a"));
    assert_eq!(cluster.look().jobs["a"]["status"]["progress"]["turns"], 3);
}

#[tokio::test]
async fn asking_twice_changes_nothing() {
    let cluster = running(&["a"]);
    for words in ["asked to stop", "was asked to stop before"] {
        let ran = cluster.program.run(&["jobs", "cancel", "a"]).await.exits(0);
        assert_eq!(ran.stdout, format!("→ a {words}\n"));
    }
    assert_eq!(cluster.count("PATCH"), 1);
}

#[tokio::test]
async fn what_was_cancelled_with_a_session_can_go_on() {
    let cluster = running(&["a"]);
    let cancel = cluster.program.start(&["jobs", "cancel", "a", "--wait"]);
    cluster
        .until("asked", |world| world.patches.len() == 1)
        .await;
    end(
        &cluster,
        "a",
        json!({"phase": "cancelled", "exitReason": "manual_cancel", "sessionId": "4be1", "startedAt": "2026-01-02T12:00:00Z"}),
    );
    let ran = cancel.rest().await.exits(0);
    ran.says(&["continue in a new Job: herdctl jobs resume a"]);
}

#[tokio::test]
async fn waiting_ends_when_the_jobs_have() {
    let cluster = running(&["a"]);
    let cancel = cluster.program.start(&["jobs", "cancel", "a", "--wait"]);
    cluster
        .until("asked", |world| {
            world.jobs["a"]["spec"]["cancel"] == json!(true)
        })
        .await;
    let progress = json!({"turns": 6, "costUSD": 0.11, "inputTokens": 1, "outputTokens": 1});
    end(
        &cluster,
        "a",
        json!({"phase": "cancelled", "exitReason": "manual_cancel", "progress": progress}),
    );
    let ran = cancel.rest().await.exits(0);
    ran.prints(&["⊘ a cancelled · 6 turns · $0.11"]);
}

#[tokio::test]
async fn waiting_is_given_up_after_the_timeout() {
    let cluster = running(&["a"]);
    let ran = cluster
        .program
        .run(&["jobs", "cancel", "a", "--wait", "--timeout", "300ms"])
        .await
        .exits(124);
    ran.says(&["a did not end in time; the request stays"]);
}

#[tokio::test]
async fn several_of_an_agent_want_a_yes() {
    let cluster = running(&["a", "b"]);
    let ran = cluster
        .program
        .run(&["jobs", "cancel", "--agent", "reviewer"])
        .await
        .exits(2);
    ran.says(&[
        "a  running",
        "this would stop 2 Jobs of agent reviewer",
        "add --yes",
    ]);
    assert_eq!(cluster.count("PATCH"), 0);
    cluster
        .program
        .run(&["jobs", "cancel", "--agent", "reviewer", "--yes"])
        .await
        .exits(0);
    assert!(asked(&cluster, "a") && asked(&cluster, "b"));
}

#[tokio::test]
async fn one_of_an_agent_is_meant() {
    let cluster = running(&["a"]);
    cluster.job("old", 600, json!({"phase": "failed"}));
    cluster
        .program
        .run(&["jobs", "cancel", "--agent", "reviewer"])
        .await
        .exits(0);
    assert!(asked(&cluster, "a") && !asked(&cluster, "old"));
    let ran = cluster
        .program
        .run(&["jobs", "cancel", "--agent", "nobody"])
        .await
        .exits(0);
    ran.says(&["no Job of agent nobody is pending or running"]);
}

#[tokio::test]
async fn all_are_tried_and_the_worst_counts() {
    let cluster = running(&["a"]);
    let ran = cluster
        .program
        .run(&["jobs", "cancel", "nowhere", "a"])
        .await
        .exits(1);
    ran.says(&["error: no job nowhere"]);
    assert!(asked(&cluster, "a"));
}

#[tokio::test]
async fn nothing_named_is_a_usage_error() {
    running(&[]).program.run(&["jobs", "cancel"]).await.exits(2);
}

#[tokio::test]
async fn whoever_may_not_see_the_end_is_told_so() {
    for (to, verb) in [
        ("fieldSelector=metadata.name", "list"),
        ("watch=true", "watch"),
    ] {
        let cluster = running(&["a"]);
        let words = format!("User \"jane\" cannot {verb} resource \"jobs\"");
        cluster.fail(
            to,
            99,
            403,
            status(403, "Forbidden", &words, json!({"kind": "jobs"})),
        );
        let ran = cluster
            .program
            .run(&["jobs", "cancel", "a", "--wait", "--timeout", "25s"])
            .await
            .exits(1);
        ran.prints(&["a asked to stop"]).says(&[
            &format!("error: you may not {verb} jobs.herdctl.dev"),
            "cannot",
        ]);
    }
}

#[tokio::test]
async fn waiting_ends_for_a_job_that_was_deleted_while_nobody_watched() {
    let cluster = running(&["a"]);
    cluster.fail("fieldSelector=metadata.name", 1, 503, "not now");
    let cancel = cluster
        .program
        .start(&["jobs", "cancel", "a", "--wait", "--timeout", "20s"]);
    cluster
        .until("the list has failed", |world| world.faults[0].times == 0)
        .await;
    cluster.change(|world| world.delete("a"));
    cancel.rest().await.exits(0).prints(&["a has been deleted"]);
}
