//! Whatever comes in, memory is bounded, the answer is clear, and nobody else notices.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use herdctl::api::protocol::{self, MAX_APPEND_BYTES, RefusalReason};
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::lines::{closing, lines, verdict};
use crate::server::{READER, Server, key};

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_in_words() {
    let server = Server::start().await;
    let output = protocol::output("ns", "job", 1);
    let log = protocol::log("ns", "job");
    let long = "9".repeat(30);
    for (method, path, token) in [
        ("POST", output.clone(), "pod-1"),
        ("POST", format!("{output}?offset=0"), "pod-1"),
        ("POST", format!("{output}?offset=-1&acked=0"), "pod-1"),
        ("POST", format!("{output}?offset={long}&acked=0"), "pod-1"),
        (
            "POST",
            format!("{output}?offset=0&offset=1&acked=0"),
            "pod-1",
        ),
        ("POST", format!("{output}?offset=%ff&acked=0"), "pod-1"),
        (
            "PUT",
            "/v1/namespaces/ns/jobs/job/attempts/0".to_owned(),
            "pod-1",
        ),
        (
            "PUT",
            "/v1/namespaces/ns/jobs/job/attempts/x".to_owned(),
            "pod-1",
        ),
        ("DELETE", output.clone(), "pod-1"),
        ("GET", "/".to_owned(), READER),
        ("GET", format!("{log}?follow=yes"), READER),
        ("GET", format!("{log}?tail=-1"), READER),
        ("GET", format!("{log}?since=yesterday"), READER),
        ("GET", format!("{log}?offset=0&tail=1"), READER),
    ] {
        let mut client = server.connect().await;
        let answer = client.send(method, &path, Some(token), "").await;
        assert_eq!(
            answer.reason(),
            RefusalReason::BadRequest,
            "{method} {path}"
        );
    }
    assert!(!server.path("ns").exists(), "nothing is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_far_away_are_gaps() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.append("job", 1, (0, 0), "x\n").await.length();
    for offset in [3, u64::from(u32::MAX), u64::MAX] {
        let gap = client
            .append("job", 1, (offset, u64::MAX), "x")
            .await
            .refusal();
        assert_eq!((gap.reason, gap.length), (RefusalReason::Gap, Some(2)));
        let gap = client
            .log("job", &format!("follow=true&offset={offset}"))
            .await
            .refusal();
        assert_eq!((gap.reason, gap.length), (RefusalReason::Gap, Some(2)));
    }
    assert_eq!(
        client
            .append("job", 1, (0, u64::MAX), "x\ny")
            .await
            .length(),
        3
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_with_and_without_a_length() {
    let server = Server::start().await;
    let most = server
        .connect()
        .await
        .append("job", 1, (0, 0), vec![b'x'; MAX_APPEND_BYTES])
        .await;
    assert_eq!(most.length(), MAX_APPEND_BYTES as u64);

    let large = vec![b'x'; MAX_APPEND_BYTES + 1];
    let refused = server.connect().await.append("job", 2, (0, 0), large).await;
    assert_eq!(refused.reason(), RefusalReason::TooLarge);

    let answer = server.door.request(in_pieces(64)).await.expect("an answer");
    assert_eq!(answer.status(), 413);
    // Who sends without end may not get to reading the answer.
    let endless = server.door.request(in_pieces(u32::MAX)).await;
    assert!(endless.is_none_or(|answer| answer.status() == 413));
    let jobs = server.path("ns/jobs/job/job.json");
    assert!(!std::fs::read_to_string(jobs).unwrap().contains("pod-3"));
}

/// An append of so many pieces of 16 KiB, without a length.
fn in_pieces(
    count: u32,
) -> http::Request<impl hyper::body::Body<Data = Bytes, Error = Infallible>> {
    let piece = || Ok(Frame::data(Bytes::from(vec![b'x'; 16 * 1024])));
    let pieces = stream::iter((0..count).map(move |_| piece()));
    http::Request::post(protocol::output("ns", "job", 3) + "?offset=0&acked=0")
        .header("host", "store")
        .header("authorization", "Bearer pod-3")
        .body(StreamBody::new(pieces))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_ten_megabytes_is_kept_and_the_verdict_behind_it_counts() {
    let mut server = Server::start().await;
    let mut ship = server.connect().await;
    let whole = "x".repeat(10 * 1024 * 1024) + "\n" + &lines(1);
    let whole = whole.clone() + &verdict(&whole);
    let mut at = 0;
    for piece in whole.as_bytes().chunks(MAX_APPEND_BYTES) {
        at = ship
            .append("job", 1, (at, at), piece.to_vec())
            .await
            .length();
    }
    server
        .hear(|news| matches!(news, herdctl::store::news::News::Verdict { .. }).then_some(()))
        .await;
    server
        .records
        .seal(&key("ns", "job"), closing())
        .await
        .unwrap();
    let body = ship.log("job", "").await.body;
    assert!(body.starts_with(whole.as_bytes()));
    let tail = ship.log("job", "tail=3").await.body;
    assert!(tail.starts_with(lines(1).as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_are_kept_as_they_are_and_zeros_refused() {
    let server = Server::start().await;
    let mut ship = server.connect().await;
    let bytes = b"\xff\xfe\xc3\n\x1b[2J\r\n{\"type\":\"\xf0\"}\n".to_vec();
    let length = ship.append("job", 1, (0, 0), bytes.clone()).await.length();
    assert_eq!(ship.log("job", "").await.body, bytes);
    let zero = ship.append("job", 1, (length, length), "a\0b").await;
    assert_eq!(zero.reason(), RefusalReason::BadRequest);
    assert_eq!(ship.take_up("job", 1).await.length(), length);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_who_stops_in_the_middle_holds_up_nobody() {
    let server = Server::start().await;
    let mut slow = server.door.stream().await;
    let path = protocol::output("ns", "slow", 1) + "?offset=0&acked=0";
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: store\r\nauthorization: Bearer pod-1\r\ncontent-length: 100\r\n\r\nabc"
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    slow.flush().await.unwrap();
    let mut ship = server.connect().await;
    for at in 0..20 {
        assert_eq!(ship.append("job", 1, (at, at), "x").await.length(), at + 1);
    }
    slow.shutdown().await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), slow.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap_or_default();
    assert!(
        !server.path("ns/jobs/slow").exists(),
        "half a body is no append"
    );
}
