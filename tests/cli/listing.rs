//! `jobs list`.

use serde_json::{Value, json};

use crate::cluster::{Cluster, expired, minted, status};

fn some() -> Cluster {
    let cluster = Cluster::start();
    let ended = json!({"phase": "completed", "exitReason": "success", "reason": "Completed",
        "startedAt": "2026-01-02T12:00:00Z", "completedAt": "2026-01-02T12:02:04Z", "sessionId": "s-1",
        "progress": {"turns": 4, "costUSD": 0.064, "inputTokens": 1, "outputTokens": 1},
        "attempts": [{"number": 1, "pod": "the-pod-1", "intended": "2026-01-02T12:00:00Z"}]});
    cluster.job(&minted("7f3c0a1b"), 3 * 86_400, ended);
    cluster.job(
        "nightly",
        7_200,
        json!({"phase": "running", "reason": "Working"}),
    );
    cluster.job("fresh", 5, Value::Null);
    cluster
}

/// Words of each line.
fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines()
        .map(|line| line.split_whitespace().collect())
        .collect()
}

#[tokio::test]
async fn newest_come_first_with_short_ids() {
    let ran = some().program.run(&["jobs", "list"]).await.exits(0);
    let rows = words(&ran.stdout);
    assert_eq!(
        rows[0],
        ["ID", "STATUS", "REASON", "AGENT", "TURNS", "COST", "AGE"]
    );
    assert_eq!(rows[1][..3], ["fresh", "pending", "reviewer"]);
    assert_eq!(rows[2], ["nightly", "running", "reviewer", "2h"]);
    assert_eq!(
        rows[3],
        ["7f3c0a1b", "completed", "reviewer", "4", "$0.06", "3d"]
    );
    assert_eq!((rows.len(), ran.stderr.as_str()), (4, ""));
}

#[tokio::test]
async fn wide_has_full_names_and_more() {
    let ran = some()
        .program
        .run(&["jobs", "list", "-o", "wide"])
        .await
        .exits(0);
    ran.prints(&[&minted("7f3c0a1b"), "SESSION", "s-1", "the-pod-1", "2m04s"]);
}

#[tokio::test]
async fn objects_are_printed_as_the_api_server_gave_them() {
    let cluster = some();
    cluster.change(|world| {
        let mut job = world.jobs["nightly"].clone();
        job["spec"]["fromTheFuture"] = json!({"a": 1});
        world.put(job);
    });
    let ran = cluster
        .program
        .run(&["jobs", "list", "-o", "json"])
        .await
        .exits(0);
    let list: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(list["kind"], "List");
    assert_eq!(list["items"][1]["spec"]["fromTheFuture"]["a"], 1);
    assert_eq!(list["items"][1]["kind"], "Job");
    let ran = cluster
        .program
        .run(&["jobs", "list", "-o", "yaml"])
        .await
        .exits(0);
    ran.prints(&["kind: List", "fromTheFuture:"]);
    let ran = cluster
        .program
        .run(&["jobs", "list", "-o", "name"])
        .await
        .exits(0);
    assert_eq!(ran.stdout.lines().next(), Some("job.herdctl.dev/fresh"));
}

#[tokio::test]
async fn the_server_sorts_out_what_it_can() {
    let cluster = some();
    let ran = cluster
        .program
        .run(&[
            "jobs",
            "list",
            "--status",
            "running,pending",
            "--agent",
            "reviewer",
        ])
        .await
        .exits(0);
    assert_eq!(words(&ran.stdout).len(), 3, "{ran:#?}");
    assert!(
        cluster.count("fieldSelector=spec.agent%3Dreviewer%2Cstatus.phase%21%3Dcompleted") > 0,
        "{:?}",
        cluster.look().requests
    );
    let ran = cluster
        .program
        .run(&["jobs", "list", "--status", "completed", "-o", "name"])
        .await
        .exits(0);
    assert_eq!(
        ran.stdout,
        format!("job.herdctl.dev/{}\n", minted("7f3c0a1b"))
    );
}

#[tokio::test]
async fn a_list_whose_next_page_has_expired_begins_again() {
    let cluster = some();
    cluster.fail("continue=", 1, 410, expired());
    let ran = cluster
        .program
        .run(&["jobs", "list", "-o", "name"])
        .await
        .exits(0);
    let names =
        ["fresh", "nightly", &minted("7f3c0a1b")].map(|name| format!("job.herdctl.dev/{name}"));
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), names);
    // It is not begun for ever.
    cluster.fail("continue=", 1_000, 410, expired());
    let ran = cluster.program.run(&["jobs", "list"]).await.exits(1);
    assert_eq!(ran.stdout, "");
    ran.says(&["its pages expired 5 times", "next: try again"]);
}

#[tokio::test]
async fn a_list_says_why_and_can_be_asked_for_it() {
    let cluster = some();
    cluster.job(
        "paused",
        60,
        json!({"phase": "pending", "reason": "Suspended"}),
    );
    cluster.job(
        "cancelled",
        60,
        json!({"phase": "cancelled", "exitReason": "manual_cancel", "reason": "Cancelled"}),
    );
    let ran = cluster.program.run(&["jobs", "list"]).await.exits(0);
    let rows = words(&ran.stdout);
    for row in [
        &["paused", "pending", "Suspended", "reviewer"][..],
        &["cancelled", "cancelled", "reviewer"],
        &["nightly", "running", "reviewer"],
    ] {
        assert!(
            rows.iter().any(|found| found.starts_with(row)),
            "{row:?}: {}",
            ran.stdout
        );
    }
    for (reasons, names) in [
        ("Suspended", &["paused"][..]),
        ("Suspended,Working", &["paused", "nightly"]),
        // In whatever case.
        ("suspended", &["paused"]),
    ] {
        let ran = cluster
            .program
            .run(&["jobs", "list", "--reason", reasons, "-o", "name"])
            .await
            .exits(0);
        let names: Vec<String> = names
            .iter()
            .map(|name| format!("job.herdctl.dev/{name}"))
            .collect();
        assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), names, "{reasons}");
    }
    let ran = cluster
        .program
        .run(&["jobs", "list", "--reason", "maxturn"])
        .await
        .exits(2);
    ran.says(&["there is no such reason; the nearest is MaxTurns; all stand in docs/reasons.md\n"]);
}

#[tokio::test]
async fn who_wrote_which_field_is_printed_nowhere() {
    let cluster = some();
    cluster.change(|world| {
        let mut job = world.jobs["nightly"].clone();
        job["metadata"]["managedFields"] = json!([{"manager": "herdctl"}]);
        world.put(job);
    });
    for arguments in [
        &["jobs", "list", "-o", "json"][..],
        &["jobs", "list", "-o", "yaml"],
        &["jobs", "show", "nightly", "-o", "yaml"],
    ] {
        let ran = cluster.program.run(arguments).await.exits(0);
        assert!(
            !ran.stdout.contains("managedFields"),
            "{arguments:?}: {}",
            ran.stdout
        );
    }
}

#[tokio::test]
async fn since_is_a_duration_or_a_date() {
    let cluster = some();
    for (since, count) in [
        ("1h", 1),
        ("24h", 2),
        ("7d", 3),
        ("2020-01-15", 3),
        ("2999-01-15T10:00", 0),
    ] {
        let ran = cluster
            .program
            .run(&["jobs", "list", "--since", since, "-o", "name"])
            .await
            .exits(0);
        assert_eq!(ran.stdout.lines().count(), count, "{since}");
    }
    let ran = cluster
        .program
        .run(&["jobs", "list", "--since", "yesterday"])
        .await
        .exits(2);
    ran.says(&["neither a duration like 24h or 7d nor a date like 2024-01-15"]);
}

#[tokio::test]
async fn nothing_is_a_sentence_and_no_error() {
    let cluster = Cluster::start();
    let ran = cluster.program.run(&["jobs", "list"]).await.exits(0);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("", "no Jobs in namespace team-a\n")
    );
    let ran = cluster
        .program
        .run(&["jobs", "list", "-A", "--status", "failed"])
        .await
        .exits(0);
    assert_eq!(ran.stderr, "no such Jobs in any namespace\n");
    let ran = cluster
        .program
        .run(&["jobs", "list", "-o", "json"])
        .await
        .exits(0);
    assert_eq!(
        serde_json::from_str::<Value>(&ran.stdout).unwrap()["items"],
        json!([])
    );
}

#[tokio::test]
async fn an_agent_that_there_is_not_is_told_where_no_job_has_it() {
    let cluster = Cluster::start();
    cluster.agent("reviewer");
    for (agent, words) in [
        ("reviewer", "no such Jobs in namespace team-a\n"),
        (
            "reviwer",
            "no such Jobs in namespace team-a, and no Agent reviwer; nearest: reviewer\n",
        ),
    ] {
        let list = ["jobs", "list", "--agent", agent];
        let ran = cluster.program.run(&list).await.exits(0);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", words));
    }
}

#[tokio::test]
async fn costs_are_rounded_alike() {
    let cluster = Cluster::start();
    for (name, dollars) in [("a", 0.0016), ("b", 0.064), ("c", 12.345)] {
        let progress = json!({"turns": 1, "costUSD": dollars, "inputTokens": 1, "outputTokens": 1});
        cluster.job(
            name,
            60,
            json!({"phase": "completed", "progress": progress}),
        );
    }
    let ran = cluster.program.run(&["jobs", "list"]).await.exits(0);
    let costs: Vec<&str> = words(&ran.stdout)[1..].iter().map(|row| row[4]).collect();
    assert_eq!(costs, ["<$0.01", "$0.06", "$12.35"], "{}", ran.stdout);
}

#[tokio::test]
async fn in_a_pipe_a_watch_is_a_line_for_each_change() {
    let cluster = some();
    let mut watch = cluster.program.start(&["jobs", "list", "-w"]);
    let head = watch.line().await;
    assert!(head.starts_with("ID"));
    // Whatever comes later stands in the same columns.
    let agents = head.find("AGENT");
    for id in ["fresh", "nightly", "7f3c0a1b"] {
        let line = watch.line().await;
        assert!(line.starts_with(id), "{line}");
        assert_eq!(line.find("reviewer"), agents, "{head}{line}");
    }
    cluster
        .until("the watch is there", |world| {
            world
                .requests
                .iter()
                .any(|request| request.contains("watch=true"))
        })
        .await;
    cluster.job(
        "fresh",
        6,
        json!({"phase": "failed", "exitReason": "error", "reason": "AuthenticationFailed"}),
    );
    let line = watch.line().await;
    assert_eq!(
        line.split_whitespace().take(3).collect::<Vec<_>>(),
        ["fresh", "failed", "AuthenticationFailed"]
    );
    assert_eq!(line.find("reviewer"), agents, "{head}{line}");
}

#[tokio::test]
async fn a_watch_whose_first_list_has_expired_begins_again() {
    let cluster = some();
    cluster.fail("continue=", 1, 410, expired());
    let mut watch = cluster.program.start(&["jobs", "list", "-w", "-o", "name"]);
    for name in ["fresh", "nightly", &minted("7f3c0a1b")] {
        assert_eq!(watch.line().await, format!("job.herdctl.dev/{name}\n"));
    }
    watch.interrupt();
    assert_eq!(watch.rest().await.stderr, "");
}

#[tokio::test]
async fn a_watch_that_is_not_allowed_ends() {
    let cluster = some();
    let words = r#"jobs.herdctl.dev is forbidden: User "dev" cannot watch resource "jobs" in API group "herdctl.dev""#;
    let refusal = status(403, "Forbidden", words, json!({"kind": "jobs"}));
    cluster.fail("watch=true", 1_000, 403, refusal);
    let ran = cluster.program.run(&["jobs", "list", "-w"]).await.exits(1);
    ran.prints(&["nightly"])
        .says(&["error: you may not watch jobs.herdctl.dev in namespace team-a"]);
}

#[tokio::test]
async fn a_watch_as_json_is_an_object_a_line() {
    let cluster = some();
    let mut watch = cluster.program.start(&["jobs", "list", "-w", "-o", "json"]);
    for name in ["fresh", "nightly"] {
        let job: Value = serde_json::from_str(&watch.line().await).unwrap();
        assert_eq!(job["metadata"]["name"], name);
    }
}

#[tokio::test]
async fn a_proxys_page_that_breaks_the_watch_is_one_clean_line() {
    let cluster = some();
    let page = format!("<html>\n\x1b[2J<b>Bad Gateway</b>\n{}", "x".repeat(5_000));
    cluster.fail("watch=true", 1, 502, page);
    let mut watch = cluster.program.start(&["jobs", "list", "-w"]);
    watch.tells("the watch broke and is started again").await;
    watch.interrupt();
    let ran = watch.rest().await;
    assert!(!ran.stderr.contains('\x1b'), "{ran:#?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:#?}");
    assert!(ran.stderr.len() < 1_000, "{ran:#?}");
}
