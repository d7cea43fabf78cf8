//! What the operator was installed with, and the defaults that an Agent may leave out.

use std::time::Duration;

use k8s_openapi::api::core::v1::{EnvVar, ResourceRequirements};

use crate::api::{
    agent::AgentSpec,
    duration::{BadDuration, DurationText},
    job::JobSpec,
};

/// How long a run may take.
pub const TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// How long a run may be silent. The CLI waits 300 s for a hung first byte before it tries again.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How long a Job may take to start.
pub const START_DEADLINE: Duration = Duration::from_secs(10 * 60);
/// How long a stopped agent may take to end by itself.
pub const CANCEL_GRACE: Duration = Duration::from_secs(10);

/// How many attempts may be lost to disruptions.
pub const MAX_ATTEMPTS: u32 = 3;

/// Chosen at install time; the same for every Job.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The operator's own image: it carries the runner.
    pub operator_image: String,
    /// The image of agents that name none.
    pub agent_image: String,
    /// Pull policy of the operator's image in agents' pods; empty for Kubernetes' default.
    pub image_pull_policy: Option<String>,
    /// Environment of all agents; what an Agent sets itself goes before it.
    pub agent_env: Vec<EnvVar>,
    /// Annotations that Agents may put on their pods; one that ends with `*` stands for all that begin so.
    pub allowed_annotations: Vec<String>,
    /// Resources of agents that name none.
    pub agent_resources: Option<ResourceRequirements>,
    /// Resources of the sidecar.
    pub ship_resources: ResourceRequirements,
    /// How long a pod may stay after its agent's end to hand its output over.
    pub drain_timeout: Duration,
    /// How long an ended pod's object waits for its record to be sealed.
    pub seal_timeout: Duration,
    /// Where agents' pods find the output store: `https://HOST:PORT`.
    pub store: String,
}

impl Settings {
    /// Components of the cluster obey annotations of pods: some take a protection off, or join a network.
    pub fn allows_annotation(&self, key: &str) -> bool {
        self.allowed_annotations
            .iter()
            .any(|allowed| match allowed.strip_suffix('*') {
                Some(start) => key.starts_with(start),
                None => key == allowed,
            })
    }
}

/// The deadlines of one Job, defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    pub timeout: Duration,
    pub stall_timeout: Duration,
    pub start: Duration,
    pub cancel_grace: Duration,
}

/// A field that the schema should have refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {source}")]
pub struct BadDeadline {
    field: &'static str,
    source: BadDuration,
}

impl Deadlines {
    pub fn of(job: &JobSpec, agent: &AgentSpec) -> Result<Self, BadDeadline> {
        Ok(Deadlines {
            timeout: either(
                "timeout",
                job.timeout.as_ref().or(agent.timeout.as_ref()),
                TIMEOUT,
            )?,
            stall_timeout: either("stallTimeout", agent.stall_timeout.as_ref(), STALL_TIMEOUT)?,
            start: either(
                "startDeadline",
                agent.start_deadline.as_ref(),
                START_DEADLINE,
            )?,
            cancel_grace: either("cancelGrace", agent.cancel_grace.as_ref(), CANCEL_GRACE)?,
        })
    }
}

fn either(
    field: &'static str,
    text: Option<&DurationText>,
    default: Duration,
) -> Result<Duration, BadDeadline> {
    text.map_or(Ok(default), DurationText::parse)
        .map_err(|source| BadDeadline { field, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_may_change_its_agents_timeout() {
        let agent = AgentSpec {
            timeout: Some("2h".into()),
            ..AgentSpec::default()
        };
        let job = JobSpec {
            timeout: Some("5m".into()),
            ..JobSpec::default()
        };
        assert_eq!(
            Deadlines::of(&job, &agent).unwrap().timeout,
            Duration::from_secs(300)
        );
        assert_eq!(
            Deadlines::of(&JobSpec::default(), &agent).unwrap().timeout,
            Duration::from_secs(7200)
        );
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let deadlines = Deadlines::of(&JobSpec::default(), &AgentSpec::default()).unwrap();
        assert_eq!(deadlines.start, START_DEADLINE);
        assert_eq!(deadlines.stall_timeout, STALL_TIMEOUT);
        assert_eq!(deadlines.cancel_grace, CANCEL_GRACE);
    }
}
