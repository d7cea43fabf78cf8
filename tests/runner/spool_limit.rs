//! A store that doesn't keep up: the agent stands still at the spool's limit, and nothing is lost.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use herdctl::api::protocol::RefusalReason;
use rustix::process::Signal;

use crate::pod::{Pod, Start, wait_for};
use crate::process::Exec;
use crate::shipping::assert_all_arrived;
use crate::store::{Answer, Store};

const LIMIT: u64 = 4 * 1024 * 1024;

/// About as many bytes of record as the limit is, three times over.
const FLOOD: &str = "echo > started; seq -f '%060.0f' 60000; exit 3";

fn pod(store: &Store) -> Pod {
    Pod::shipping_to(store).exec_argument("--spool-limit", LIMIT.to_string())
}

/// What was under way when the agent was paused comes after the note of it.
const TAIL: usize = 1_000_000;

/// What the spool takes on disk.
fn size(pod: &Pod) -> u64 {
    let spool = fs::metadata(pod.path("spool/output.jsonl"));
    spool.map_or(0, |spool| spool.blocks() * 512)
}

fn wait_for_pause(pod: &Pod) {
    wait_for("pause", || {
        let spool = fs::read(pod.path("spool/output.jsonl")).unwrap_or_default();
        let tail = &spool[spool.len().saturating_sub(TAIL)..];
        String::from_utf8_lossy(tail)
            .contains("\"subtype\":\"pause\"")
            .then_some(())
    });
}

/// How often the record in the store has such a note.
fn count(store: &Store, subtype: &str) -> usize {
    let record = String::from_utf8(store.arrived().segment.clone()).unwrap();
    record
        .matches(&format!("\"subtype\":\"{subtype}\""))
        .count()
}

/// The kernel's word for each process of the agent's.
fn states(exec: &Exec) -> Vec<char> {
    let first = exec.pid().as_raw_nonzero();
    let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap();
    let state = |pid: &str| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(") ").next().unwrap_or_default().to_owned();
        after_name.chars().next().unwrap_or('?')
    };
    children.split_whitespace().map(state).collect()
}

#[test]
fn the_agent_stands_still_while_the_store_is_away_and_nothing_is_lost() {
    let mut store = Store::away();
    let mut pod = pod(&store).started();
    let exec = pod.exec(Start::First, FLOOD);
    wait_for_pause(&pod);
    wait_for("standstill", || {
        let states = states(&exec);
        (!states.is_empty() && states.iter().all(|state| *state == 'T')).then_some(())
    });
    let paused_at = size(&pod);
    assert!(paused_at >= LIMIT / 100 * 80, "{paused_at}");
    assert!(paused_at < LIMIT, "{paused_at}");
    store.come();
    exec.end();
    pod.ship_left();
    assert_all_arrived(&pod, &store);
    assert!(count(&store, "pause") >= 1);
    assert_eq!(count(&store, "pause"), count(&store, "resume"));
    assert_eq!(pod.verdict()["exit"]["code"], 3);
    let lines = store.arrived().segment.split(|byte| *byte == b'\n').count();
    assert!(lines > 60_000, "{lines}");
}

#[test]
fn a_ship_that_is_killed_meanwhile_changes_nothing() {
    let store = Store::new();
    let mut pod = pod(&store).started();
    let exec = pod.exec(Start::First, FLOOD);
    wait_for("start", || pod.written("started"));
    store.answer(Answer::No(RefusalReason::Full));
    wait_for_pause(&pod);
    pod.kill_ship();
    assert!(size(&pod) < LIMIT);
    pod.start_ship();
    store.answer(Answer::Good);
    exec.end();
    pod.ship_left();
    assert_all_arrived(&pod, &store);
    assert_eq!(count(&store, "pause"), count(&store, "resume"));
}

#[test]
fn the_stall_clock_stands_and_the_timeout_goes_on_during_a_pause() {
    let store = Store::away();
    let pod = pod(&store)
        .with("stallTimeout", 1)
        .with("timeout", 10)
        .started();
    let exec = pod.exec(Start::First, FLOOD);
    wait_for_pause(&pod);
    let took = pod.until_over();
    assert!(took > Duration::from_secs(2), "{took:?}");
    assert!(took < Duration::from_secs(12), "{took:?}");
    assert_eq!(pod.verdict()["stoppedBy"], "timeout");
    exec.end();
}

#[test]
fn who_stands_still_hears_a_stop() {
    let store = Store::away();
    let pod = pod(&store).started();
    let script = format!(
        "trap 'exit 9' TERM; {}",
        FLOOD.replace("exit 3", "sleep 50 & wait")
    );
    let exec = pod.exec(Start::First, &script);
    wait_for_pause(&pod);
    exec.signal(Signal::TERM);
    let ended = exec.end();
    assert!(ended.took < Duration::from_secs(10), "{:?}", ended.took);
    assert_eq!(pod.verdict()["stoppedBy"], "signal");
    assert!(size(&pod) < LIMIT + LIMIT / 10, "{}", size(&pod));
}

#[test]
fn a_flood_of_a_hundred_megabytes_leaves_a_small_spool() {
    let store = Store::new();
    let mut pod = pod(&store).started();
    let line = "x".repeat(1000);
    let exec = pod.exec(Start::First, &format!("seq -f '{line} %.0f' 80000; exit 3"));
    exec.end();
    pod.ship_left();
    assert!(store.arrived().segment.len() > 80_000_000);
    assert_all_arrived(&pod, &store);
    assert!(size(&pod) < 3 * 1024 * 1024, "{}", size(&pod));
}
