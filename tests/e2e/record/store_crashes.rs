//! Promise: a store that is killed, or out of reach, loses nothing, doubles nothing and tears nothing.

use std::time::Duration;

use herdctl::api::reason::{ExitReason, Reason};
use rustix::process::Signal;

use crate::{
    kubectl::herdctl,
    record::{
        faults::OutOfReach,
        proof::{is_sealed, sealed},
        reader,
        run::{Run, store},
        volume,
    },
    status::{assert_ended, status},
    team::{Team, namespace::TEAM_A},
};

const KILLS: usize = 10;
/// What 1,000 blocks of 64 KiB come to, at least.
const FLOOD: usize = 1000 * 65536;
/// How long the store stays away after the agent's end.
const AWAY: Duration = Duration::from_secs(180);

#[tokio::test]
async fn a_store_that_is_killed_ten_times_during_a_run_has_all_of_it() {
    let team = Team::alone().await;
    let run = Run::start(&team, "slow-90").await;
    let mut length = 0;
    for _ in 0..KILLS {
        // It took something in since the last time.
        length = run.grows(length).await;
        assert!(store().await.signal(Signal::KILL));
    }
    assert!(
        !status(&team.get(&run.job).await).is_final(),
        "the run was too short"
    );
    let sealed = run.sealed().await;
    assert_ended(&sealed.job, ExitReason::Success, Reason::Completed);
    sealed.assert_intact();
    sealed.assert_blocks(90, 0);
    let served = reader::output(&team.client, TEAM_A, &run.job).await;
    assert!(served == Ok(sealed.bytes), "the gateway serves other bytes");
}

#[tokio::test]
async fn a_store_that_is_out_of_reach_until_three_minutes_after_the_end_gets_all_of_it() {
    let team = Team::shared().await;
    let run = Run::start(&team, "slow-20").await;
    run.tells("block 5 of 20").await;
    let cut = OutOfReach::of(run.address().await).await;
    run.agent_ends().await;
    let done = run.finished().await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    // Meanwhile others may have their turn: what they do to the store this pod can't notice.
    let Run {
        job, pod, pod_uid, ..
    } = run;
    drop(team);
    tokio::time::sleep(AWAY).await;
    let team = Team::shared().await;
    let run = Run {
        team: &team,
        job,
        pod,
        pod_uid,
    };
    let meanwhile = team.get(&run.job).await;
    assert!(!is_sealed(&status(&meanwhile)), "it was not out of reach");
    drop(cut);
    let sealed = run.sealed().await;
    sealed.assert_intact();
    sealed.assert_blocks(20, 0);
    assert_eq!(status(&sealed.job).completed_at, status(&done).completed_at);
    // A sidecar that has brought everything leaves.
    run.pod_ends().await;
}

/// It never heard of the attempt while its agent ran.
#[tokio::test]
async fn a_store_that_was_out_of_reach_for_a_whole_run_gets_all_of_it() {
    let team = Team::alone().await;
    let cut = OutOfReach::begin().await;
    let run = Run::start(&team, "slow-5").await;
    let done = run.finished().await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    assert!(!is_sealed(&status(&done)), "it was not out of reach");
    drop(cut);
    let sealed = run.sealed().await;
    sealed.assert_intact();
    sealed.assert_blocks(5, 0);
}

/// The store takes nothing in while some 60 MB come out of the agent at once.
#[tokio::test]
async fn a_flood_while_the_store_is_out_of_reach_is_kept_whole() {
    let team = Team::shared().await;
    let run = Run::start(&team, "blocks-1000x65536").await;
    let cut = OutOfReach::of(run.address().await).await;
    let done = run.finished().await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    let arrived = volume::output(TEAM_A, &run.job).len();
    assert!(
        arrived < FLOOD / 2,
        "it was not out of reach: {arrived} bytes arrived"
    );
    drop(cut);
    let sealed = run.sealed().await;
    assert!(sealed.bytes.len() > FLOOD);
    sealed.assert_intact();
    sealed.assert_blocks(1000, 0);
}

#[tokio::test]
async fn a_person_is_told_that_the_store_does_not_answer() {
    let team = Team::alone().await;
    let job = team.job(&team.agent("text").await).await;
    sealed(&team, TEAM_A, &job).await;
    let cut = OutOfReach::begin().await;
    let said = herdctl(&["jobs", "show", &job]).await;
    let words = format!("{}{}", said.out, said.err);
    assert!(
        words.contains("store") && words.contains("not answer"),
        "{words}"
    );
    // What the status knows is told all the same.
    assert!(words.contains("completed"), "{words}");
    drop(cut);
}
