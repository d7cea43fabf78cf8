//! The CLI ends: what the verdict says about it, and how the runner exits.

use std::{env, fs, path::PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::pod::{Pod, Start, Stream};

/// What the real CLI said in a run that went well.
fn success() -> PathBuf {
    PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap()).join("tests/captures/success.jsonl")
}

#[test]
fn the_exit_code_stands_in_the_verdict_and_not_in_ours() {
    let pod = Pod::new();
    let ended = pod.exec(Start::First, "exit 7").end();
    assert_eq!(ended.code, Some(1));
    let verdict = pod.verdict();
    assert_eq!(verdict["exit"], json!({ "code": 7 }));
    assert_eq!(verdict["stoppedBy"], "nobody");
    assert_eq!(verdict["phase"], "failed");
}

#[test]
fn a_signal_that_ended_the_cli_stands_in_the_verdict() {
    let pod = Pod::new();
    let ended = pod.exec(Start::First, "kill -SEGV $$").end();
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        pod.verdict()["exit"],
        json!({ "signal": Signal::SEGV.as_raw() })
    );
}

#[test]
fn a_run_that_succeeded_exits_with_zero() {
    let pod = Pod::new();
    fs::copy(success(), pod.path("work/stream")).unwrap();
    let ended = pod.exec(Start::First, "cat stream").end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(pod.verdict()["phase"], "completed");
}

#[test]
fn the_termination_message_is_the_verdict_whatever_the_agent_wrote_there() {
    let pod = Pod::new();
    let script = "i=0; while [ $i -lt 1000 ]; do echo success; i=$((i + 1)); done \
                  > \"$POD/termination.log\"; exit 3";
    pod.exec(Start::First, script).end();
    let message: Value = serde_json::from_str(&pod.termination_message()).unwrap();
    assert_eq!(message, pod.verdict());
}

#[test]
fn the_verdict_carries_the_digest_of_all_before_it() {
    let pod = Pod::new();
    pod.exec(Start::First, "echo one; echo two >&2; exit 1")
        .end();
    let spool = fs::read(pod.path("spool/output.jsonl")).unwrap();
    let before = spool[..spool.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap()
        + 1;
    let segment = &spool[..before];
    let lines = segment.iter().filter(|byte| **byte == b'\n').count();
    let digest: String = Sha256::digest(segment)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let expected = json!({ "bytes": segment.len(), "lines": lines, "sha256": digest });
    assert_eq!(pod.verdict()["segment"], expected);
}

#[test]
fn a_run_is_as_long_as_the_time_that_passed() {
    let pod = Pod::new();
    pod.exec(Start::First, "sleep 1.2; exit 1").end();
    let verdict = pod.verdict();
    let time = |field: &str| {
        let text = verdict[field].as_str().unwrap();
        chrono::DateTime::parse_from_rfc3339(text).unwrap()
    };
    let took = (time("endedAt") - time("startedAt")).num_milliseconds();
    assert!((1200..10_000).contains(&took), "{took} ms");
}

#[test]
fn the_runs_text_is_on_our_own_standard_output() {
    let pod = Pod::new();
    fs::copy(success(), pod.path("work/stream")).unwrap();
    let ended = pod.exec(Start::First, "cat stream").end();
    let text = pod.verdict()["text"]["text"].as_str().unwrap().to_owned();
    assert!(ended.stdout.contains(&text), "{ended:?}");
}

#[test]
fn words_without_a_line_end_are_recorded() {
    let pod = Pod::new();
    pod.exec(
        Start::First,
        "printf 'last words'; printf 'and these' >&2; exit 1",
    )
    .end();
    assert_eq!(pod.lines(Stream::Stdout), ["last words"]);
    assert_eq!(pod.lines(Stream::Stderr), ["and these"]);
}
