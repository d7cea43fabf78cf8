//! `jobs pause`.

use serde_json::{Value, json};

use crate::cluster::Cluster;

fn with(name: &str, status: Value) -> Cluster {
    let cluster = Cluster::start();
    cluster.job(name, 60, status);
    cluster
}

fn set(cluster: &Cluster, name: &str, status: Value, spec: Value) {
    cluster.change(|world| {
        let mut job = world.jobs[name].clone();
        job["status"] = status;
        json_patch::merge(&mut job["spec"], &spec);
        world.put(job);
    });
}

#[tokio::test]
async fn jobs_are_asked_to_pause() {
    let cluster = with("a", json!({"phase": "running"}));
    cluster.job("b", 60, json!({"phase": "pending", "reason": "Scheduling"}));
    let ran = cluster
        .program
        .run(&["jobs", "pause", "a", "b", "a"])
        .await
        .exits(0);
    assert_eq!(ran.stdout, "→ a asked to pause\n→ b asked to pause\n");
    let patches = cluster.look().patches.clone();
    assert_eq!(
        patches,
        [json!({"suspend": true}), json!({"suspend": true})]
    );
}

#[tokio::test]
async fn one_that_is_suspended_says_so() {
    let cluster = with(
        "a",
        json!({"phase": "pending", "reason": "Suspended", "progress": {"turns": 6, "costUSD": 0.11}}),
    );
    let suspended = json!({"suspend": true});
    let status = cluster.look().jobs["a"]["status"].clone();
    set(&cluster, "a", status, suspended);
    for arguments in [
        &["jobs", "pause", "a"][..],
        &["jobs", "pause", "a", "--wait"],
    ] {
        let ran = cluster.program.run(arguments).await.exits(0);
        assert_eq!(ran.stdout, "○ a is suspended already · 6 turns · $0.11\n");
        ran.says(&["continue: herdctl jobs resume a"]);
    }
    assert_eq!(cluster.count("PATCH"), 0);
}

#[tokio::test]
async fn one_that_was_asked_before_is_waited_for() {
    let cluster = with("a", json!({"phase": "running", "reason": "Suspending"}));
    let status = cluster.look().jobs["a"]["status"].clone();
    set(&cluster, "a", status, json!({"suspend": true}));
    let ran = cluster
        .program
        .run(&["jobs", "pause", "a", "--wait", "--timeout", "300ms"])
        .await
        .exits(124);
    assert_eq!(ran.stdout, "→ a was asked to pause before\n");
    ran.says(&["a was not suspended in time; the request stays"]);
    assert_eq!(cluster.count("PATCH"), 0);
}

#[tokio::test]
async fn waiting_ends_when_the_agent_has_stopped() {
    let cluster = with("a", json!({"phase": "running"}));
    let pause = cluster.program.start(&["jobs", "pause", "a", "--wait"]);
    cluster
        .until("asked", |world| world.patches.len() == 1)
        .await;
    set(
        &cluster,
        "a",
        json!({"phase": "running", "reason": "Suspending"}),
        json!({}),
    );
    let suspended = |attempt: Value| {
        let mut status =
            json!({"phase": "pending", "reason": "Suspended", "progress": {"turns": 2}});
        status["attempts"] = json!([attempt]);
        set(&cluster, "a", status, json!({}));
    };
    // The pod is still being removed.
    let mut attempt = json!({"number": 1, "pod": "a-1", "intended": "2026-01-02T12:00:00Z"});
    suspended(attempt.clone());
    attempt["outcome"] = "Suspended".into();
    suspended(attempt);
    let ran = pause.rest().await.exits(0);
    assert_eq!(
        ran.stdout,
        "→ a asked to pause\n○ a is suspended · 2 turns\n"
    );
}

#[tokio::test]
async fn one_that_is_suspended_in_time_is_told_so_though_another_took_all_of_it() {
    let cluster = with("a", json!({"phase": "running"}));
    cluster.job("b", 60, json!({"phase": "running"}));
    let arguments = ["jobs", "pause", "a", "b", "--wait", "--timeout", "1s"];
    let pause = cluster.program.start(&arguments);
    cluster
        .until("asked", |world| world.patches.len() == 2)
        .await;
    let suspended = json!({"phase": "pending", "reason": "Suspended"});
    set(&cluster, "b", suspended, json!({}));
    let ran = pause.rest().await.exits(124);
    let ran = ran.says(&["a was not suspended in time"]);
    assert!(ran.stdout.ends_with("○ b is suspended\n"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_job_that_ends_before_it_pauses_was_not_paused() {
    for (status, spec, words) in [
        (
            json!({"phase": "completed", "exitReason": "success"}),
            json!({}),
            "error: a ended before it was suspended: completed success",
        ),
        (
            json!({"phase": "running"}),
            json!({"suspend": false}),
            "error: a was resumed by somebody before it was suspended",
        ),
    ] {
        let cluster = with("a", json!({"phase": "running"}));
        let pause = cluster.program.start(&["jobs", "pause", "a", "--wait"]);
        cluster
            .until("asked", |world| world.patches.len() == 1)
            .await;
        set(&cluster, "a", status, spec);
        pause.rest().await.exits(1).says(&[words]);
    }
}

#[tokio::test]
async fn what_can_not_be_paused_says_why_and_what_else_to_do() {
    let cluster = with(
        "done",
        json!({"phase": "completed", "exitReason": "success", "sessionId": "s",
            "startedAt": "2026-01-02T11:00:00Z"}),
    );
    cluster.job("stopping", 60, json!({"phase": "running"}));
    set(
        &cluster,
        "stopping",
        json!({"phase": "running"}),
        json!({"cancel": true}),
    );
    cluster.job("going", 60, json!({"phase": "running"}));
    cluster.change(|world| {
        let mut job = world.jobs["going"].clone();
        job["metadata"]["deletionTimestamp"] = "2026-01-02T12:00:00Z".into();
        world.put(job);
    });
    for (id, words) in [
        (
            "done",
            &[
                "error: done can't be paused: it has ended (completed)",
                "next: continue in a new Job: herdctl jobs resume done",
            ][..],
        ),
        (
            "stopping",
            &[
                "error: stopping can't be paused: it was asked to stop",
                "once it has ended, run it again: herdctl run reviewer --prompt TEXT",
            ],
        ),
        (
            "going",
            &["error: going can't be paused: it is being deleted"],
        ),
        (
            "dome",
            &["error: no job dome in namespace team-a; nearest: done (completed)"],
        ),
    ] {
        let ran = cluster.program.run(&["jobs", "pause", id]).await.exits(1);
        assert_eq!(ran.stdout, "");
        ran.says(words);
    }
    assert_eq!(cluster.count("PATCH"), 0);
}

#[tokio::test]
async fn all_are_tried_and_the_worst_counts() {
    let cluster = with("a", json!({"phase": "running"}));
    cluster.job(
        "done",
        60,
        json!({"phase": "failed", "exitReason": "error"}),
    );
    let ran = cluster
        .program
        .run(&["jobs", "pause", "done", "nowhere", "a"])
        .await
        .exits(1);
    ran.prints(&["→ a asked to pause"]);
}

#[tokio::test]
async fn a_job_that_ends_meanwhile_is_not_changed() {
    let cluster = with("a", json!({"phase": "running"}));
    cluster.change(|world| {
        let ended = json!({"phase": "completed", "exitReason": "success"});
        world.change_before_patch.push_back((ended, json!({})));
    });
    let ran = cluster.program.run(&["jobs", "pause", "a"]).await.exits(1);
    ran.says(&["a can't be paused: it has ended"]);
    assert_eq!(cluster.look().patches, [json!(null); 0]);
}

#[tokio::test]
async fn who_leaves_a_wait_is_told_that_the_pause_stays_requested() {
    let cluster = with("a", json!({"phase": "running"}));
    let mut pause = cluster.program.start(&["jobs", "pause", "a", "--wait"]);
    assert_eq!(pause.line().await, "→ a asked to pause\n");
    cluster
        .until("it waits", |world| {
            world.requests.iter().any(|one| one.contains("watch=true"))
        })
        .await;
    pause.interrupt();
    let ran = pause.rest().await.exits(130);
    ran.says(&["left; the pause stays requested\n"]);
    assert_eq!(cluster.look().jobs["a"]["spec"]["suspend"], true);
}

#[tokio::test]
async fn a_job_whose_agent_was_deleted_goes_on_once_there_is_one() {
    let cluster = with(
        "a",
        json!({"phase": "cancelled", "exitReason": "manual_cancel", "reason": "AgentDeleted",
            "sessionId": "s", "startedAt": "2026-01-02T11:00:00Z"}),
    );
    let ran = cluster.program.run(&["jobs", "pause", "a"]).await.exits(1);
    ran.says(&[
        "next: apply the Agent reviewer first if there is none (kubectl apply -f FILE), then: herdctl jobs resume a",
    ]);
}

#[tokio::test]
async fn nothing_named_is_a_usage_error() {
    Cluster::start()
        .program
        .run(&["jobs", "pause"])
        .await
        .exits(2);
}

#[tokio::test]
async fn a_job_whose_pod_is_still_there_is_not_paused_yet() {
    let attempt = json!({"number": 1, "pod": "a-1", "intended": "2026-01-02T12:00:00Z"});
    let cluster = with("a", json!({"phase": "running"}));
    let status = json!({"phase": "pending", "reason": "Suspended", "attempts": [attempt]});
    set(&cluster, "a", status, json!({"suspend": true}));
    let ran = cluster
        .program
        .run(&["jobs", "pause", "a", "--wait", "--timeout", "300ms"])
        .await
        .exits(124);
    assert_eq!(ran.stdout, "→ a was asked to pause before\n");
}
