//! The help is what the reference says, under both names.

use std::os::unix::fs::symlink;

use crate::{cluster::NAMESPACE, golden, program::Program};

const VERBS: [&[&str]; 11] = [
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
];

const HEAD: &str = "# herdctl, command by command

This is the text of `--help`; a test keeps the two equal (`GOLDEN=write cargo test --test cli`). As a plugin
of kubectl the same program is `kubectl herd`: put it on your PATH as `kubectl-herd`, a link is enough.

What is data goes to standard output, what is for you to standard error. Without a terminal there is no
colour and no question. Ids may be cut short and dates are your own: see each command.
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
