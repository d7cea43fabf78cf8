//! How a record ends: with exactly one `complete`, whatever the store went through.

use herdctl::api::reason::{ExitReason, Phase, Reason};
use herdctl::api::verdict::StoppedBy;
use herdctl::store::news::Closing;
use serde_json::{Value, json};

use crate::lines::{closing, hex, lines, verdict, verdict_of};
use crate::server::{Server, key};

fn events(bytes: &[u8]) -> Vec<Value> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines
        .map(|line| serde_json::from_slice(line).unwrap_or(Value::Null))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_line_agrees_with_the_job_and_vouches_for_all_before_it() {
    let server = Server::start().await;
    let mut ship = server.connect().await;
    let said = lines(3) + &verdict(&lines(3));
    ship.append("job", 1, (0, 0), said.clone()).await.length();
    let key = key("ns", "job");
    assert!(server.records.known().contains(&key));

    let sealed = server.records.seal(&key, closing()).await.unwrap();
    let file = server.read("ns/jobs/job/output.jsonl");
    assert_eq!(
        (sealed.bytes, sealed.lines, sealed.missing),
        (file.len() as u64, 5, 0)
    );
    assert_eq!(sealed.sha256, hex(&file));
    assert_eq!(
        sealed.path,
        server
            .path("ns/jobs/job/output.jsonl")
            .display()
            .to_string()
    );
    let complete = &events(&file)[4];
    assert_eq!(complete["type"], "complete");
    assert_eq!(
        (&complete["status"], &complete["exitReason"]),
        (&"completed".into(), &"success".into())
    );
    assert_eq!(
        (&complete["seq"], &complete["durationMs"]),
        (&5.into(), &2000.into())
    );
    assert_eq!(
        (&complete["turns"], &complete["costUSD"]),
        (&7.into(), &0.25.into())
    );
    assert_eq!(complete["sha256"], hex(said.as_bytes()));

    assert_eq!(server.records.known(), []);
    assert_eq!(
        server.records.seal(&key, closing()).await.unwrap(),
        sealed,
        "again"
    );
    assert_eq!(server.read("ns/jobs/job/output.jsonl"), file);
    let job = server.job_json("ns", "job");
    assert_eq!(
        (&job["status"], &job["sessionId"]),
        (&"completed".into(), &"session".into())
    );
    assert_eq!(job["sealed"]["sha256"], sealed.sha256);
    let log = String::from_utf8(server.read("ns/logs/agent/job.log")).unwrap();
    assert_eq!(log.lines().count(), 4, "{log}");
    assert!(log.ends_with("completed, success, Completed\n"), "{log}");
}

/// The agent finished, and its last words never arrived: nothing went wrong that an error could tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_success_whose_last_words_are_missing_is_no_error() {
    let server = Server::start().await;
    let mut ship = server.connect().await;
    ship.append("job", 1, (0, 0), lines(2)).await.length();
    let finished = Closing {
        spoken: false,
        counted: [(1, lines(2).len() as u64 + 100)].into(),
        ..closing()
    };
    let key = key("ns", "job");
    let sealed = server.records.seal(&key, finished).await.unwrap();
    assert_eq!(sealed.missing, 100);
    let events = events(&server.read("ns/jobs/job/output.jsonl"));
    assert_eq!(events.len(), 3, "{events:?}");
    assert_eq!(events[2]["type"], "complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_agent_could_not_say_the_store_says() {
    let server = Server::start().await;
    let mut ship = server.connect().await;
    let said = lines(2) + "{\"torn";
    ship.append("job", 1, (0, 0), said.clone()).await.length();
    let killed = Closing {
        phase: Phase::Failed,
        exit_reason: Some(ExitReason::Error),
        reason: Some(Reason::OomKilled),
        message: Some("killed for memory".into()),
        spoken: false,
        counted: [(1, said.len() as u64 + 100)].into(),
        ..closing()
    };
    let sealed = server
        .records
        .seal(&key("ns", "job"), killed)
        .await
        .unwrap();
    assert_eq!(sealed.missing, 100);
    let file = server.read("ns/jobs/job/output.jsonl");
    assert!(file.starts_with((said + "\n").as_bytes()));
    let events = events(&file);
    assert_eq!((events.len(), sealed.lines), (5, 5));
    assert_eq!(
        (&events[3]["type"], &events[3]["code"]),
        (&"error".into(), &"OOMKilled".into())
    );
    assert_eq!(
        (&events[3]["message"], &events[3]["seq"]),
        (&"killed for memory".into(), &3.into())
    );
    assert_eq!(
        (&events[4]["type"], &events[4]["seq"]),
        (&"complete".into(), &4.into())
    );
    let before: usize = file.len()
        - file
            .split_inclusive(|byte| *byte == b'\n')
            .next_back()
            .unwrap()
            .len();
    assert_eq!(events[4]["sha256"], hex(&file[..before]));
}

/// Who stopped an agent, and why, is not the runner's to say: the status knows, and the record says what it says.
#[tokio::test(flavor = "multi_thread")]
async fn why_a_stopped_run_ended_is_said_as_the_status_says_it() {
    let server = Server::start().await;
    let mut ship = server.connect().await;
    for (job, stopped_by, reason, phase, told) in [
        (
            "cancelled",
            StoppedBy::Signal,
            Reason::Cancelled,
            Phase::Cancelled,
            false,
        ),
        (
            "evicted",
            StoppedBy::Signal,
            Reason::Evicted,
            Phase::Failed,
            true,
        ),
        (
            "timed-out",
            StoppedBy::Timeout,
            Reason::TimedOut,
            Phase::Failed,
            false,
        ),
    ] {
        let word = if stopped_by == StoppedBy::Signal {
            Reason::Stopped
        } else {
            reason
        };
        let said = lines(1) + &verdict_of(&lines(1), word, stopped_by);
        ship.append(job, 1, (0, 0), said).await.length();
        let ended = Closing {
            phase,
            exit_reason: reason.place().1,
            reason: Some(reason),
            message: Some("words of the status".into()),
            ..closing()
        };
        server.records.seal(&key("ns", job), ended).await.unwrap();
        let events = events(&server.read(&format!("ns/jobs/{job}/output.jsonl")));
        let error = events.iter().find(|event| event["type"] == "error");
        let expected = json!([reason, "words of the status"]);
        let error = error.map(|it| json!([it["code"], it["message"]]));
        assert_eq!(error, told.then_some(expected), "{job}");
        let complete = events.last().unwrap();
        assert_eq!(complete["reason"], json!(reason), "{job}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_never_ran_has_a_record_too() {
    let server = Server::start().await;
    let never = Closing {
        phase: Phase::Cancelled,
        exit_reason: Some(ExitReason::ManualCancel),
        reason: Some(Reason::Cancelled),
        spoken: false,
        message: Some("cancelled".into()),
        ..closing()
    };
    let sealed = server.records.seal(&key("ns", "job"), never).await.unwrap();
    let events = events(&server.read("ns/jobs/job/output.jsonl"));
    // That somebody cancelled it is no error.
    assert_eq!((events.len() as u64, sealed.lines), (1, 1));
    assert_eq!(
        (&events[0]["type"], &events[0]["reason"]),
        (&"complete".into(), &"Cancelled".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_job_that_is_gone_stays_what_is_known() {
    let server = Server::start().await;
    server
        .connect()
        .await
        .append("job", 1, (0, 0), lines(1))
        .await
        .length();
    let gone = Closing {
        agent: String::new(),
        started_at: None,
        session_id: None,
        ..closing()
    };
    server.records.seal(&key("ns", "job"), gone).await.unwrap();
    let job = server.job_json("ns", "job");
    assert_eq!(job["agent"], "agent");
    assert!(job["startedAt"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_that_was_half_done_is_finished_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("ns/jobs/job/output.jsonl");
    let (whole, sealed) = {
        let server = Server::at(folder.path()).await;
        server
            .connect()
            .await
            .append("job", 1, (0, 0), lines(2))
            .await
            .length();
        let sealed = server
            .records
            .seal(&key("ns", "job"), closing())
            .await
            .unwrap();
        (std::fs::read(&output).unwrap(), sealed)
    };
    let before = lines(2).len();
    for left in [before, before + 10, whole.len()] {
        let mut bytes = whole[..left].to_vec();
        if left == whole.len() {
            bytes[before..].fill(0);
        }
        std::fs::write(&output, bytes).unwrap();
        // The server's own tasks hold the records until they end.
        let server = until_free(folder.path()).await;
        assert_eq!(std::fs::read(&output).unwrap(), whole);
        assert_eq!(server.records.known(), []);
        assert_eq!(
            server
                .records
                .seal(&key("ns", "job"), closing())
                .await
                .unwrap(),
            sealed
        );
        let log = server.connect().await.log("job", "follow=true").await;
        assert_eq!(log.body, whole);
    }
}

/// A server on the folder of one that is going.
pub async fn until_free(folder: &std::path::Path) -> Server {
    let free = async {
        loop {
            let (told, _) = tokio::sync::mpsc::channel(1);
            let at = folder.to_owned();
            let open = move || herdctl::store::records::Records::open(&at, told, chrono::Utc::now);
            match tokio::task::spawn_blocking(open).await.unwrap() {
                Ok(records) => drop(records),
                Err(_) => {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                    continue;
                }
            }
            return Server::at(folder).await;
        }
    };
    tokio::time::timeout(crate::server::DEADLINE, free)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readable_log_says_where_an_event_in_parts_is() {
    let server = Server::start().await;
    let mut ship = server.connect().await;
    let part = |part: u64| {
        let event = json!({"type": "output", "timestamp": "2026-11-23T07:00:00.000Z", "seq": 1 + part,
            "line": 2, "part": part, "parts": 2, "fragment": "{\"type\":"});
        format!("{event}\n")
    };
    let said = lines(1) + &part(1) + &part(2);
    let said = said.clone() + &verdict(&said);
    ship.append("job", 1, (0, 0), said).await.length();
    server
        .records
        .seal(&key("ns", "job"), closing())
        .await
        .unwrap();
    let log = String::from_utf8(server.read("ns/logs/agent/job.log")).unwrap();
    let told: Vec<&str> = log.lines().collect();
    assert_eq!(told.len(), 3, "{log}");
    assert!(
        told[1].ends_with("   (too long for this log: in output.jsonl in 2 parts)"),
        "{log}"
    );
}
