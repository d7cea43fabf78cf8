//! Bad overrides of an Agent's pods.

use serde_json::{Value, json};

use super::{agent, assert_refused, bad};
use crate::team::Team;

fn pod(overrides: Value) -> Value {
    agent(json!({"pod": overrides}))
}

#[tokio::test]
async fn bad_overrides_of_the_pod_are_refused() {
    assert_refused(
        &Team::shared().await.client,
        vec![
            bad(
                "an empty image",
                pod(json!({"image": ""})),
                "spec.pod.image",
            ),
            bad(
                "an unknown pull policy",
                pod(json!({"imagePullPolicy": "Sometimes"})),
                "spec.pod.imagePullPolicy",
            ),
            bad(
                "a pull secret without a name",
                pod(json!({"imagePullSecrets": [{}]})),
                "spec.pod.imagePullSecrets[0].name",
            ),
            bad(
                "a pull secret twice",
                pod(json!({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]})),
                "spec.pod.imagePullSecrets[1]",
            ),
            bad(
                "a label of ours",
                pod(json!({"labels": {"herdctl.dev/job": "other"}})),
                "spec.pod.labels",
            ),
            bad(
                "a label of ours in a subdomain",
                pod(json!({"labels": {"x.herdctl.dev/job": "other"}})),
                "spec.pod.labels",
            ),
            bad(
                "an annotation of ours",
                pod(json!({"annotations": {"herdctl.dev/run": "{}"}})),
                "spec.pod.annotations",
            ),
            bad(
                "a label's value of 64 characters",
                pod(json!({"labels": {"team": "a".repeat(64)}})),
                "spec.pod.labels.team",
            ),
            bad(
                "a node's label that is a number",
                pod(json!({"nodeSelector": {"zone": 1}})),
                "spec.pod.nodeSelector.zone",
            ),
            bad(
                "root as the user",
                pod(json!({"securityContext": {"runAsUser": 0}})),
                "spec.pod.securityContext.runAsUser",
            ),
            bad(
                "root as the group",
                pod(json!({"securityContext": {"runAsGroup": 0}})),
                "spec.pod.securityContext.runAsGroup",
            ),
            bad(
                "root as the volumes' group",
                pod(json!({"securityContext": {"fsGroup": 0}})),
                "spec.pod.securityContext.fsGroup",
            ),
            bad(
                "root as one more group",
                pod(json!({"securityContext": {"supplementalGroups": [2000, 0]}})),
                "spec.pod.securityContext.supplementalGroups[1]",
            ),
            bad(
                "a toleration that is a word",
                pod(json!({"tolerations": ["all"]})),
                "spec.pod.tolerations[0]",
            ),
            bad(
                "resources that are a word",
                pod(json!({"resources": "many"})),
                "spec.pod.resources",
            ),
        ],
    )
    .await;
}
