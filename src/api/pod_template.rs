//! What an Agent may say about its pods: a small, bounded part of a pod's spec. What is not here stays
//! ours (volumes, the sidecar, the restricted security settings).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ResourceRequirements, Toleration};
use kube::{KubeSchema, core::Rule};
use serde::{Deserialize, Serialize};

/// Overrides for the pods of an agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplate {
    /// The image that the agent runs in. It needs the claude CLI on its PATH, bash, git and CA
    /// certificates. Default: the image that the operator was installed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub image: Option<String>,
    /// When the kubelet pulls the image: Always, IfNotPresent or Never. Default: as for any pod, Always
    /// for the tag latest and IfNotPresent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// Secrets with registry credentials, in the Job's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub image_pull_secrets: Option<Vec<LocalReference>>,
    /// CPU and memory of the agent's container, as texts or whole numbers: 500m, 2Gi. Default: what the operator was installed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Labels that a node must have, beside kubernetes.io/os: linux and kubernetes.io/arch: amd64, which
    /// a value here for the same label replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub node_selector: Option<BTreeMap<String, String>>,
    /// Taints that the pods tolerate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub tolerations: Option<Vec<Toleration>>,
    /// Labels of the pods, beside ours. Keys under herdctl.dev are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    #[x_kube(validation = not_ours())]
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations of the pods, beside ours. Only those that the operator was installed to allow (the chart's
    /// value agent.allowedAnnotations); keys under herdctl.dev are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 4096}))]
    #[x_kube(validation = not_ours())]
    pub annotations: Option<BTreeMap<String, String>>,
    /// The user and groups that the agent runs as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_context: Option<SecurityContext>,
}

fn not_ours() -> Rule {
    Rule::new("self.all(key, size(key) <= 317 && !key.matches('^([^/]*[.])?herdctl[.]dev/'))")
        .message("keys under herdctl.dev are the operator's own: choose another prefix")
}

/// When the kubelet pulls an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum ImagePullPolicy {
    Always,
    IfNotPresent,
    Never,
}

impl ImagePullPolicy {
    pub fn as_str(self) -> &'static str {
        match self {
            ImagePullPolicy::Always => "Always",
            ImagePullPolicy::IfNotPresent => "IfNotPresent",
            ImagePullPolicy::Never => "Never",
        }
    }
}

/// The name of an object in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LocalReference {
    /// The object's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// The part of a pod's security context that an Agent may choose. All else is as Pod Security's level
/// "restricted" wants it: never root, no privileges, no capabilities, the runtime's seccomp profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecurityContext {
    /// The user id that the agent runs as; never 0. Default: 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub run_as_user: Option<i64>,
    /// The group id that the agent runs as; never 0. Default: 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub run_as_group: Option<i64>,
    /// The group that owns the pod's volumes. Default: 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub fs_group: Option<i64>,
    /// More groups of the agent's processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), inner(range(min = 1, max = 2_147_483_647)), extend("x-kubernetes-list-type" = "set"))]
    pub supplemental_groups: Option<Vec<i64>>,
}
