//! A Job of several attempts: one record, in which each has its own segment.

use herdctl::plan::seal::Came;
use herdctl::store::news::{Closing, News};
use serde_json::{Value, json};

use crate::lines::{closing, hex, lines, verdict};
use crate::server::{Server, key};

const OUTPUT: &str = "ns/jobs/job/output.jsonl";

fn start(attempt: u32, cost_before: Option<f64>) -> String {
    let mut event = json!({
        "type": "start", "timestamp": "2026-11-23T07:00:00.000Z", "seq": 1, "message": "starts",
        "attempt": attempt,
    });
    if let Some(cost) = cost_before {
        event["costBeforeUSD"] = cost.into();
    }
    format!("{event}\n")
}

fn came(bytes: usize, spoken: bool) -> Came {
    Came {
        bytes: bytes as u64,
        spoken,
    }
}

fn complete(file: &[u8]) -> Value {
    let last = file.split_inclusive(|byte| *byte == b'\n').next_back();
    serde_json::from_slice(last.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_follows_one_whose_verdict_is_there() {
    let mut server = Server::start().await;
    let mut ship = server.connect().await;
    let first = start(1, None) + &lines(2);
    let first = first.clone() + &verdict(&first);
    let second = start(2, Some(0.1)) + &lines(1);
    let second = second.clone() + &verdict(&second);
    ship.append("job", 1, (0, 0), first.clone()).await.length();
    assert_eq!(ship.take_up("job", 2).await.length(), 0);
    ship.append("job", 2, (0, 0), second.clone()).await.length();
    for expected in [1, 2] {
        let heard = server.hear(|news| match news {
            News::Verdict { attempt, .. } => Some(attempt),
            _ => None,
        });
        assert_eq!(heard.await, expected);
    }
    let sealed = server.records.seal(&key("ns", "job"), closing()).await;
    let sealed = sealed.unwrap();
    let file = server.read(OUTPUT);
    assert!(file.starts_with((first.clone() + &second).as_bytes()));
    assert_eq!(sealed.sha256, hex(&file));
    let expected = [(1, came(first.len(), true)), (2, came(second.len(), true))];
    assert_eq!(
        (sealed.missing, sealed.altered, sealed.came),
        (0, None, expected.into())
    );
    // 7 turns each, and 0.25 dollars by the word of both: of the session, which had cost 0.10 before.
    let complete = complete(&file);
    assert_eq!(
        (&complete["turns"], &complete["costUSD"]),
        (&14.into(), &0.4.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_follows_one_that_was_cut_off() {
    let server = Server::start().await;
    let mut ship = server.connect().await;
    let first = start(1, None) + &lines(2) + "{\"torn";
    let second = start(2, None) + &lines(1);
    let second = second.clone() + &verdict(&second);
    ship.append("job", 1, (0, 0), first.clone()).await.length();
    ship.append("job", 2, (0, 0), second.clone()).await.length();
    // What the first one's runner counted came with its pod's end.
    let ended = Closing {
        counted: [(1, first.len() as u64 + 100)].into(),
        ..closing()
    };
    let sealed = server.records.seal(&key("ns", "job"), ended).await.unwrap();
    let file = server.read(OUTPUT);
    assert!(file.starts_with(format!("{first}\n{second}").as_bytes()));
    assert_eq!((sealed.missing, sealed.altered), (100, None));
    let expected = [(1, came(first.len(), false)), (2, came(second.len(), true))];
    assert_eq!(sealed.came, expected.into());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_attempt_counted_that_never_came_is_missing_too() {
    let server = Server::start().await;
    let mut ship = server.connect().await;
    let second = lines(1) + &verdict(&lines(1));
    ship.append("job", 2, (0, 0), second).await.length();
    let ended = Closing {
        // The verdict of the second is in the record, so its bytes are known to be there.
        counted: [(1, 500), (2, 900)].into(),
        ..closing()
    };
    let sealed = server.records.seal(&key("ns", "job"), ended).await.unwrap();
    assert_eq!(sealed.missing, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_told_apart_by_the_next_store_too() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(1, None) + &lines(2);
    let first = first.clone() + &verdict(&first);
    let second = start(2, Some(0.25));
    {
        let server = Server::at(folder.path()).await;
        let mut ship = server.connect().await;
        ship.append("job", 1, (0, 0), first.clone()).await.length();
        ship.append("job", 2, (0, 0), second.clone()).await.length();
    }
    let server = crate::seal::until_free(folder.path()).await;
    let mut ship = server.connect().await;
    assert_eq!(ship.take_up("job", 2).await.length(), second.len() as u64);
    let whole = second.clone() + &verdict(&second);
    ship.append("job", 2, (0, 0), whole.clone()).await.length();
    let sealed = server.records.seal(&key("ns", "job"), closing()).await;
    let expected = [(1, came(first.len(), true)), (2, came(whole.len(), true))];
    assert_eq!(sealed.unwrap().came, expected.into());
    // The second attempt added nothing to what the session had cost.
    assert_eq!(complete(&server.read(OUTPUT))["costUSD"], 0.25);
}
