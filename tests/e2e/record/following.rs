//! Promise: a run is followed in one connection from before its start to its last line, by many at once,
//! and nobody else waits for it.

use std::time::{Duration, Instant};

use futures::future::join_all;
use herdctl::api::{
    job::Job,
    reason::{ExitReason, Reason},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::ListParams};
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    cluster,
    kubectl::herdctl,
    node,
    record::{
        faults::restart_api_server,
        proof, reader,
        run::{Run, store},
    },
    status::{assert_ended, status},
    team::{Team, namespace::TEAM_A},
    wait::{RUN, until_true},
};

/// Longer than the API server lets any other request take.
const SECONDS: usize = 150;
const FOLLOWERS: usize = 100;
/// The whole run, and what is around it.
const LONG: Duration = Duration::from_secs(240);
/// So often another user's request is timed, before and while.
const ASKED: usize = 40;
/// So long what else goes on on the machine may slow another user's requests down: less than the run takes.
const UNTIL_QUIET: Duration = Duration::from_secs(100);
/// What a busy machine may add to a request, whoever follows.
const NOISE: Duration = Duration::from_millis(15);
/// So long the API server is away in between, in seconds: enough to be noticed.
const API_SERVER_AWAY: u32 = 2;

#[tokio::test]
async fn a_run_of_150_seconds_is_followed_in_one_connection_beside_a_hundred_others() {
    let team = Team::alone().await;
    let other = cluster::as_controller().await;
    let before = median_list(&other).await;
    // Followed from before there is anything to read.
    let job = team
        .job(&team.agent(&format!("slow-{SECONDS}")).await)
        .await;
    let dev = tokio::spawn({
        let (client, job) = (team.client.clone(), job.clone());
        async move { follow_by_line(&client, &job).await }
    });
    team.running(&job).await;
    let followers = join_all((0..FOLLOWERS).map(|_| async {
        let client = cluster::dev().await;
        reader::read(&client, TEAM_A, &job, "follow=true")
            .await
            .unwrap()
    }))
    .await;
    let reading = followers
        .into_iter()
        .map(|reading| tokio::spawn(async move { reading.into_rest(LONG).await }));
    let reading: Vec<_> = reading.collect();
    until_true("another user waits no longer", UNTIL_QUIET, || async {
        let meanwhile = median_list(&other).await;
        let seen = format!("{before:?} before, {meanwhile:?} beside {FOLLOWERS} followers");
        println!("another user's list of pods: {seen}");
        (meanwhile <= before * 3 / 2 + NOISE)
            .then_some(())
            .ok_or(seen)
    })
    .await;
    assert!(
        !status(&team.get(&job).await).is_final(),
        "nobody follows any more"
    );
    let (bytes, arrivals) = dev.await.unwrap();
    let sealed = proof::sealed(&team, TEAM_A, &job).await;
    assert_ended(&sealed.job, ExitReason::Success, Reason::Completed);
    assert!(
        bytes == sealed.bytes,
        "the followed bytes are not the file's"
    );
    sealed.assert_blocks(SECONDS, 0);
    assert_on_time(&sealed.job, &bytes, &arrivals);
    for follower in join_all(reading).await {
        assert!(
            follower.unwrap() == sealed.bytes,
            "a follower got other bytes"
        );
    }
}

/// All bytes, and when each line came.
async fn follow_by_line(
    client: &Client,
    job: &str,
) -> (Vec<u8>, Vec<chrono::DateTime<chrono::Utc>>) {
    let mut reading = reader::read(client, TEAM_A, job, "follow=true")
        .await
        .unwrap();
    let (mut bytes, mut arrivals) = (Vec::new(), Vec::new());
    loop {
        let line = reading.line(RUN).await;
        if line.is_empty() {
            return (bytes, arrivals);
        }
        arrivals.push(chrono::Utc::now());
        bytes.extend(line);
    }
}

/// Half of the lines arrive within a second of their own time: nothing collects them on the way.
fn assert_on_time(job: &Job, bytes: &[u8], arrivals: &[chrono::DateTime<chrono::Utc>]) {
    let lines = bytes.split(|byte| *byte == b'\n');
    let mut late: Vec<i64> = lines
        .zip(arrivals)
        .map(|(line, arrival)| {
            let event: Value = serde_json::from_slice(line).unwrap();
            let time = event["timestamp"].as_str().unwrap();
            let time: chrono::DateTime<chrono::Utc> = time.parse().unwrap();
            (*arrival - time).num_milliseconds()
        })
        .collect();
    late.sort_unstable();
    let (median, worst) = (late[late.len() / 2], late[late.len() * 95 / 100]);
    println!("a line reaches its follower after {median} ms, 95 of 100 after {worst} ms at most");
    assert!(median < 1000, "{median} ms: {}", crate::status::told(job));
}

/// How long another user's list of pods takes, in the middle of many.
async fn median_list(client: &Client) -> Duration {
    let pods: Api<Pod> = Api::namespaced(client.clone(), TEAM_A);
    let mut took = Vec::new();
    for _ in 0..ASKED {
        let start = Instant::now();
        pods.list(&ListParams::default()).await.unwrap();
        took.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    took.sort_unstable();
    took[ASKED / 2]
}

#[tokio::test]
async fn herdctl_follows_across_restarts_of_store_gateways_and_api_server_without_a_gap_or_a_repeat()
 {
    let team = Team::alone().await;
    let run = Run::start(&team, "slow-40").await;
    let follower = tokio::spawn({
        let job = run.job.clone();
        async move { herdctl(&["jobs", "logs", &job, "--follow", "--output", "jsonl"]).await }
    });
    run.tells("block 5 of 40").await;
    assert!(store().await.signal(Signal::KILL));
    run.tells("block 12 of 40").await;
    let gateways = node::operator("gateway");
    assert_eq!(gateways.len(), 2, "{gateways:?}");
    for gateway in gateways {
        assert!(gateway.signal(Signal::KILL));
    }
    run.tells("block 20 of 40").await;
    restart_api_server(API_SERVER_AWAY).await;
    let sealed = run.sealed().await;
    sealed.assert_blocks(40, 0);
    let said = follower.await.unwrap();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.out.as_bytes() == sealed.bytes,
        "herdctl printed other lines: {}",
        said.err
    );
}
