//! A session that goes on in another pod: its transcript is there before the agent starts, or the agent
//! does not start; and whatever lies in its place harms nobody.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use herdctl::api::protocol::RefusalReason;
use serde_json::{Value, json};

use crate::pod::{Pod, Start, wait_for};
use crate::shipping::assert_all_arrived;
use crate::store::{Answer, Store};

const SESSION: &str = "5f0c1a2b-0000-4000-8000-000000000000";

/// What an attempt before this one left.
const LEFT: &str = "{\"type\":\"user\"}\n{\"type\":\"cost-state\",\"totalCostUSD\":0.5}\n";

/// Keeps what it was told.
const AGENT: &str = "echo \"$@\" > arguments; cat > prompt";

/// A store that has this of the session.
fn store(left: Option<&str>) -> Store {
    let store = Store::new();
    store.arrived().session = left.map(|left| left.as_bytes().to_vec());
    store
}

/// A pod of a session that goes on, in a home without anything.
fn pod(store: &Store, required: bool) -> Pod {
    let pod = Pod::shipping_to(store)
        .keeping_transcript(SESSION)
        .resuming()
        .with("resume", json!({ "prompt": "go on", "required": required }));
    fs::remove_dir_all(pod.path("home")).unwrap();
    fs::create_dir(pod.path("home")).unwrap();
    pod
}

fn transcript(pod: &Pod) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let folder: String = pod
        .path("work")
        .to_str()
        .unwrap()
        .chars()
        .map(plain)
        .collect();
    pod.path("home/.claude/projects")
        .join(folder)
        .join(format!("{SESSION}.jsonl"))
}

/// Puts something where the transcript belongs, before the agent comes.
fn instead(pod: &Pod) -> PathBuf {
    let place = transcript(pod);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    let _ = fs::remove_file(&place);
    place
}

/// What the agent was told: how its session begins, and its prompt.
fn told(pod: &Pod) -> (bool, String) {
    let arguments = pod.written("arguments").unwrap();
    let goes_on = arguments.contains(&format!("--resume={SESSION}"));
    let begins = arguments.contains(&format!("--session-id={SESSION}"));
    assert_ne!(goes_on, begins, "{arguments}");
    let prompt = pod.written("prompt").unwrap();
    // The record says the same.
    assert_eq!(pod.notes("prompt"), [json!({ "text": prompt })]);
    (goes_on, prompt)
}

fn start_event(pod: &Pod) -> Value {
    pod.events().remove(0)
}

#[test]
fn the_agent_goes_on_where_another_pods_left_off() {
    let store = store(Some(LEFT));
    let mut pod = pod(&store, true).started();
    let script = format!(
        "{AGENT}; echo '{{\"type\":\"mode\"}}' >> {}",
        transcript(&pod).display()
    );
    pod.exec(Start::First, &script).end();
    assert_eq!(told(&pod), (true, "go on".to_owned()));
    assert_eq!(start_event(&pod)["costBeforeUSD"], 0.5);
    assert_eq!(pod.verdict()["costBeforeUSD"], 0.5);
    assert_eq!(pod.verdict()["sessionId"], SESSION);
    let (_, said) = pod.ship_left();
    assert!(said.contains("transcript is restored"), "{said}");
    // Only what came new was sent.
    let expected = format!("{LEFT}{{\"type\":\"mode\"}}\n");
    assert_eq!(store.arrived().transcript, expected.as_bytes());
    assert_eq!(store.arrived().transcripts, 0);
    assert_eq!(store.arrived().transcript_before_verdict, expected.len());
    let mode = fs::metadata(transcript(&pod)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_all_arrived(&pod, &store);
}

#[test]
fn a_line_that_was_torn_is_left_away() {
    let store = store(Some(&format!("{LEFT}{{\"type\":\"assist")));
    let mut pod = pod(&store, true).started();
    assert_eq!(fs::read_to_string(transcript(&pod)).unwrap(), LEFT);
    let script = format!(
        "echo '{{\"type\":\"mode\"}}' >> {}",
        transcript(&pod).display()
    );
    pod.exec(Start::First, &script).end();
    pod.ship_left();
    assert!(
        store
            .arrived()
            .transcript
            .ends_with(b"{\"type\":\"mode\"}\n")
    );
}

#[test]
fn without_a_transcript_a_session_that_must_go_on_does_not_begin() {
    let store = store(None);
    let mut pod = pod(&store, true).started();
    let ended = pod.exec(Start::First, AGENT).end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(pod.written("arguments"), None, "the agent ran");
    assert!(pod.notes("prompt").is_empty(), "it was told something");
    let verdict = pod.verdict();
    assert_eq!(
        (&verdict["stoppedBy"], &verdict["reason"]),
        (&"noSession".into(), &"ResumeFailed".into())
    );
    assert!(verdict["exit"].is_null());
    let message = verdict["message"].as_str().unwrap();
    assert!(message.contains("left a transcript"), "{message}");
    let said: Value = serde_json::from_str(&pod.termination_message()).unwrap();
    assert_eq!(said, verdict);
    pod.ship_left();
    assert_all_arrived(&pod, &store);
}

#[test]
fn without_a_transcript_a_session_in_which_nothing_happened_begins_anew() {
    for left in [None, Some(""), Some("{\"type\":\"queue-operation\"}\n")] {
        let store = store(left);
        let mut pod = pod(&store, false).started();
        pod.exec(Start::First, AGENT).end();
        assert_eq!(told(&pod), (false, "misbehave".to_owned()), "{left:?}");
        assert!(pod.verdict()["costBeforeUSD"].is_null());
        assert!(!transcript(&pod).exists(), "the CLI would refuse to begin");
        pod.ship_left();
    }
}

#[test]
fn the_agent_waits_for_a_store_that_is_away() {
    let mut store = Store::away();
    store.arrived().session = Some(LEFT.into());
    let mut pod = pod(&store, true);
    // As a `ship` before this one may have left it.
    File::create(pod.socket()).unwrap();
    pod.start_ship_alone();
    wait_for("socket to go", || (!pod.socket().exists()).then_some(()));
    let mut waiting = pod.await_ship();
    store.come();
    store.answer_next(&[
        Answer::No(RefusalReason::Retry),
        Answer::BadGateway,
        Answer::No(RefusalReason::Unauthorized),
    ]);
    let waited = wait_for("end of install", || waiting.try_wait().unwrap());
    assert!(waited.success());
    assert!(store.arrived().sessions > 0 && pod.socket().exists());
    pod.exec(Start::First, AGENT).end();
    assert_eq!(told(&pod), (true, "go on".to_owned()));
    let (_, said) = pod.ship_left();
    assert!(
        said.contains("not restored") && said.contains("trying again"),
        "{said}"
    );
}

#[test]
fn a_ship_that_waits_for_the_store_leaves_when_it_is_told_to() {
    let store = Store::away();
    let mut pod = pod(&store, true);
    pod.start_ship_alone();
    let waiting = pod.path("home/.claude");
    let id = pod.ship().id();
    let ship = rustix::process::Pid::from_raw(id.cast_signed()).unwrap();
    // A process takes signals as it wants to from when it has said so.
    wait_for("ship's signals", || {
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let blocked = status
            .lines()
            .find_map(|line| line.strip_prefix("SigBlk:\t"))?;
        (u64::from_str_radix(blocked, 16).ok()? & (1 << 14) != 0).then_some(())
    });
    rustix::process::kill_process(ship, rustix::process::Signal::TERM).unwrap();
    let (code, said) = pod.ship_left();
    assert_eq!(code, Some(0), "{said}");
    assert!(!waiting.exists() && !pod.socket().exists());
}

#[test]
fn an_attempt_that_is_over_starts_no_agent() {
    let store = store(Some(LEFT));
    store.answer(Answer::No(RefusalReason::Fenced));
    let mut pod = pod(&store, true).started();
    let ended = pod.exec(Start::First, AGENT).end();
    assert_eq!(ended.code, Some(75), "{ended:?}");
    assert_eq!(pod.written("arguments"), None);
    pod.kill_ship();
}

#[test]
fn a_ship_that_comes_back_leaves_the_agents_transcript_alone() {
    let store = store(Some(LEFT));
    let mut pod = pod(&store, true).started();
    let exec = pod.exec(Start::First, "until [ -s go ]; do sleep 0.05; done");
    wait_for("start", || pod.events().pop());
    pod.kill_ship();
    fs::write(transcript(&pod), format!("{LEFT}more\n")).unwrap();
    pod.start_ship();
    fs::write(pod.path("work/go"), "go").unwrap();
    exec.end();
    pod.ship_left();
    let expected = format!("{LEFT}more\n");
    assert_eq!(fs::read_to_string(transcript(&pod)).unwrap(), expected);
    assert_eq!(store.arrived().transcript, expected.as_bytes());
    assert_eq!(store.arrived().sessions, 1);
}

#[test]
fn what_lies_in_the_transcripts_place_is_not_taken_for_one() {
    let link = |pod: &Pod| symlink("/etc/passwd", instead(pod)).unwrap();
    let pipe = |pod: &Pod| {
        let made = Command::new("mkfifo").arg(instead(pod)).status();
        assert!(made.unwrap().success());
    };
    let sparse = |pod: &Pod| {
        let mut file = File::create(instead(pod)).unwrap();
        file.write_all(LEFT.as_bytes()).unwrap();
        file.set_len(10 << 30).unwrap();
    };
    let folder = |pod: &Pod| fs::create_dir(instead(pod)).unwrap();
    type Put<'a> = (&'a dyn Fn(&Pod), &'a str);
    let all: [Put<'_>; 4] = [
        (&link, "links"),
        (&pipe, "no regular file"),
        (&sparse, "larger than 64 MiB"),
        (&folder, "no regular file"),
    ];
    for (put, why) in all {
        let store = store(Some(LEFT));
        let mut pod = pod(&store, true).started();
        put(&pod);
        let ended = pod.exec(Start::First, AGENT).end();
        assert_eq!(ended.code, Some(1), "{why}: {ended:?}");
        assert_eq!(pod.written("arguments"), None, "{why}: the agent ran");
        let verdict = pod.verdict();
        assert_eq!(verdict["reason"], "ResumeFailed", "{why}");
        let message = verdict["message"].as_str().unwrap();
        assert!(message.contains(why), "{why}: {message}");
        pod.ship_left();
        // What the store has of the session stays.
        assert_eq!(store.arrived().transcript, LEFT.as_bytes(), "{why}");
        assert_all_arrived(&pod, &store);
    }
}

#[test]
fn what_is_left_in_the_home_leads_no_transcript_out_of_it() {
    let store = store(Some(LEFT));
    let mut pod = pod(&store, true);
    let outside = pod.path("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, pod.path("home/.claude")).unwrap();
    pod.start_ship_alone();
    wait_for("a try", || (store.arrived().sessions > 1).then_some(()));
    pod.kill_ship();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert!(!pod.socket().exists());
}
