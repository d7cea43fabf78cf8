//! Jobs for which there is no room now.

use std::collections::BTreeMap;

use herdctl::api::reason::{ExitReason, Reason};
use serde_json::json;

use crate::{
    status::{assert_ended, only_attempt, status},
    team::{Team, namespace, unique},
    wait::{RUN, until},
};

#[tokio::test]
async fn a_job_beyond_the_quota_waits_and_starts_when_there_is_room() {
    let team = Team::shared().await.elsewhere(namespace::SMALL);
    let first = team
        .job(
            &team
                .agent(&format!("wait-for-release-{}", unique("never")))
                .await,
        )
        .await;
    team.running(&first).await;
    let second = team.job(&team.agent("text").await).await;
    let waiting = team.pending(&second, Reason::QuotaExceeded).await;
    let message = status(&waiting).message.unwrap();
    assert!(
        message.contains("one-pod"),
        "the quota is not named: {message}"
    );
    team.cancel(&first).await;
    assert_ended(
        &team.finished(&first).await,
        ExitReason::ManualCancel,
        Reason::Cancelled,
    );
    let done = team.finished(&second).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    only_attempt(&done);
}

/// The sidecar has what such a quota wants, and the Agent can have it.
#[tokio::test]
async fn a_job_runs_under_a_quota_that_wants_a_limit_of_every_container() {
    let team = Team::shared().await.elsewhere(namespace::LIMITS);
    let with = |resources: serde_json::Value| {
        let team = &team;
        async move {
            let agent = team
                .agent_with("text", |spec| {
                    let resources = serde_json::from_value(resources).unwrap();
                    spec.pod.as_mut().unwrap().resources = Some(resources);
                })
                .await;
            team.finished(&team.job(&agent).await).await
        }
    };
    let half = json!({"cpu": "500m", "memory": "512Mi"});
    let done = with(json!({"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": half})).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    let done = with(json!({"requests": {"cpu": "10m", "memory": "64Mi"}})).await;
    assert_ended(&done, ExitReason::Error, Reason::InvalidPod);
    let message = status(&done).message.unwrap();
    assert!(
        message.contains("spec.pod.resources") && !message.contains("ship.resources"),
        "{message}"
    );
}

#[tokio::test]
async fn a_job_that_no_node_takes_waits_with_the_schedulers_words() {
    let team = Team::shared().await;
    let agent = team
        .agent_with("text", |spec| {
            let selector = BTreeMap::from([("zone".to_owned(), "nowhere".to_owned())]);
            spec.pod.as_mut().unwrap().node_selector = Some(selector);
        })
        .await;
    let job = team.job(&agent).await;
    // While the scheduler has not spoken yet, Scheduling comes without its words.
    let waiting = until(
        &team.jobs(),
        &job,
        "told why no node takes it",
        RUN,
        |job| {
            let status = status(job);
            status.reason == Some(Reason::Scheduling)
                && status
                    .message
                    .is_some_and(|message| message.contains("0/2 nodes"))
        },
    )
    .await;
    only_attempt(&waiting);
    team.cancel(&job).await;
    team.finished(&job).await;
}
