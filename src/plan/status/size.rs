//! Whether a Job has room for its status: etcd takes no object over a size, and a Job keeps its Agent's spec.

use crate::{
    api::{
        agent::AgentSpec,
        job::{Job, JobStatus},
        reason::Reason,
    },
    plan::outcome::Outcome,
};

/// What etcd takes in one request, if nobody has set it otherwise.
const ETCD_BYTES: usize = 1_572_864;
/// What is kept free for all that comes into a status after the first intent: attempts, conditions, messages,
/// the store's fields, and who owns which field.
const RESERVE_BYTES: usize = 262_144;
/// As large may a Job be with its first intent.
pub const MAX_JOB_BYTES: usize = ETCD_BYTES - RESERVE_BYTES;

/// Why this Job can't be written with this status; none if it can.
pub fn too_large(job: &Job, next: &JobStatus, agent: &AgentSpec) -> Option<Outcome> {
    let bytes = |size: Result<Vec<u8>, _>| size.as_ref().map_or(0, Vec::len);
    let mut with = job.clone();
    with.status = Some(next.clone());
    let whole = bytes(serde_json::to_vec(&with));
    (whole > MAX_JOB_BYTES).then(|| {
        let agent_bytes = bytes(serde_json::to_vec(agent));
        Outcome {
            reason: Reason::InvalidPod,
            message: format!(
                "Agent {} and the Job are too large together: a Job keeps its Agent's spec in its status, and with the Agent's {agent_bytes} bytes it would have {whole} bytes, of at most {MAX_JOB_BYTES}; move large values, mostly of the Agent's spec.env, into a ConfigMap, a Secret or the image, and create another Job",
                job.spec.agent
            ),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::job::{CapturedAgent, JobSpec};

    #[test]
    fn a_job_that_is_too_large_with_its_agent_is_told_with_both_sizes() {
        let judged = |prompt: usize, system: usize| {
            let job = Job::new(
                "hello",
                JobSpec {
                    agent: "big".into(),
                    prompt: Some("p".repeat(prompt)),
                    ..JobSpec::default()
                },
            );
            let agent = AgentSpec {
                system_prompt: Some("s".repeat(system)),
                ..AgentSpec::default()
            };
            let next = JobStatus {
                agent: Some(CapturedAgent {
                    spec: agent.clone(),
                    ..CapturedAgent::default()
                }),
                ..JobStatus::default()
            };
            too_large(&job, &next, &agent).map(|outcome| (outcome.reason, outcome.message))
        };
        assert_eq!(judged(98_304, 98_304), None);
        assert_eq!(judged(90_000, MAX_JOB_BYTES - 100_000), None);
        let (reason, message) = judged(98_304, MAX_JOB_BYTES - 90_000).unwrap();
        assert_eq!(reason, Reason::InvalidPod);
        let limit = MAX_JOB_BYTES.to_string();
        for words in ["Agent big", "too large", "spec.env", &limit] {
            assert!(message.contains(words), "{message}");
        }
    }
}
