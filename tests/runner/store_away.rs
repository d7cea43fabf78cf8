//! The store is away, refuses, or says strange things: nothing is lost, and nothing is doubled.

use std::fs;
use std::time::Duration;

use herdctl::api::protocol::RefusalReason;

use crate::pod::{Pod, Start, wait_for};
use crate::shipping::assert_all_arrived;
use crate::store::{Answer, Store};

/// Says a line each time that the test wants one.
const ON_DEMAND: &str = "i=0; until [ -s go ]; do i=$((i+1)); echo line $i; sleep 0.02; done";

fn let_go(pod: &Pod) {
    fs::write(pod.path("work/go"), "go").unwrap();
}

#[test]
fn a_store_that_comes_late_gets_everything() {
    let mut store = Store::away();
    let mut pod = Pod::shipping_to(&store).started();
    pod.exec(Start::First, "seq 1000").end();
    assert!(pod.ship().try_wait().unwrap().is_none());
    store.come();
    let (code, said) = pod.ship_left();
    assert_eq!(code, Some(0));
    assert!(said.contains("the agent starts without its word"), "{said}");
    assert!(said.contains("takes output again"), "{said}");
    assert_all_arrived(&pod, &store);
}

#[test]
fn a_store_that_is_killed_again_and_again_has_everything_once() {
    let mut store = Store::new();
    let mut pod = Pod::shipping_to(&store).started();
    let exec = pod.exec(Start::First, ON_DEMAND);
    for _ in 0..10 {
        let before = store.arrived().segment.len();
        wait_for("more", || {
            (store.arrived().segment.len() > before).then_some(())
        });
        store.go();
        store.come();
    }
    let_go(&pod);
    exec.end();
    assert_eq!(pod.ship_left().0, Some(0));
    assert_all_arrived(&pod, &store);
}

#[test]
fn refusals_that_pass_are_waited_out() {
    for answer in [
        Answer::No(RefusalReason::Retry),
        Answer::No(RefusalReason::Full),
        Answer::No(RefusalReason::Unauthorized),
        Answer::No(RefusalReason::NotFound),
        Answer::Garbage,
        Answer::BadGateway,
        Answer::Lost,
    ] {
        let store = Store::new();
        let mut pod = Pod::shipping_to(&store).started();
        let exec = pod.exec(Start::First, ON_DEMAND);
        wait_for("line", || {
            (!store.arrived().segment.is_empty()).then_some(())
        });
        store.answer_next(&[answer; 3]);
        let before = store.arrived().appends.len();
        wait_for("more", || {
            (store.arrived().appends.len() > before + 4).then_some(())
        });
        let_go(&pod);
        exec.end();
        let (code, said) = pod.ship_left();
        assert_eq!(code, Some(0), "{answer:?}: {said}");
        assert_eq!(said.matches("; waiting").count(), 1, "{answer:?}: {said}");
        assert_all_arrived(&pod, &store);
    }
}

#[test]
fn a_store_that_lost_its_tail_gets_it_again() {
    let store = Store::new();
    let mut pod = Pod::shipping_to(&store).started();
    let exec = pod.exec(Start::First, ON_DEMAND);
    wait_for("lines", || {
        (store.arrived().appends.len() > 3).then_some(())
    });
    let half = store.arrived().segment.len() / 2;
    store.arrived().segment.truncate(half);
    wait_for("the rest", || {
        (store.arrived().segment.len() > 3 * half).then_some(())
    });
    let_go(&pod);
    exec.end();
    assert_eq!(pod.ship_left().0, Some(0));
    assert_all_arrived(&pod, &store);
}

#[test]
fn what_was_altered_in_the_store_is_never_written_over() {
    let store = Store::new();
    let mut pod = Pod::shipping_to(&store).started();
    let exec = pod.exec(Start::First, ON_DEMAND);
    wait_for("lines", || {
        (store.arrived().appends.len() > 3).then_some(())
    });
    store.answer(Answer::No(RefusalReason::Altered));
    let_go(&pod);
    exec.end();
    let (code, said) = pod.ship_left();
    assert_eq!(code, Some(0));
    assert!(said.contains("something else than was sent"), "{said}");
    assert_eq!(pod.verdict()["stoppedBy"], "nobody");
}

#[test]
fn a_store_that_has_more_than_there_is_gets_nothing() {
    let store = Store::new();
    store.arrived().segment = vec![b'x'; 1_000_000];
    let mut pod = Pod::shipping_to(&store).started();
    pod.exec(Start::First, "seq 10").end();
    let (code, said) = pod.ship_left();
    assert_eq!(code, Some(0));
    assert!(said.contains("where the spool doesn't reach"), "{said}");
    assert_eq!(store.arrived().appends.len(), 0);
}

#[test]
fn a_store_that_hangs_is_given_up_and_asked_again() {
    let store = Store::new();
    let mut pod = Pod::shipping_to(&store).started();
    let exec = pod.exec(Start::First, ON_DEMAND);
    wait_for("line", || {
        (!store.arrived().segment.is_empty()).then_some(())
    });
    store.answer_next(&[Answer::Silence]);
    let before = store.arrived().appends.len();
    wait_for("more", || {
        (store.arrived().appends.len() > before + 3).then_some(())
    });
    let_go(&pod);
    exec.end();
    let (code, said) = pod.ship_left();
    assert_eq!(code, Some(0));
    assert!(said.contains("no answer from the output store"), "{said}");
    assert_all_arrived(&pod, &store);
}

#[test]
fn a_token_that_is_replaced_is_used_from_the_next_request_on() {
    let store = Store::new();
    let mut pod = Pod::shipping_to(&store).started();
    let exec = pod.exec(Start::First, ON_DEMAND);
    wait_for("line", || {
        (!store.arrived().segment.is_empty()).then_some(())
    });
    store.write_token("the-second-token");
    store.change_token("the-second-token");
    let before = store.arrived().appends.len();
    wait_for("more", || {
        (store.arrived().appends.len() > before + 3).then_some(())
    });
    let_go(&pod);
    exec.end();
    pod.ship_left();
    assert_all_arrived(&pod, &store);
}

#[test]
fn a_store_with_new_certificates_is_trusted_once_they_are_there() {
    let mut store = Store::new();
    let mut pod = Pod::shipping_to(&store).started();
    let exec = pod.exec(Start::First, ON_DEMAND);
    wait_for("line", || {
        (!store.arrived().segment.is_empty()).then_some(())
    });
    store.go();
    let before = store.arrived().appends.len();
    store.new_certificates();
    store.come();
    wait_for("more", || {
        (store.arrived().appends.len() > before + 3).then_some(())
    });
    let_go(&pod);
    exec.end();
    pod.ship_left();
    assert_all_arrived(&pod, &store);
}

#[test]
fn a_store_of_another_authority_gets_nothing() {
    let store = Store::new();
    // The server goes on with its own certificate, and ship trusts another.
    store.new_certificates();
    let mut pod = Pod::shipping_to(&store).started();
    let ended = pod.exec(Start::First, "seq 10").end();
    assert!(ended.took < Duration::from_secs(10));
    std::thread::sleep(Duration::from_millis(300));
    assert!(pod.ship().try_wait().unwrap().is_none());
    let arrived = store.arrived();
    assert_eq!((arrived.opened, arrived.segment.len()), (0, 0));
}
