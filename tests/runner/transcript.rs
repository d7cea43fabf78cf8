//! The session's transcript in the store: what the CLI wrote, and nothing that it could lead us to.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use herdctl::api::protocol::{MAX_TRANSCRIPT_BYTES, RefusalReason};

use crate::pod::{Pod, Start, wait_for};
use crate::shipping::assert_all_arrived;
use crate::store::{Answer, Store};

const SESSION: &str = "5f0c1a2b-0000-4000-8000-000000000000";

/// Says something all the time, so that the transcript is looked at.
const BUSY: &str = "until [ -s go ]; do echo line; sleep 0.05; done";

fn pod(store: &Store) -> Pod {
    Pod::shipping_to(store)
        .keeping_transcript(SESSION)
        .started()
}

fn transcript(pod: &Pod) -> PathBuf {
    pod.path("home/.claude/projects/-workspace")
        .join(format!("{SESSION}.jsonl"))
}

fn let_go(pod: &Pod) {
    fs::write(pod.path("work/go"), "go").unwrap();
}

fn wait_for_transcript(store: &Store, text: &str) {
    wait_for("transcript", || {
        (store.arrived().transcript == text.as_bytes()).then_some(())
    });
}

#[test]
fn it_is_whole_before_the_verdict_is_there() {
    let store = Store::new();
    let mut pod = pod(&store);
    let large = "x".repeat(1_000_000);
    fs::write(transcript(&pod), &large).unwrap();
    pod.exec(Start::First, "exit 3").end();
    pod.ship_left();
    assert_eq!(store.arrived().transcript_before_verdict, large.len());
    assert!(store.arrived().transcript == large.as_bytes());
    assert_all_arrived(&pod, &store);
}

#[test]
fn a_store_that_is_back_a_moment_after_the_end_has_all_of_it_too() {
    let store = Store::new();
    store.answer_next_transcripts(&[Answer::No(RefusalReason::Retry)]);
    let mut pod = pod(&store);
    let last_words = format!("echo one > {}; exit 3", transcript(&pod).display());
    pod.exec(Start::First, &last_words).end();
    pod.ship_left();
    assert_eq!(store.arrived().transcript_before_verdict, "one\n".len());
    assert_all_arrived(&pod, &store);
}

#[test]
fn what_is_appended_follows_while_the_agent_runs() {
    let store = Store::new();
    let mut pod = pod(&store);
    let exec = pod.exec(Start::First, BUSY);
    fs::write(transcript(&pod), "one\n").unwrap();
    wait_for_transcript(&store, "one\n");
    let mut file = File::options().append(true).open(transcript(&pod)).unwrap();
    file.write_all(b"two\n").unwrap();
    wait_for_transcript(&store, "one\ntwo\n");
    assert_eq!(store.arrived().transcripts, 1);
    file.write_all(b"three\n").unwrap();
    let_go(&pod);
    exec.end();
    pod.ship_left();
    assert_eq!(store.arrived().transcript, b"one\ntwo\nthree\n");
    assert_eq!(store.arrived().transcripts, 1);
}

#[test]
fn it_follows_within_two_seconds_also_where_the_agent_says_nothing() {
    let store = Store::new();
    let mut pod = pod(&store);
    let exec = pod.exec(Start::First, "until [ -s go ]; do sleep 0.05; done");
    wait_for("start", || {
        (!store.arrived().segment.is_empty()).then_some(())
    });
    for text in ["one\n", "one\ntwo\n"] {
        fs::write(transcript(&pod), text).unwrap();
        let changed = Instant::now();
        wait_for_transcript(&store, text);
        assert!(changed.elapsed() < Duration::from_secs(2));
    }
    let_go(&pod);
    exec.end();
    pod.ship_left();
}

#[test]
fn one_that_was_rewritten_is_sent_whole() {
    let store = Store::new();
    let mut pod = pod(&store);
    let exec = pod.exec(Start::First, BUSY);
    fs::write(transcript(&pod), "before\n").unwrap();
    wait_for_transcript(&store, "before\n");
    fs::write(transcript(&pod), "and after, longer\n").unwrap();
    wait_for_transcript(&store, "and after, longer\n");
    fs::write(transcript(&pod), "short\n").unwrap();
    wait_for_transcript(&store, "short\n");
    let other = transcript(&pod).with_extension("new");
    fs::write(&other, "short\nbut another file\n").unwrap();
    fs::rename(&other, transcript(&pod)).unwrap();
    wait_for_transcript(&store, "short\nbut another file\n");
    assert_eq!(store.arrived().transcripts, 4);
    let_go(&pod);
    exec.end();
    pod.ship_left();
    assert_all_arrived(&pod, &store);
}

#[test]
fn a_ship_that_was_killed_sends_it_again() {
    let store = Store::new();
    let mut pod = pod(&store);
    let exec = pod.exec(Start::First, BUSY);
    fs::write(transcript(&pod), "one\n").unwrap();
    wait_for_transcript(&store, "one\n");
    pod.kill_ship();
    fs::write(transcript(&pod), "one\ntwo\n").unwrap();
    pod.start_ship();
    wait_for_transcript(&store, "one\ntwo\n");
    let_go(&pod);
    exec.end();
    pod.ship_left();
    assert_all_arrived(&pod, &store);
}

#[test]
fn a_link_to_what_only_ship_can_read_is_not_followed() {
    let store = Store::new();
    let mut pod = pod(&store);
    symlink(pod.path("spool/output.jsonl"), transcript(&pod)).unwrap();
    pod.exec(Start::First, "exit 3").end();
    let (code, said) = pod.ship_left();
    assert_eq!(code, Some(0));
    assert!(said.contains("transcript is not kept"), "{said}");
    assert_eq!(store.arrived().transcripts, 0);
    assert_all_arrived(&pod, &store);
}

#[test]
fn a_folder_that_is_a_link_is_not_followed() {
    let store = Store::new();
    let mut pod = pod(&store);
    let projects = pod.path("home/.claude/projects");
    fs::rename(&projects, pod.path("elsewhere")).unwrap();
    symlink(pod.path("elsewhere"), &projects).unwrap();
    fs::write(transcript(&pod), "secret").unwrap();
    pod.exec(Start::First, "exit 3").end();
    pod.ship_left();
    assert_eq!(store.arrived().transcripts, 0);
    assert_all_arrived(&pod, &store);
}

#[test]
fn what_is_no_file_or_too_large_holds_nothing_up() {
    let store = Store::new();
    let mut pipe = pod(&store);
    let made = std::process::Command::new("mkfifo")
        .arg(transcript(&pipe))
        .status();
    assert!(made.unwrap().success());
    pipe.exec(Start::First, "exit 3").end();
    let (_, said) = pipe.ship_left();
    assert!(said.contains("no regular file"), "{said}");
    assert_all_arrived(&pipe, &store);

    let store = Store::new();
    let mut large = pod(&store);
    let file = File::create(transcript(&large)).unwrap();
    file.set_len(MAX_TRANSCRIPT_BYTES + 1).unwrap();
    large.exec(Start::First, "exit 3").end();
    let (_, said) = large.ship_left();
    assert!(said.contains("larger than 64 MiB"), "{said}");
    assert_eq!(store.arrived().transcripts, 0);
    assert_all_arrived(&large, &store);
}

#[test]
fn a_store_that_takes_no_transcript_gets_the_output_all_the_same() {
    for answer in [
        Answer::No(RefusalReason::TooLarge),
        Answer::Garbage,
        Answer::Silence,
    ] {
        let store = Store::new();
        store.answer_transcripts(answer);
        let mut pod = pod(&store);
        fs::write(transcript(&pod), "one\n").unwrap();
        pod.exec(Start::First, "seq 10; exit 3").end();
        let (code, said) = pod.ship_left();
        assert_eq!(code, Some(0), "{answer:?}");
        assert!(
            said.contains("transcript is not kept"),
            "{answer:?}: {said}"
        );
        assert_all_arrived(&pod, &store);
    }
}
