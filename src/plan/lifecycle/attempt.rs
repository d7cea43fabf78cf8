//! What follows from an attempt as it stands in the status: its pod, and until when that must have
//! started. Both come from the captured Agent, so that editing the Agent changes neither.

use chrono::{DateTime, TimeDelta, Utc};
use k8s_openapi::api::core::v1::Pod;

use crate::{
    api::{
        agent::AgentSpec,
        job::{Attempt, Job, JobStatus},
    },
    plan::{
        inputs::{InputsError, RunOf},
        pod::{self, PodOf},
        settings::{Deadlines, Settings},
    },
};

/// Why no pod can be built.
pub(super) enum BuildError {
    NoPrompt(String),
    Invalid(String),
}

/// The Agent that a Job runs; `none` stands in where nothing was captured.
pub(super) fn captured<'a>(status: &'a JobStatus, none: &'a AgentSpec) -> &'a AgentSpec {
    status.agent.as_ref().map_or(none, |agent| &agent.spec)
}

pub(super) fn start_deadline(job: &Job, status: &JobStatus, attempt: &Attempt) -> DateTime<Utc> {
    let none = AgentSpec::default();
    let start = Deadlines::of(&job.spec, captured(status, &none))
        .ok()
        .and_then(|deadlines| TimeDelta::from_std(deadlines.start).ok());
    attempt.intended + start.unwrap_or_default()
}

pub(super) fn build(
    job: &Job,
    agent: &AgentSpec,
    session_id: &str,
    attempt: u32,
    settings: &Settings,
    store_ca: &str,
) -> Result<Pod, BuildError> {
    let deadlines =
        Deadlines::of(&job.spec, agent).map_err(|error| BuildError::Invalid(error.to_string()))?;
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let run = RunOf {
        job: name,
        attempt,
        session_id,
        resume: None,
    };
    pod::build(PodOf {
        job,
        agent,
        run,
        deadlines,
        settings,
        store_ca,
    })
    .map_err(|error| match error {
        InputsError::NoPrompt { .. } => BuildError::NoPrompt(error.to_string()),
        InputsError::TooLarge { .. } | InputsError::NotJson(_) => {
            BuildError::Invalid(error.to_string())
        }
    })
}
