//! Promise: however a run ends, the Job says it in the one right word.

use herdctl::api::reason::{ExitReason, Reason};

use crate::{
    node,
    status::{assert_ended, only_attempt, session, status},
    team::{Team, without_retries},
};

#[tokio::test]
async fn a_key_that_the_api_does_not_take_is_an_authentication_failure() {
    let team = Team::shared().await;
    let job = team
        .job(&team.agent_with("error-401", without_retries).await)
        .await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Error, Reason::AuthenticationFailed);
    assert!(
        status(&done)
            .error
            .is_some_and(|error| error.contains("401")),
        "{:#?}",
        status(&done)
    );
}

#[tokio::test]
async fn an_overloaded_model_is_unavailable() {
    let team = Team::shared().await;
    let job = team
        .job(&team.agent_with("error-529", without_retries).await)
        .await;
    assert_ended(
        &team.finished(&job).await,
        ExitReason::Error,
        Reason::ModelUnavailable,
    );
}

#[tokio::test]
async fn an_overloaded_model_that_answers_the_second_time_is_no_failure() {
    let team = Team::shared().await;
    let job = team.job(&team.agent("once-529-then-text").await).await;
    assert_ended(
        &team.finished(&job).await,
        ExitReason::Success,
        Reason::Completed,
    );
}

#[tokio::test]
async fn a_run_that_needs_more_turns_than_it_has_ends_at_its_limit() {
    let team = Team::shared().await;
    let job = team
        .job(
            &team
                .agent_with("maxturns", |spec| spec.max_turns = Some(2))
                .await,
        )
        .await;
    assert_ended(
        &team.finished(&job).await,
        ExitReason::Error,
        Reason::MaxTurns,
    );
}

#[tokio::test]
async fn a_model_that_refuses_is_said_to_have_refused() {
    let team = Team::shared().await;
    let job = team.job(&team.agent("refusal").await).await;
    assert_ended(
        &team.finished(&job).await,
        ExitReason::Error,
        Reason::Refused,
    );
}

#[tokio::test]
async fn a_run_without_a_line_for_the_stall_timeout_is_stopped() {
    let team = Team::shared().await;
    for scenario in ["silent", "hang"] {
        let job = team
            .job(
                &team
                    .agent_with(scenario, |spec| spec.stall_timeout = Some("4s".into()))
                    .await,
            )
            .await;
        let done = team.finished(&job).await;
        assert_ended(&done, ExitReason::Timeout, Reason::Stalled);
        team.leaves(&session(&done)).await;
    }
}

#[tokio::test]
async fn a_run_that_takes_longer_than_its_timeout_is_stopped() {
    let team = Team::shared().await;
    let agent = team
        .agent_with("slow-600", |spec| spec.timeout = Some("1h".into()))
        .await;
    let job = team
        .job_with(&agent, |spec| spec.timeout = Some("6s".into()))
        .await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Timeout, Reason::TimedOut);
    let status = status(&done);
    let took = (status.completed_at.unwrap() - status.started_at.unwrap()).num_seconds();
    assert!(
        (6..20).contains(&took),
        "a timeout of 6s stopped it after {took} s"
    );
}

#[tokio::test]
async fn a_daemon_that_the_agent_left_behind_is_dead_when_the_job_has_ended() {
    let team = Team::shared().await;
    let job = team.job(&team.agent("daemon").await).await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    let text = status(&done).result.unwrap().text;
    assert!(
        text.contains("daemon runs as pid"),
        "no daemon was started: {text}"
    );
    let left = node::agent_processes(&only_attempt(&done).uid.unwrap());
    assert!(left.is_empty(), "{left:?}");
}
