//! What the agent says arrives in the store: all of it, once, in order, also when `ship` dies.

use std::fs;
use std::time::Duration;

use herdctl::api::protocol::{MAX_APPEND_BYTES, RefusalReason};
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};

use crate::pod::{Pod, Start, wait_for};
use crate::store::{Answer, Store};

/// Runs until the test lets it go.
const UNTIL_TOLD: &str = "echo > started; until [ -s go ]; do sleep 0.01; done; echo done";

fn let_go(pod: &Pod) {
    fs::write(pod.path("work/go"), "go").unwrap();
}

fn wait_until_started(pod: &Pod) {
    wait_for("start of the agent", || pod.written("started"));
}

/// The segment in the store is the one that its verdict vouches for, and ends with it.
#[track_caller]
pub fn assert_all_arrived(pod: &Pod, store: &Store) {
    let segment = store.arrived().segment.clone();
    let verdict = pod.verdict();
    let length = usize::try_from(verdict["segment"]["bytes"].as_u64().unwrap()).unwrap();
    let digest: String = Sha256::digest(&segment[..length])
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(verdict["segment"]["sha256"], digest);
    let spool = fs::read(pod.path("spool/output.jsonl")).unwrap();
    assert!(segment[length..] == spool[length..], "the verdict differs");
}

#[test]
fn a_run_arrives_to_the_last_byte_and_ship_leaves() {
    let store = Store::new();
    let mut pod = Pod::shipping_to(&store).started();
    pod.exec(Start::First, "seq 1000; exit 3").end();
    let (code, said) = pod.ship_left();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("everything is in the output store"), "{said}");
    assert_all_arrived(&pod, &store);
    assert_eq!(store.arrived().opened, 1);
}

#[test]
fn lines_arrive_while_the_agent_runs() {
    let store = Store::new();
    let pod = Pod::shipping_to(&store).started();
    let exec = pod.exec(Start::First, UNTIL_TOLD);
    let has_line = |line: &str| {
        let text = format!("\"text\":\"{line}\"");
        String::from_utf8_lossy(&store.arrived().segment).contains(&text)
    };
    wait_until_started(&pod);
    wait_for("start event", || {
        (!store.arrived().segment.is_empty()).then_some(())
    });
    assert!(!has_line("done"));
    let_go(&pod);
    wait_for("line", || has_line("done").then_some(()));
    exec.end();
}

#[test]
fn what_comes_while_an_append_is_under_way_goes_together_in_the_next() {
    let store = Store::new();
    let mut pod = Pod::shipping_to(&store).started();
    pod.exec(Start::First, "seq 50000").end();
    pod.ship_left();
    assert_all_arrived(&pod, &store);
    let appends = store.arrived().appends.clone();
    assert!(appends.iter().all(|size| *size <= MAX_APPEND_BYTES));
    assert!(appends.contains(&MAX_APPEND_BYTES), "{appends:?}");
}

#[test]
fn a_ship_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    let store = Store::new();
    let mut pod = Pod::shipping_to(&store).started();
    let script = "until [ -s go ]; do seq 100; sleep 0.01; done; echo done";
    let exec = pod.exec(Start::First, script);
    for _ in 0..20 {
        let before = store.arrived().segment.len();
        wait_for("more", || {
            (store.arrived().segment.len() > before).then_some(())
        });
        pod.kill_ship();
        pod.start_ship();
    }
    let_go(&pod);
    exec.end();
    assert_eq!(pod.ship_left().0, Some(0));
    assert_all_arrived(&pod, &store);
}

#[test]
fn a_ship_that_comes_back_after_the_run_brings_the_rest() {
    let mut store = Store::away();
    let mut pod = Pod::shipping_to(&store).started();
    pod.exec(Start::First, "seq 100").end();
    pod.kill_ship();
    store.come();
    pod.start_ship();
    assert_eq!(pod.ship_left().0, Some(0));
    assert_all_arrived(&pod, &store);
}

#[test]
fn the_end_of_the_runner_without_a_verdict_is_an_end_too() {
    let store = Store::new();
    let mut pod = Pod::shipping_to(&store).started();
    let exec = pod.exec(Start::First, UNTIL_TOLD);
    wait_until_started(&pod);
    exec.signal(Signal::KILL);
    let (code, said) = pod.ship_left();
    assert_eq!(code, Some(0));
    assert!(said.contains("without a verdict"), "{said}");
    let spool = fs::read(pod.path("spool/output.jsonl")).unwrap();
    assert!(!spool.is_empty() && store.arrived().segment == spool);
}

#[test]
fn ship_stays_after_a_stop_until_the_run_is_over_and_shipped() {
    let mut store = Store::away();
    let mut pod = Pod::shipping_to(&store).started();
    let exec = pod.exec(Start::First, UNTIL_TOLD);
    wait_until_started(&pod);
    let ship = Pid::from_child(pod.ship());
    kill_process(ship, Signal::TERM).unwrap();
    let_go(&pod);
    exec.end();
    kill_process(ship, Signal::TERM).unwrap();
    store.come();
    let (code, said) = pod.ship_left();
    assert_eq!(code, Some(0));
    assert!(said.contains("SIGTERM: staying"), "{said}");
    assert_all_arrived(&pod, &store);
}

#[test]
fn a_stop_before_the_hand_over_is_obeyed() {
    let store = Store::new();
    let mut pod = Pod::shipping_to(&store).started();
    let ship = Pid::from_child(pod.ship());
    kill_process(ship, Signal::TERM).unwrap();
    assert_eq!(pod.ship_left().0, Some(0));
}

#[test]
fn a_fenced_attempt_starts_no_agent() {
    let store = Store::new();
    for reason in [RefusalReason::Fenced, RefusalReason::Forbidden] {
        store.answer(Answer::No(reason));
        let pod = Pod::shipping_to(&store).started();
        let ended = pod.exec(Start::First, "echo > started").end();
        assert_eq!(ended.code, Some(75), "{ended:?}");
        assert!(
            pod.termination_message().contains("is over"),
            "{}",
            pod.termination_message()
        );
        assert!(pod.written("started").is_none());
        assert!(!pod.path("spool/output.jsonl").exists());
    }
}

#[test]
fn a_run_that_is_fenced_is_stopped_and_nothing_more_is_sent() {
    let store = Store::new();
    let mut pod = Pod::shipping_to(&store).started();
    let exec = pod.exec(Start::First, "while :; do echo line; sleep 0.05; done");
    wait_for("lines", || {
        (store.arrived().appends.len() > 2).then_some(())
    });
    store.answer(Answer::No(RefusalReason::Fenced));
    assert_eq!(exec.end().code, Some(1));
    assert_eq!(pod.verdict()["stoppedBy"], "fence");
    let (code, said) = pod.ship_left();
    assert_eq!(code, Some(0));
    assert!(said.contains("this attempt is over"), "{said}");
}

/// The bound is for a build without optimisation; what the images' program takes, the benchmark tells.
#[test]
fn memory_stays_small_over_a_hundred_thousand_lines() {
    let store = Store::new();
    let mut pod = Pod::shipping_to(&store).started();
    let line = "x".repeat(200);
    let script = format!("seq -f '{line} %.0f' 100000; {UNTIL_TOLD}");
    let exec = pod.exec(Start::First, &script);
    wait_until_started(&pod);
    wait_for("all lines", || {
        let segment = &store.arrived().segment;
        let tail = String::from_utf8_lossy(&segment[segment.len().saturating_sub(1000)..]);
        tail.contains(" 100000\"").then_some(())
    });
    let status = fs::read_to_string(format!("/proc/{}/status", pod.ship().id())).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let most: u64 = most
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(most < 16 * 1024, "{most} KiB");
    let_go(&pod);
    exec.end();
    pod.ship_left();
    assert_all_arrived(&pod, &store);
}

#[test]
fn a_ship_that_is_killed_while_it_asks_the_store_is_asked_again() {
    let store = Store::new();
    store.answer(Answer::Silence);
    let mut pod = Pod::shipping_to(&store).started();
    let exec = pod.exec(Start::First, "seq 10; exit 4");
    wait_for("question", || (store.arrived().asked > 0).then_some(()));
    pod.kill_ship();
    assert!(!pod.path("spool/output.jsonl").exists());
    store.answer(Answer::Good);
    pod.start_ship();
    exec.end();
    pod.ship_left();
    assert_eq!(pod.verdict()["exit"]["code"], 4);
    assert_all_arrived(&pod, &store);
}

#[test]
fn an_exec_that_is_gone_before_the_answer_is_given_nothing() {
    let store = Store::new();
    store.answer(Answer::Silence);
    let mut pod = Pod::shipping_to(&store).started();
    let first = pod.exec(Start::First, "exit 0");
    wait_for("question", || (store.arrived().asked > 0).then_some(()));
    first.signal(Signal::KILL);
    first.end();
    store.answer(Answer::Good);
    pod.exec(Start::First, "seq 10; exit 4").end();
    pod.ship_left();
    assert_eq!(pod.verdict()["exit"]["code"], 4);
    assert_all_arrived(&pod, &store);
}

#[test]
fn the_agent_starts_though_the_store_is_silent() {
    let store = Store::new();
    store.answer(Answer::Silence);
    let pod = Pod::shipping_to(&store).started();
    let exec = pod.exec(Start::First, "echo here; exit 4");
    let took = pod.until_over();
    assert_eq!(pod.verdict()["exit"]["code"], 4);
    assert!(took > Duration::from_millis(1500), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    exec.end();
}
