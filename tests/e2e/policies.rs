//! Promise: what is the operator's stays the operator's. A user with the role edit can't forge an agent's pod, and
//! the controller's account is good for agents' pods only.

use herdctl::{
    api::{
        job::{Job, POD_FINALIZER},
        run,
    },
    plan::pod::{LABEL_JOB, LABEL_JOB_UID},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    cluster,
    status::only_attempt,
    team::{Team, unique},
};

/// Pod Security restricts nothing there, so that the policies have to.
const UNRESTRICTED: &str = "default";

/// A pod that Pod Security's level restricted takes, with this metadata.
fn pod(metadata: Value) -> Pod {
    let mut pod = json!({
        "metadata": {"name": unique("forged")},
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "agent", "image": "nowhere.invalid/x:1", "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
            }}],
        },
    });
    for (key, value) in metadata.as_object().unwrap() {
        pod["metadata"][key] = value.clone();
    }
    serde_json::from_value(pod).unwrap()
}

/// Tries to create the pod and keeps nothing; the words of the refusal.
async fn refusal(pods: &Api<Pod>, pod: &Pod) -> Option<String> {
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    match pods.create(&params, pod).await {
        Ok(_) => None,
        Err(kube::Error::Api(status)) => Some(status.message.clone()),
        Err(error) => panic!("{error}"),
    }
}

fn of_a_job(job: &Job) -> Value {
    json!([{"apiVersion": "herdctl.dev/v1alpha1", "kind": "Job", "name": job.name_any(),
        "uid": job.uid().unwrap(), "controller": true}])
}

#[tokio::test]
async fn a_user_can_not_make_a_pod_that_passes_for_an_agents() {
    let team = Team::shared().await;
    let agent = team.agent("text").await;
    let job = team.job(&agent).await;
    let job = team.finished(&job).await;
    assert_eq!(refusal(&team.pods(), &pod(json!({}))).await, None);
    for metadata in [
        json!({"labels": {LABEL_JOB: job.name_any()}}),
        json!({"labels": {LABEL_JOB_UID: job.uid()}}),
        json!({"annotations": {run::ANNOTATION: "{}"}}),
        json!({"finalizers": [POD_FINALIZER]}),
        json!({"ownerReferences": of_a_job(&job)}),
    ] {
        let words = refusal(&team.pods(), &pod(metadata.clone())).await;
        let words = words.unwrap_or_else(|| panic!("{metadata} was taken"));
        assert!(words.contains("operator"), "{metadata}: {words}");
    }
}

#[tokio::test]
async fn a_user_can_not_change_what_an_agents_pod_was_told() {
    let team = Team::shared().await;
    let scenario = format!("wait-for-release-{}", unique("never"));
    let agent = team.agent(&scenario).await;
    let job = team.job(&agent).await;
    let name = only_attempt(&team.running(&job).await).pod;
    let annotate = |key: &str| Patch::Merge(json!({"metadata": {"annotations": {key: "x"}}}));
    let params = PatchParams::default();
    let pods = team.pods();
    let refused = pods.patch(&name, &params, &annotate(run::ANNOTATION)).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("belong to the operator"), "{refused}");
    let label = Patch::Merge(json!({"metadata": {"labels": {LABEL_JOB: "another"}}}));
    let refused = pods.patch(&name, &params, &label).await.unwrap_err();
    assert!(
        refused.to_string().contains("belong to the operator"),
        "{refused}"
    );
    let image = json!({"spec": {"containers": [{"name": "agent", "image": "x:1"}]}});
    let image = Patch::Strategic(image);
    let refused = pods.patch(&name, &params, &image).await.unwrap_err();
    assert!(
        refused.to_string().contains("can't be changed"),
        "{refused}"
    );
    pods.patch(&name, &params, &annotate("example.com/note"))
        .await
        .unwrap();
    team.cancel(&job).await;
    team.finished(&job).await;
}

#[tokio::test]
async fn the_controllers_account_can_make_agents_pods_only() {
    let team = Team::shared().await;
    let agent = team.agent("text").await;
    let job = team.job(&agent).await;
    let job = team.finished(&job).await;
    let pods: Api<Pod> = Api::namespaced(cluster::as_controller().await, UNRESTRICTED);
    let owned = || json!({"ownerReferences": of_a_job(&job)});
    assert_eq!(refusal(&pods, &pod(owned())).await, None);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut value = serde_json::to_value(pod(owned())).unwrap();
        change(&mut value["spec"]);
        serde_json::from_value::<Pod>(value).unwrap()
    };
    for (forged, words) in [
        (pod(json!({})), "for Jobs of herdctl.dev only"),
        (
            with(&|spec| spec["automountServiceAccountToken"] = json!(true)),
            "no service account",
        ),
        (
            with(&|spec| spec["hostNetwork"] = json!(true)),
            "node's network",
        ),
        (
            with(&|spec| spec["volumes"] = json!([{"name": "v", "hostPath": {"path": "/"}}])),
            "hostPath",
        ),
        (
            with(&|spec| {
                spec["containers"][0]["securityContext"] =
                    json!({"privileged": true, "capabilities": {"drop": ["ALL"]}});
            }),
            "privileged",
        ),
        (
            with(&|spec| {
                let capabilities = &mut spec["containers"][0]["securityContext"]["capabilities"];
                capabilities["add"] = json!(["SYS_ADMIN"]);
            }),
            "no capabilities",
        ),
    ] {
        let refused = refusal(&pods, &forged).await;
        let refused = refused.unwrap_or_else(|| panic!("{words}: was taken"));
        assert!(refused.contains(words), "{words}: {refused}");
    }
}
