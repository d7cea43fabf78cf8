//! What was wanted of a Job: by people, by its deadlines and by its Agent's end. And the ends that follow.

use crate::{
    api::reason::Reason,
    plan::{facts::PodFacts, outcome::Outcome},
};

/// What people and deadlines want of a Job whose pod lives or lived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked<'a> {
    /// `spec.cancel` is true.
    pub cancel: bool,
    /// The Job is being deleted.
    pub deletion: bool,
    /// The Agent that the Job runs was deleted.
    pub agent_gone: bool,
    /// That one of these was obeyed stands in the status already, so a later verdict changes nothing.
    pub stopping: bool,
    /// `spec.suspend` is true, or was and is being obeyed.
    pub suspend: bool,
    /// The start deadline has passed and the agent never ran.
    pub start_overdue: bool,
    /// What the Job has been waiting for, as its status says: a pod that is being deleted forgets it.
    pub waited_for: Option<(Reason, &'a str)>,
}

impl Asked<'_> {
    /// The Job is to end.
    pub fn end(&self) -> bool {
        self.cancel || self.deletion || self.agent_gone
    }
}

/// The end that was asked for, whatever becomes of the agent.
pub fn end_asked_for(asked: Asked<'_>) -> Option<Outcome> {
    if asked.cancel {
        return Some(cancelled());
    }
    if asked.deletion {
        return Some(Outcome {
            reason: Reason::JobDeleted,
            message: "the Job was deleted before it had ended".into(),
        });
    }
    asked.agent_gone.then(agent_deleted)
}

/// The end of an attempt that was asked for, by a person or a deadline.
pub(super) fn asked_for(asked: Asked<'_>, pod: &str) -> Option<Outcome> {
    let end = end_asked_for(asked);
    if end.is_some() || !asked.start_overdue {
        return end.or_else(|| asked.suspend.then(suspended));
    }
    Some(start_overdue(pod, asked.waited_for))
}

pub fn suspended() -> Outcome {
    Outcome {
        reason: Reason::Suspended,
        message: "paused by spec.suspend; it goes on when that is false: herdctl jobs resume"
            .into(),
    }
}

fn agent_deleted() -> Outcome {
    Outcome {
        reason: Reason::AgentDeleted,
        message: "the Agent was deleted before the Job had ended; what the Job did stays readable"
            .into(),
    }
}

pub fn cancelled() -> Outcome {
    Outcome {
        reason: Reason::Cancelled,
        message: "cancelled by spec.cancel".into(),
    }
}

/// What an end by the startDeadline begins with.
const OVERDUE: &str = "the agent had not started by its startDeadline";

/// Said of a pod that was still on its way when its time was over.
pub fn not_in_time(pod: &PodFacts) -> String {
    let node = pod.node.as_deref().unwrap_or("its node");
    let image = pod.agent_image.as_deref().unwrap_or("its image");
    format!(
        "{OVERDUE}: {node} was still pulling {image} or creating the containers of pod {name}; see kubectl get events --field-selector involvedObject.name={name}, then create another Job or raise spec.startDeadline of the Agent",
        name = pod.name
    )
}

fn start_overdue(pod: &str, waited_for: Option<(Reason, &str)>) -> Outcome {
    let (reason, message) = match waited_for {
        Some((Reason::ImagePull, why)) => (Reason::ImageUnavailable, why.to_owned()),
        Some((_, why)) if why.starts_with(OVERDUE) => (Reason::StartTimedOut, why.to_owned()),
        Some((_, why)) => (
            Reason::StartTimedOut,
            format!("{OVERDUE}; what it waited for: {why}"),
        ),
        None => (
            Reason::StartTimedOut,
            format!(
                "{OVERDUE}, and nothing said why; see kubectl get events --field-selector involvedObject.name={pod}, then create another Job"
            ),
        ),
    };
    Outcome { reason, message }
}
