//! What follows from an attempt as it stands in the status: its pod, and until when that must have
//! started. Both come from the captured Agent, so that editing the Agent changes neither.

use chrono::{DateTime, TimeDelta, Utc};
use k8s_openapi::api::core::v1::Pod;

use super::{limits::Used, resumption};
use crate::{
    api::{
        agent::AgentSpec,
        job::{Attempt, Job, JobStatus},
        reason::Reason,
    },
    plan::{
        inputs::{InputsError, RunOf},
        outcome::Outcome,
        pod::{self, PodOf},
        settings::{Deadlines, Settings},
    },
};

/// Why no pod can be built.
pub(super) enum BuildError {
    NoPrompt(String),
    /// It never can.
    End(Outcome),
}

impl BuildError {
    /// The end of a Job that has begun: what it lacks now, it will always lack.
    pub(super) fn into_outcome(self) -> Outcome {
        match self {
            BuildError::NoPrompt(message) => invalid(message),
            BuildError::End(outcome) => outcome,
        }
    }
}

fn invalid(message: String) -> Outcome {
    Outcome {
        reason: Reason::InvalidPod,
        message,
    }
}

/// The Agent that a Job runs; `none` stands in where nothing was captured.
pub(super) fn captured<'a>(status: &'a JobStatus, none: &'a AgentSpec) -> &'a AgentSpec {
    status.agent.as_ref().map_or(none, |agent| &agent.spec)
}

/// The image that the agent's container is to run.
pub(super) fn image(status: &JobStatus, settings: &Settings) -> String {
    let none = AgentSpec::default();
    let chosen = captured(status, &none).pod.as_ref();
    let chosen = chosen.and_then(|pod| pod.image.as_ref());
    chosen.unwrap_or(&settings.agent_image).clone()
}

pub(super) fn deadline_of(job: &Job, status: &JobStatus, attempt: &Attempt) -> DateTime<Utc> {
    let start = Deadlines::of(&job.spec, captured(status, &AgentSpec::default()))
        .ok()
        .and_then(|deadlines| TimeDelta::from_std(deadlines.start).ok());
    attempt.intended + start.unwrap_or_default()
}

/// When the last attempt's agent must have started; none where there is no attempt.
pub fn start_deadline(job: &Job) -> Option<DateTime<Utc>> {
    let status = job.status.as_ref()?;
    Some(deadline_of(job, status, status.attempt()?))
}

/// What an attempt is built from besides its Job.
#[derive(Clone, Copy)]
pub(super) struct Build<'a> {
    pub agent: &'a AgentSpec,
    pub session_id: &'a str,
    pub number: u32,
    /// Of the Job: only those with lower numbers count.
    pub attempts: &'a [Attempt],
    pub settings: &'a Settings,
    pub store_ca: &'a str,
}

pub(super) fn build(job: &Job, of: Build<'_>) -> Result<Pod, BuildError> {
    let hopeless = |message: String| BuildError::End(invalid(message));
    let deadlines =
        Deadlines::of(&job.spec, of.agent).map_err(|error| hopeless(error.to_string()))?;
    let (agent, deadlines) = Used::before(of.number, of.attempts)
        .left_of(of.agent, deadlines)
        .map_err(BuildError::End)?;
    let resume = resumption::of(job, of.agent, of.number, of.attempts);
    let run = RunOf {
        job: job.metadata.name.as_deref().unwrap_or_default(),
        attempt: of.number,
        session_id: of.session_id,
        resume: resume.as_ref(),
    };
    pod::build(PodOf {
        job,
        agent: &agent,
        run,
        deadlines,
        settings: of.settings,
        store_ca: of.store_ca,
    })
    .map_err(|error| match error {
        InputsError::NoPrompt { .. } => BuildError::NoPrompt(error.to_string()),
        InputsError::Annotation { .. }
        | InputsError::Blank { .. }
        | InputsError::TooLarge { .. }
        | InputsError::Nul { .. }
        | InputsError::NotJson(_)
        | InputsError::BadSchema { .. } => hopeless(error.to_string()),
    })
}
