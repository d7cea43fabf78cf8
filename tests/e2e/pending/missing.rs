//! Jobs that name something that is not there yet.

use std::collections::BTreeMap;

use herdctl::api::reason::{ExitReason, Reason};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::{PROMISED, containers, lag, waits_for};
use crate::{
    status::{assert_ended, only_attempt, status},
    team::{SECRET_KEY, Team, namespace, unique},
};

#[tokio::test]
async fn a_job_waits_for_its_agent_and_starts_by_itself() {
    let team = Team::shared().await;
    let agent = unique("late");
    let job = team.job(&agent).await;
    let waiting = status(&team.pending(&job, Reason::AgentNotFound).await);
    let message = waiting.message.unwrap();
    assert!(
        message.contains(&agent) && message.contains("starts by itself"),
        "{message}"
    );
    assert!(waiting.attempts.is_empty());
    team.create_agent(&agent, "text", |_| {}).await;
    assert_ended(
        &team.finished(&job).await,
        ExitReason::Success,
        Reason::Completed,
    );
}

#[tokio::test]
async fn an_agent_of_another_namespace_is_no_agent_of_this_jobs() {
    let agent = unique("neighbour");
    let team = Team::shared().await;
    let neighbours = team.elsewhere(namespace::TEAM_B);
    neighbours.create_agent(&agent, "text", |_| {}).await;
    let job = team.job(&agent).await;
    team.pending(&job, Reason::AgentNotFound).await;
    // A Job there runs meanwhile, so the Agent was good.
    let there = neighbours.job(&agent).await;
    assert_ended(
        &neighbours.finished(&there).await,
        ExitReason::Success,
        Reason::Completed,
    );
    team.pending(&job, Reason::AgentNotFound).await;
}

#[tokio::test]
async fn a_job_waits_for_its_secret_and_starts_by_itself_in_the_same_pod() {
    let team = Team::shared().await;
    let secret = unique("key");
    let agent = team
        .agent_with("text", |spec| {
            spec.credentials.as_mut().unwrap().secret_ref.name = secret.clone()
        })
        .await;
    let job = team.job(&agent).await;
    let pod = format!("{job}-1");
    let lag = lag(&team, &job, &pod, Reason::ConfigMissing, |pod| {
        waits_for(pod, &["CreateContainerConfigError"])
    })
    .await;
    assert!(lag < PROMISED, "{lag:?} after the kubelet's word");
    let waiting = team.pending(&job, Reason::ConfigMissing).await;
    let message = status(&waiting).message.unwrap();
    assert!(message.contains(&secret), "{message}");
    create_secret(&team, &secret).await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    assert_eq!(only_attempt(&done).uid, only_attempt(&waiting).uid);
    let ended = team.pods().get(&pod).await.unwrap();
    assert!(
        containers(&ended)
            .iter()
            .all(|container| container.restart_count == 0),
        "{ended:#?}"
    );
}

#[tokio::test]
async fn a_job_without_any_prompt_waits_until_its_agent_has_one() {
    let team = Team::shared().await;
    let agent = team.agent("text").await;
    let job = team.job_with(&agent, |spec| spec.prompt = None).await;
    let waiting = team.pending(&job, Reason::ConfigMissing).await;
    let message = status(&waiting).message.unwrap();
    assert!(message.contains("spec.prompt"), "{message}");
    let patch = Patch::Merge(json!({"spec": {"prompt": "SAY: by the agent"}}));
    team.agents()
        .patch(&agent, &PatchParams::default(), &patch)
        .await
        .unwrap();
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    assert_eq!(status(&done).result.unwrap().text, "by the agent");
}

#[tokio::test]
async fn a_job_whose_secret_does_not_come_in_time_ends_and_names_it() {
    let team = Team::shared().await;
    let secret = unique("absent");
    let agent = team
        .agent_with("text", |spec| {
            spec.credentials.as_mut().unwrap().secret_ref.name = secret.clone();
            spec.start_deadline = Some("25s".into());
        })
        .await;
    let done = team.finished(&team.job(&agent).await).await;
    assert_ended(&done, ExitReason::Timeout, Reason::StartTimedOut);
    let message = status(&done).message.unwrap();
    assert!(message.contains(&secret), "{message}");
}

async fn create_secret(team: &Team, name: &str) {
    let secrets: Api<Secret> = Api::namespaced(team.client.clone(), namespace::TEAM_A);
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        string_data: Some(BTreeMap::from([(
            SECRET_KEY.to_owned(),
            "scripted-text".to_owned(),
        )])),
        ..Secret::default()
    };
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();
}
