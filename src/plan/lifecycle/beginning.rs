//! A Job that has no attempt yet: what it waits for, and what its first attempt fixes for all others.

use super::{
    Action, Means, Observed,
    attempt::{self, Build, BuildError},
    end_without_pod, is_deleted, is_held,
    looked::{LookUp, Resumable, ResumedLookup},
    wait_pending, wishes,
};
use crate::{
    api::{
        agent::Agent,
        job::{Attempt, CapturedAgent, ResumedFrom},
        reason::Reason,
    },
    plan::{
        evidence,
        outcome::Outcome,
        status::{self, Fixed, size},
    },
};

/// Attempts are counted from here.
const FIRST_ATTEMPT: u32 = 1;

pub(super) fn before_the_intent(seen: &Observed<'_>, means: Means<'_>) -> Action {
    let job = seen.job;
    if is_deleted(job) {
        return end_without_pod(job, &deleted(), means);
    }
    if job.spec.cancel == Some(true) {
        return end_without_pod(job, &evidence::cancelled(), means);
    }
    if wishes::wants_pause(job) {
        let paused = evidence::suspended();
        return wait_pending(job, paused.reason, &paused.message, means);
    }
    let Some(agent) = seen.agent else {
        let message = format!(
            "there is no Agent {} in this namespace; the Job starts by itself when it appears",
            job.spec.agent
        );
        return wait_pending(job, Reason::AgentNotFound, &message, means);
    };
    match session(seen, agent, means) {
        Session::LookUp(job) => Action::LookUp(LookUp::Resumed(job)),
        Session::None(why) => {
            let outcome = Outcome {
                reason: Reason::ResumeFailed,
                message: why,
            };
            end_without_pod(job, &outcome, means)
        }
        Session::Of { id, from } => intend(seen, agent, id, from, means),
    }
}

/// The session that the Job is about.
enum Session {
    Of {
        id: String,
        from: Option<ResumedFrom>,
    },
    /// It depends on this Job.
    LookUp(String),
    /// There is none to continue.
    None(String),
}

fn session(seen: &Observed<'_>, agent: &Agent, means: Means<'_>) -> Session {
    let Some(resume) = &seen.job.spec.resume else {
        return Session::Of {
            id: means.session_id.to_owned(),
            from: None,
        };
    };
    let name = &resume.job;
    match &seen.looked.resumed {
        ResumedLookup::NotAsked => Session::LookUp(name.clone()),
        ResumedLookup::Gone => Session::None(format!(
            "there is no Job {name} in this namespace whose session could be continued; see kubectl get hj, and create another Job"
        )),
        ResumedLookup::Found(Resumable { ended: false, .. }) => Session::None(format!(
            "Job {name} has not ended, so its session is not whole: wait for its end, resume it if it is paused, or cancel it, then create another Job"
        )),
        // Who may only create Jobs would bring one Agent's secrets before another's tools.
        ResumedLookup::Found(Resumable {
            started: true,
            agent_uid,
            ..
        }) if *agent_uid != agent.metadata.uid && resume.across_agents != Some(true) => {
            Session::None(format!(
                "Job {name} ran another Agent, or an earlier one named {}, and its session holds what that saw: create a Job with its Agent or, if you want this, with spec.resume.acrossAgents: true",
                seen.job.spec.agent
            ))
        }
        ResumedLookup::Found(Resumable {
            session_id: Some(id),
            started: true,
            uid,
            ..
        }) => Session::Of {
            id: id.clone(),
            from: Some(ResumedFrom {
                job: name.clone(),
                uid: uid.clone(),
            }),
        },
        ResumedLookup::Found(_) => Session::None(format!(
            "Job {name} ended before its agent had begun, so it has no session: create a Job that begins one of its own"
        )),
    }
}

fn intend(
    seen: &Observed<'_>,
    agent: &Agent,
    session_id: String,
    resumed_from: Option<ResumedFrom>,
    means: Means<'_>,
) -> Action {
    let job = seen.job;
    let Some(store_ca) = means.store_ca else {
        return wait_pending(job, Reason::Starting, super::NO_STORE, means);
    };
    let built = attempt::build(
        job,
        Build {
            agent: &agent.spec,
            session_id: &session_id,
            number: FIRST_ATTEMPT,
            attempts: &[],
            settings: means.settings,
            store_ca,
        },
    );
    let pod = match built {
        Err(BuildError::NoPrompt(message)) => {
            return wait_pending(job, Reason::ConfigMissing, &message, means);
        }
        Err(BuildError::End(outcome)) => return end_without_pod(job, &outcome, means),
        Ok(pod) => pod,
    };
    let fixed = Fixed {
        agent: CapturedAgent {
            generation: agent.metadata.generation.unwrap_or_default(),
            uid: agent.metadata.uid.clone(),
            spec: agent.spec.clone(),
        },
        session_id,
        resumed_from,
    };
    let first = Attempt {
        number: FIRST_ATTEMPT,
        pod: pod.metadata.name.unwrap_or_default(),
        intended: means.now,
        ..Attempt::default()
    };
    let next = status::intended(job, fixed, first, means.now);
    if let Some(outcome) = size::too_large(job, &next, &agent.spec) {
        return end_without_pod(job, &outcome, means);
    }
    // Last, since a Job that ends here needs no hold.
    if !is_held(job) {
        return Action::HoldJob;
    }
    Action::WriteStatus(Box::new(next))
}

fn deleted() -> Outcome {
    Outcome {
        reason: Reason::JobDeleted,
        message: "the Job was deleted before it had started".into(),
    }
}
