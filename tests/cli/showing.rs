//! `jobs show` and `jobs result`.

use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, NAMESPACE, status},
    golden,
    record::{close, segment, status_of, translate},
};

/// A Job that failed, with all that a status can say.
fn failed() -> Cluster {
    let cluster = Cluster::start();
    cluster.agent("reviewer");
    let (segment, verdict) = segment("err401_maxretries0");
    let bytes = close(segment, &verdict);
    let mut status = status_of(&bytes, &verdict);
    status["sessionId"] = "4be1".into();
    status["agent"] =
        json!({"generation": 3, "spec": {"timeout": "90m", "model": "sonnet", "maxTurns": 20}});
    status["attempts"] = json!([{"number": 1, "pod": "nightly-1", "node": "node-2",
        "intended": "2026-01-02T12:04:30Z", "started": "2026-01-02T12:04:31Z", "ended": "2026-01-02T12:04:34Z"}]);
    status["conditions"] = json!([{"type": "OutputIntact", "status": "False", "reason": "Altered",
        "message": "bytes 5 to 9 were altered", "lastTransitionTime": "2026-01-02T12:04:34Z"}]);
    cluster.put(json!({
        "apiVersion": "herdctl.dev/v1alpha1", "kind": "Job",
        "metadata": {"name": "nightly", "namespace": NAMESPACE, "uid": "u", "creationTimestamp": "2026-01-02T12:04:30Z"},
        "spec": {"agent": "reviewer", "prompt": "Review\nall", "timeout": "5m"},
        "status": status,
    }));
    cluster.record("nightly", &bytes, true);
    cluster
}

/// Without what depends on today.
fn timeless(text: &str) -> String {
    let mut words: Vec<String> = text.lines().map(str::to_owned).collect();
    let ago = words[0].rfind(" · ").unwrap();
    words[0].truncate(ago);
    words.join("\n") + "\n"
}

#[tokio::test]
async fn why_a_job_failed_and_what_to_do_is_told() {
    let ran = failed()
        .program
        .run(&["jobs", "show", "nightly"])
        .await
        .exits(0);
    golden::agrees("tests/cli/golden/show-failed.txt", &timeless(&ran.stdout));
}

#[tokio::test]
async fn a_session_whose_agent_is_gone_goes_on_once_there_is_one() {
    let cluster = failed();
    cluster.change(|world| world.agents.clear());
    let ran = cluster
        .program
        .run(&["jobs", "show", "nightly"])
        .await
        .exits(0);
    ran.prints(&[
        "there is no Agent reviewer: apply it first (kubectl apply -f FILE), then: herdctl jobs resume nightly\n",
    ]);
}

#[tokio::test]
async fn a_store_that_does_not_answer_hides_nothing_else() {
    let cluster = failed();
    let away = status(
        503,
        "ServiceUnavailable",
        "no answer from it",
        json!({"kind": "joboutputs", "name": "nightly"}),
    );
    cluster.fail("joboutputs", 9, 503, away);
    let ran = cluster
        .program
        .run(&["jobs", "show", "nightly"])
        .await
        .exits(0);
    ran.prints(&[
        "failed error AuthenticationFailed",
        "sealed ",
        "the output store does not answer (no answer from it)",
    ]);
}

#[tokio::test]
async fn a_pending_job_shows_what_will_hold() {
    let cluster = Cluster::start();
    cluster.agent("reviewer");
    cluster.job(
        "j",
        42,
        json!({"phase": "pending", "reason": "ImagePull", "message": "pulls the image"}),
    );
    let ran = cluster.program.run(&["jobs", "show", "j"]).await.exits(0);
    ran.prints(&[
        "○ pending ImagePull",
        "pulls the image",
        "output    none yet",
        "timeout 2h · stallTimeout 10m (default)",
        "stop: herdctl jobs cancel j",
    ]);
}

#[tokio::test]
async fn objects_are_shown_whole() {
    let cluster = failed();
    for arguments in [
        &["jobs", "show", "nightly", "--json"][..],
        &["jobs", "show", "nightly", "-o", "json"],
    ] {
        let ran = cluster.program.run(arguments).await.exits(0);
        let job: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(
            (&job["kind"], &job["status"]["reason"]),
            (&json!("Job"), &json!("AuthenticationFailed"))
        );
    }
    cluster
        .program
        .run(&["jobs", "show", "nightly", "-o", "yaml"])
        .await
        .exits(0)
        .prints(&["kind: Job"]);
}

/// A Job that was paused, then evicted, and whose node is now silent.
fn recovering() -> Cluster {
    let cluster = Cluster::start();
    cluster.put(json!({
        "apiVersion": "herdctl.dev/v1alpha1", "kind": "Job",
        "metadata": {"name": "nightly", "namespace": NAMESPACE, "uid": "u", "creationTimestamp": "2026-01-02T12:04:30Z"},
        "spec": {"agent": "reviewer", "resume": {"job": "yesterday"}, "outputSchema": "{}",
            "resumePrompt": "Skip the\nflaky test"},
        "status": {
            "phase": "pending", "reason": "Recovering", "sessionId": "4be1",
            "message": "node-2 is silent: when it is surely off, taint it node.kubernetes.io/out-of-service",
            "startedAt": "2026-01-02T12:04:31Z",
            "progress": {"turns": 9, "costUSD": 0.2, "inputTokens": 1, "outputTokens": 1},
            "resumedFrom": {"job": "yesterday", "uid": "y"},
            "agent": {"generation": 3, "spec": {"maxAttempts": 5, "prompt": "Review\nit",
                "tools": {"denied": ["Bsh"]}}},
            "attempts": [
                {"number": 1, "pod": "nightly-1", "node": "node-1", "intended": "2026-01-02T12:04:30Z",
                    "started": "2026-01-02T12:04:31Z", "ended": "2026-01-02T12:06:10Z",
                    "outcome": "Suspended", "turns": 6, "costUSD": 0.11},
                {"number": 2, "pod": "nightly-2", "node": "node-1", "intended": "2026-01-02T14:00:00Z",
                    "started": "2026-01-02T14:00:03Z", "ended": "2026-01-02T14:02:10Z", "outcome": "Evicted",
                    "turns": 3, "costUSD": 0.09, "why": "the node was low on memory"},
                {"number": 3, "pod": "nightly-3", "node": "node-2", "intended": "2026-01-02T14:02:12Z",
                    "started": "2026-01-02T14:02:15Z"},
            ],
        },
    }));
    cluster
}

#[tokio::test]
async fn attempts_are_told_with_what_became_of_them_and_what_the_job_waits_for() {
    let ran = recovering()
        .program
        .run(&["jobs", "show", "nightly"])
        .await
        .exits(0);
    // How long it has taken by now depends on today.
    let mut lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(
        lines[0].starts_with("○ pending Recovering · ")
            && lines[0].ends_with(" · attempt 3 · 9 turns · $0.20 · agent reviewer"),
        "{}",
        lines[0]
    );
    lines[0] = "○ pending Recovering";
    golden::agrees(
        "tests/cli/golden/show-recovering.txt",
        &(lines.join("\n") + "\n"),
    );
}

#[tokio::test]
async fn a_paused_job_says_how_it_goes_on() {
    let cluster = recovering();
    let change = |reason: &str, phase: &str, spec: Value, outcome: Value| {
        cluster.change(|world| {
            let mut job = world.jobs["nightly"].clone();
            job["status"]["reason"] = reason.into();
            job["status"]["phase"] = phase.into();
            job["status"]["attempts"][2]["outcome"] = outcome;
            job["status"]["attempts"][2]["ended"] = "2026-01-02T14:02:10Z".into();
            json_patch::merge(&mut job["spec"], &spec);
            world.put(job);
        });
    };
    for (reason, phase, spec, words) in [
        (
            "Suspending",
            "running",
            json!({"suspend": true}),
            &[
                "waits     for the agent's end in pod nightly-3 on node-2, then it is suspended\n",
                "next: follow: herdctl jobs logs -f nightly · stop: herdctl jobs cancel nightly\n",
            ][..],
        ),
        (
            "Suspended",
            "pending",
            json!({}),
            &["waits     for the end of pod nightly-3 on node-2, and then to be resumed\n"],
        ),
        (
            "Suspended",
            "pending",
            json!({}),
            &[
                "waits     to be resumed, paused since 2026-01-02 14:02:10\n",
                "next: continue: herdctl jobs resume nightly · output so far: herdctl jobs logs nightly · stop: herdctl jobs cancel nightly\n",
            ],
        ),
        (
            "Suspended",
            "pending",
            json!({"suspend": false}),
            &["waits     for its next attempt: it has been resumed\n"],
        ),
        (
            "Cancelling",
            "running",
            json!({"cancel": true}),
            &[
                "waits     for the agent's end in pod nightly-3 on node-2\n",
                "next: follow: herdctl jobs logs -f nightly\n",
            ],
        ),
        (
            "Recovering",
            "pending",
            json!({}),
            &["waits     for its next attempt; 2 of at most 5 attempts lost\n"],
        ),
        (
            "AgentDeleted",
            "cancelled",
            json!({}),
            &[
                "⊘ cancelled AgentDeleted · ",
                "there is no Agent reviewer: apply it first (kubectl apply -f FILE), then: herdctl jobs resume nightly\n",
            ],
        ),
    ] {
        let outcome = match words[0].contains("the end of pod") {
            true => Value::Null,
            false if reason == "Recovering" => "NodeLost".into(),
            false => "Suspended".into(),
        };
        change(reason, phase, spec, outcome);
        let ran = cluster
            .program
            .run(&["jobs", "show", "nightly"])
            .await
            .exits(0);
        ran.prints(words);
    }
}

fn answered(text: &str) -> Cluster {
    let stream = json!({"type": "result", "subtype": "success", "is_error": false, "result": text, "num_turns": 1});
    let (segment, verdict) = translate(format!("{stream}\n").as_bytes(), 0);
    let bytes = close(segment, &verdict);
    let cluster = Cluster::start();
    cluster.job("j", 60, status_of(&bytes, &verdict));
    cluster.record("j", &bytes, true);
    cluster
}

#[tokio::test]
async fn a_short_answer_needs_no_store() {
    let cluster = answered("All good.");
    cluster.fail("output-v1", 9, 503, "service unavailable");
    let ran = cluster.program.run(&["jobs", "result", "j"]).await.exits(0);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("All good.\n", "")
    );
}

#[tokio::test]
async fn a_long_answer_is_whole() {
    let long = "word ".repeat(2_000);
    let cluster = answered(&long);
    assert_eq!(
        cluster.look().jobs["j"]["status"]["result"]["truncated"],
        true
    );
    let ran = cluster.program.run(&["jobs", "result", "j"]).await.exits(0);
    assert_eq!(ran.stdout.trim_end(), long.trim_end());
}

#[tokio::test]
async fn half_an_answer_is_no_success() {
    let cluster = answered(&"word ".repeat(2_000));
    cluster.fail("output-v1", 9, 503, "service unavailable");
    let ran = cluster.program.run(&["jobs", "result", "j"]).await.exits(1);
    ran.prints(&["word word"]).says(&[
        "only the beginning of the answer",
        "the output gateway does not answer",
    ]);
}

#[tokio::test]
async fn a_job_without_an_answer_says_why() {
    let ran = failed()
        .program
        .run(&["jobs", "result", "nightly"])
        .await
        .exits(1);
    assert_eq!(ran.stdout, "");
    ran.says(&[
        "error: nightly gave no answer: failed",
        "because: ",
        "jobs logs nightly",
    ]);
}

#[tokio::test]
async fn a_job_that_goes_on_has_no_answer_yet() {
    let cluster = Cluster::start();
    cluster.job(
        "j",
        60,
        json!({"phase": "running", "startedAt": "2026-01-02T12:00:00Z"}),
    );
    let ran = cluster.program.run(&["jobs", "result", "j"]).await.exits(1);
    ran.says(&["error: j has no result yet: running for ", "jobs logs -f j"]);
}
