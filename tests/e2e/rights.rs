//! Promise: the operator never needs to read Secrets, and the agent gets no credentials of Kubernetes'.

use herdctl::api::reason::{ExitReason, Reason};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::{Api, Client, api::PostParams};

use crate::{
    cluster,
    status::{assert_ended, status},
    team::{Team, namespace},
};

async fn allowed(client: &Client, verb: &str, group: &str, resource: &str) -> bool {
    let attributes = ResourceAttributes {
        namespace: Some(namespace::TEAM_A.to_owned()),
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..Default::default()
        },
        ..Default::default()
    };
    let answer = Api::<SelfSubjectAccessReview>::all(client.clone())
        .create(&PostParams::default(), &review)
        .await
        .unwrap();
    answer.status.unwrap().allowed
}

#[tokio::test]
async fn the_controller_may_not_read_secrets_or_enter_pods() {
    let _team = Team::shared().await;
    let controller = cluster::as_controller().await;
    assert!(
        allowed(&controller, "create", "", "pods").await,
        "this is not the controller's account"
    );
    for verb in [
        "get", "list", "watch", "create", "update", "patch", "delete",
    ] {
        assert!(
            !allowed(&controller, verb, "", "secrets").await,
            "{verb} secrets"
        );
    }
    for resource in [
        "pods/exec",
        "pods/attach",
        "pods/ephemeralcontainers",
        "serviceaccounts/token",
    ] {
        assert!(
            !allowed(&controller, "create", "", resource).await,
            "create {resource}"
        );
    }
    assert!(!allowed(&controller, "impersonate", "", "users").await);
    assert!(
        !allowed(
            &controller,
            "create",
            "rbac.authorization.k8s.io",
            "rolebindings"
        )
        .await
    );
    assert!(!allowed(&controller, "delete", "herdctl.dev", "jobs").await);
}

#[tokio::test]
async fn the_agents_container_holds_no_token_of_kubernetes() {
    let team = Team::shared().await;
    let agent = team.agent("bash").await;
    let search = "RUN: echo mounts: $(grep -c serviceaccount /proc/self/mounts); ls /var/run/secrets/kubernetes.io 2>&1; true";
    let job = team
        .job_with(&agent, |spec| spec.prompt = Some(search.to_owned()))
        .await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    let text = status(&done).result.unwrap().text;
    assert!(text.contains("mounts: 0"), "{text}");
    assert!(text.contains("No such file or directory"), "{text}");
}
