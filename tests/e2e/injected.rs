//! Promise: what a webhook or a policy of the cluster puts into agents' pods is never taken for the agent's
//! fault, is named where it holds a Job up, and does not keep an ended pod alive.

use std::{collections::BTreeMap, time::Duration};

use herdctl::api::{
    job::{Job, POD_FINALIZER},
    reason::{ExitReason, Reason},
};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{
    status::{assert_ended, only_attempt, status},
    team::{Team, namespace::TEAM_A},
    wait::{RUN, until},
};

/// Which of `tests/e2e/policies.yaml` changes a pod.
const LABEL: &str = "example.com/inject";

/// An Agent whose pods a policy changes so.
async fn agent(team: &Team, policy: &str, start_deadline: &str) -> String {
    let labels = BTreeMap::from([(LABEL.to_owned(), policy.to_owned())]);
    team.agent_with("text", |spec| {
        spec.pod.as_mut().unwrap().labels = Some(labels);
        spec.start_deadline = Some(start_deadline.into());
    })
    .await
}

fn message(job: &Job) -> String {
    status(job).message.unwrap_or_default().into()
}

/// The Job, once its message names what holds it up.
async fn names(team: &Team, job: &str, words: &str) -> Job {
    let wanted = format!("told of {words}");
    until(&team.jobs(), job, &wanted, RUN, |job| {
        assert!(!status(job).is_final(), "{}", message(job));
        message(job).contains(words)
    })
    .await
}

#[tokio::test]
async fn a_container_that_never_ends_keeps_neither_a_job_nor_its_pod() {
    let team = Team::shared().await;
    let job = team.job(&agent(&team, "beside", "5m").await).await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    let pod = only_attempt(&done).pod;
    // The kubelet ends the container within the pod's grace: it obeys TERM.
    let within = Duration::from_secs(90);
    let ended = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
        let held = pod.metadata.finalizers.iter().flatten();
        let is_held = held.into_iter().any(|name| name == POD_FINALIZER);
        matches!(phase, Some("Succeeded" | "Failed")) && !is_held
    };
    let pods = team.pods();
    crate::wait::until_true("the pod is let go", within, || async {
        match pods.get_opt(&pod).await.unwrap() {
            None => Ok(()),
            Some(pod) if ended(&pod) => Ok(()),
            Some(pod) => Err(format!("{:?}", pod.status)),
        }
    })
    .await;
    let sealed = team.get(&job).await;
    assert!(status(&sealed).is_sealed(), "{:?}", status(&sealed).output);
}

#[tokio::test]
async fn an_init_container_that_fails_is_named_and_not_tried_again() {
    let team = Team::shared().await;
    let job = team.job(&agent(&team, "failing-init", "5m").await).await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Error, Reason::InvalidPod);
    let message = message(&done);
    for words in ["container mesh ended with code 3", "no iptables"] {
        assert!(message.contains(words), "{words}: {message}");
    }
    only_attempt(&done);
}

#[tokio::test]
async fn a_sidecar_whose_startup_probe_never_passes_is_named_while_it_waits_and_at_the_deadline() {
    let team = Team::shared().await;
    let job = team.job(&agent(&team, "slow-sidecar", "30s").await).await;
    names(&team, &job, "container mesh runs, but its startup probe").await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Timeout, Reason::StartTimedOut);
    let message = message(&done);
    assert!(message.contains("container mesh runs"), "{message}");
}

#[tokio::test]
async fn a_scheduling_gate_is_named_and_the_job_runs_once_it_is_taken_off() {
    let team = Team::shared().await;
    let job = team.job(&agent(&team, "gate", "5m").await).await;
    let waiting = names(&team, &job, "example.com/queue").await;
    assert_eq!(status(&waiting).reason, Some(Reason::Scheduling));
    let lift: json_patch::Patch =
        serde_json::from_value(json!([{"op": "remove", "path": "/spec/schedulingGates"}])).unwrap();
    let pod = only_attempt(&waiting).pod;
    let lift = Patch::Json::<Pod>(lift);
    team.pods()
        .patch(&pod, &PatchParams::default(), &lift)
        .await
        .unwrap();
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
}

#[tokio::test]
async fn a_volume_that_can_not_be_mounted_is_spoken_of_and_the_job_runs_once_it_can() {
    let team = Team::shared().await;
    let job = team.job(&agent(&team, "missing-volume", "5m").await).await;
    let waiting = names(&team, &job, "the volumes or the network").await;
    assert_eq!(status(&waiting).reason, Some(Reason::Starting));
    let bundle =
        serde_json::from_value(json!({"metadata": {"name": "example-trust-bundle"}})).unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(team.client.clone(), TEAM_A);
    maps.create(&PostParams::default(), &bundle).await.unwrap();
    let done = team.finished(&job).await;
    let params = DeleteParams::default();
    maps.delete("example-trust-bundle", &params).await.unwrap();
    assert_ended(&done, ExitReason::Success, Reason::Completed);
}
