//! An attempt that is not over as far as the status says: its pod is created, followed, and stopped when
//! that is wanted, until it proves an end.

use std::time::Duration;

use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::Pod;

use super::{
    Action, Means, Observed, PodLookup,
    attempt::{self, Build, BuildError},
    delete_once, end_without_pod, ending, going_on,
    looked::NodeLookup,
    up_to_date, wait_pending,
    whose::{self, PodIs},
    wishes, write_if_new,
};
use crate::{
    api::{
        agent::AgentSpec,
        job::{Attempt, Job, JobStatus},
        reason::{Phase, Reason},
    },
    plan::{
        evidence::{self, Asked, Conclusion},
        facts::{AgentState, PodFacts},
        refusal::{self, Consequence, Refusal},
        status,
        trouble::{self, Trouble},
    },
};

/// The longest wait before a refused pod is looked at again: how often it is tried, the controller says.
pub(super) const RETRY_REFUSED: Duration = Duration::from_secs(5);

pub(super) fn with_attempt(
    seen: &Observed<'_>,
    status: &JobStatus,
    attempt: &Attempt,
    means: Means<'_>,
) -> Action {
    let job = seen.job;
    let asked = wishes::asked(seen, status, attempt, means.now);
    let unwanted = asked.end() || asked.start_overdue || asked.suspend;
    let was_there = status.pod_uid(attempt).is_some();
    match &seen.pod {
        PodLookup::Seen(pod) => match whose::pod_of(job, attempt, pod) {
            PodIs::Ours => {
                // An agent that started at the last moment is let run.
                let overdue = asked.start_overdue && pod.agent == AgentState::NotStarted;
                let asked = Asked {
                    start_overdue: overdue,
                    ..asked
                };
                with_pod(seen, status, attempt, pod, asked, means)
            }
            PodIs::Another => lost(seen, status, attempt, asked, means),
            PodIs::AnEarlierJobs if unwanted => lost(seen, status, attempt, asked, means),
            PodIs::AnEarlierJobs => {
                let deadline = attempt::deadline_of(job, status, attempt);
                whose::wait_for_name(job, status, pod, deadline, means)
            }
            PodIs::Foreign => end_without_pod(job, &whose::foreign(pod), means),
        },
        PodLookup::NotSeen if was_there || unwanted => Action::LookUpPod,
        PodLookup::Gone if was_there || unwanted => lost(seen, status, attempt, asked, means),
        PodLookup::NotSeen | PodLookup::Gone => create(job, status, attempt, means),
        PodLookup::Refused(refused) => after_refusal(job, status, attempt, refused, means),
    }
}

fn with_pod(
    seen: &Observed<'_>,
    status: &JobStatus,
    attempt: &Attempt,
    pod: &PodFacts,
    asked: Asked<'_>,
    means: Means<'_>,
) -> Action {
    let job = seen.job;
    let report = ending::report(status);
    match evidence::conclude(pod, report.as_ref(), asked) {
        Conclusion::Over(end) => going_on::after(seen, status, Some(pod), &end, means),
        Conclusion::Unclear | Conclusion::Alive if seen.looked.node == NodeLookup::Silent => {
            let end = evidence::conclude_unheard(pod, report.as_ref(), asked);
            going_on::unheard(seen, status, pod, &end, means)
        }
        Conclusion::Unclear => up_to_date(job, status, None),
        Conclusion::Alive if asked.end() => stop(job, status, pod, asked, means),
        // Its agent may have started since the cache heard of it last.
        Conclusion::Alive if asked.start_overdue && !pod.deleting && !seen.pod_is_live => {
            Action::LookUpPod
        }
        Conclusion::Alive if asked.start_overdue => give_up(job, status, pod, asked, means),
        Conclusion::Alive if asked.suspend => pause(job, status, pod, means),
        Conclusion::Alive if ending::knows_an_old_store(seen, pod, means) => Action::RenewStoreCa {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
        },
        Conclusion::Alive => {
            let deadline = attempt::deadline_of(job, status, attempt);
            follow(job, status, pod, deadline, means)
        }
    }
}

/// That a running agent was asked to stop stands in the status first: from then on no verdict counts.
fn stop(
    job: &Job,
    status: &JobStatus,
    pod: &PodFacts,
    asked: Asked<'_>,
    means: Means<'_>,
) -> Action {
    if status.phase == Some(Phase::Running) && !asked.stopping {
        let why = if asked.cancel {
            "spec.cancel was set"
        } else if asked.deletion {
            "the Job is being deleted"
        } else {
            "its Agent was deleted"
        };
        let message = format!("{why}: the agent is being stopped");
        let next = status::stopping(job, Reason::Cancelling, &message, means.now);
        return Action::WriteStatus(Box::new(next));
    }
    remove(job, status, pod)
}

/// Why the agent did not start in time stands in the status before its pod goes: the kubelet may hold it as
/// long as it pulls an image, and a pod that is gone says nothing any more.
fn give_up(
    job: &Job,
    status: &JobStatus,
    pod: &PodFacts,
    asked: Asked<'_>,
    means: Means<'_>,
) -> Action {
    if asked.waited_for.is_some() || pod.deleting {
        return remove(job, status, pod);
    }
    let (reason, message) = match trouble::of(pod) {
        Some(Trouble {
            reason, message, ..
        }) => (reason, message),
        None => (Reason::Starting, evidence::not_in_time(pod)),
    };
    let next = status::waiting(job, pod, reason, &message, means.now);
    Action::WriteStatus(Box::new(next))
}

/// That the Job is to pause stands in the status first too: from then on the pod's end is a pause, and
/// not a disruption, also if the wish is taken back meanwhile.
fn pause(job: &Job, status: &JobStatus, pod: &PodFacts, means: Means<'_>) -> Action {
    if wishes::is_suspending(status) {
        return remove(job, status, pod);
    }
    let next = if status.phase == Some(Phase::Running) {
        let message = "spec.suspend is true: the agent is being stopped, its session is kept";
        status::stopping(job, Reason::Suspending, message, means.now)
    } else {
        let message = format!("spec.suspend is true: pod {} is being removed", pod.name);
        status::waiting(job, pod, Reason::Suspended, &message, means.now)
    };
    Action::WriteStatus(Box::new(next))
}

/// The pod is to go; while it does, the status goes on to speak of the Job's present generation.
fn remove(job: &Job, status: &JobStatus, pod: &PodFacts) -> Action {
    if pod.deleting {
        return up_to_date(job, status, None);
    }
    delete_once(pod)
}

/// Brings the status up to what the pod shows.
fn follow(
    job: &Job,
    status: &JobStatus,
    pod: &PodFacts,
    deadline: DateTime<Utc>,
    means: Means<'_>,
) -> Action {
    if let AgentState::Running { since } = &pod.agent {
        // Told by its silent node's last word: it leaves, and is not heard of in between.
        let leaves = status.reason == Some(Reason::Recovering);
        if status.phase == Some(Phase::Running) || leaves {
            return up_to_date(job, status, None);
        }
        let since = since.unwrap_or(means.now);
        return Action::WriteStatus(Box::new(status::running(job, pod, since, means.now)));
    }
    let left = (deadline - means.now).to_std().unwrap_or_default();
    let (trouble, left) = match trouble::of(pod) {
        Some(trouble) => match trouble.not_before(means.now) {
            Some(later) => (None, left.min(later)),
            None => (Some(trouble), left),
        },
        None => (None, left),
    };
    match trouble {
        Some(Trouble {
            reason, message, ..
        }) => {
            let next = status::waiting(job, pod, reason, &message, means.now);
            write_if_new(status, next, Some(left))
        }
        None if status::waits_for(status).is_none() => up_to_date(job, status, Some(left)),
        // What it waited for is there.
        None => {
            let words = status::on_its_way(&pod.name);
            let next = status::waiting(job, pod, Reason::Starting, &words, means.now);
            write_if_new(status, next, Some(left))
        }
    }
}

fn create(job: &Job, status: &JobStatus, attempt: &Attempt, means: Means<'_>) -> Action {
    match pod_of(job, status, attempt, means) {
        None => wait_pending(job, Reason::Starting, super::NO_STORE, means),
        Some(Ok(pod)) => Action::CreatePod(Box::new(pod)),
        Some(Err(error)) => end_without_pod(job, &error.into_outcome(), means),
    }
}

/// The pod of this attempt; none before the store has ever started.
fn pod_of(
    job: &Job,
    status: &JobStatus,
    attempt: &Attempt,
    means: Means<'_>,
) -> Option<Result<Pod, BuildError>> {
    let none = AgentSpec::default();
    let build = Build {
        agent: attempt::captured(status, &none),
        session_id: status.session_id.as_deref().unwrap_or(means.session_id),
        number: attempt.number,
        attempts: &status.attempts,
        settings: means.settings,
        store_ca: means.store_ca?,
    };
    Some(attempt::build(job, build))
}

fn after_refusal(
    job: &Job,
    status: &JobStatus,
    attempt: &Attempt,
    refused: &Refusal,
    means: Means<'_>,
) -> Action {
    let asked = pod_of(job, status, attempt, means).and_then(Result::ok);
    match refusal::consequence(refused, &attempt.pod, asked.as_ref()) {
        Consequence::End(outcome) => end_without_pod(job, &outcome, means),
        Consequence::Wait { reason, message } => {
            let next = status::pending(job, reason, &message, means.now);
            write_if_new(status, next, Some(RETRY_REFUSED))
        }
    }
}

/// There is no pod, and there never was one, or nobody saw its end.
fn lost(
    seen: &Observed<'_>,
    status: &JobStatus,
    attempt: &Attempt,
    asked: Asked<'_>,
    means: Means<'_>,
) -> Action {
    let report = ending::report(status);
    let never_seen = status.pod_uid(attempt).is_none();
    let end = evidence::conclude_without_pod(&attempt.pod, never_seen, report.as_ref(), asked);
    going_on::after(seen, status, None, &end, means)
}
