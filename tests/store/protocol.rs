//! A stream as `ship` feeds it, over TLS.

use herdctl::api::protocol::{self, RefusalReason};
use herdctl::store::news::News;

use crate::lines::{closing, line, lines, verdict};
use crate::server::{READER, Server, key};

const OUTPUT: &str = "ns/jobs/job/output.jsonl";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_appended_is_acknowledged_and_in_the_file() {
    let server = Server::start().await;
    let mut ship = server.connect().await;
    assert_eq!(ship.take_up("job", 1).await.length(), 0);
    assert_eq!(ship.append("job", 1, (0, 0), "{\"a\":").await.length(), 5);
    assert_eq!(ship.append("job", 1, (5, 5), "1}\n").await.length(), 8);
    assert_eq!(ship.take_up("job", 1).await.length(), 8);
    assert_eq!(server.read(OUTPUT), b"{\"a\":1}\n");

    let job = server.job_json("ns", "job");
    assert_eq!(job["id"], "job");
    assert_eq!(
        (&job["agent"], &job["status"]),
        (&"agent".into(), &"running".into())
    );
    for absent in [
        "schedule",
        "exitReason",
        "sessionId",
        "completedAt",
        "error",
    ] {
        assert!(job.as_object().unwrap().contains_key(absent), "{absent}");
        assert!(job[absent].is_null());
    }
    assert_eq!(job["segments"][0]["podUid"], "pod-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_may_be_repeated_in_any_way() {
    let server = Server::start().await;
    let mut ship = server.connect().await;
    for (offset, body, length) in [
        (0, "0123", 4),
        (0, "0123", 4),
        (2, "2345", 6),
        (1, "123", 6),
        (6, "", 6),
    ] {
        assert_eq!(
            ship.append("job", 1, (offset, 0), body).await.length(),
            length
        );
    }
    assert_eq!(server.read(OUTPUT), b"012345");
    let gap = ship.append("job", 1, (7, 6), "7").await.refusal();
    assert_eq!((gap.reason, gap.length), (RefusalReason::Gap, Some(6)));
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_bytes_can_not_be_changed_without_showing() {
    let mut server = Server::start().await;
    let mut ship = server.connect().await;
    ship.append("job", 1, (0, 0), "0123").await.length();
    let altered = ship.append("job", 1, (2, 4), "x3").await.refusal();
    assert_eq!(
        (altered.reason, altered.length),
        (RefusalReason::Altered, Some(4))
    );
    assert_eq!(server.read(OUTPUT), b"0123");
    let message = server
        .hear(|news| match news {
            News::Altered { message, .. } => Some(message),
            _ => None,
        })
        .await;
    assert!(message.contains("byte 2 "), "{message}");
    assert_eq!(server.job_json("ns", "job")["altered"], message);

    // Who says that he was told less is not believed.
    for acked in [0, 3] {
        let again = ship.append("job", 1, (2, acked), "2xy").await;
        assert_eq!(again.reason(), RefusalReason::Altered, "{acked}");
    }
    assert_eq!(server.read(OUTPUT), b"0123");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_store_before_may_have_acknowledged_can_not_be_changed_either() {
    let folder = tempfile::tempdir().unwrap();
    let whole = lines(2);
    let said = whole.clone() + "{\"half";
    {
        let server = Server::at(folder.path()).await;
        let mut ship = server.connect().await;
        ship.append("job", 1, (0, 0), said.clone()).await.length();
    }
    let server = crate::seal::until_free(folder.path()).await;
    let mut ship = server.connect().await;
    let other = "x".repeat(said.len());
    let altered = ship.append("job", 1, (0, 0), other).await;
    assert_eq!(altered.reason(), RefusalReason::Altered);
    assert_eq!(server.read(OUTPUT), said.as_bytes());

    // Only of half a line nobody knows, and once it was told to be safe, that is over too.
    let at = whole.len() as u64;
    let sent = ship.append("job", 1, (at, at), "{\"other").await;
    assert_eq!(sent.length(), at + 7);
    assert_eq!(server.read(OUTPUT), (whole + "{\"other").as_bytes());
    let again = ship.append("job", 1, (at, at), "{\"half").await;
    assert_eq!(again.reason(), RefusalReason::Altered);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_belongs_to_one_pod_and_the_newest_attempt() {
    let server = Server::start().await;
    let mut ship = server.connect().await;
    ship.append("job", 1, (0, 0), "{\"torn").await.length();
    let path = protocol::output("ns", "job", 1) + "?offset=6&acked=6";
    let other = ship.send("POST", &path, Some("pod-x"), "x").await;
    assert_eq!(other.reason(), RefusalReason::Fenced);

    assert_eq!(ship.take_up("job", 2).await.length(), 0);
    for late in [
        ship.append("job", 1, (6, 6), "x").await,
        ship.take_up("job", 1).await,
    ] {
        assert_eq!(late.reason(), RefusalReason::Fenced);
    }
    assert_eq!(ship.append("job", 2, (0, 0), "{}\n").await.length(), 3);
    assert_eq!(
        server.read(OUTPUT),
        b"{\"torn\n{}\n",
        "the torn line is ended"
    );
    let segments = server.job_json("ns", "job")["segments"].clone();
    assert_eq!(
        (&segments[0]["length"], &segments[1]["start"]),
        (&6.into(), &7.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_follows_a_verdict_and_it_is_told_once_it_is_safe() {
    let mut server = Server::start().await;
    let mut ship = server.connect().await;
    let before = lines(3);
    let last = verdict(&before);
    ship.append("job", 1, (0, 0), before.clone()).await.length();
    let at = before.len() as u64;
    let whole = at + last.len() as u64;
    let (half, rest) = last.split_at(40);
    ship.append("job", 1, (at, at), half.to_owned())
        .await
        .length();
    let sent = ship
        .append("job", 1, (at + 40, at + 40), rest.to_owned() + "more")
        .await;
    assert_eq!(sent.length(), whole);
    let (attempt, pod, turns) = server
        .hear(|news| match news {
            News::Verdict {
                attempt,
                pod_uid,
                verdict,
                ..
            } => Some((attempt, pod_uid, verdict.turns)),
            _ => None,
        })
        .await;
    assert_eq!((attempt, pod.as_str(), turns), (1, "pod-1", 7));
    assert_eq!(server.read(OUTPUT).len() as u64, whole);

    assert_eq!(
        ship.append("job", 1, (at, at), last.clone()).await.length(),
        whole,
        "repeated"
    );
    let more = ship.append("job", 1, (whole, whole), "more").await;
    assert_eq!(more.reason(), RefusalReason::Fenced);

    server
        .records
        .seal(&key("ns", "job"), closing())
        .await
        .unwrap();
    assert_eq!(
        ship.append("job", 1, (at, at), last).await.length(),
        whole,
        "repeated when sealed"
    );
    for late in [
        ship.append("job", 1, (whole, whole), "more").await,
        ship.take_up("job", 1).await,
        ship.take_up("job", 2).await,
        ship.transcribe("job", 1, 0, "t").await,
    ] {
        assert_eq!(late.reason(), RefusalReason::Fenced);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_on_other_bytes_shows() {
    let mut server = Server::start().await;
    let mut ship = server.connect().await;
    ship.append("job", 1, (0, 0), lines(2) + &verdict(&lines(3)))
        .await
        .length();
    let heard = server
        .hear(|news| match news {
            News::Grown { .. } => None,
            other => Some(other),
        })
        .await;
    assert!(matches!(heard, News::Altered { .. }), "{heard:?}");
    assert!(
        server.job_json("ns", "job")["altered"]
            .as_str()
            .unwrap()
            .contains("digest")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_can_not_forge_a_verdict() {
    let server = Server::start().await;
    let mut ship = server.connect().await;
    let forged = verdict("").replacen("{", "{\"line\":1,", 1);
    let length = ship.append("job", 1, (0, 0), forged).await.length();
    assert_eq!(
        ship.append("job", 1, (length, length), line(2))
            .await
            .status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn growth_is_told_with_the_runs_progress() {
    let mut server = Server::start().await;
    let mut ship = server.connect().await;
    ship.append("job", 1, (0, 0), lines(3)).await.length();
    let (progress, bytes, count) = server
        .hear(|news| match news {
            News::Grown {
                progress,
                bytes,
                lines,
                ..
            } if lines > 0 => Some((progress, bytes, lines)),
            _ => None,
        })
        .await;
    assert_eq!((bytes, count), (lines(3).len() as u64, 3));
    assert_eq!(
        (
            progress.turns,
            progress.input_tokens,
            progress.output_tokens
        ),
        (3, 6, 9)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transcript_is_appended_or_begun_anew() {
    let server = Server::start().await;
    let mut ship = server.connect().await;
    assert_eq!(ship.transcribe("job", 1, 0, "0123").await.length(), 4);
    assert_eq!(ship.transcribe("job", 1, 4, "45").await.length(), 6);
    assert_eq!(ship.transcribe("job", 1, 4, "45").await.length(), 6);
    let gap = ship.transcribe("job", 1, 7, "x").await.refusal();
    assert_eq!((gap.reason, gap.length), (RefusalReason::Gap, Some(6)));
    assert_eq!(server.read("ns/jobs/job/session.jsonl"), b"012345");
    // A shipper that starts again begins at its start, and destroys nothing.
    assert_eq!(ship.transcribe("job", 1, 0, "0123").await.length(), 4);
    assert_eq!(server.read("ns/jobs/job/session.jsonl"), b"012345");
    assert_eq!(ship.transcribe("job", 1, 4, "456").await.length(), 7);
    assert_eq!(server.read("ns/jobs/job/session.jsonl"), b"0123456");
    assert_eq!(ship.transcribe("job", 1, 0, "ab").await.length(), 2);
    assert_eq!(server.read("ns/jobs/job/session.jsonl"), b"ab");
    let far = ship
        .transcribe("job", 1, protocol::MAX_TRANSCRIPT_BYTES, "x")
        .await;
    assert_eq!(far.reason(), RefusalReason::TooLarge);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_open_what_they_are_for() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let (output, log) = (
        protocol::output("ns", "job", 1) + "?offset=0&acked=0",
        protocol::log("ns", "job"),
    );
    for (method, path, token, reason) in [
        ("POST", &output, None, RefusalReason::Unauthorized),
        ("POST", &output, Some("nobody"), RefusalReason::Unauthorized),
        ("POST", &output, Some(READER), RefusalReason::Forbidden),
        ("GET", &log, None, RefusalReason::Unauthorized),
        ("GET", &log, Some("pod-1"), RefusalReason::Forbidden),
    ] {
        let body = if method == "POST" {
            "x".repeat(200_000)
        } else {
            String::new()
        };
        assert_eq!(
            client.send(method, path, token, body).await.reason(),
            reason
        );
    }
    assert!(!server.path("ns").exists(), "nothing is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_job_is_final_a_stream_brings_its_rest_and_none_begins() {
    let server = Server::start().await;
    let mut ship = server.connect().await;
    let output = protocol::output("ns", "job", 1) + "?offset=0&acked=0";
    let late = ship.send("POST", &output, Some("pod-ended"), "x").await;
    assert_eq!(late.reason(), RefusalReason::Fenced);
    assert!(!server.path("ns").exists(), "nothing is written");

    ship.send("POST", &output, Some("pod"), "x").await.length();
    assert_eq!(
        ship.send("POST", &output, Some("pod"), "xy").await.length(),
        2
    );
    let path = protocol::attempt("ns", "job", 2);
    let next = ship.send("PUT", &path, Some("pod-ended"), "").await;
    assert_eq!(next.reason(), RefusalReason::Fenced);
}
