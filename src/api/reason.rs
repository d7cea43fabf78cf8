//! The closed sets that a Job's status speaks in. They stand here once; the CRD's enums, the runner's
//! verdict and the controller's conditions are all made from them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a Job is in its life. The last three are final: never left, never run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "operator", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Pending,
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl Phase {
    /// True for the phases that are never left.
    pub fn is_final(self) -> bool {
        match self {
            Phase::Pending | Phase::Running => false,
            Phase::Completed | Phase::Failed | Phase::Cancelled => true,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Pending => "pending",
            Phase::Running => "running",
            Phase::Completed => "completed",
            Phase::Failed => "failed",
            Phase::Cancelled => "cancelled",
        })
    }
}

/// How a finished Job ended, in one of four words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "operator", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    Success,
    Error,
    Timeout,
    ManualCancel,
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ExitReason::Success => "success",
            ExitReason::Error => "error",
            ExitReason::Timeout => "timeout",
            ExitReason::ManualCancel => "manual_cancel",
        })
    }
}

/// Why a Job is where it is. Each belongs to exactly one phase and exit reason, but for
/// `RateLimited`-like names that later join the running phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "operator", derive(schemars::JsonSchema))]
pub enum Reason {
    // pending
    Scheduling,
    ImagePull,
    ConfigMissing,
    Starting,
    AgentNotFound,
    QuotaExceeded,
    Suspended,
    Recovering,
    // running
    Working,
    Cancelling,
    Suspending,
    // completed
    Completed,
    // failed, error
    MaxTurns,
    BudgetExceeded,
    AuthenticationFailed,
    CreditExhausted,
    RateLimited,
    ModelUnavailable,
    ApiError,
    PromptTooLong,
    Refused,
    InvalidOutput,
    AgentCrashed,
    Stopped,
    #[serde(rename = "OOMKilled")]
    OomKilled,
    Evicted,
    NodeLost,
    PodDeleted,
    ImageUnavailable,
    InvalidPod,
    RunnerError,
    ResumeFailed,
    // failed, timeout
    TimedOut,
    Stalled,
    StartTimedOut,
    // cancelled
    Cancelled,
    AgentDeleted,
    JobDeleted,
}

impl Reason {
    /// The phase and exit reason that this reason belongs to.
    pub fn place(self) -> (Phase, Option<ExitReason>) {
        use Reason::*;
        match self {
            Scheduling | ImagePull | ConfigMissing | Starting | AgentNotFound | QuotaExceeded
            | Suspended | Recovering => (Phase::Pending, None),
            Working | Cancelling | Suspending => (Phase::Running, None),
            Completed => (Phase::Completed, Some(ExitReason::Success)),
            MaxTurns | BudgetExceeded | AuthenticationFailed | CreditExhausted | RateLimited
            | ModelUnavailable | ApiError | PromptTooLong | Refused | InvalidOutput
            | AgentCrashed | Stopped | OomKilled | Evicted | NodeLost | PodDeleted
            | ImageUnavailable | InvalidPod | RunnerError | ResumeFailed => {
                (Phase::Failed, Some(ExitReason::Error))
            }
            TimedOut | Stalled | StartTimedOut => (Phase::Failed, Some(ExitReason::Timeout)),
            Cancelled | AgentDeleted | JobDeleted => {
                (Phase::Cancelled, Some(ExitReason::ManualCancel))
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The one name whose spelling in Kubernetes is not that of the variant.
            Reason::OomKilled => f.write_str("OOMKilled"),
            other => fmt::Debug::fmt(other, f),
        }
    }
}
