//! `run`.

use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, World},
    golden,
    record::{close, segment, status_of},
};

fn with_agent() -> Cluster {
    let cluster = Cluster::start();
    cluster.agent("reviewer");
    cluster
}

fn only_job(world: &World) -> Value {
    assert_eq!(world.jobs.len(), 1);
    world.jobs.values().next().unwrap().clone()
}

#[tokio::test]
async fn a_job_is_minted_with_our_finalizer() {
    let cluster = with_agent();
    let arguments = [
        "run",
        "reviewer",
        "-p",
        "Look",
        "--model",
        "sonnet",
        "--timeout",
        "30m",
    ];
    let ran = cluster.program.run(&arguments).await.exits(0);
    let job = only_job(&cluster.look());
    let name = job["metadata"]["name"].as_str().unwrap();
    assert_eq!(ran.stdout, format!("{name}\n"));
    assert!(name.starts_with("job-") && name.len() == 40, "{name}");
    assert_eq!(job["metadata"]["finalizers"], json!(["herdctl.dev/record"]));
    assert_eq!(
        job["spec"],
        json!({"agent": "reviewer", "prompt": "Look", "model": "sonnet", "timeout": "30m"})
    );
    ran.says(&[
        "follow: herdctl jobs logs -f ",
        "stop: herdctl jobs cancel ",
    ]);
}

#[tokio::test]
async fn prompts_come_from_files_and_standard_input_too() {
    let cluster = with_agent();
    let file = cluster.program.home().join("task.md");
    std::fs::write(&file, "from a file\n").unwrap();
    let at = format!("@{}", file.display());
    cluster
        .program
        .run(&["run", "reviewer", "-p", &at, "--name", "a"])
        .await
        .exits(0);
    cluster
        .program
        .run_with(
            &["run", "reviewer", "-p", "-", "--name", "b"],
            "ä\n".as_bytes(),
        )
        .await
        .exits(0);
    let world = cluster.look();
    assert_eq!(world.jobs["a"]["spec"]["prompt"], "from a file\n");
    assert_eq!(world.jobs["b"]["spec"]["prompt"], "ä\n");
}

#[tokio::test]
async fn bad_arguments_are_told_before_anything_is_made() {
    let cluster = with_agent();
    for (arguments, words) in [
        (
            &["run", "reviewer", "-p", " "][..],
            "the prompt of --prompt is empty",
        ),
        (
            &["run", "reviewer", "-p", ""],
            "next: give one: --prompt TEXT, --prompt @FILE or --prompt -\n",
        ),
        (
            &["run", "reviewer", "--timeout", "0s"],
            "0s is no time: it must be more than 0",
        ),
        (
            &["run", "reviewer", "-p", "@/nowhere"],
            "can't read the prompt from the file \"/nowhere\"",
        ),
        (
            &["run", "reviewer", "--timeout", "soon"],
            "is not a duration like 90s or 1h30m",
        ),
        (&["run", "Reviewer"], "is not a valid name"),
        (
            &["run", "reviewer", "--name", &"a".repeat(53)],
            "at most 52 lower-case letters",
        ),
        (
            &["run", "reviewer", "-f", "-o", "json"],
            "cannot be used with",
        ),
        (&["run"], "required"),
    ] {
        cluster.program.run(arguments).await.exits(2).says(&[words]);
    }
    let long = vec![b'x'; 98_305];
    let ran = cluster
        .program
        .run_with(&["run", "reviewer", "-p", "-"], &long)
        .await
        .exits(2);
    ran.says(&["the prompt from standard input has 98305 bytes; at most 98304 are possible"]);
    assert_eq!(cluster.count("POST /apis/herdctl.dev"), 0);
}

#[tokio::test]
async fn a_prompt_may_begin_with_an_at_sign() {
    let cluster = with_agent();
    let prompt = ["run", "reviewer", "--name", "a", "-p", "@@team please"];
    cluster.program.run(&prompt).await.exits(0);
    assert_eq!(cluster.look().jobs["a"]["spec"]["prompt"], "@team please");
    let ran = cluster
        .program
        .run(&["run", "reviewer", "-p", "@team please"])
        .await
        .exits(2);
    ran.says(&[
        "error: can't read the prompt from the file \"team please\"",
        "because: No such file",
        "next: --prompt @FILE reads a file; a prompt that itself begins with @ is written with @@",
    ]);
}

#[tokio::test]
async fn a_prompt_that_may_be_a_command_of_the_cli_is_warned_of() {
    let cluster = with_agent();
    let warning = "begins with /: Claude Code may run it as a command of its own";
    for (prompt, warned) in [("/clear", true), (" /clear", false), ("see /etc", false)] {
        let ran = cluster
            .program
            .run(&["run", "reviewer", "-p", prompt])
            .await
            .exits(0);
        assert_eq!(ran.stderr.contains(warning), warned, "{prompt}: {ran:#?}");
    }
    cluster.change(|world| {
        world.agents.get_mut("reviewer").unwrap()["spec"]["prompt"] = "/cost".into()
    });
    let ran = cluster.program.run(&["run", "reviewer"]).await.exits(0);
    ran.says(&[
        "the Agent's prompt begins with /",
        "put a space before the /",
    ]);
}

#[tokio::test]
async fn an_agent_may_be_named_as_kubectl_prints_it() {
    let cluster = with_agent();
    cluster
        .program
        .run(&["run", "agent.herdctl.dev/reviewer", "-p", "x"])
        .await
        .exits(0);
    assert_eq!(only_job(&cluster.look())["spec"]["agent"], "reviewer");
}

#[tokio::test]
async fn an_agent_without_a_prompt_wants_one() {
    let cluster = with_agent();
    cluster.change(|world| world.agents.get_mut("reviewer").unwrap()["spec"] = json!({}));
    let ran = cluster.program.run(&["run", "reviewer"]).await.exits(2);
    ran.says(&[
        "error: agent reviewer has no prompt of its own",
        "--prompt @FILE",
    ]);
    assert_eq!(cluster.count("POST /apis/herdctl.dev"), 0);
    cluster
        .program
        .run(&["run", "reviewer", "-p", "Look"])
        .await
        .exits(0);
}

#[tokio::test]
async fn a_mistyped_agent_names_the_nearest() {
    let cluster = with_agent();
    let ran = cluster.program.run(&["run", "reviwer"]).await.exits(1);
    ran.says(&["error: no agent reviwer in namespace team-a; nearest: reviewer"]);
    assert_eq!(cluster.count("POST /apis/herdctl.dev"), 0);
}

#[tokio::test]
async fn a_dry_run_makes_nothing() {
    let cluster = with_agent();
    let arguments = [
        "run",
        "reviewer",
        "-p",
        "Look",
        "--name",
        "x",
        "--dry-run=client",
        "-o",
        "yaml",
    ];
    let ran = cluster.program.run(&arguments).await.exits(0);
    golden::agrees("tests/cli/golden/run-dry.yaml", &ran.stdout);
    assert_eq!(cluster.look().requests, [""; 0]);
    let ran = cluster
        .program
        .run(&[
            "run",
            "reviewer",
            "--name",
            "x",
            "--dry-run=server",
            "-o",
            "name",
        ])
        .await
        .exits(0);
    assert_eq!(ran.stdout, "job.herdctl.dev/x\n");
    assert_eq!(
        (cluster.count("dryRun=All"), cluster.look().jobs.len()),
        (1, 0)
    );
}

#[tokio::test]
async fn a_dry_run_does_not_pass_for_a_real_one() {
    let cluster = with_agent();
    for (place, words) in [("client", "dry run"), ("server", "server dry run")] {
        let dry = format!("--dry-run={place}");
        let arguments = ["run", "reviewer", "-p", "Look", "--name", "x", &dry];
        let ran = cluster.program.run(&arguments).await.exits(0);
        assert_eq!(ran.stdout, format!("job.herdctl.dev/x created ({words})\n"));
    }
    let nobody = ["run", "reviwer", "-p", "Look", "--dry-run=server"];
    let ran = cluster.program.run(&nobody).await.exits(1);
    assert_eq!(ran.stdout, "");
    ran.says(&["error: no agent reviwer in namespace team-a; nearest: reviewer"]);
    assert_eq!(cluster.look().jobs.len(), 0);
}

/// The Job goes through its stages, and its output comes.
async fn goes(cluster: &Cluster, capture: &str) {
    cluster
        .until("the Job was made", |world| world.jobs.contains_key("x"))
        .await;
    let set = |status: Value| {
        cluster.change(|world| {
            let mut job = world.jobs["x"].clone();
            job["status"] = status;
            world.put(job);
        });
    };
    let told = |what: &'static str| {
        cluster.until(what, move |world| {
            world
                .requests
                .iter()
                .any(|request| request.contains("watch=true"))
        })
    };
    told("the Job is watched").await;
    set(json!({"phase": "pending", "reason": "ImagePull"}));
    let attempts =
        json!([{"number": 1, "pod": "x-1", "node": "node-2", "intended": "2026-01-02T12:00:00Z"}]);
    set(json!({"phase": "running", "reason": "Working", "attempts": attempts}));
    let (segment, verdict) = segment(capture);
    let bytes = close(segment, &verdict);
    cluster.record("x", &bytes, true);
    set(status_of(&bytes, &verdict));
}

#[tokio::test]
async fn following_carries_the_outcome() {
    for (capture, code) in [("success", 0), ("max_turns_2", 3)] {
        let cluster = with_agent();
        let run = cluster
            .program
            .start(&["run", "reviewer", "--name", "x", "-f"]);
        goes(&cluster, capture).await;
        let ran = run
            .rest()
            .await
            .exits(code)
            .says(&["read again: herdctl jobs logs x"]);
        let last = ran.stdout.lines().last().unwrap();
        assert!(
            last.contains("x completed success") || last.contains("x failed error MaxTurns"),
            "{last}"
        );
    }
}

#[tokio::test]
async fn a_timeout_and_a_cancel_have_codes_of_their_own() {
    for (status, exit_reason, code) in [("failed", "timeout", 4), ("cancelled", "manual_cancel", 5)]
    {
        let cluster = with_agent();
        let line = json!({"type": "complete", "timestamp": "2026-01-02T12:05:02.000Z", "seq": 1,
            "status": status, "exitReason": exit_reason, "sha256": "0"});
        cluster.record("x", format!("{line}\n").as_bytes(), true);
        cluster
            .program
            .run(&["run", "reviewer", "--name", "x", "-f"])
            .await
            .exits(code);
    }
}

#[tokio::test]
async fn stages_before_the_first_line_are_told_on_standard_error() {
    let cluster = with_agent();
    let mut run = cluster
        .program
        .start(&["run", "reviewer", "--name", "x", "-f"]);
    cluster
        .until("the Job is watched", |world| {
            world
                .requests
                .iter()
                .any(|request| request.contains("watch=true"))
        })
        .await;
    cluster.change(|world| {
        let mut job = world.jobs["x"].clone();
        job["status"] = json!({"phase": "pending", "reason": "ConfigMissing", "message": "secret claude is not there"});
        world.put(job);
    });
    run.tells("secret claude is not there").await;
    run.interrupt();
    let ran = run.rest().await.exits(130);
    assert_eq!(ran.stdout, "");
    ran.says(&[
        "x · Ctrl-C leaves it running · stop: herdctl jobs cancel x\n",
        "pending ConfigMissing",
        "secret claude is not there",
        "x continues · follow: herdctl jobs logs -f x · stop: herdctl jobs cancel x",
    ]);
}

#[tokio::test]
async fn another_user_is_impersonated() {
    let cluster = with_agent();
    cluster
        .program
        .run(&["--as", "jane", "run", "reviewer"])
        .await
        .exits(0);
    assert!(
        cluster.count("as jane") > 0,
        "{:?}",
        cluster.look().requests
    );
}

#[tokio::test]
async fn a_job_whose_answer_was_lost_is_found_and_not_made_again() {
    let cluster = with_agent();
    cluster.change(|world| world.lost = 1);
    let ran = cluster.program.run(&["run", "reviewer"]).await.exits(0);
    let job = only_job(&cluster.look());
    assert_eq!(ran.stdout.trim_end(), job["metadata"]["name"]);
    assert_eq!(cluster.count("POST /apis/herdctl.dev"), 1);
}

#[tokio::test]
async fn a_job_that_may_have_been_made_is_to_be_looked_for_first() {
    // The name was the person's own: the Job of that name may be an older one.
    let cluster = with_agent();
    cluster.change(|world| world.lost = 1);
    let ran = cluster
        .program
        .run(&["run", "reviewer", "--name", "x"])
        .await
        .exits(1);
    ran.says(&[
        "error: it is not known whether Job x was created",
        "because: can't reach the API server",
        "next: check before you try again: herdctl jobs show x",
    ]);
    // Nobody can say.
    let cluster = with_agent();
    cluster.fail("POST /apis/herdctl.dev", 1, 504, "gateway timeout");
    cluster.fail("jobs/job-", 9, 503, "service unavailable");
    let ran = cluster.program.run(&["run", "reviewer"]).await.exits(1);
    assert!(!ran.stderr.contains("next: try again"), "{ran:#?}");
    ran.says(&["it is not known whether Job job-"]);
}

#[tokio::test]
async fn a_job_that_was_not_made_may_be_tried_again() {
    let cluster = with_agent();
    cluster.fail("POST /apis/herdctl.dev", 1, 502, "bad gateway");
    let ran = cluster.program.run(&["run", "reviewer"]).await.exits(1);
    ran.says(&[
        "error: failed to create jobs.herdctl.dev",
        "next: try again",
    ]);
}
