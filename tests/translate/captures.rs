//! Every recorded run of the real CLI must get the verdict that was written down for it before there was
//! a translator, by `herd-runner translate`, and lose nothing on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::Value;

use super::record::{Rebuilt, assert_tells_of, read, rebuild};

const HERD_RUNNER: &str = env!("CARGO_BIN_EXE_herd-runner");

/// A verdict as it was written down.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expected {
    phase: String,
    exit_reason: String,
    reason: String,
    /// Words that the message must have, for the person who reads it.
    #[serde(default)]
    says: Vec<String>,
    turns: u64,
    text: Option<String>,
}

fn captures() -> PathBuf {
    PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap()).join("tests/captures")
}

fn expected() -> BTreeMap<String, Expected> {
    serde_json::from_slice(&fs::read(captures().join("expected.json")).unwrap()).unwrap()
}

/// Runs `herd-runner translate` on a capture; gives the stream, the events and the verdict.
fn translate(name: &str) -> (Vec<u8>, Vec<Value>, Value) {
    let file = |extension: &str| captures().join(format!("{name}.{extension}"));
    let folder = tempfile::tempdir().unwrap();
    let verdict = folder.path().join("verdict.json");
    let mut command = Command::new(HERD_RUNNER);
    command.args([
        "translate",
        "--exit",
        fs::read_to_string(file("exit")).unwrap().trim(),
    ]);
    command.arg("--verdict").arg(&verdict);
    if file("stderr").exists() {
        command.arg("--stderr").arg(file("stderr"));
    }
    let output = command
        .stdin(fs::File::open(file("jsonl")).unwrap())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{name}: {}", output.status);
    let verdict = serde_json::from_slice(&fs::read(verdict).unwrap()).unwrap();
    (
        fs::read(file("jsonl")).unwrap(),
        read(&output.stdout),
        verdict,
    )
}

#[test]
fn each_capture_has_a_verdict_written_down() {
    let captured: BTreeSet<String> = fs::read_dir(captures())
        .unwrap()
        .filter_map(|entry| {
            entry
                .unwrap()
                .file_name()
                .to_str()?
                .strip_suffix(".jsonl")
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(captured, expected().into_keys().collect());
}

#[test]
fn each_capture_gets_its_verdict() {
    let mut wrong = Vec::new();
    for (name, expected) in expected() {
        let (_, events, verdict) = translate(&name);
        assert_eq!(events.last().unwrap()["data"], verdict, "{name}");
        let message = verdict["message"].as_str().unwrap();
        assert!(message.len() <= 512, "{name}: {message}");
        let got = (
            &verdict["phase"],
            &verdict["exitReason"],
            &verdict["reason"],
            &verdict["turns"],
        );
        let is_right =
            got == (
                &expected.phase.into(),
                &expected.exit_reason.into(),
                &expected.reason.into(),
                &expected.turns.into(),
            ) && verdict["text"]["text"].as_str() == expected.text.as_deref()
                && expected.says.iter().all(|words| message.contains(words));
        if !is_right {
            wrong.push(format!("{name}: {verdict:#}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_lines_of_each_capture_can_be_rebuilt() {
    for name in expected().into_keys() {
        let (stream, events, _) = translate(&name);
        assert_tells_of(&events, &stream);
        let raw = rebuild(&events)
            .iter()
            .filter(|line| matches!(line, Rebuilt::Bytes(_)))
            .count();
        // The text format is the only one that writes no JSON.
        assert_eq!(raw, usize::from(name == "text"), "{name}");
    }
}

#[test]
fn a_failed_run_tells_why_before_the_verdict() {
    for (name, expected) in expected() {
        let (_, events, verdict) = translate(&name);
        let before = &events[events.len() - 2];
        // Why it was killed, Kubernetes may know: the store says it.
        let killed = verdict["exit"].get("signal").is_some();
        if expected.phase == "completed" || killed {
            assert_ne!(before["type"], "error", "{name}");
        } else {
            assert_eq!(
                (&before["type"], &before["code"]),
                (&"error".into(), &verdict["reason"]),
                "{name}"
            );
            assert_eq!(before["message"], verdict["message"], "{name}");
        }
    }
}

/// The events of a capture without start, verdict and what is in `data`.
fn told(name: &str) -> Vec<Value> {
    let (_, mut events, _) = translate(name);
    for event in &mut events {
        let fields = event.as_object_mut().unwrap();
        for name in ["data", "timestamp", "seq"] {
            fields.remove(name);
        }
    }
    events.pop();
    events.remove(0);
    events
}

#[test]
fn a_tool_call_reads_as_a_story() {
    let story = serde_json::json!([
        {"type": "system", "line": 1, "subtype": "init"},
        {"type": "output", "line": 2, "messageId": "msg_29731682297c428b8eec", "content": "I will run a command."},
        {"type": "tool_use", "line": 3, "tool": "Bash", "toolUseId": "toolu_9fda203cf9b047868bbb",
         "command": "echo hi-from-bash", "input": {"command": "echo hi-from-bash", "description": "echo"}},
        {"type": "tool_result", "line": 4, "tool": "Bash", "toolUseId": "toolu_9fda203cf9b047868bbb",
         "isError": false, "content": "hi-from-bash"},
        {"type": "output", "line": 5, "messageId": "msg_83252b12780b4075b12d", "content": "All done."},
        {"type": "system", "line": 6, "subtype": "result"},
    ]);
    assert_eq!(Value::Array(told("success")), story);
}

#[test]
fn a_subagent_and_a_file_are_named() {
    let events = told("subagent");
    let spoke: Vec<&Value> = events
        .iter()
        .filter(|event| event.get("parentToolUseId").is_some())
        .collect();
    assert_eq!(spoke.len(), 1);
    assert_eq!(
        (&spoke[0]["parentToolUseId"], &spoke[0]["content"]),
        (&"toolu_89cc08179b45416fb278".into(), &"B".into())
    );
    let files: Vec<Value> = told("budget")
        .into_iter()
        .filter_map(|event| event.get("file").cloned())
        .collect();
    assert_eq!(files, ["/lab/work/out.txt", "/lab/work/out.txt"]);
}

#[test]
fn words_in_the_place_of_the_model_are_an_error() {
    let events = told("err401_maxretries0");
    let error = &events[1];
    assert_eq!(error["type"], "error");
    assert_eq!(error["code"], "AuthenticationFailed");
    assert_eq!(error["detail"], "authentication_failed");
    assert_eq!(
        error["message"],
        "Failed to authenticate. API Error: 401 stub error 401"
    );
    assert!(events.iter().all(|event| event["type"] != "output"));
}

#[test]
fn standard_error_is_kept() {
    let events = told("badflag");
    let lines: Vec<&Value> = events
        .iter()
        .filter(|event| event["subtype"] == "stderr")
        .collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|event| event.get("line").is_none()));
}

#[test]
fn a_wrong_use_is_an_error_that_says_what_to_do() {
    let run = |arguments: &[&str]| {
        let output = Command::new(HERD_RUNNER)
            .arg("translate")
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, words) = run(&["--exit", "SIGTERM"]);
    assert_eq!(code, Some(2));
    assert!(words.contains("such as -9"), "{words}");
    let (code, words) = run(&["--stderr", "/nowhere/at/all"]);
    assert_eq!(code, Some(1));
    assert!(words.contains("/nowhere/at/all"), "{words}");
    assert_eq!(run(&["--exit=-15"]).0, Some(0));
}
