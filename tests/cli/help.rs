//! The help is what the reference says, under both names.

use std::os::unix::fs::symlink;

use crate::{cluster::NAMESPACE, golden, program::Program};

const VERBS: [&[&str]; 12] = [
    &[],
    &["run"],
    &["jobs"],
    &["jobs", "list"],
    &["jobs", "show"],
    &["jobs", "logs"],
    &["jobs", "cancel"],
    &["jobs", "pause"],
    &["jobs", "resume"],
    &["jobs", "result"],
    &["jobs", "verify"],
    &["doctor"],
];

const HEAD: &str = "# herdctl, command by command

This is the text of `--help`; a test keeps the two equal (`GOLDEN=write cargo test --test cli`). As a plugin
of kubectl the same program is `kubectl herd`: put it on your PATH as `kubectl-herd`, a link is enough.

Data goes to standard output, messages for you to standard error. Without a terminal there is no colour and
no question. Dates are in your own time zone. Cluster, namespace, login and proxy are found as kubectl finds
them: [how herdctl connects](connecting.md).

## How to name a Job

By its name, also as kubectl writes it: `hj/NAME`, `job.herdctl.dev/NAME`. For names that `herdctl` generated,
any unique prefix of the UUID works, with or without `job-`.

`@last` is the most recent Job of the namespace, `@last:AGENT` the most recent one of that Agent. Kubernetes
keeps only the second in which an object was created; within a second, the annotation
`herdctl.dev/created-at` decides, which `herdctl run` and `herdctl jobs resume` set. If it can't be decided,
because a Job has no such annotation or several users created the Jobs, the command fails and lists them.

The commands that change a Job (`cancel`, `pause`, `resume`) accept `@last` only if you created that Job with
`herdctl`: somebody else may have created a newer one since you looked. They compare the user as whom the
cluster knows you with the annotation `herdctl.dev/created-by`. If several people share one user, or a script
starts Jobs side by side, use the name that `herdctl run` prints.
";

#[tokio::test]
async fn the_reference_is_the_help() {
    let program = Program::new("http://127.0.0.1:1", NAMESPACE);
    let mut text = HEAD.to_owned();
    for verb in VERBS {
        let ran = program.run(&[verb, &["--help"]].concat()).await.exits(0);
        let name = [&["herdctl"], verb].concat().join(" ");
        text.push_str(&format!("\n## {name}\n\n```\n{}```\n", ran.stdout));
    }
    golden::agrees("docs/herdctl.md", &text);
}

#[tokio::test]
async fn exit_codes_stand_in_the_help() {
    let program = Program::new("http://127.0.0.1:1", NAMESPACE);
    for arguments in [&["--help"][..], &["run", "--help"]] {
        let ran = program.run(arguments).await.exits(0);
        for line in [
            "    0  done",
            "    1  error",
            "    2  ",
            "    3  ",
            "    4  ",
            "    5  ",
            "  124  ",
            "  130  ",
        ] {
            assert!(
                ran.stdout.contains(line),
                "{line:?} is not in {}",
                ran.stdout
            );
        }
    }
}

#[tokio::test]
async fn as_a_plugin_it_calls_itself_kubectl_herd() {
    let program = Program::new("http://127.0.0.1:1", NAMESPACE);
    let plugin = program.home().join("kubectl-herd");
    symlink(env!("CARGO_BIN_EXE_herdctl"), &plugin).unwrap();
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["jobs", "logs", "--help"],
    ] {
        let output = tokio::process::Command::new(&plugin)
            .args(arguments)
            .output()
            .await
            .unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.contains("Usage: kubectl herd"), "{help}");
        assert!(
            !help.contains("herdctl run") && !help.contains("herdctl jobs"),
            "{help}"
        );
    }
}

#[tokio::test]
async fn what_is_unknown_is_a_usage_error_on_standard_error() {
    let program = Program::new("http://127.0.0.1:1", NAMESPACE);
    let ran = program
        .run(&["jobs", "lgs"])
        .await
        .exits(2)
        .says(&["similar subcommand", "logs"]);
    assert_eq!(ran.stdout, "");
}

#[tokio::test]
async fn a_verb_in_the_wrong_place_names_the_right_one() {
    let program = Program::new("http://127.0.0.1:1", NAMESPACE);
    let verbs = [
        "list", "ls", "show", "logs", "cancel", "pause", "resume", "result", "verify",
    ];
    for verb in verbs {
        let ran = program.run(&[verb, "7f3c"]).await.exits(2);
        ran.says(&[&format!("did you mean: herdctl jobs {verb}\n")]);
    }
    for (typed, meant) in [
        (&["jobs", "run", "a"][..], "herdctl run\n"),
        (&["describe"], "herdctl jobs show\n"),
        (&["jobs", "stop"], "herdctl jobs cancel\n"),
        (&["jobs", "delete", "x"], "kubectl delete hj x\n"),
        (&["rm"], "kubectl delete hj NAME\n"),
        (&["agents"], "kubectl get agents\n"),
        (&["agents", "list"], "kubectl get agents\n"),
        (&["version"], "herdctl --version\n"),
    ] {
        let ran = program.run(typed).await.exits(2);
        ran.says(&[&format!("did you mean: {meant}")]);
    }
}

#[tokio::test]
async fn a_word_or_flag_too_much_gets_a_tip_that_works() {
    let program = Program::new("http://127.0.0.1:1", NAMESPACE);
    for (typed, tip) in [
        (
            &["run", "scout", "hi"][..],
            "tip: a prompt is given as: --prompt 'hi'\n",
        ),
        (
            &["-n", "jobs", "run", "scout", "hi", "it's me", "-f"],
            r"--prompt 'hi it'\''s me'",
        ),
        (
            &["run", "scout", "-p", "Review", "it"],
            "tip: put a prompt of several words in quotes: --prompt 'Review it'\n",
        ),
        (&["jobs", "resume", "a", "hi"], "--prompt 'hi'\n"),
        (
            &["jobs", "list", "first"],
            "tip: to see one Job: herdctl jobs show first\n",
        ),
        (
            &["run", "scout", "--dry-run"],
            "tip: write --dry-run=client or --dry-run=server\n",
        ),
        (
            &["jobs", "resume", "a", "--name", "x"],
            "tip: --name is only a flag of herdctl run\n",
        ),
        (
            &["jobs", "logs", "a", "-p"],
            "tip: -p is only a flag of herdctl run and herdctl jobs resume\n",
        ),
        (
            &["jobs", "logs", "a", "--since", "-1h"],
            "tip: a value of '--since <TIME>' does not begin with a dash\n",
        ),
        (
            &["jobs", "logs", "a", "--tail", "-1"],
            "'--tail <N>': expected a number of lines, for example 20\n",
        ),
        (
            &["jobs", "logs", "team-a/hello"],
            "a namespace is given with -n: -n team-a hello\n",
        ),
    ] {
        let ran = program.run(typed).await.exits(2).says(&[tip]);
        for wrong in ["-- -", "'--namespace'", "--namespace <NAME> <ID>"] {
            assert!(!ran.stderr.contains(wrong), "{typed:?}: {ran:#?}");
        }
    }
}

#[tokio::test]
async fn the_help_says_whose_exit_code_tells_the_outcome() {
    let program = Program::new("http://127.0.0.1:1", NAMESPACE);
    let ran = program.run(&["--help"]).await.exits(0);
    ran.prints(&[
        "  3  run and jobs resume with --follow: the Job failed\n",
        "124  jobs cancel and jobs pause with --wait: not done in time",
    ]);
    let ran = program.run(&["jobs", "logs", "--help"]).await.exits(0);
    ran.prints(&["also with --follow it is 0 for a\nJob that failed"]);
}
