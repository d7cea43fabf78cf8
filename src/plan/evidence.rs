//! What a pod proves about its Job's end. The order of belief, best first: the runner's verdict that the
//! output store received, since only the runner can write into the spool; its verdict in the termination
//! message, counted only with the exit codes that the runner alone gives; what was asked (cancel,
//! deletion, a passed deadline); what Kubernetes says killed it; the exit status.

mod asked;
mod kubernetes;

use chrono::{DateTime, Utc};

use self::asked::asked_for;
pub use self::asked::{Asked, cancelled, end_asked_for, not_in_time, suspended};
use super::{
    facts::{AgentState, Ended, PodFacts},
    outcome::Outcome,
    trouble::{self, Trouble},
};
use crate::api::{
    reason::{Phase, Reason},
    runner_exit::RunnerExit,
    text::Clean,
    verdict::{ProcessExit, Verdict},
};

/// Longest message that is taken from a verdict.
const MAX_VERDICT_BYTES: usize = 1024;
/// SIGKILL; what the kernel sends when memory is short.
const SIGKILL: i32 = 9;

/// What is known of a pod's end.
#[derive(Clone, Debug, PartialEq)]
pub enum Conclusion {
    /// It may still run.
    Alive,
    /// The agent has ended, but why is known only when Kubernetes is done with the pod.
    Unclear,
    Over(Box<End>),
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// Of the Job, if it does not go on. `Suspended` where it was stopped to go on later.
    pub outcome: Outcome,
    /// The pod was taken from an agent that had done nothing wrong: another may go on with its session.
    pub disrupted: bool,
    /// What the runner said, where it could.
    pub verdict: Option<Verdict>,
    pub started: Option<DateTime<Utc>>,
    pub ended: Option<DateTime<Utc>>,
    /// Kubernetes' own words, where the runner had none.
    pub why: Option<Clean>,
}

/// Concludes from a pod and, if there is one, the verdict that the store received from it.
pub fn conclude(pod: &PodFacts, report: Option<&Verdict>, asked: Asked<'_>) -> Conclusion {
    if let Some(verdict) = report.filter(|it| it.is_the_runners_alone())
        && !asked.stopping
    {
        return over(in_its_words(verdict), pod, None, Some(verdict.clone()));
    }
    // The agent has ended, and what was asked explains it: a kubelet may take minutes to say so as well.
    if report.is_some_and(|it| asked.stopping || it.was_stopped())
        && let Some(outcome) = asked_for(asked, &pod.name)
    {
        return over(outcome, pod, None, report.cloned());
    }
    match &pod.agent {
        AgentState::Ended(end) => of_ended_agent(pod, end, report, asked),
        AgentState::NotStarted | AgentState::Running { .. } if pod.is_dead() => {
            let spoken = report.cloned();
            match asked_for(asked, &pod.name) {
                Some(outcome) => over(outcome, pod, None, spoken),
                None => over_for(kubernetes::killed(pod), pod, None, spoken),
            }
        }
        AgentState::NotStarted => match trouble::of(pod) {
            Some(Trouble {
                hopeless: true,
                reason,
                message,
                ..
            }) => over(Outcome { reason, message }, pod, None, None),
            Some(Trouble { .. }) | None => Conclusion::Alive,
        },
        AgentState::Running { .. } => Conclusion::Alive,
    }
}

/// Concludes for an agent that nobody hears of any more, on a node that is silent: it is told what was
/// asked for, or that its node is lost, before anybody knows that it is dead.
pub fn conclude_unheard(pod: &PodFacts, report: Option<&Verdict>, asked: Asked<'_>) -> End {
    let (outcome, disrupted) = match asked_for(asked, &pod.name) {
        Some(outcome) => (outcome, false),
        None => (kubernetes::node_lost(pod, "it has not been heard of"), true),
    };
    End {
        outcome,
        disrupted,
        verdict: report.cloned(),
        started: report
            .and_then(|it| it.started_at)
            .or_else(|| seen_running(pod)),
        ended: report.and_then(|it| it.ended_at),
        why: kubernetes::words(pod, None),
    }
}

/// Concludes from a pod that is gone although its end was never seen. Whether its agent is dead nobody
/// knows, so the Job never goes on from here, but where `never_seen` says that there was none.
pub fn conclude_without_pod(
    pod: &str,
    never_seen: bool,
    report: Option<&Verdict>,
    asked: Asked<'_>,
) -> End {
    let lost = || match report.filter(|it| !it.was_stopped()) {
        Some(verdict) => in_its_words(verdict),
        None => Outcome {
            reason: Reason::PodDeleted,
            message: format!(
                "pod {pod} is gone and its end was never seen: somebody removed it together with its finalizer; create another Job to run it again"
            ),
        },
    };
    let asked = Asked {
        suspend: asked.suspend && never_seen,
        ..asked
    };
    let spoken = report.filter(|it| it.is_the_runners_alone() && !asked.stopping);
    let outcome = spoken
        .map(in_its_words)
        .or_else(|| asked_for(asked, pod))
        .unwrap_or_else(lost);
    End {
        outcome,
        disrupted: false,
        verdict: report.cloned(),
        started: report.and_then(|it| it.started_at),
        ended: report.and_then(|it| it.ended_at),
        why: Some(Clean::line(
            &format!("pod {pod} is gone"),
            MAX_VERDICT_BYTES,
        )),
    }
}

fn in_its_words(verdict: &Verdict) -> Outcome {
    Outcome {
        reason: verdict.reason,
        message: Clean::line(&verdict.message, MAX_VERDICT_BYTES).into(),
    }
}

fn of_ended_agent(
    pod: &PodFacts,
    end: &Ended,
    report: Option<&Verdict>,
    asked: Asked<'_>,
) -> Conclusion {
    let verdict = report.cloned().or_else(|| verdict(end));
    if asked.stopping {
        let outcome = asked_for(asked, &pod.name).unwrap_or_else(cancelled);
        return over(outcome, pod, Some(end), verdict);
    }
    if let Some(spoken) = &verdict
        && !spoken.was_stopped()
    {
        let outcome = corrected(spoken, end);
        return over(outcome, pod, Some(end), verdict);
    }
    // The runner was stopped from outside, or could not speak. Who did it is known at the latest when
    // the kubelet has reported the whole pod.
    if let Some(outcome) = asked_for(asked, &pod.name) {
        return over(outcome, pod, Some(end), verdict);
    }
    if let Some(said) = kubernetes::said(pod) {
        return over_for(said, pod, Some(end), verdict);
    }
    // Where others keep the pod up there is no later word: what a kubelet does to a pod it says before.
    if !pod.is_dead() && (pod.deleting || !pod.is_kept_by_others()) {
        return Conclusion::Unclear;
    }
    let outcome = kubernetes::by_exit_code(pod, end, verdict.as_ref());
    over_for(outcome, pod, Some(end), verdict)
}

/// The end, and whether it was a disruption: what Kubernetes or a person did to the pod, and a start that
/// the runner refused. What the agent, the CLI or the runner did is none.
fn over_for(
    outcome: Outcome,
    pod: &PodFacts,
    end: Option<&Ended>,
    verdict: Option<Verdict>,
) -> Conclusion {
    let refused = end.and_then(|it| RunnerExit::from_code(it.code));
    let disrupted = match outcome.reason {
        Reason::Evicted | Reason::NodeLost | Reason::PodDeleted => true,
        Reason::RunnerError => refused == Some(RunnerExit::StartRefused),
        _ => false,
    };
    ended(outcome, disrupted, pod, end, verdict)
}

fn over(
    outcome: Outcome,
    pod: &PodFacts,
    end: Option<&Ended>,
    verdict: Option<Verdict>,
) -> Conclusion {
    ended(outcome, false, pod, end, verdict)
}

fn ended(
    outcome: Outcome,
    disrupted: bool,
    pod: &PodFacts,
    end: Option<&Ended>,
    verdict: Option<Verdict>,
) -> Conclusion {
    let started = verdict
        .as_ref()
        .and_then(|it| it.started_at)
        .or(end.and_then(|it| it.started))
        .or_else(|| seen_running(pod));
    let ended = verdict
        .as_ref()
        .and_then(|it| it.ended_at)
        .or(end.and_then(|it| it.ended));
    let why = if verdict.is_some() {
        None
    } else {
        kubernetes::words(pod, end)
    };
    Conclusion::Over(Box::new(End {
        outcome,
        disrupted,
        verdict,
        started,
        ended,
        why,
    }))
}

/// Since when it runs, by the kubelet's last word.
fn seen_running(pod: &PodFacts) -> Option<DateTime<Utc>> {
    match pod.agent {
        AgentState::Running { since } => since,
        AgentState::NotStarted | AgentState::Ended(_) => None,
    }
}

/// The termination message counts only when the container ended with a code that the runner gives
/// after it has written the message over, and says what that code says.
fn verdict(end: &Ended) -> Option<Verdict> {
    let expected = match RunnerExit::from_code(end.code)? {
        RunnerExit::Succeeded => true,
        RunnerExit::Unsuccessful => false,
        RunnerExit::SpoolFailed
        | RunnerExit::StartRefused
        | RunnerExit::AgentImmortal
        | RunnerExit::InputsUnreadable => return None,
    };
    let verdict: Verdict = serde_json::from_str(&end.termination_message).ok()?;
    let place = (verdict.phase, Some(verdict.exit_reason));
    let agrees = (verdict.phase == Phase::Completed) == expected
        && verdict.phase.is_final()
        && verdict.reason.place() == place;
    agrees.then_some(verdict)
}

/// On cgroup v1 the kernel may kill the CLI alone for memory: the runner sees a SIGKILL that nobody sent,
/// and the kubelet knows why.
fn corrected(verdict: &Verdict, end: &Ended) -> Outcome {
    let killed = verdict.exit.and_then(ProcessExit::signal) == Some(SIGKILL);
    if verdict.reason == Reason::AgentCrashed && killed && end.said.reason == "OOMKilled" {
        return kubernetes::out_of_memory();
    }
    in_its_words(verdict)
}

#[cfg(test)]
mod tests;
