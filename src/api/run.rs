//! What the controller hands to the runner: all inputs of one attempt. It travels as one annotation of
//! the pod and reaches the runner as a file of the downward API, so that no prompt is ever an argument,
//! an environment variable or subject to `$(VAR)` expansion.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::permission_mode::PermissionMode;

/// The pod's annotation that holds a [`RunInputs`] as JSON.
pub const ANNOTATION: &str = "herdctl.dev/run";

/// The largest annotation that we write; the API server allows 256 KiB for all of a pod's together.
pub const MAX_BYTES: usize = 224 * 1024;

/// The variable that tells the CLI where the API is.
pub const BASE_URL: &str = "ANTHROPIC_BASE_URL";

/// Where the runner finds things in a pod. Both containers agree on these paths by this module alone.
pub mod path {
    /// Folder with the runner and the socket: writable in `ship`, read-only in `agent`.
    pub const HERD: &str = "/herd";
    /// The static runner, put there by `herd-runner install`.
    pub const RUNNER: &str = "/herd/herd-runner";
    /// `ship` hands the spool over on this Unix socket.
    pub const SOCKET: &str = "/herd/ship.sock";
    /// The spool's folder: mounted in `ship` alone.
    pub const SPOOL: &str = "/spool";
    /// Folder with the token for the output store and the store's CA: mounted in `ship` alone.
    pub const STORE: &str = "/herd-store";
    /// The projected token, in [`STORE`]; the kubelet replaces it before it expires.
    pub const STORE_TOKEN: &str = "/herd-store/token";
    /// The store's CA certificates (PEM), in [`STORE`]; the controller may replace them.
    pub const STORE_CA: &str = "/herd-store/ca.crt";
    /// The folder of the downward-API file with the run's inputs; mounted in `agent` alone.
    pub const INPUTS_DIR: &str = "/herd-run";
    /// The file in it.
    pub const INPUTS_FILE: &str = "run.json";
    /// The agent's working directory: [`WORKSPACE_FOLDER`] of its volume.
    pub const WORKSPACE: &str = "/workspace";
    /// That volume as `ship` sees it, whole.
    pub const WORKSPACE_VOLUME: &str = "/herd-workspace";
    /// The folder in it that the agent gets. The root of an emptyDir belongs to root, and git refuses to work
    /// in a folder of another user's; this one is made by `ship`, which runs as the agent's user.
    pub const WORKSPACE_FOLDER: &str = "work";
    /// The kubelet takes the termination message from here, in every container that doesn't say
    /// otherwise.
    pub const TERMINATION_LOG: &str = "/dev/termination-log";
    /// The agent's home.
    pub const HOME: &str = "/home/agent";
}

/// All inputs of one attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunInputs {
    /// The Job's name, which is its id.
    pub job: String,
    pub agent: String,
    /// Counted from 1.
    pub attempt: u32,
    /// Chosen by the controller; passed as `--session-id`.
    pub session_id: String,
    /// Given to the CLI on its standard input.
    pub prompt: String,
    /// Present where a session is continued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
    /// JSON Schema of the result (`--json-schema`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub append_system_prompt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Who set the model, for the words about one that is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_of: Option<SetBy>,
    /// Where [`BASE_URL`] comes from, if that is an object whose content is not for everybody to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url_from: Option<String>,
    /// Which field gives the key, for the words about one that is wrong.
    #[serde(default)]
    pub key_from: KeyFrom,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_turns: Option<u32>,
    #[serde(
        default,
        rename = "maxBudgetUSD",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_budget_usd: Option<f64>,
    #[serde(default)]
    pub permission_mode: PermissionMode,
    #[serde(default)]
    pub tools: Tools,
    /// Seconds from the hand-over to the end of the run.
    #[serde(with = "seconds")]
    pub timeout: Duration,
    /// Seconds without a line, halted while a tool runs.
    #[serde(with = "seconds")]
    pub stall_timeout: Duration,
    /// Seconds between TERM and KILL.
    #[serde(with = "seconds")]
    pub cancel_grace: Duration,
}

/// The variables in which the CLI looks for a key.
pub const KEYS: [&str; 3] = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
];

/// Which field of the Agent gives the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyFrom {
    /// `spec.credentials`.
    #[default]
    Credentials,
    /// `spec.env`, which goes before it.
    Env,
    Nothing,
}

/// Whose spec a setting comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SetBy {
    Job,
    Agent,
}

/// How a session is continued. The transcript that `ship` has restored decides: with one the CLI gets
/// `--resume` and this prompt; without one it begins with `--session-id` and the run's own prompt, or
/// not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resume {
    /// What the agent is told instead of the run's prompt.
    pub prompt: String,
    /// True: something has happened in this session, so without a transcript the run fails.
    pub required: bool,
}

/// Which tools the agent has, by Claude Code's names and patterns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "operator", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Tools {
    /// The built-in tools that exist for this agent (`--tools`), for example `Bash`, `Read`. Default:
    /// all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "operator", schemars(length(max = 128), inner(length(min = 1, max = 512)), extend("x-kubernetes-list-type" = "set")))]
    pub available: Option<Vec<String>>,
    /// Tools and patterns that need no approval (`--allowedTools`), for example `Bash(git diff:*)`.
    /// With the permission mode bypassPermissions everything is approved anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "operator", schemars(length(max = 128), inner(length(min = 1, max = 512)), extend("x-kubernetes-list-type" = "set")))]
    pub allowed: Option<Vec<String>>,
    /// Tools and patterns that are refused in every permission mode (`--disallowedTools`), for example
    /// `WebFetch` or `Bash(rm:*)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "operator", schemars(length(max = 128), inner(length(min = 1, max = 512)), extend("x-kubernetes-list-type" = "set")))]
    pub denied: Option<Vec<String>>,
}

mod seconds {
    //! Durations as seconds with a fraction.

    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(value.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
