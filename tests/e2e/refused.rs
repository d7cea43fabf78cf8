//! Promise: what the cluster refuses is told where people look, ends or heals by itself, and keeps nothing from
//! being deleted.

use std::time::Duration;

use herdctl::{
    api::{
        job::POD_FINALIZER,
        reason::{ExitReason, Reason},
    },
    plan::pod::LABEL_JOB,
};
use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    core::v1::Event,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, PropagationPolicy},
};
use serde_json::json;

use crate::{
    cluster,
    own::Own,
    status::{assert_ended, only_attempt, session, status},
    team::{Team, unique, variable},
    wait::{RUN, SOON, until_gone, until_true},
};

/// A policy takes hold, or is let go of, within this time.
const POLICY: Duration = Duration::from_secs(60);

/// A Job of a scenario that never ends by itself, and its session, once its agent asks.
async fn running(team: &Team) -> (String, String) {
    let scenario = format!("wait-for-release-{}", unique("never"));
    let agent = team.agent(&scenario).await;
    let job = team.job(&agent).await;
    let session = session(&team.running(&job).await);
    team.asks(&session).await;
    (job, session)
}

async fn leaves_nothing_when_deleted(policy: PropagationPolicy) {
    let team = Team::shared().await;
    let (job, session) = running(&team).await;
    let before = team.get(&job).await;
    let pod = only_attempt(&before);
    let params = DeleteParams {
        propagation_policy: Some(policy),
        ..DeleteParams::default()
    };
    team.jobs().delete(&job, &params).await.unwrap();
    until_gone(&team.jobs(), &job, &before.uid().unwrap(), RUN).await;
    team.leaves(&session).await;
    let held = |pod: &k8s_openapi::api::core::v1::Pod| {
        pod.finalizers().iter().any(|name| name == POD_FINALIZER)
    };
    until_true("nothing of ours holds the pod", RUN, || async {
        match team.pods().get_opt(&pod.pod).await {
            Ok(Some(pod)) if held(&pod) => Err(format!("{:?}", pod.metadata)),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_job_that_is_deleted_while_its_pod_is_to_stay_stops_its_agent_and_lets_the_pod_go() {
    leaves_nothing_when_deleted(PropagationPolicy::Orphan).await;
}

#[tokio::test]
async fn a_job_that_is_deleted_after_its_pod_stops_its_agent_and_lets_the_pod_go() {
    leaves_nothing_when_deleted(PropagationPolicy::Foreground).await;
}

#[tokio::test]
async fn a_pod_whose_label_was_taken_off_is_ended_and_let_go() {
    let team = Team::shared().await;
    let (job, session) = running(&team).await;
    let pod = only_attempt(&team.get(&job).await);
    let patch = Patch::Merge(json!({"metadata": {"labels": {LABEL_JOB: null}}}));
    let params = PatchParams::default();
    team.pods().patch(&pod.pod, &params, &patch).await.unwrap();
    team.cancel(&job).await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::ManualCancel, Reason::Cancelled);
    team.leaves(&session).await;
    team.delete(&job).await;
    until_gone(&team.jobs(), &job, &done.uid().unwrap(), RUN).await;
    until_gone(&team.pods(), &pod.pod, &pod.uid.unwrap(), RUN).await;
}

#[tokio::test]
async fn an_agent_that_is_too_large_for_its_job_ends_it_with_both_sizes() {
    let team = Team::shared().await;
    // Each within what the schema allows.
    let agent = team
        .agent_with("text", |spec| {
            let large = "x".repeat(32_400);
            let env = spec.env.get_or_insert_default();
            env.extend((0..46).map(|n| variable(&format!("BIG_{n}"), &large)));
        })
        .await;
    let job = team
        .job_with(&agent, |spec| spec.prompt = Some("y".repeat(98_000)))
        .await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Error, Reason::InvalidPod);
    let message = status(&done).message.unwrap();
    for words in [&agent, "too large", "bytes", "spec.env"] {
        assert!(message.contains(words), "{message}");
    }
    assert!(status(&done).attempts.is_empty());
    team.delete(&job).await;
    until_gone(&team.jobs(), &job, &done.uid().unwrap(), SOON).await;
}

/// A policy against changes of pods in one namespace.
struct Policy {
    name: String,
    policies: Api<ValidatingAdmissionPolicy>,
    bindings: Api<ValidatingAdmissionPolicyBinding>,
}

impl Policy {
    async fn create(namespace: &str) -> Policy {
        let platform = cluster::as_platform().await;
        let policy = Policy {
            name: unique("no-pod-changes"),
            policies: Api::all(platform.clone()),
            bindings: Api::all(platform),
        };
        let selector = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}});
        let object = json!({
            "metadata": {"name": policy.name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["pods"],
                }]},
                "validations": [{"expression": "false", "message": "pods stay as they are here"}],
            },
        });
        let object = serde_json::from_value(object).unwrap();
        let params = PostParams::default();
        policy.policies.create(&params, &object).await.unwrap();
        let object = json!({
            "metadata": {"name": policy.name},
            "spec": {"policyName": policy.name, "validationActions": ["Deny"], "matchResources": selector},
        });
        let object = serde_json::from_value(object).unwrap();
        policy.bindings.create(&params, &object).await.unwrap();
        policy
    }

    async fn delete(self) {
        let params = DeleteParams::default();
        self.bindings.delete(&self.name, &params).await.unwrap();
        self.policies.delete(&self.name, &params).await.unwrap();
    }
}

#[tokio::test]
async fn a_policy_against_changes_of_pods_is_told_at_the_job_and_the_pod_goes_once_it_is_lifted() {
    let shared = Team::shared().await;
    let own = Own::create(unique("policy"), &shared).await;
    let team = shared.elsewhere(own.name);
    let (job, _) = running(&team).await;
    let pod = only_attempt(&team.get(&job).await);
    let policy = Policy::create(own.name).await;
    let tried = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let change = Patch::Merge(json!({"metadata": {"annotations": {"tried": "now"}}}));
    until_true("the policy holds", POLICY, || async {
        match team.pods().patch(&pod.pod, &tried, &change).await {
            Ok(_) => Err("the pod can be changed".to_owned()),
            Err(_) => Ok(()),
        }
    })
    .await;
    team.cancel(&job).await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::ManualCancel, Reason::Cancelled);
    let events: Api<Event> = Api::namespaced(team.client.clone(), own.name);
    let of_job = ListParams::default().fields(&format!("involvedObject.name={job}"));
    until_true("an Event on the Job tells of it", RUN, || async {
        let all = events.list(&of_job).await.map_err(|it| it.to_string())?;
        let told = all.iter().any(|event| {
            let words = event.message.as_deref().unwrap_or_default();
            event.reason.as_deref() == Some("WriteRefused")
                && event.type_.as_deref() == Some("Warning")
                && words.contains(&pod.pod)
                && words.contains("pods stay as they are here")
        });
        told.then_some(()).ok_or_else(|| format!("{all:?}"))
    })
    .await;
    policy.delete().await;
    until_gone(&team.pods(), &pod.pod, &pod.uid.unwrap(), RUN).await;
    own.delete().await;
}
