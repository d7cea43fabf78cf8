//! `jobs resume`.

use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, NAMESPACE, minted},
    record::{close, segment, status_of},
};

/// A Job `a` with this status and what is added to its spec; its agent is there.
fn with(status: Value, spec: Value) -> Cluster {
    let cluster = Cluster::start();
    cluster.agent("reviewer");
    cluster.job("a", 60, status.clone());
    cluster.change(|world| {
        let mut job = world.jobs["a"].clone();
        json_patch::merge(&mut job["spec"], &spec);
        world.put(job);
    });
    cluster
}

fn suspended() -> Cluster {
    with(
        json!({"phase": "pending", "reason": "Suspended", "sessionId": "4be1"}),
        json!({"suspend": true}),
    )
}

/// One that has ended, with its record.
fn ended() -> Cluster {
    let (segment, verdict) = segment("success");
    let bytes = close(segment, &verdict);
    let mut status = status_of(&bytes, &verdict);
    status["sessionId"] = "4be1".into();
    let cluster = with(
        status,
        json!({"prompt": "Look", "model": "sonnet", "timeout": "5m", "outputSchema": "{}"}),
    );
    cluster.record("a", &bytes, true);
    cluster
}

fn new_job(cluster: &Cluster) -> Value {
    let world = cluster.look();
    assert_eq!(world.jobs.len(), 2);
    world
        .jobs
        .values()
        .find(|job| job["metadata"]["name"] != "a")
        .unwrap()
        .clone()
}

#[tokio::test]
async fn a_suspended_job_goes_on_by_one_change() {
    let cluster = suspended();
    let ran = cluster.program.run(&["jobs", "resume", "a"]).await.exits(0);
    assert_eq!(ran.stdout, "a\n");
    ran.says(&["a continues\n", "follow: herdctl jobs logs -f a"]);
    let patches = cluster.look().patches.clone();
    assert_eq!(patches, [json!({"suspend": false, "resumePrompt": null})]);
}

#[tokio::test]
async fn a_prompt_goes_with_that_change() {
    let cluster = suspended();
    let arguments = ["jobs", "resume", "a", "--prompt", "-", "-o", "json"];
    let ran = cluster
        .program
        .run_with(&arguments, b"Skip it")
        .await
        .exits(0);
    let job: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        job["spec"],
        json!({"agent": "reviewer", "suspend": false, "resumePrompt": "Skip it"})
    );
    assert_eq!((ran.stderr.as_str(), cluster.count("PATCH")), ("", 1));
}

#[tokio::test]
async fn a_pause_that_has_not_begun_is_taken_back() {
    let cluster = with(
        json!({"phase": "running", "reason": "Suspending"}),
        json!({"suspend": true}),
    );
    cluster.program.run(&["jobs", "resume", "a"]).await.exits(0);
    assert_eq!(cluster.look().jobs["a"]["spec"]["suspend"], false);
}

#[tokio::test]
async fn a_prompt_waits_until_the_job_is_suspended() {
    // Also the prompt of an earlier resumption would have to change.
    for (spec, arguments) in [
        (
            json!({"suspend": true}),
            &["jobs", "resume", "a", "-p", "Go"][..],
        ),
        (
            json!({"suspend": true, "resumePrompt": "old"}),
            &["jobs", "resume", "a"],
        ),
    ] {
        let cluster = with(json!({"phase": "running", "reason": "Suspending"}), spec);
        let ran = cluster.program.run(arguments).await.exits(1);
        ran.says(&[
            "error: a can't be resumed: it is not suspended yet",
            "next: wait until it is: herdctl jobs pause a --wait",
        ]);
        assert_eq!(cluster.count("PATCH"), 0);
    }
}

#[tokio::test]
async fn a_second_resumption_changes_nothing() {
    let cluster = suspended();
    cluster.program.run(&["jobs", "resume", "a"]).await.exits(0);
    let ran = cluster.program.run(&["jobs", "resume", "a"]).await.exits(0);
    ran.says(&["a was resumed before, and continues"]);
    let ran = cluster
        .program
        .run(&["jobs", "resume", "a", "-p", "Go"])
        .await
        .exits(1);
    ran.says(&["error: a can't be resumed: it was resumed before, without this prompt"]);
    assert_eq!(cluster.count("PATCH"), 1);
}

#[tokio::test]
async fn of_two_who_resume_at_once_one_prompt_counts_and_the_other_is_told() {
    let cluster = suspended();
    cluster.change(|world| {
        let status = world.jobs["a"]["status"].clone();
        let theirs = json!({"suspend": false, "resumePrompt": "theirs"});
        world.change_before_patch.push_back((status, theirs));
    });
    let ran = cluster
        .program
        .run(&["jobs", "resume", "a", "-p", "ours"])
        .await
        .exits(1);
    ran.says(&["it was resumed before, without this prompt"]);
    assert_eq!(cluster.look().jobs["a"]["spec"]["resumePrompt"], "theirs");
}

#[tokio::test]
async fn what_can_not_be_resumed_says_why_and_what_else_to_do() {
    let running = json!({"phase": "running", "startedAt": "2026-01-02T12:00:00Z"});
    for (status, spec, words) in [
        (
            running.clone(),
            json!({}),
            &[
                "error: a can't be resumed: it is not paused (running for ",
                "next: follow it: herdctl jobs logs -f a",
                "next: pause it first: herdctl jobs pause a --wait",
            ][..],
        ),
        (
            json!({"phase": "pending", "reason": "Recovering"}),
            json!({}),
            &["error: a can't be resumed: it is not paused (pending for "],
        ),
        (
            running,
            json!({"cancel": true, "suspend": true}),
            &[
                "error: a can't be resumed: it was asked to stop",
                "herdctl jobs cancel a --wait",
            ],
        ),
        (
            json!({"phase": "failed", "exitReason": "timeout", "reason": "StartTimedOut", "sessionId": "4be1"}),
            json!({}),
            &[
                "error: a can't be resumed: its agent never ran, so there is no session",
                "next: start a new one: herdctl run reviewer --prompt TEXT",
            ],
        ),
        (
            json!({"phase": "failed", "exitReason": "error", "startedAt": "2026-01-02T12:00:00Z", "sessionId": "4be1"}),
            json!({}),
            &["error: a can't be resumed: its output was deleted, and the session with it"],
        ),
    ] {
        let cluster = with(status, spec);
        let ran = cluster.program.run(&["jobs", "resume", "a"]).await.exits(1);
        assert_eq!(ran.stdout, "");
        ran.says(words);
        assert_eq!(
            cluster.count("PATCH") + cluster.count("POST /apis/herdctl.dev"),
            0
        );
    }
    let ran = ended()
        .program
        .run(&["jobs", "resume", "aa"])
        .await
        .exits(1);
    ran.says(&["error: no job aa in namespace team-a; nearest: a (completed "]);
}

#[tokio::test]
async fn what_never_began_a_session_is_not_resumed_nor_advised_to_be() {
    let (started, verdict) = segment("badflag");
    let bytes = close(started, &verdict);
    let mut status = status_of(&bytes, &verdict);
    status["sessionId"] = "4be1".into();
    let cluster = with(status.clone(), json!({}));
    cluster.record("a", &bytes, true);
    let ran = cluster.program.run(&["jobs", "resume", "a"]).await.exits(1);
    ran.says(&[
        "error: a can't be resumed: its agent ended before it began a session, so there is no session",
        "next: start a new one: herdctl run reviewer --prompt TEXT\n",
    ]);
    assert_eq!(cluster.count("POST /apis/herdctl.dev"), 0);
    let ran = cluster.program.run(&["jobs", "show", "a"]).await.exits(0);
    assert!(!ran.stdout.contains("jobs resume"), "{ran:#?}");
    // One that was to continue a session of before has that one still.
    status["resumedFrom"] = json!({"job": "b", "uid": "u"});
    cluster.job("a", 60, status);
    cluster.program.run(&["jobs", "resume", "a"]).await.exits(0);
}

#[tokio::test]
async fn without_session_and_agent_the_agent_comes_first() {
    let cluster = with(
        json!({"phase": "failed", "exitReason": "timeout", "reason": "StartTimedOut"}),
        json!({"agent": "nosuch"}),
    );
    let ran = cluster.program.run(&["jobs", "resume", "a"]).await.exits(1);
    ran.says(&[
        "its agent never ran, so there is no session",
        "next: there is no Agent nosuch: apply it first (kubectl apply -f FILE), then: herdctl run nosuch --prompt TEXT\n",
    ]);
}

#[tokio::test]
async fn the_session_of_an_ended_job_goes_on_in_one_new_job() {
    let cluster = ended();
    let ran = cluster
        .program
        .run(&["jobs", "resume", "a", "--prompt", "And now?"])
        .await
        .exits(0);
    let job = new_job(&cluster);
    let name = job["metadata"]["name"].as_str().unwrap();
    assert_eq!(ran.stdout, format!("{name}\n"));
    assert!(name.starts_with("job-") && name.len() == 40, "{name}");
    assert_eq!(job["metadata"]["finalizers"], json!(["herdctl.dev/record"]));
    assert_eq!(
        job["spec"],
        json!({"agent": "reviewer", "resume": {"job": "a"}, "prompt": "And now?", "model": "sonnet",
            "timeout": "5m", "outputSchema": "{}"})
    );
    ran.says(&[
        "continues session 4be1 of a, <$0.01 spent before",
        "follow: herdctl jobs logs -f ",
    ]);
    assert_eq!(
        (
            cluster.count("POST /apis/herdctl.dev"),
            cluster.count("PATCH")
        ),
        (1, 0)
    );
}

#[tokio::test]
async fn a_session_goes_on_with_an_agent_that_was_created_again_and_that_is_told() {
    let cluster = ended();
    cluster.change(|world| {
        let agent = world.agents.get_mut("reviewer").unwrap();
        agent["metadata"]["uid"] = json!("new");
    });
    let ran = cluster
        .program
        .run(&["jobs", "resume", "a", "-p", "x"])
        .await;
    ran.exits(0)
        .says(&["reviewer was created again since a ran"]);
    let made = new_job(&cluster);
    assert_eq!(
        made["spec"]["resume"],
        json!({"job": "a", "acrossAgents": true})
    );
}

#[tokio::test]
async fn what_a_session_cost_is_the_sum_over_all_jobs_that_worked_on_it() {
    let cluster = ended();
    // The first of the session, the one that continued it, and a: the last.
    let earlier = |name: &str, dollars: f64, from: Value| {
        let progress = json!({"turns": 1, "costUSD": dollars, "inputTokens": 1, "outputTokens": 1});
        cluster.job(
            name,
            60,
            json!({"phase": "completed", "progress": progress, "resumedFrom": from}),
        );
        cluster.look().jobs[name]["metadata"]["uid"].clone()
    };
    let first = earlier("first", 1.0, Value::Null);
    let second = earlier("second", 0.2, json!({"job": "first", "uid": first}));
    cluster.change(|world| {
        let mut job = world.jobs["a"].clone();
        job["status"]["progress"]["costUSD"] = 0.03.into();
        job["status"]["resumedFrom"] = json!({"job": "second", "uid": second});
        world.put(job);
    });
    let resume = ["jobs", "resume", "a"];
    let ran = cluster.program.run(&resume).await.exits(0);
    ran.says(&["continues session 4be1 of a, $1.23 spent before\n"]);
    // Another Job that has the first one's name by now is not asked.
    cluster.change(|world| {
        let mut job = world.jobs["first"].clone();
        job["metadata"]["uid"] = "another".into();
        world.put(job);
    });
    let ran = cluster.program.run(&resume).await.exits(0);
    ran.says(&["continues session 4be1 of a, at least $0.23 spent before\n"]);
}

#[tokio::test]
async fn without_a_prompt_the_agent_is_told_to_go_on() {
    let cluster = ended();
    let ran = cluster
        .program
        .run(&["jobs", "resume", "a", "-o", "name"])
        .await
        .exits(0);
    let job = new_job(&cluster);
    assert_eq!(job["spec"]["prompt"], "Continue from where you left off.");
    let name = job["metadata"]["name"].as_str().unwrap();
    assert_eq!(
        (ran.stdout, ran.stderr),
        (format!("job.herdctl.dev/{name}\n"), String::new())
    );
}

#[tokio::test]
async fn a_new_job_whose_answer_was_lost_is_found_and_not_made_again() {
    let cluster = ended();
    cluster.change(|world| world.lost = 1);
    let ran = cluster.program.run(&["jobs", "resume", "a"]).await.exits(0);
    assert_eq!(ran.stdout.trim_end(), new_job(&cluster)["metadata"]["name"]);
    assert_eq!(cluster.count("POST /apis/herdctl.dev"), 1);
}

#[tokio::test]
async fn an_agent_that_is_gone_is_told_before_anything_is_made() {
    let cluster = ended();
    cluster.change(|world| world.agents.clear());
    let ran = cluster.program.run(&["jobs", "resume", "a"]).await.exits(1);
    ran.says(&["error: no agent reviewer in namespace team-a"]);
    assert_eq!(cluster.count("POST /apis/herdctl.dev"), 0);
}

#[tokio::test]
async fn a_store_that_is_away_does_not_keep_from_resuming() {
    let cluster = ended();
    cluster.fail("joboutputs", 9, 503, "service unavailable");
    cluster.program.run(&["jobs", "resume", "a"]).await.exits(0);
    assert_eq!(cluster.count("POST /apis/herdctl.dev"), 1);
}

#[tokio::test]
async fn following_shows_what_comes_and_carries_the_outcome() {
    let cluster = suspended();
    cluster.change(|world| {
        let mut job = world.jobs["a"].clone();
        job["status"]["message"] = "paused by spec.suspend".into();
        world.put(job);
    });
    let (before, _) = segment("sigterm_bash");
    cluster.record("a", &before, false);
    let resume = cluster.program.start(&["jobs", "resume", "a", "-f"]);
    cluster
        .until("resumed", |world| world.patches.len() == 1)
        .await;
    let (after, verdict) = segment("max_turns_2");
    let bytes = close([before.clone(), after].concat(), &verdict);
    cluster.append("a", &bytes[before.len()..], true);
    let ran = resume.rest().await.exits(3);
    assert!(!ran.stdout.contains("sleep 317"), "{}", ran.stdout);
    assert!(!ran.stderr.contains("paused by"), "{}", ran.stderr);
    ran.prints(&["a failed error MaxTurns"])
        .says(&["a continues"]);
}

#[tokio::test]
async fn bad_arguments_are_told_before_anything_is_changed() {
    let cluster = suspended();
    for (arguments, words) in [
        (
            &["jobs", "resume", "a", "-p", " "][..],
            "leave --prompt out to send a note to continue",
        ),
        (
            &["jobs", "resume", "a", "-p", "@/nowhere"],
            "can't read the prompt from the file \"/nowhere\"",
        ),
        (&["jobs", "resume", "a", "b"], "unexpected argument"),
        (
            &["jobs", "resume", "a", "-f", "-o", "json"],
            "cannot be used with",
        ),
        (&["jobs", "resume"], "required"),
    ] {
        cluster.program.run(arguments).await.exits(2).says(&[words]);
    }
    assert_eq!(cluster.look().requests, [""; 0]);
}

#[tokio::test]
async fn a_short_id_is_enough() {
    let cluster = suspended();
    cluster.change(|world| {
        let mut job = world.jobs["a"].clone();
        world.delete("a");
        job["metadata"]["name"] = minted("7f3c0a1b").into();
        job["metadata"]["namespace"] = NAMESPACE.into();
        world.put(job);
    });
    let ran = cluster
        .program
        .run(&["jobs", "resume", "7f3"])
        .await
        .exits(0);
    ran.says(&["7f3c0a1b continues", "stop: herdctl jobs cancel 7f3c0a1b"]);
}
