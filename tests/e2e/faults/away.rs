//! Parts of the cluster that are away during a run, which needs none of them.

use std::time::Duration;

use chrono::TimeDelta;
use herdctl::api::reason::{ExitReason, Reason};

use crate::{
    controller::Controller,
    node,
    record::{faults::restart_api_server, run::Run},
    status::{assert_ended, only_attempt, session, status, told},
    team::Team,
    wait::until_true,
};

/// In seconds.
const API_SERVER_AWAY: u32 = 30;
/// A run's timeout; and how long it may take beyond that until no process of it is left.
const TIMEOUT: &str = "10s";
const TIMEOUT_SECONDS: i64 = 10;
const LATE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_run_does_not_notice_that_the_api_server_was_away_for_half_a_minute() {
    let team = Team::alone().await;
    let run = Run::start(&team, "slow-45").await;
    run.tells("block 3 of 45").await;
    restart_api_server(API_SERVER_AWAY).await;
    let sealed = run.sealed().await;
    assert_ended(&sealed.job, ExitReason::Success, Reason::Completed);
    only_attempt(&sealed.job);
    sealed.assert_intact();
    sealed.assert_blocks(45, 0);
    team.assert_one_agent(&session(&sealed.job)).await;
}

#[tokio::test]
async fn a_timeout_is_kept_while_the_controller_stands_still() {
    let team = Team::alone().await;
    let agent = team
        .agent_with("hang", |spec| spec.timeout = Some(TIMEOUT.into()))
        .await;
    let job = team.job(&agent).await;
    let attempt = only_attempt(&team.running(&job).await);
    let pod_uid = attempt.uid.unwrap();
    let frozen = Controller::running().await.freeze();
    until_true("the agent has ended", LATE, || async {
        let left = node::agent_processes(&pod_uid);
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
    let meanwhile = team.get(&job).await;
    assert!(!status(&meanwhile).is_final(), "{}", told(&meanwhile));
    drop(frozen);
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Timeout, Reason::TimedOut);
    let status = status(&done);
    let took = status.completed_at.unwrap() - status.started_at.unwrap();
    // The kubelet tells starts in whole seconds.
    let expected = TimeDelta::seconds(TIMEOUT_SECONDS - 1)..TimeDelta::seconds(TIMEOUT_SECONDS + 4);
    assert!(expected.contains(&took), "{took}: {}", told(&done));
}
