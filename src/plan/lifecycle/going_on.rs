//! What becomes of a Job whose attempt is over: it ends, or another attempt follows. That one begins only
//! when the pod of the one before is dead beyond doubt and the status says so.

use super::{
    Action, Means, Observed, PodLookup,
    attempt::{self, Build},
    delete_once, ending,
    looked::{LookUp, NamespaceLookup, NodeLookup},
    node, wait_pending,
    whose::{self, PodIs},
    wishes, write_if_new,
};
use crate::{
    api::{
        agent::{AgentSpec, OnDisruption},
        job::{Attempt, Job, JobStatus, MOST_ATTEMPTS},
        reason::Reason,
    },
    plan::{
        evidence::{self, End},
        facts::PodFacts,
        outcome::Outcome,
        settings::MAX_ATTEMPTS,
        status,
    },
};

/// After the end of the last attempt, with its pod where that is still there.
pub(super) fn after(
    seen: &Observed<'_>,
    status: &JobStatus,
    pod: Option<&PodFacts>,
    end: &End,
    means: Means<'_>,
) -> Action {
    let job = seen.job;
    if end.outcome.reason == Reason::Suspended {
        let waits = (end.outcome.reason, end.outcome.message.as_str());
        let next = status::survived(job, pod, end, waits, means.now);
        return Action::WriteStatus(Box::new(next));
    }
    match settled(seen, status, end) {
        Settled::AskNamespace => Action::LookUp(LookUp::Namespace),
        Settled::Ends(outcome) => {
            let end = End {
                outcome,
                ..end.clone()
            };
            Action::WriteStatus(Box::new(status::ended(job, pod, &end, means.now)))
        }
        Settled::GoesOn => {
            let message = format!(
                "{}; the session goes on in another pod",
                end.outcome.message
            );
            let waits = (Reason::Recovering, message.as_str());
            let next = status::survived(job, pod, end, waits, means.now);
            Action::WriteStatus(Box::new(next))
        }
    }
}

/// Nobody hears of the agent. What ends the Job ends it now; what would go on waits for the node, since
/// the agent may come back with its result.
pub(super) fn unheard(
    seen: &Observed<'_>,
    status: &JobStatus,
    pod: &PodFacts,
    end: &End,
    means: Means<'_>,
) -> Action {
    let pauses = end.outcome.reason == Reason::Suspended;
    if !pauses && settled(seen, status, end) != Settled::GoesOn {
        return after(seen, status, Some(pod), end, means);
    }
    let message = node::next_step(pod.node.as_deref().unwrap_or_default());
    let reason = if pauses {
        Reason::Suspended
    } else {
        Reason::Recovering
    };
    let next = status::unheard(seen.job, pod, reason, &message, means.now);
    write_if_new(status, next, None)
}

/// Whether an end is the Job's.
#[derive(PartialEq, Eq)]
enum Settled {
    Ends(Outcome),
    GoesOn,
    /// It depends on the namespace.
    AskNamespace,
}

fn settled(seen: &Observed<'_>, status: &JobStatus, end: &End) -> Settled {
    let taken = end.disrupted || end.outcome.reason == Reason::PodDeleted;
    match seen.looked.namespace {
        _ if !taken => return Settled::Ends(end.outcome.clone()),
        NamespaceLookup::NotAsked => return Settled::AskNamespace,
        // Its pods go first, and that is nobody's disruption.
        NamespaceLookup::Going => {
            return Settled::Ends(Outcome {
                reason: Reason::JobDeleted,
                message: "the namespace was deleted before the Job had ended".into(),
            });
        }
        NamespaceLookup::Staying => {}
    }
    if !end.disrupted {
        return Settled::Ends(end.outcome.clone());
    }
    let began = status.started_at.or(end.started).is_some();
    match why_not(status, began) {
        None => Settled::GoesOn,
        Some(why) => Settled::Ends(Outcome {
            reason: end.outcome.reason,
            message: format!("{}; {why}", end.outcome.message),
        }),
    }
}

/// Why no attempt follows the one that was just taken from the Job; none if one does.
fn why_not(status: &JobStatus, began: bool) -> Option<String> {
    let none = AgentSpec::default();
    let agent = attempt::captured(status, &none);
    if agent.on_disruption.unwrap_or_default() == OnDisruption::Fail {
        return Some(format!(
            "its Agent's onDisruption is fail: {}",
            go_on_elsewhere(began)
        ));
    }
    let before = status.attempts.iter().filter_map(|attempt| attempt.outcome);
    let lost = before.filter(|reason| *reason != Reason::Suspended).count() + 1;
    let most = agent.max_attempts.unwrap_or(MAX_ATTEMPTS);
    if lost >= usize::try_from(most).unwrap_or(usize::MAX) {
        return Some(format!(
            "that was attempt {lost} of {most} that was lost so: {}",
            go_on_elsewhere(began)
        ));
    }
    is_full(status).then(|| too_many(began))
}

/// What to do where no other attempt follows. A session that never began can't be continued.
fn go_on_elsewhere(began: bool) -> &'static str {
    if began {
        "herdctl jobs resume continues the session in another Job"
    } else {
        "its agent never began, so create another Job to run it again"
    }
}

fn is_full(status: &JobStatus) -> bool {
    status.attempts.len() >= MOST_ATTEMPTS as usize
}

fn too_many(began: bool) -> String {
    let next = go_on_elsewhere(began);
    format!("a Job has at most {MOST_ATTEMPTS} attempts: {next}")
}

/// The last attempt is over and the Job is not.
pub(super) fn between_attempts(
    seen: &Observed<'_>,
    status: &JobStatus,
    attempt: &Attempt,
    means: Means<'_>,
) -> Action {
    let job = seen.job;
    let asked = wishes::asked(seen, status, attempt, means.now);
    if let Some(outcome) = evidence::end_asked_for(asked) {
        return end(job, &outcome, means);
    }
    let ours = match &seen.pod {
        PodLookup::Seen(pod) => {
            Some(pod).filter(|pod| whose::pod_of(job, attempt, pod) == PodIs::Ours)
        }
        PodLookup::NotSeen | PodLookup::Gone | PodLookup::Refused(_) => None,
    };
    match ours {
        Some(pod) if !pod.is_dead() => still_there(seen, status, attempt, pod, means),
        Some(_) if attempt.closed.is_none() => {
            Action::WriteStatus(Box::new(status::closed(job, means.now)))
        }
        Some(pod) if pod.held => Action::ReleasePod {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            // The record goes on without it, so its seal is not waited for.
            sealed: true,
        },
        Some(_) => next_attempt(job, status, attempt, means),
        None if attempt.closed.is_some() => next_attempt(job, status, attempt, means),
        None if seen.pod == PodLookup::NotSeen => Action::LookUpPod,
        None => vanished(seen, attempt, means),
    }
}

/// Its pod was taken away before anybody saw it dead.
fn vanished(seen: &Observed<'_>, attempt: &Attempt, means: Means<'_>) -> Action {
    let asked = evidence::Asked::default();
    let lost = evidence::conclude_without_pod(&attempt.pod, false, None, asked);
    end(seen.job, &lost.outcome, means)
}

fn still_there(
    seen: &Observed<'_>,
    status: &JobStatus,
    attempt: &Attempt,
    pod: &PodFacts,
    means: Means<'_>,
) -> Action {
    let job = seen.job;
    if seen.looked.node == NodeLookup::Silent && !wishes::wants_pause(job) {
        let message = node::next_step(pod.node.as_deref().unwrap_or_default());
        return wait_pending(job, Reason::Recovering, &message, means);
    }
    match ending::drain(seen, status, attempt, pod, means) {
        // What its sidecar still has is sent within the grace.
        Action::Wait(_) if ending::is_kept_by_others(pod) => delete_once(pod),
        Action::Wait(wait) => write_if_new(status, status::current(job), wait),
        action => action,
    }
}

/// Its pod is dead, and that stands in the status.
fn next_attempt(job: &Job, status: &JobStatus, attempt: &Attempt, means: Means<'_>) -> Action {
    if wishes::wants_pause(job) {
        let paused = evidence::suspended();
        return wait_pending(job, paused.reason, &paused.message, means);
    }
    if is_full(status) {
        let outcome = Outcome {
            reason: Reason::ResumeFailed,
            message: too_many(status.started_at.is_some()),
        };
        return end(job, &outcome, means);
    }
    let Some(store_ca) = means.store_ca else {
        return wait_pending(job, Reason::Starting, super::NO_STORE, means);
    };
    let none = AgentSpec::default();
    let number = attempt.number + 1;
    let build = Build {
        agent: attempt::captured(status, &none),
        session_id: status.session_id.as_deref().unwrap_or(means.session_id),
        number,
        attempts: &status.attempts,
        settings: means.settings,
        store_ca,
    };
    match attempt::build(job, build) {
        Err(error) => end(job, &error.into_outcome(), means),
        Ok(pod) => {
            let next = Attempt {
                number,
                pod: pod.metadata.name.unwrap_or_default(),
                intended: means.now,
                ..Attempt::default()
            };
            Action::WriteStatus(Box::new(status::following(job, next, means.now)))
        }
    }
}

fn end(job: &Job, outcome: &Outcome, means: Means<'_>) -> Action {
    Action::WriteStatus(Box::new(status::ended_between(job, outcome, means.now)))
}
