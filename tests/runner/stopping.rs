//! Somebody or some deadline ends the run.

use std::time::Duration;

use rustix::process::Signal;

use crate::pod::{Pod, Start, wait_for};

/// Says that it runs, and goes on until a signal ends it.
const ENDLESS: &str = "echo > started; while :; do sleep 0.1; done";

/// The same, deaf to TERM.
const DEAF: &str = "trap '' TERM; echo > started; while :; do sleep 0.1; done";

fn wait_until_started(pod: &Pod) {
    wait_for("start of the agent", || pod.written("started"));
}

#[test]
fn a_stop_from_outside_reaches_the_cli_as_term() {
    let pod = Pod::new();
    let script = "trap 'echo bye; exit 143' TERM; echo > started; while :; do sleep 0.1; done";
    let exec = pod.exec(Start::First, script);
    wait_until_started(&pod);
    exec.signal(Signal::TERM);
    assert_eq!(exec.end().code, Some(1));
    let verdict = pod.verdict();
    assert_eq!(verdict["exit"]["code"], 143);
    assert_eq!(verdict["stoppedBy"], "signal");
    assert_eq!(pod.notes("stop")[0]["by"], "signal");
    assert_eq!(pod.lines(crate::pod::Stream::Stdout), ["bye"]);
}

#[test]
fn a_cli_that_ignores_term_is_killed_after_the_grace() {
    let pod = Pod::new().with("cancelGrace", 1);
    let exec = pod.exec(Start::First, DEAF);
    wait_until_started(&pod);
    exec.signal(Signal::TERM);
    let ended = exec.end();
    assert!(ended.took >= Duration::from_millis(950), "{:?}", ended.took);
    assert!(ended.took < Duration::from_secs(4), "{:?}", ended.took);
    let verdict = pod.verdict();
    assert_eq!(verdict["exit"]["signal"], Signal::KILL.as_raw());
    assert_eq!(verdict["stoppedBy"], "signal");
}

#[test]
fn a_second_term_changes_nothing() {
    let pod = Pod::new().with("cancelGrace", 2);
    let exec = pod.exec(Start::First, DEAF);
    wait_until_started(&pod);
    exec.signal(Signal::TERM);
    wait_for("first stop", || {
        (pod.notes("signal").len() == 1).then_some(())
    });
    exec.signal(Signal::TERM);
    wait_for("second stop", || {
        (pod.notes("signal").len() == 2).then_some(())
    });
    assert!(exec.end().took < Duration::from_secs(4));
    assert_eq!(pod.notes("stop").len(), 1);
    assert_eq!(pod.verdict()["exit"]["signal"], Signal::KILL.as_raw());
}

#[test]
fn the_images_own_stop_signal_stops_too() {
    let pod = Pod::new();
    let exec = pod.exec(Start::First, ENDLESS);
    wait_until_started(&pod);
    exec.signal(Signal::QUIT);
    exec.end();
    assert_eq!(pod.verdict()["stoppedBy"], "signal");
    assert_eq!(pod.verdict()["exit"]["signal"], Signal::TERM.as_raw());
}

#[test]
fn a_cli_that_stands_still_hears_the_stop_all_the_same() {
    let pod = Pod::new();
    let script = "trap 'exit 9' TERM; echo > started; kill -STOP $$; while :; do sleep 0.1; done";
    let exec = pod.exec(Start::First, script);
    wait_until_started(&pod);
    exec.signal(Signal::TERM);
    exec.end();
    assert_eq!(pod.verdict()["exit"]["code"], 9);
}

#[test]
fn a_run_that_takes_too_long_is_ended() {
    let pod = Pod::new().with("timeout", 1);
    let ended = pod
        .exec(Start::First, "while :; do echo busy; sleep 0.05; done")
        .end();
    assert!(ended.took < Duration::from_secs(5), "{:?}", ended.took);
    let verdict = pod.verdict();
    assert_eq!(
        (&verdict["stoppedBy"], &verdict["reason"]),
        (&"timeout".into(), &"TimedOut".into())
    );
}

#[test]
fn the_first_cause_is_kept() {
    let pod = Pod::new().with("timeout", 1).with("cancelGrace", 2);
    let exec = pod.exec(Start::First, DEAF);
    wait_for("timeout", || (pod.notes("stop").len() == 1).then_some(()));
    exec.signal(Signal::TERM);
    exec.end();
    assert_eq!(pod.notes("signal").len(), 1);
    assert_eq!(pod.verdict()["stoppedBy"], "timeout");
}

#[test]
fn a_run_that_says_nothing_is_ended() {
    let pod = Pod::new().with("stallTimeout", 1);
    let script = "for i in 1 2 3 4 5; do echo line; sleep 0.4; done; echo > quiet; sleep 100";
    let exec = pod.exec(Start::First, script);
    wait_for("silence", || pod.written("quiet"));
    let ended = exec.end();
    assert!(ended.took < Duration::from_secs(5), "{:?}", ended.took);
    let verdict = pod.verdict();
    assert_eq!(
        (&verdict["stoppedBy"], &verdict["reason"]),
        (&"stall".into(), &"Stalled".into())
    );
}

#[test]
fn words_on_standard_error_are_no_sign_of_life() {
    let pod = Pod::new().with("stallTimeout", 1);
    pod.exec(
        Start::First,
        "while :; do echo retrying >&2; sleep 0.1; done",
    )
    .end();
    assert_eq!(pod.verdict()["stoppedBy"], "stall");
}

#[test]
fn a_tool_may_be_silent() {
    let pod = Pod::new().with("stallTimeout", 1);
    let call = r#"{"type":"assistant","message":{"id":"msg_1","content":[{"type":"tool_use","id":"toolu_1","name":"Bash","input":{"command":"sleep 2"}}]}}"#;
    let result = r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"done"}]}}"#;
    let script = format!("echo '{call}'; sleep 2.5; echo > survived; echo '{result}'; sleep 100");
    let ended = pod.exec(Start::First, &script).end();
    assert!(pod.written("survived").is_some(), "{ended:?}");
    assert_eq!(pod.verdict()["stoppedBy"], "stall");
}

#[test]
fn standard_output_that_is_closed_is_no_end() {
    let pod = Pod::new();
    let exec = pod.exec(
        Start::First,
        "exec >&- 2>&-; echo > started; sleep 0.5; exit 6",
    );
    wait_until_started(&pod);
    exec.end();
    assert_eq!(pod.verdict()["exit"]["code"], 6);
}

#[test]
fn a_run_without_its_streams_still_meets_its_deadline() {
    let pod = Pod::new().with("timeout", 1);
    let ended = pod.exec(Start::First, "exec >&- 2>&-; sleep 100").end();
    assert!(ended.took < Duration::from_secs(5), "{:?}", ended.took);
    assert_eq!(pod.verdict()["stoppedBy"], "timeout");
}
