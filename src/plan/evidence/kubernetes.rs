//! What Kubernetes tells of a pod's end, where the runner could not: its own words for what it did, and the
//! code with which the container ended.

use super::{in_its_words, verdict};
use crate::{
    api::{reason::Reason, runner_exit::RunnerExit, text::Clean, verdict::Verdict},
    plan::{
        facts::{Container, Death, Ended, PodFacts},
        outcome::Outcome,
        redaction,
        trouble::{self, NOT_OURS},
    },
};

/// Longest text that Kubernetes' own words may take in a message of ours.
const MAX_QUOTE_BYTES: usize = 512;

/// What containerd and the kubelet say of a container that ended while neither of them was there. Whatever
/// code an agent ends with, they never say it of one whose end they saw.
const LOST: [&str; 2] = ["Unknown", "ContainerStatusUnknown"];

/// What containerd says of a start that its own caller did not wait for; and of one before the sidecar had
/// brought the runner, as a kubelet that starts again takes every sidecar that runs for ready.
const INTERRUPTED: [&str; 3] = [
    "context canceled",
    "context deadline exceeded",
    "stat /herd/herd-runner",
];

/// What Kubernetes itself says it did to the pod.
pub(super) fn said(pod: &PodFacts) -> Option<Outcome> {
    let quote = |said: &str| Clean::line(said, MAX_QUOTE_BYTES);
    if pod.reason.as_deref() == Some("DeadlineExceeded") {
        return Some(Outcome {
            reason: Reason::TimedOut,
            message:
                "the pod outlived startDeadline and timeout together and was stopped by the kubelet"
                    .into(),
        });
    }
    if pod.reason.as_deref() == Some("Evicted") {
        return Some(evicted(&quote(pod.message.as_deref().unwrap_or_default())));
    }
    if let Some(words) = &pod.node_gone {
        return Some(node_lost(pod, words));
    }
    let disruption = pod.disruption.as_ref()?;
    if pod.lost_with_its_node() {
        return Some(node_lost(pod, &quote(&disruption.message)));
    }
    Some(evicted(&quote(&disruption.message)))
}

pub(super) fn node_lost(pod: &PodFacts, words: &str) -> Outcome {
    let node = pod.node.as_deref().unwrap_or("of the pod");
    Outcome {
        reason: Reason::NodeLost,
        message: format!("node {node} was lost: {words}"),
    }
}

fn evicted(words: &str) -> Outcome {
    Outcome {
        reason: Reason::Evicted,
        message: format!("the pod was evicted: {words}"),
    }
}

/// A dead pod whose agent left no exit code.
pub(super) fn killed(pod: &PodFacts) -> Outcome {
    said(pod).unwrap_or_else(|| {
        if pod.deleting {
            return deleted(pod);
        }
        if let Some((container, death)) = pod.failed_before_the_agent() {
            return failed_before_the_agent(pod, container, death);
        }
        evicted(&words(pod, None).unwrap_or_else(|| "the kubelet gave no reason".into()))
    })
}

/// It is as it is in every pod that is made so: no attempt follows.
fn failed_before_the_agent(pod: &PodFacts, container: &Container, death: &Death) -> Outcome {
    let name = &container.name;
    let next = if death.message.is_empty() {
        format!("; see kubectl logs {} -c {name}", pod.name)
    } else {
        String::new()
    };
    Outcome {
        reason: Reason::InvalidPod,
        message: format!(
            "container {name} {}, and the agent starts only after its success{next}; {NOT_OURS}, then create another Job",
            trouble::ended(death)
        ),
    }
}

fn deleted(pod: &PodFacts) -> Outcome {
    Outcome {
        reason: Reason::PodDeleted,
        message: format!(
            "pod {} was deleted by somebody; to stop a Job, set spec.cancel",
            pod.name
        ),
    }
}

pub(super) fn out_of_memory() -> Outcome {
    Outcome {
        reason: Reason::OomKilled,
        message: "the agent was killed because it used more memory than spec.pod.resources of its Agent allows: raise the limit and create another Job".into(),
    }
}

/// The last resort: a container that ended without a verdict that counts, or with one that only tells of a
/// signal which nothing explains.
pub(super) fn by_exit_code(pod: &PodFacts, end: &Ended, spoken: Option<&Verdict>) -> Outcome {
    let outcome = by_code(pod, end, spoken);
    let is_explained = !matches!(
        outcome.reason,
        Reason::AgentCrashed | Reason::RunnerError | Reason::InvalidPod
    ) || RunnerExit::from_code(end.code) == Some(RunnerExit::StartRefused);
    match pod.altered {
        // The runner had no say, and here is why.
        Some(altered) if altered.is_hopeless() || spoken.is_none() && !is_explained => Outcome {
            reason: Reason::InvalidPod,
            message: format!("{}; {}", outcome.message, altered.words()),
        },
        Some(_) | None => outcome,
    }
}

fn by_code(pod: &PodFacts, end: &Ended, spoken: Option<&Verdict>) -> Outcome {
    let fail = |reason, message: String| Outcome { reason, message };
    match (RunnerExit::from_code(end.code), end.said.reason.as_str()) {
        (_, "OOMKilled") if end.code != 0 => out_of_memory(),
        (_, word) if LOST.contains(&word) => node_lost(
            pod,
            "it started again, or its container runtime did, and the agent's container was gone",
        ),
        (_, "StartError") if INTERRUPTED.iter().any(|it| end.said.message.contains(it)) => node_lost(
            pod,
            "its kubelet or container runtime was interrupted as it started the agent's container",
        ),
        (_, "StartError" | "ContainerCannotRun") => fail(
            Reason::InvalidPod,
            format!(
                "the agent's container can't be started: {}; {} and create another Job",
                Clean::line(&end.said.message, MAX_QUOTE_BYTES),
                if redaction::is_about_a_variable(&end.said.message) {
                    redaction::ADVICE
                } else {
                    "put the Agent's spec.pod right"
                }
            ),
        ),
        (Some(RunnerExit::SpoolFailed), _) => fail(
            Reason::RunnerError,
            "the run's output could not be written, so the agent was stopped; is the node's disk full?".into(),
        ),
        (Some(RunnerExit::StartRefused), _) => fail(
            Reason::RunnerError,
            "the agent's container was started a second time, or its sidecar did not answer; nothing ran twice".into(),
        ),
        (Some(RunnerExit::InputsUnreadable), _) => fail(
            Reason::RunnerError,
            "the run's inputs did not reach the pod; are operator and runner of one version?".into(),
        ),
        (Some(RunnerExit::AgentImmortal), _) => fail(
            Reason::AgentCrashed,
            "the agent's processes would not end after SIGKILL; the node may have a hung disk or mount".into(),
        ),
        (Some(RunnerExit::Succeeded | RunnerExit::Unsuccessful), _) if verdict(end).is_none() => fail(
            Reason::RunnerError,
            format!("the runner ended with code {} and no verdict that agrees with it", end.code),
        ),
        _ if pod.deleting => deleted(pod),
        _ if let Some(verdict) = spoken => unexplained(verdict),
        (_, word) => fail(
            Reason::AgentCrashed,
            format!("the agent's container ended with code {} ({word}) and left no verdict", end.code),
        ),
    }
}

/// Its own words; of a stop that nothing in the cluster explains also where to look.
fn unexplained(verdict: &Verdict) -> Outcome {
    let outcome = in_its_words(verdict);
    if !verdict.was_stopped() {
        return outcome;
    }
    Outcome {
        message: format!(
            "{}; nothing in the cluster says who stopped it: look at the pod's node, then continue the session with herdctl jobs resume",
            outcome.message
        ),
        ..outcome
    }
}

pub(super) fn words(pod: &PodFacts, end: Option<&Ended>) -> Option<Clean> {
    let mut words = Vec::new();
    if let Some(end) = end {
        words.push(format!(
            "container ended with code {} ({})",
            end.code, end.said.reason
        ));
    }
    words.extend(pod.failed_before_the_agent().map(|(container, death)| {
        format!("container {} {}", container.name, trouble::ended(death))
    }));
    words.extend(pod.reason.clone().map(String::from));
    words.extend(pod.message.clone().map(String::from));
    words.extend(
        pod.disruption
            .as_ref()
            .map(|said| format!("{}: {}", said.reason, said.message)),
    );
    (!words.is_empty()).then(|| Clean::line(&words.join("; "), MAX_QUOTE_BYTES))
}
