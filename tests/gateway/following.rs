//! Lines on their way to readers: whole, in order, once, across a store that goes away; to nobody who may
//! not; and a reader that takes nothing costs nothing.

use std::{sync::atomic::Ordering, time::Duration};

use herdctl::{
    api::protocol::{BEGINS, RECORD_UID},
    gateway::{
        rights::{Answer as Right, NoAnswer},
        stream::Patience,
    },
};

use crate::{
    client::{DEADLINE, soon},
    fake_store::Record,
    ground::{FORGETFUL, Ground, IMPATIENCE, JOB, UID, log},
};

/// Numbered lines.
fn lines(from: usize, to: usize) -> Vec<u8> {
    (from..to)
        .flat_map(|number| format!("{{\"seq\":{number}}}\n").into_bytes())
        .collect()
}

/// Waits for what becomes true soon.
async fn becomes(what: &str, check: impl Fn() -> bool) {
    soon(what, async {
        while !check() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_record_is_read_whole_from_an_offset_and_from_its_last_lines() {
    let ground = Ground::new().await;
    ground.store.records.append(JOB, &lines(0, 2000));
    let whole = ground.get(&log(JOB)).await;
    assert_eq!(whole.body, lines(0, 2000));
    assert_eq!(whole.content_type, "application/jsonl");
    let offset = lines(0, 1500).len();
    let rest = ground.get(&format!("{}?offset={offset}", log(JOB))).await;
    assert_eq!(rest.body, lines(1500, 2000));
    let tail = ground.get(&format!("{}?tail=3", log(JOB))).await;
    assert_eq!(tail.body, lines(1997, 2000));
}

#[tokio::test]
async fn a_follow_begins_before_the_first_line_and_ends_with_the_seal() {
    let ground = Ground::new().await;
    let mut reading = ground.read(JOB, "follow=true").await;
    for number in 0..10 {
        ground.store.records.append(JOB, &lines(number, number + 1));
        let so_far = lines(0, number + 1);
        assert_eq!(reading.until(so_far.len()).await, so_far);
    }
    ground.store.records.seal(JOB);
    assert_eq!(reading.end().await.unwrap(), lines(0, 10));
}

#[tokio::test]
async fn a_follow_crosses_restarts_of_the_store_without_a_gap_or_a_repeat() {
    let mut ground = Ground::new().await;
    let mut reading = ground.read(JOB, "follow").await;
    for round in 0..5 {
        let (from, to) = (round * 1000, round * 1000 + 1000);
        ground.store.records.append(JOB, &lines(from, to));
        // Killed while lines are on their way.
        reading.until(lines(0, from + 500).len()).await;
        ground.store.kill().await;
        ground.store.start_again().await;
    }
    ground.store.records.seal(JOB);
    let got = reading.end().await.unwrap();
    assert!(got == lines(0, 5000), "{} bytes", got.len());
}

#[tokio::test]
async fn a_follow_waits_for_a_store_that_is_away_when_it_begins_and_in_the_middle() {
    let mut ground = Ground::new().await;
    ground.store.kill().await;
    let begun = async {
        let (path, proxy) = (format!("{}?follow=true", log(JOB)), &ground.proxy);
        ground.send_as(Some(proxy), Ground::request(&path)).await
    };
    let waited = tokio::time::timeout(IMPATIENCE.begin / 60, begun).await;
    assert!(waited.is_err(), "{waited:?}");

    ground.store.start_again().await;
    let mut reading = ground.read(JOB, "follow=true").await;
    ground.store.records.append(JOB, &lines(0, 10));
    reading.until(lines(0, 10).len()).await;
    ground.store.kill().await;
    ground.store.records.append(JOB, &lines(10, 20));
    ground.store.records.seal(JOB);
    ground.store.records.busy.store(true, Ordering::Relaxed);
    ground.store.start_again().await;
    let asked = ground.store.records.queries().len();
    becomes("the store is asked again", || {
        ground.store.records.queries().len() > asked
    })
    .await;
    ground.store.records.busy.store(false, Ordering::Relaxed);
    assert_eq!(reading.end().await.unwrap(), lines(0, 20));
}

#[tokio::test]
async fn an_answer_says_where_it_begins_and_of_which_job_it_is() {
    let ground = Ground::new().await;
    ground.store.records.append(JOB, &lines(0, 100));
    for (query, begins) in [
        ("follow", 0),
        ("offset=7", 7),
        ("tail=10", lines(0, 90).len()),
    ] {
        let reading = ground.read(JOB, query).await;
        assert_eq!(reading.headers[BEGINS], begins.to_string(), "{query}");
        assert_eq!(reading.headers[RECORD_UID], UID, "{query}");
    }
}

#[tokio::test]
async fn a_follow_of_the_last_lines_crosses_a_restart_too() {
    let mut ground = Ground::new().await;
    ground.store.records.append(JOB, &lines(0, 100));
    let mut reading = ground.read(JOB, "follow&tail=10").await;
    reading.until(lines(90, 100).len()).await;
    ground.store.kill().await;
    ground.store.records.append(JOB, &lines(100, 120));
    ground.store.records.seal(JOB);
    ground.store.start_again().await;
    assert_eq!(reading.end().await.unwrap(), lines(90, 120));
    let again = ground.store.records.queries().pop().unwrap();
    assert_eq!(again, format!("follow=true&offset={}", lines(0, 100).len()));
}

#[tokio::test]
async fn where_nothing_says_where_lines_began_a_follow_breaks_off_rather_than_guess() {
    let mut ground = Ground::new().await;
    ground.store.records.mute.store(true, Ordering::Relaxed);
    ground.store.records.append(JOB, &lines(0, 100));
    let mut reading = ground.read(JOB, "follow&tail=10").await;
    reading.until(lines(90, 100).len()).await;
    ground.store.kill().await;
    ground.store.start_again().await;
    assert!(reading.end().await.is_err());
}

#[tokio::test]
async fn an_answer_that_is_no_follow_survives_a_restart_as_well() {
    let mut ground = Ground::new().await;
    // More than all buffers between the store and a reader who does not read.
    let much = lines(0, 4_000_000);
    ground.store.records.append(JOB, &much);
    let mut reading = ground.read(JOB, "").await;
    reading.until(1).await;
    ground.store.kill().await;
    ground.store.start_again().await;
    let got = reading.end().await.unwrap();
    assert!(got == much, "{} bytes of {}", got.len(), much.len());
    assert!(ground.store.records.queries().len() > 1);
}

#[tokio::test]
async fn a_name_that_comes_back_as_another_job_is_not_read_on() {
    let mut ground = Ground::new().await;
    ground.store.records.append(JOB, &lines(0, 10));
    let mut reading = ground.read(JOB, "follow").await;
    reading.until(lines(0, 10).len()).await;
    ground.store.kill().await;
    let secret = Record {
        uid: UID.replace("0001", "0002"),
        lines: vec![b's'; 10_000],
        sealed: true,
    };
    ground.store.records.put(JOB, secret);
    ground.store.start_again().await;
    let end = reading.end().await;
    assert!(end.is_err(), "{end:?}");
}

#[tokio::test]
async fn a_store_that_stops_is_not_taken_for_the_end() {
    let mut ground = Ground::new().await;
    let mut reading = ground.read(JOB, "follow").await;
    ground.store.records.append(JOB, &lines(0, 10));
    reading.until(lines(0, 10).len()).await;
    ground.store.records.end_all();
    ground.store.records.append(JOB, &lines(10, 20));
    reading.until(lines(0, 20).len()).await;
    ground.store.records.seal(JOB);
    assert_eq!(reading.end().await.unwrap(), lines(0, 20));
    assert!(ground.store.records.queries().len() > 1);
    ground.store.kill().await;
}

#[tokio::test]
async fn a_reader_whose_right_is_taken_away_is_broken_off() {
    let ground = Ground::new().await;
    let mut reading = ground.read(JOB, "follow").await;
    ground.store.records.append(JOB, &lines(0, 10));
    reading.until(lines(0, 10).len()).await;
    let asked = ground.words.asked().len();
    becomes("the right is looked at again", || {
        ground.words.asked().len() > asked
    })
    .await;
    ground.words.no();
    assert!(reading.end().await.is_err());
    becomes("the store is let go", || {
        ground.store.records.open.load(Ordering::Relaxed) == 0
    })
    .await;
}

#[tokio::test]
async fn a_follow_outlives_a_short_silence_of_the_authorizer_and_not_a_long_one() {
    let ground = Ground::new().await;
    let mut reading = ground.read(JOB, "follow").await;
    ground
        .words
        .say(Err(NoAnswer("connection refused".to_owned())));
    let asked = ground.words.asked().len();
    becomes("the right is asked for in vain", || {
        ground.words.asked().len() > asked + 1
    })
    .await;
    ground.words.say(Ok(Right::Yes));
    let asked = ground.words.asked().len();
    becomes("the right is confirmed", || {
        ground.words.asked().len() > asked
    })
    .await;
    ground.store.records.append(JOB, &lines(0, 10));
    reading.until(lines(0, 10).len()).await;
    ground
        .words
        .say(Err(NoAnswer("connection refused".to_owned())));
    assert!(reading.end().await.is_err());
}

#[tokio::test]
async fn a_reader_that_takes_nothing_holds_nobody_up_and_little_back() {
    let ground = Ground::with(IMPATIENCE, FORGETFUL).await;
    let much = lines(0, 4_000_000);
    ground.store.records.append(JOB, &much);
    ground.store.records.seal(JOB);
    let idle = ground.read(JOB, "follow").await;
    let busy = ground.read(JOB, "follow").await.end().await.unwrap();
    assert!(busy == much);
    let for_idle = ground.store.records.sent.load(Ordering::Relaxed) - much.len() as u64;
    // The kernel's own buffers of two connections; the gateway's are small beside them.
    assert!(for_idle < 20_000_000, "{for_idle} of {}", much.len());
    assert!(idle.end().await.unwrap() == much);
}

#[tokio::test]
async fn a_reader_that_leaves_lets_the_store_go() {
    let ground = Ground::new().await;
    let reading = ground.read(JOB, "follow").await;
    becomes("the store is read", || {
        ground.store.records.open.load(Ordering::Relaxed) == 1
    })
    .await;
    drop(reading);
    becomes("the store is let go", || {
        ground.store.records.open.load(Ordering::Relaxed) == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_follow_together_and_each_gets_every_line() {
    let ground = Ground::with(IMPATIENCE, DEADLINE).await;
    let mut readings = Vec::new();
    for _ in 0..200 {
        readings.push(ground.read(JOB, "follow").await);
    }
    ground.store.records.append(JOB, &lines(0, 100));
    ground.store.records.seal(JOB);
    for reading in readings {
        assert_eq!(reading.end().await.unwrap(), lines(0, 100));
    }
    // One question at the beginning, for all of them.
    assert_eq!(ground.words.asked().len(), 1);
}

#[tokio::test]
async fn a_store_that_answers_and_always_breaks_off_is_given_up_unless_it_is_followed() {
    let patience = Patience {
        resume: Duration::from_millis(300),
        ..IMPATIENCE
    };
    let ground = Ground::with(patience, FORGETFUL).await;
    ground.store.records.append(JOB, &lines(0, 10));
    ground.store.records.broken.store(true, Ordering::Relaxed);
    assert!(ground.read(JOB, "").await.end().await.is_err());
    let asked = ground.store.records.queries().len();
    let reading = ground.read(JOB, "follow").await;
    becomes("a follow asks for longer than others", || {
        ground.store.records.queries().len() > asked + 4
    })
    .await;
    ground.store.records.broken.store(false, Ordering::Relaxed);
    ground.store.records.seal(JOB);
    assert_eq!(reading.end().await.unwrap(), lines(0, 10));
}
