//! Claude Code's permission modes, by the CLI's own names.

use serde::{Deserialize, Serialize};

/// What happens when a tool call needs an approval. Nobody sits at a Job's terminal, so every mode but
/// bypassPermissions refuses what it would ask about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "operator", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum PermissionMode {
    Default,
    AcceptEdits,
    DontAsk,
    Plan,
    #[default]
    BypassPermissions,
}

impl PermissionMode {
    /// The value of `--permission-mode`.
    pub fn as_str(self) -> &'static str {
        match self {
            PermissionMode::Default => "default",
            PermissionMode::AcceptEdits => "acceptEdits",
            PermissionMode::DontAsk => "dontAsk",
            PermissionMode::Plan => "plan",
            PermissionMode::BypassPermissions => "bypassPermissions",
        }
    }
}
