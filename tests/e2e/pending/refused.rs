//! Jobs that the API server, or the operator itself, can never take.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use herdctl::api::reason::{ExitReason, Reason};
use serde_json::json;

use crate::{
    status::{assert_ended, status},
    team::Team,
};

/// What is refused at once is said at once.
const AT_ONCE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn an_override_that_the_api_server_refuses_ends_the_job_with_the_field() {
    let team = Team::shared().await;
    let agent = team
        .agent_with("text", |spec| {
            let selector = BTreeMap::from([("zone".to_owned(), "not a label".to_owned())]);
            spec.pod.as_mut().unwrap().node_selector = Some(selector);
        })
        .await;
    let since = Instant::now();
    let job = team.job(&agent).await;
    let done = team.finished(&job).await;
    let took = since.elapsed();
    assert_ended(&done, ExitReason::Error, Reason::InvalidPod);
    let message = status(&done).message.unwrap();
    assert!(message.contains("spec.nodeSelector"), "{message}");
    assert!(took < AT_ONCE, "{took:?}");
}

#[tokio::test]
async fn a_limit_below_its_request_ends_the_job_with_the_field() {
    let team = Team::shared().await;
    let agent = team
        .agent_with("text", |spec| {
            let resources = json!({"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}});
            spec.pod.as_mut().unwrap().resources = Some(serde_json::from_value(resources).unwrap());
        })
        .await;
    let done = team.finished(&team.job(&agent).await).await;
    assert_ended(&done, ExitReason::Error, Reason::InvalidPod);
    let message = status(&done).message.unwrap();
    assert!(message.contains("resources.requests"), "{message}");
}

#[tokio::test]
async fn prompts_that_are_too_large_together_end_the_job_before_any_pod() {
    let team = Team::shared().await;
    let large = Some("a".repeat(98_304));
    let agent = team
        .agent_with("text", |spec| {
            spec.system_prompt = large.clone();
            spec.append_system_prompt = large.clone();
        })
        .await;
    let job = team.job_with(&agent, |spec| spec.prompt = large).await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Error, Reason::InvalidPod);
    let message = status(&done).message.unwrap();
    assert!(
        message.contains("spec.prompt") && message.contains("spec.systemPrompt"),
        "{message}"
    );
    assert!(status(&done).attempts.is_empty());
}
