//! A session that goes on in another pod: whose transcript it gets, and that it gets it whole.

use std::time::Duration;

use bytes::Bytes;
use herdctl::api::protocol::{self, MAX_APPEND_BYTES, RefusalReason};

use crate::lines::{closing, lines};
use crate::server::{Client, READER, Server, key};

const OWN: &str = "ns/jobs/job/session.jsonl";

/// A Job that ran once and left a transcript, which is sealed.
async fn ended(server: &Server, job: &str, transcript: &str) {
    let mut ship = server.connect().await;
    ship.take_up(job, 1).await.length();
    ship.transcribe(job, 1, 0, transcript.to_owned())
        .await
        .length();
    let sealed = server.records.seal(&key("ns", job), closing()).await;
    sealed.unwrap();
}

async fn reason(ship: &mut Client, job: &str) -> RefusalReason {
    ship.session(job, 1).await.reason()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_attempt_gets_what_the_one_before_left() {
    let server = Server::start().await;
    let mut ship = server.connect().await;
    // More than one piece of it.
    let text = Bytes::from("0123456789\n".repeat(60_000));
    for (at, piece) in text.chunks(MAX_APPEND_BYTES).enumerate() {
        let offset = (at * MAX_APPEND_BYTES) as u64;
        let piece = Bytes::copy_from_slice(piece);
        ship.transcribe("job", 1, offset, piece).await.length();
    }
    let answer = ship.session("job", 2).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body == text);
    assert_eq!(
        answer.headers["content-length"],
        text.len().to_string().as_str()
    );

    // From here on it is the second attempt's.
    let late = ship.transcribe("job", 1, 0, "late").await;
    assert_eq!(late.reason(), RefusalReason::Fenced);
    assert_eq!(ship.session("job", 1).await.reason(), RefusalReason::Fenced);
    let more = ship.transcribe("job", 2, text.len() as u64, "more\n").await;
    assert_eq!(more.length(), text.len() as u64 + 5);
    assert!(ship.session("job", 2).await.body.ends_with(b"more\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_transcript_there_is_nothing_to_continue() {
    let server = Server::start().await;
    let mut ship = server.connect().await;
    assert_eq!(reason(&mut ship, "job").await, RefusalReason::NotFound);
    ship.transcribe("job", 1, 0, "").await.length();
    let refusal = ship.session("job", 1).await.refusal();
    assert_eq!(refusal.reason, RefusalReason::NotFound);
    assert!(refusal.message.contains("transcript"), "{refusal:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_of_another_job_becomes_this_ones_own() {
    let server = Server::start().await;
    ended(&server, "first", "one\n").await;
    server.gate.resume("job", "first", "uid-first", true);
    let mut ship = server.connect().await;
    for _ in 0..2 {
        assert_eq!(ship.session("job", 1).await.body, "one\n");
    }
    assert_eq!(server.read(OWN), b"one\n");
    ship.transcribe("job", 1, 4, "two\n").await.length();
    // It is its own now, whatever becomes of the other.
    assert_eq!(ship.session("job", 2).await.body, "one\ntwo\n");
    assert_eq!(server.read("ns/jobs/first/session.jsonl"), b"one\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_session_that_the_status_pins_is_given_and_only_once_it_has_ended() {
    let server = Server::start().await;
    ended(&server, "first", "one\n").await;
    let mut ship = server.connect().await;
    ship.transcribe("running", 1, 0, "two\n").await.length();
    for (from, uid, over, expected) in [
        ("first", "uid-other", true, RefusalReason::NotFound),
        ("nobody", "uid-nobody", true, RefusalReason::NotFound),
        ("running", "uid-running", false, RefusalReason::Retry),
        ("../../other/jobs/x", "uid-x", true, RefusalReason::NotFound),
    ] {
        server.gate.resume("job", from, uid, over);
        assert_eq!(reason(&mut ship, "job").await, expected, "{from}");
        assert!(!server.path(OWN).exists(), "{from}");
    }
    // A sealed record says itself that its Job has ended.
    server.gate.resume("job", "first", "uid-first", false);
    assert_eq!(ship.session("job", 1).await.body, "one\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_the_same_name_in_another_namespace_is_another() {
    let server = Server::start().await;
    let mut ship = server.connect().await;
    let elsewhere = protocol::transcript("elsewhere", "first", 1);
    let path = format!("{elsewhere}?offset=0");
    let sent = ship.send("POST", &path, Some("pod-1"), "secret\n").await;
    sent.length();
    server.gate.resume("job", "first", "uid-first", true);
    assert_eq!(reason(&mut ship, "job").await, RefusalReason::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_a_transcript_but_the_pod_that_continues_it() {
    let server = Server::start().await;
    let mut ship = server.connect().await;
    ship.transcribe("job", 1, 0, "one\n").await.length();
    let path = protocol::transcript("ns", "job", 1);
    for (token, expected) in [
        (None, RefusalReason::Unauthorized),
        (Some("nobody"), RefusalReason::Unauthorized),
        (Some(READER), RefusalReason::Forbidden),
        (Some("pod-of-another"), RefusalReason::Fenced),
    ] {
        let answer = ship.send("GET", &path, token, "").await;
        assert_eq!(answer.reason(), expected, "{token:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_of_a_job_that_has_ended_gets_nothing() {
    let server = Server::start().await;
    ended(&server, "job", "one\n").await;
    let mut ship = server.connect().await;
    assert_eq!(ship.session("job", 2).await.reason(), RefusalReason::Fenced);
    let path = protocol::transcript("ns", "never", 1);
    let answer = ship.send("GET", &path, Some("pod-ended"), "").await;
    assert_eq!(answer.reason(), RefusalReason::Fenced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_survives_the_store_that_was_asked_for_it() {
    let folder = tempfile::tempdir().unwrap();
    {
        let server = Server::at(folder.path()).await;
        ended(&server, "first", "one\n").await;
        server.gate.resume("job", "first", "uid-first", true);
        let mut ship = server.connect().await;
        assert_eq!(ship.session("job", 1).await.body, "one\n");
        ship.append("job", 1, (0, 0), lines(1)).await.length();
    }
    // One that was killed in the middle of a copy.
    std::fs::write(folder.path().join("ns/jobs/job/session.jsonl.new"), "o").unwrap();
    let free = crate::seal::until_free(folder.path());
    let server = tokio::time::timeout(Duration::from_secs(60), free).await;
    let server = server.unwrap();
    let mut ship = server.connect().await;
    assert_eq!(ship.session("job", 1).await.body, "one\n");
}
