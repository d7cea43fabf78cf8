//! Promise: bad requests get a clear answer and cost nobody else anything.

use std::{net::SocketAddr, time::Duration};

use futures::future::join_all;
use herdctl::api::protocol::{self, AUDIENCE, MAX_APPEND_BYTES, Refusal, RefusalReason};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::{
    node,
    record::{
        call::{GATEWAY_PORT, STORE_PORT, Store, addresses, connect, token},
        reader,
        run::{Run, store},
        volume,
    },
    team::{Team, namespace::TEAM_A, unique},
};

const IDLE: usize = 10_000;
/// What the chart lets the store and a gateway have, in kB; they must not come near it.
const MEMORY: u64 = 192 * 1024;
/// More than an agent says that waits.
const FAR: u64 = 1 << 20;
const SLOW_WRITERS: usize = 50;
/// Large enough to need room that all bodies share.
const SLOW_BODY: usize = 100_000;

#[tokio::test]
async fn bad_appends_are_refused_by_name_and_change_nothing() {
    let team = Team::shared().await;
    let run = Run::start(&team, &format!("wait-for-release-{}", unique("bad"))).await;
    run.tells("\"subtype\":\"init\"").await;
    let store = Store::known_by(&team, &run.pod).await;
    let own = token(&team, AUDIENCE, Some(&run.pod().await)).await;
    let before = volume::output(TEAM_A, &run.job);
    let length = before.len() as u64;
    let gap = store
        .append(&run.job, 1, Some(&own), length + FAR, b"{}\n")
        .await;
    let refusal: Refusal = gap.json();
    assert_eq!((gap.status, refusal.reason), (409, RefusalReason::Gap));
    assert!(refusal.length >= Some(length), "{refusal:?}");
    let large = vec![b'x'; MAX_APPEND_BYTES + 1];
    let large = store.append(&run.job, 1, Some(&own), length, &large).await;
    assert_eq!(large.status, 413, "{large:?}");
    let path = protocol::output(TEAM_A, &run.job, 1);
    for query in [
        "",
        "?offset=-1&acked=0",
        "?offset=1",
        "?offset=99999999999999999999&acked=0",
    ] {
        let answer = store
            .call("POST", &format!("{path}{query}"), Some(&own), b"{}\n")
            .await;
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
        assert_eq!(answer.json::<Refusal>().reason, RefusalReason::BadRequest);
    }
    // Segments of a path that would leave the namespace's folder.
    for job in [
        "..",
        "%2e%2e",
        "..%2f..%2fteam-b",
        "a%00b",
        &"x".repeat(253),
    ] {
        let answer = store
            .call("PUT", &protocol::attempt(TEAM_A, job, 1), Some(&own), b"")
            .await;
        assert!((400..500).contains(&answer.status), "{job}: {answer:?}");
    }
    team.cancel(&run.job).await;
    // Its lines are the runner's, numbered and proved by its verdict, and nothing else.
    let sealed = run.sealed().await;
    sealed.assert_intact();
    assert!(
        sealed.bytes.starts_with(&before),
        "something was written over it"
    );
}

/// The largest memory of each of these processes ever, in kB.
fn peaks(component: &str) -> Vec<u64> {
    let processes = node::operator(component);
    let peak = |process: &node::Process| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid)).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    processes.iter().map(peak).collect()
}

#[tokio::test]
async fn ten_thousand_idle_connections_and_slow_writers_hold_nobody_up() {
    let team = Team::alone().await;
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let before = (store().await, node::operator("gateway"));
    let run = Run::start(&team, "slow-25").await;
    run.tells("block 2 of 25").await;
    let known = Store::known_by(&team, &run.pod).await;
    let gateway = addresses("gateway").await[0];
    let idle = tokio::task::spawn_blocking(move || {
        let servers = [
            SocketAddr::new(known.address.ip(), STORE_PORT),
            SocketAddr::new(gateway, GATEWAY_PORT),
        ];
        let connections = servers
            .iter()
            .flat_map(|server| (0..IDLE / 2).map(|_| connect(*server).unwrap()));
        let connections: Vec<_> = connections.collect();
        (connections, known)
    });
    let (idle, known) = idle.await.unwrap();
    // Whom the store lets in, it waits for.
    let slow = Run::start(&team, &format!("wait-for-release-{}", unique("slow"))).await;
    slow.tells("\"subtype\":\"init\"").await;
    let own = token(&team, AUDIENCE, Some(&slow.pod().await)).await;
    let kept = volume::output(TEAM_A, &slow.job);
    let writers = join_all((0..SLOW_WRITERS).map(|_| async {
        let body = vec![b'x'; SLOW_BODY];
        known
            .append_slowly(&slow.job, &own, kept.len() as u64, &body)
            .await
    }));
    let read = reader::follow(&team.client, TEAM_A, &run.job, Duration::from_secs(90));
    let (writers, read) = tokio::join!(writers, read);
    // None was refused, and none got through before curl gave up.
    assert!(
        writers.iter().all(|answer| answer.status == 0),
        "{writers:?}"
    );
    team.cancel(&slow.job).await;
    let ended = slow.sealed().await;
    ended.assert_intact();
    assert!(ended.bytes.starts_with(&kept));
    let sealed = run.sealed().await;
    sealed.assert_blocks(25, 0);
    assert!(read == sealed.bytes);
    drop(idle);
    assert_eq!(
        (store().await, node::operator("gateway")),
        before,
        "somebody crashed"
    );
    for component in ["store", "gateway"] {
        let peaks = peaks(component);
        println!("{component}: {peaks:?} kB at most");
        assert!(
            peaks.iter().all(|peak| *peak < MEMORY),
            "{component}: {peaks:?} kB"
        );
    }
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_answered_with_why() {
    let team = Team::shared().await;
    let job = team.job(&team.agent("text").await).await;
    team.finished(&job).await;
    for query in [
        "offset=-1",
        "offset=x",
        "tail=-3",
        "since=yesterday",
        "follow=perhaps",
        "nonsense=1",
    ] {
        match reader::read(&team.client, TEAM_A, &job, query).await {
            Err(kube::Error::Api(status)) => {
                assert_eq!(status.code, 400, "{query}: {status:?}");
                let parameter = query.split('=').next().unwrap();
                assert!(status.message.contains(parameter), "{query}: {status:?}");
            }
            Err(error) => panic!("{query}: {error}"),
            Ok(_) => panic!("{query} was taken"),
        }
    }
}
