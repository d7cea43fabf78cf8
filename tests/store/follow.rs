//! Reading while it grows: by push, without a gap or a repeat, to the last line and no further.

use std::time::{Duration, Instant};

use bytes::Bytes;
use herdctl::api::protocol::{self, BEGINS, MAX_APPEND_BYTES};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::lines::{closing, line, lines};
use crate::server::{DEADLINE, READER, Server, key};

/// A reader in the middle of an answer.
struct Follower {
    body: Incoming,
    got: Vec<u8>,
}

impl Follower {
    async fn begin(server: &Server, job: &str, query: &str) -> Follower {
        let path = format!("{}?follow=true&{query}", protocol::log("ns", job));
        let answer = server
            .connect()
            .await
            .open("GET", &path, Some(READER), "")
            .await;
        assert_eq!(answer.status(), 200);
        assert!(!answer.headers().contains_key("content-length"));
        Follower {
            body: answer.into_body(),
            got: Vec::new(),
        }
    }

    async fn piece(&mut self) -> Option<Bytes> {
        let frame = timeout(DEADLINE, self.body.frame()).await.unwrap()?;
        frame.ok()?.into_data().ok()
    }

    async fn until(&mut self, length: usize) -> &[u8] {
        while self.got.len() < length {
            let piece = self.piece().await.expect("more");
            self.got.extend_from_slice(&piece);
        }
        &self.got
    }

    /// Everything to the end; fails when it breaks off.
    async fn rest(mut self) -> Vec<u8> {
        let rest = timeout(DEADLINE, self.body.collect())
            .await
            .unwrap()
            .unwrap();
        self.got.extend_from_slice(&rest.to_bytes());
        self.got
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_starts_before_the_record_and_ends_with_complete() {
    let server = Server::start().await;
    let mut follower = Follower::begin(&server, "job", "").await;
    let mut ship = server.connect().await;
    let mut sent = String::new();
    for seq in 1..=50 {
        let at = sent.len() as u64;
        ship.append("job", 1, (at, at), line(seq)).await.length();
        sent.push_str(&line(seq));
        assert_eq!(follower.until(sent.len()).await, sent.as_bytes());
    }
    server
        .records
        .seal(&key("ns", "job"), closing())
        .await
        .unwrap();
    let got = follower.rest().await;
    assert_eq!(got, server.read("ns/jobs/job/output.jsonl"));
    assert_eq!(
        got.windows(17)
            .filter(|window| window == b"\"type\":\"complete\"")
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_of_a_job_that_never_ran_ends_too() {
    let server = Server::start().await;
    let follower = Follower::begin(&server, "job", "").await;
    server
        .records
        .seal(&key("ns", "job"), closing())
        .await
        .unwrap();
    assert_eq!(
        follower.rest().await,
        server.read("ns/jobs/job/output.jsonl")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_line_is_pushed_at_once() {
    let server = Server::start().await;
    let mut follower = Follower::begin(&server, "job", "").await;
    let mut ship = server.connect().await;
    let mut waits = Vec::new();
    let mut at = 0;
    for seq in 1..=200 {
        let safe = ship.append("job", 1, (at, at), line(seq)).await.length();
        let acknowledged = Instant::now();
        follower.until(safe as usize).await;
        waits.push(acknowledged.elapsed());
        at = safe;
    }
    waits.sort_unstable();
    // Polling, at whatever pace a server could bear, would show in the middle.
    assert!(waits[100] < Duration::from_millis(10), "{:?}", waits[100]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_comes_back_at_its_offset_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let whole = lines(20);
    let (first, second) = whole.split_at(777);
    let mut got = {
        let server = Server::at(folder.path()).await;
        server
            .connect()
            .await
            .append("job", 1, (0, 0), first.to_owned())
            .await
            .length();
        let mut follower = Follower::begin(&server, "job", "").await;
        follower.until(first.len()).await;
        follower.got
    };
    let server = crate::seal::until_free(folder.path()).await;
    let follower = Follower::begin(&server, "job", &format!("offset={}", got.len())).await;
    let at = first.len() as u64;
    server
        .connect()
        .await
        .append("job", 1, (at, at), second.to_owned())
        .await
        .length();
    server
        .records
        .seal(&key("ns", "job"), closing())
        .await
        .unwrap();
    got.extend(follower.rest().await);
    assert_eq!(got, server.read("ns/jobs/job/output.jsonl"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_takes_nothing_holds_up_nobody() {
    let server = Server::start().await;
    let mut asleep = Vec::new();
    for _ in 0..20 {
        asleep.push(Follower::begin(&server, "job", "").await);
    }
    let mut awake = Follower::begin(&server, "job", "").await;
    let mut ship = server.connect().await;
    let body = Bytes::from(vec![b'x'; MAX_APPEND_BYTES]);
    let mut at = 0;
    for _ in 0..64 {
        at = ship.append("job", 1, (at, at), body.clone()).await.length();
        awake.until(at as usize).await;
    }
    let held = server
        .records
        .seal(&key("ns", "job"), closing())
        .await
        .unwrap();
    let late = asleep.pop().unwrap().rest().await;
    assert_eq!(late.len() as u64, held.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_read_what_was_taken_back_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    {
        let server = Server::at(folder.path()).await;
        let mut ship = server.connect().await;
        ship.append("job", 1, (0, 0), "abcdef").await.length();
    }
    // The next store does not know whether that half a line was ever acknowledged.
    let server = crate::seal::until_free(folder.path()).await;
    let mut follower = Follower::begin(&server, "job", "").await;
    let mut ship = server.connect().await;
    follower.until(6).await;
    assert_eq!(ship.append("job", 1, (0, 2), "abXY").await.length(), 4);
    assert!(
        timeout(DEADLINE, follower.body.collect())
            .await
            .unwrap()
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_may_begin_at_a_byte_a_line_or_a_time() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let whole = lines(30) + "{\"torn";
    client
        .append("job", 1, (0, 0), whole.clone())
        .await
        .length();
    let from = |count: u64| lines(count).len();
    for (query, begins) in [
        ("", 0),
        ("offset=5", 5),
        (&format!("offset={}", whole.len()), whole.len()),
        ("tail=0", from(30)),
        ("tail=1", from(29)),
        ("tail=30", 0),
        ("tail=31", 0),
        (&format!("tail={}", u64::MAX), 0),
        ("since=2026-11-23T07:00:00Z", 0),
        ("since=2026-11-23T07:00:20Z", from(19)),
        ("since=2026-11-23T08:00:20%2B01:00", from(19)),
        ("since=2026-11-23T07:00:20Z&tail=3", from(27)),
        ("since=2026-11-24T00:00:00Z", from(30)),
    ] {
        let log = client.log("job", query).await;
        assert_eq!(log.headers[BEGINS], begins.to_string(), "{query}");
        assert_eq!(log.body, whole[begins..], "{query}");
    }
    server
        .records
        .seal(&key("ns", "job"), closing())
        .await
        .unwrap();
    let file = server.read("ns/jobs/job/output.jsonl");
    assert_eq!(client.log("job", "follow=true").await.body, file);
    let end = client
        .log("job", &format!("follow=true&offset={}", file.len()))
        .await;
    assert_eq!((end.status, &end.body[..]), (200, &b""[..]));
}
