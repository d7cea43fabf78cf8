//! The start: what the CLI is given, and what happens when it can't be started.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::Signal;
use serde_json::json;

use crate::pod::{Pod, Start, Stream, wait_for};

#[test]
fn a_long_prompt_arrives_whole() {
    let prompt = "ü".repeat(98_304 / 2);
    let pod = Pod::new().with("prompt", prompt.clone());
    pod.exec(Start::First, "cat > prompt").end();
    assert_eq!(pod.written("prompt").unwrap(), prompt);
    assert_eq!(pod.notes("prompt"), [json!({ "text": prompt })]);
}

#[test]
fn a_prompt_that_nobody_reads_holds_nothing_up() {
    let pod = Pod::new().with("prompt", "x".repeat(98_304));
    pod.exec(Start::First, "exit 4").end();
    assert_eq!(pod.verdict()["exit"]["code"], 4);
}

#[test]
fn the_cli_starts_in_its_workspace_and_in_its_own_process_group() {
    let pod = Pod::new();
    pod.exec(Start::First, "pwd; cut -d' ' -f1,5 /proc/$$/stat")
        .end();
    let lines = pod.lines(Stream::Stdout);
    assert_eq!(
        Path::new(&lines[0]),
        pod.path("work").canonicalize().unwrap()
    );
    let (pid, group) = lines[1].split_once(' ').unwrap();
    assert_eq!(pid, group);
}

/// The signals that a program can know of; the C library keeps two more to itself.
const SIGNALS: u64 = 0x7fff_ffff;

#[test]
fn the_cli_inherits_no_signal_setting_of_ours() {
    let pod = Pod::new();
    pod.exec(Start::First, "exec cat /proc/self/status").end();
    let lines = pod.lines(Stream::Stdout);
    for name in ["SigBlk:\t", "SigIgn:\t"] {
        let set = lines
            .iter()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        assert_eq!(
            u64::from_str_radix(set, 16).unwrap() & SIGNALS,
            0,
            "{name}{set}"
        );
    }
}

#[test]
fn the_cli_inherits_no_descriptor_of_ours() {
    let pod = Pod::new();
    pod.exec(
        Start::First,
        "for descriptor in /proc/$$/fd/*; do readlink $descriptor; done",
    )
    .end();
    let targets = pod.lines(Stream::Stdout);
    assert_eq!(
        targets
            .iter()
            .filter(|target| target.starts_with("socket:"))
            .count(),
        2,
        "{targets:?}"
    );
    let ours = |target: &String| target.contains("output.jsonl") || target.contains("signalfd");
    assert!(!targets.iter().any(ours), "{targets:?}");
}

#[test]
fn an_image_without_the_cli_is_told_in_the_verdict() {
    let pod = Pod::new();
    let ended = pod
        .exec_program(Start::First, Path::new("no-such-cli"))
        .end();
    assert_eq!(ended.code, Some(1));
    let verdict = pod.verdict();
    assert!(verdict["exit"].is_null());
    let message = verdict["message"].as_str().unwrap();
    assert!(
        message.contains("the image has no `no-such-cli` on its PATH"),
        "{message}"
    );
}

#[test]
fn an_image_without_bash_or_git_is_told_once_before_the_agent_starts() {
    let folder = tempfile::tempdir().unwrap();
    let lacks = |has: &[&str], tools: serde_json::Value| {
        for program in fs::read_dir(folder.path()).unwrap() {
            fs::remove_file(program.unwrap().path()).unwrap();
        }
        for program in has {
            fs::write(folder.path().join(program), "").unwrap();
        }
        let pod = Pod::new()
            .with("tools", tools)
            .env("PATH", folder.path())
            .env("SHELL", "/bin/sh");
        // By its path: nothing else would be found.
        let ended = pod.exec(Start::Plain, "exit 0").end();
        let told = pod.notes("warning");
        for warning in &told {
            let message = warning["message"].as_str().unwrap();
            assert!(ended.stdout.contains(message), "{ended:?}");
        }
        json!(told).to_string()
    };
    let both = lacks(&[], json!({}));
    assert!(both.contains("no bash on its PATH"), "{both}");
    assert!(both.contains("no git on its PATH"), "{both}");
    assert_eq!(lacks(&["bash", "git"], json!({})), "[]");
    assert_eq!(lacks(&["zsh", "git"], json!({})), "[]");
    // Without the tool nothing is missing.
    assert_eq!(lacks(&["git"], json!({"denied": ["Bash"]})), "[]");
    let slip = lacks(&["bash", "git"], json!({"denied": ["Bsh"]}));
    assert!(slip.contains("did you mean Bash?"), "{slip}");
}

#[test]
fn a_cli_that_lacks_its_interpreter_is_not_called_missing() {
    let pod = Pod::new();
    let claude = pod.path("claude");
    fs::write(&claude, "#!/nowhere/node\n").unwrap();
    fs::set_permissions(&claude, fs::Permissions::from_mode(0o755)).unwrap();
    pod.exec_program(Start::First, &claude).end();
    let message = pod.verdict()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("a script's interpreter"), "{message}");
}

#[test]
fn a_cli_that_may_not_be_started_is_told_in_the_verdict() {
    let pod = Pod::new();
    fs::write(pod.path("claude"), "").unwrap();
    pod.exec_program(Start::First, &pod.path("claude")).end();
    let message = pod.verdict()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("Permission denied"), "{message}");
}

#[test]
fn a_workspace_that_is_not_there_is_told_in_the_verdict() {
    let pod = Pod::new();
    fs::remove_dir(pod.path("work")).unwrap();
    pod.exec(Start::First, "exit 0").end();
    let message = pod.verdict()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("working directory"), "{message}");
}

#[test]
fn inputs_that_make_no_sense_start_nothing_and_take_no_spool() {
    let pod = Pod::new().with("attempt", "first");
    let ended = pod.exec(Start::First, "echo > started").end();
    assert_eq!(ended.code, Some(78));
    assert!(
        pod.termination_message().contains("run.json"),
        "{}",
        pod.termination_message()
    );
    assert!(pod.written("started").is_none());
    assert!(!pod.path("spool/output.jsonl").exists());
}

#[test]
fn a_ship_that_comes_late_is_waited_for() {
    let mut pod = Pod::without_ship();
    let exec = pod.exec(Start::First, "exit 5");
    wait_for("wait", || {
        sleeps(exec.pid().as_raw_nonzero().get()).then_some(())
    });
    pod.start_ship();
    assert_eq!(exec.end().code, Some(1));
    assert_eq!(pod.verdict()["exit"]["code"], 5);
}

#[test]
fn a_stop_before_the_start_starts_nothing() {
    let pod = Pod::without_ship();
    let exec = pod.exec(Start::First, "echo > started");
    wait_for("wait", || {
        sleeps(exec.pid().as_raw_nonzero().get()).then_some(())
    });
    exec.signal(Signal::TERM);
    assert_eq!(exec.end().code, Some(75));
    assert!(
        pod.termination_message().contains("SIGTERM"),
        "{}",
        pod.termination_message()
    );
    assert!(pod.written("started").is_none());
}

/// True once the process is our runner, and waits for something with its signals blocked.
fn sleeps(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let blocked = status.lines().any(|line| line.starts_with("SigBlk:\tf"));
    blocked && status.contains("State:\tS")
}
