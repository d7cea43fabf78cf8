//! The Agent: who does the work. Its spec is plain data; defaults stand in the descriptions and are
//! applied where they are used, so that nothing ever writes to a user's manifest.

// Two columns have the same type, which the lint takes for a slip.
#![allow(clippy::duplicated_attributes)]

use kube::{CustomResource, KubeSchema, core::Rule};
use serde::{Deserialize, Serialize};

use super::{
    duration::DurationText, permission_mode::PermissionMode, pod_template::PodTemplate, run::Tools,
};

/// Longest prompt in bytes. Linux refuses a single argument of 128 KiB, and system prompts are
/// arguments of the CLI; the rest is room for the run's other inputs.
pub const MAX_PROMPT_BYTES: u32 = 98_304;

/// Longest output schema in bytes; it is an argument of the CLI.
pub const MAX_SCHEMA_BYTES: u32 = 32_768;

/// What to do about a lost pod.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum OnDisruption {
    #[default]
    Resume,
    Fail,
}

/// Who does the work: instructions, model, tools, limits and the pod that it runs in. An Agent does
/// nothing by itself; apply a Job that names it.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "herdctl.dev",
    version = "v1alpha1",
    kind = "Agent",
    plural = "agents",
    namespaced,
    shortname = "ha",
    category = "herd",
    derive = "PartialEq",
    doc = "Who does the work: instructions, model, tools, limits and the pod that it runs in. An Agent does nothing by itself; each run is a Job that names it.",
    printcolumn(name = "MODEL", type_ = "string", json_path = ".spec.model"),
    printcolumn(
        name = "AGE",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "DESCRIPTION",
        type_ = "string",
        json_path = ".spec.description",
        priority = "1"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct AgentSpec {
    /// What this agent is for, in a sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// The prompt of Jobs that bring none of their own. Claude Code takes a prompt that begins with / for one
    /// of its own commands. At most 98304 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_PROMPT_BYTES))]
    #[x_kube(validation = prompt_bytes_rule())]
    pub prompt: Option<String>,
    /// Replaces Claude Code's own system prompt. At most 98304 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_PROMPT_BYTES))]
    #[x_kube(validation = prompt_bytes_rule())]
    pub system_prompt: Option<String>,
    /// Is added to the system prompt. At most 98304 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_PROMPT_BYTES))]
    #[x_kube(validation = prompt_bytes_rule())]
    pub append_system_prompt: Option<String>,
    /// The model, by name or alias, for example sonnet. Default: the CLI's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 256),
        regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]*$")
    )]
    pub model: Option<String>,
    /// The model that is used while the first one is overloaded. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 256),
        regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]*$")
    )]
    pub fallback_model: Option<String>,
    /// A run fails with reason MaxTurns when it needs more turns than this. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_turns: Option<u32>,
    /// A run fails with reason BudgetExceeded once it has cost more US dollars than this, by the CLI's
    /// own estimate, checked after each call. Default: no limit.
    #[serde(
        default,
        rename = "maxBudgetUSD",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(max = 1_000_000.0))]
    #[x_kube(validation = positive_rule())]
    pub max_budget_usd: Option<f64>,
    /// What happens when a tool call needs an approval, by Claude Code's names: default, acceptEdits,
    /// dontAsk, plan or bypassPermissions. Nobody sits at a Job's terminal, so all but the last refuse
    /// what they would ask about. Default: bypassPermissions, since the pod is the boundary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission_mode: Option<PermissionMode>,
    /// Which tools the agent has. Default: all of Claude Code's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Tools>,
    /// Environment variables of the agent's container. They go before those that the operator was installed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Option<Vec<EnvVar>>,
    /// The key or token for the model's API. Default: none; then env must bring what the CLI needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// A run is stopped and fails with reason TimedOut after this time, counted from the agent's start.
    /// For example 90s or 1h30m. Default: 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationText>,
    /// A run is stopped and fails with reason Stalled after this time without a line of output; the
    /// clock halts while a tool runs. Default: 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall_timeout: Option<DurationText>,
    /// A Job whose agent has not started this long after its pod was decided on fails with reason
    /// StartTimedOut. Default: 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_deadline: Option<DurationText>,
    /// How long a stopped agent may take to end by itself (SIGTERM) before it is killed. Default: 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_grace: Option<DurationText>,
    /// What happens when a pod is lost that was not the agent's fault: it was deleted or evicted, or its
    /// node died. resume continues the session in a new pod, fail ends the Job. Default: resume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_disruption: Option<OnDisruption>,
    /// The Job fails once so many of its attempts were lost to disruptions; pauses don't count. Default: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32))]
    pub max_attempts: Option<u32>,
    /// The JSON Schema that the agent's result must meet, as JSON text of at most 32768 bytes. A run
    /// whose result does not meet it fails with reason InvalidOutput. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = MAX_SCHEMA_BYTES))]
    #[x_kube(validation = schema_bytes_rule(), validation = schema_object_rule())]
    pub output_schema: Option<String>,
    /// Overrides for the agent's pods: image, resources, placement, labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodTemplate>,
}

/// The API server cuts a fractional minimum to a whole number where the value is one.
fn positive_rule() -> Rule {
    Rule::new("self > 0.0").message("must be more than 0; leave it out for no limit")
}

/// Characters are not bytes: 98304 two-byte characters pass maxLength and would break the pod.
pub(super) fn prompt_bytes_rule() -> Rule {
    Rule::new("size(bytes(self)) <= 98304")
        .message("must be at most 98304 bytes in UTF-8: shorten it, or let the agent read the rest from a file")
}

/// Enough to tell an object from all else. Whether it is JSON the controller says before the first attempt.
pub(super) fn schema_object_rule() -> Rule {
    Rule::new(r"self.matches('^\\s*[{]')").message(
        "must be a JSON Schema that is an object, as text: for example '{\"type\": \"object\"}'",
    )
}

pub(super) fn schema_bytes_rule() -> Rule {
    Rule::new("size(bytes(self)) <= 32768").message("must be at most 32768 bytes in UTF-8")
}

/// One environment variable: a name, and a value or where the value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.value) && has(self.valueFrom))").message("set value or valueFrom, not both"),
    validation = Rule::new("!(self.name in ['HOME', 'CLAUDE_CONFIG_DIR'])").message("HOME and CLAUDE_CONFIG_DIR can't be set: a Job goes on from what the CLI keeps in /home/agent/.claude").field_path(".name")
)]
pub struct EnvVar {
    /// The variable's name. HOME and CLAUDE_CONFIG_DIR are the operator's, which keeps the session there.
    #[schemars(
        length(min = 1, max = 256),
        regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$")
    )]
    pub name: String,
    /// The value as it stands: $(NAME) is not expanded. Never put a key or token here: everyone who may read the
    /// Agent can read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32_768))]
    pub value: Option<String>,
    /// Where the value comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<EnvSource>,
}

/// Where a variable's value comes from: exactly one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef)].filter(x, x).size() == 1").message("set exactly one of secretKeyRef, configMapKeyRef and fieldRef"))]
pub struct EnvSource {
    /// A key of a Secret in the Job's namespace. Only the kubelet reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyReference>,
    /// A key of a ConfigMap in the Job's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyReference>,
    /// A field of the pod, for example metadata.name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_ref: Option<FieldReference>,
}

/// A key of a Secret or ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct KeyReference {
    /// The object's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in it.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
    /// True: start without the variable when the object or key is missing. Default: false, the Job
    /// waits with reason ConfigMissing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

/// A field of the pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldReference {
    /// The field's path as in the downward API, for example status.podIP.
    #[schemars(length(min = 1, max = 317))]
    pub field_path: String,
}

/// The key or token for the model's API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// The Secret, in the Job's namespace, and the key in it. The operator never reads it, the kubelet
    /// puts it into the agent's environment.
    pub secret_ref: SecretKey,
    /// What the Secret holds: apiKey (ANTHROPIC_API_KEY) or oauthToken (CLAUDE_CODE_OAUTH_TOKEN).
    /// Default: apiKey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<CredentialsKind>,
}

/// A key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SecretKey {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in it.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// What a Secret holds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum CredentialsKind {
    #[default]
    ApiKey,
    OauthToken,
}

impl CredentialsKind {
    /// The environment variable in which the CLI looks for it.
    pub fn variable(self) -> &'static str {
        match self {
            CredentialsKind::ApiKey => "ANTHROPIC_API_KEY",
            CredentialsKind::OauthToken => "CLAUDE_CODE_OAUTH_TOKEN",
        }
    }
}
