//! What a single container that comes before the agent, or is the agent's, says about why the agent does not
//! start; and who can put it right.

use chrono::TimeDelta;

use super::{MAX_QUOTE_BYTES, NOT_OURS, Trouble};
use crate::{
    api::{reason::Reason, text::Clean},
    plan::{
        facts::{Container, Death, PodFacts, Role, Said, State, Whose},
        redaction,
    },
};

/// So long a container may take to make way for the next before it is spoken of: most take a second or two.
pub(super) const PATIENCE: TimeDelta = TimeDelta::seconds(5);

/// Longest last word of a container in a message.
const MAX_LAST_WORD_BYTES: usize = 256;

/// What it says, if it holds the agent up.
pub(super) fn trouble(pod: &PodFacts, container: &Container) -> Option<Trouble> {
    if let Some(death) = &container.before {
        return Some(keeps_ending(container, death));
    }
    match &container.state {
        State::Waiting(said) => waits(pod, container, said),
        State::Running { .. } => runs_on(container),
        // It is started again. That of an init container ends the pod.
        State::Ended(death) if container.role == Role::Sidecar && !pod.deleting => {
            Some(keeps_ending(container, death))
        }
        State::Ended(_) | State::Unknown => None,
    }
}

fn waits(pod: &PodFacts, container: &Container, said: &Said) -> Option<Trouble> {
    let Container { name, image, .. } = container;
    let trouble = match said.reason.as_str() {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ErrImageNeverPull"
        | "RegistryUnavailable"
        | "ImageInspectError" => Trouble::passing(
            Reason::ImagePull,
            format!(
                "image {image} of container {name} can't be pulled: {}; {}",
                Clean::line(pull_error(&said.message), MAX_QUOTE_BYTES),
                changed(pod, container).unwrap_or_else(|| pull_again(container.whose()).into())
            ),
        ),
        "InvalidImageName" => Trouble {
            hopeless: container.role != Role::Main || container.whose() == Whose::Agents,
            ..Trouble::hopeless(format!(
                "{image:?}, the image of container {name}, is no image name: {}",
                changed(pod, container).unwrap_or_else(|| name_another(container.whose()).into())
            ))
        },
        "CreateContainerConfigError" => Trouble::passing(
            Reason::ConfigMissing,
            with_whose(
                container,
                format!(
                    "container {name} waits for something that is not there: {}; create it before the startDeadline, the Job then starts by itself",
                    Clean::line(&said.message, MAX_QUOTE_BYTES)
                ),
            ),
        ),
        "ContainerCreating" | "PodInitializing" => return None,
        other
            if container.whose() != Whose::Others
                && redaction::is_about_a_variable(&said.message) =>
        {
            Trouble::passing(
                Reason::Starting,
                format!(
                    "container {name} does not start: {other}: {}; {} before the startDeadline",
                    Clean::line(&said.message, MAX_QUOTE_BYTES),
                    redaction::ADVICE
                ),
            )
        }
        other => Trouble::passing(
            Reason::Starting,
            with_whose(
                container,
                format!(
                    "container {name} does not start: {other}: {}",
                    Clean::line(&said.message, MAX_QUOTE_BYTES)
                ),
            ),
        ),
    };
    Some(trouble)
}

/// It runs, and what comes after it waits for its end, or for its start to be complete.
fn runs_on(container: &Container) -> Option<Trouble> {
    let State::Running { started, since } = container.state else {
        return None;
    };
    let name = &container.name;
    let words = match container.role {
        _ if container.whose() != Whose::Others => return None,
        Role::Init => {
            format!("container {name} must end before the agent can start, and still runs")
        }
        Role::Sidecar | Role::Main if !started => format!(
            "container {name} runs, but its startup probe or its postStart hook has not passed, and the agent starts after it"
        ),
        Role::Sidecar | Role::Main | Role::Ephemeral => return None,
    };
    Some(Trouble {
        from: since.map(|since| since + PATIENCE),
        ..Trouble::passing(Reason::Starting, with_whose(container, words))
    })
}

/// Said the same while it waits, runs and has ended again.
fn keeps_ending(container: &Container, death: &Death) -> Trouble {
    Trouble::passing(
        Reason::Starting,
        with_whose(
            container,
            format!(
                "container {} is started again and again (CrashLoopBackOff), and the agent starts after it; the last time it {}",
                container.name,
                ended(death)
            ),
        ),
    )
}

/// `ended with code 3 (Error): its last word`.
pub(in crate::plan) fn ended(death: &Death) -> String {
    let Death {
        code,
        reason,
        message,
    } = death;
    let message = Clean::line(message, MAX_LAST_WORD_BYTES);
    let said = if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    };
    format!("ended with code {code} ({reason}){said}")
}

fn with_whose(container: &Container, words: String) -> String {
    match container.whose() {
        Whose::Agents | Whose::Operators => words,
        Whose::Others => format!("{words}; {NOT_OURS}"),
    }
}

/// Somebody else named this image: what the Agent says is right, or was never tried.
fn changed(pod: &PodFacts, container: &Container) -> Option<String> {
    let (asked, is) = (pod.asked_image.as_deref()?, pod.agent_image.as_deref()?);
    let changed = container.whose() == Whose::Agents && asked != is;
    changed.then(|| {
        format!(
            "the Agent asks for {asked}, and a webhook or a policy of the cluster changed that: ask the cluster's administrators"
        )
    })
}

fn pull_again(whose: Whose) -> &'static str {
    match whose {
        Whose::Agents => {
            "push it or create the pull secret before the startDeadline; if the name is wrong, put spec.pod.image of the Agent right and create another Job"
        }
        Whose::Operators => {
            "it is the operator's image: its administrator names it with the chart's value operator.image, and the Agent the pull secret with spec.pod.imagePullSecrets"
        }
        Whose::Others => NOT_OURS,
    }
}

fn name_another(whose: Whose) -> &'static str {
    match whose {
        Whose::Agents => "put spec.pod.image of the Agent right and create another Job",
        Whose::Operators => {
            "the operator's administrator puts the chart's value operator.image right, then create another Job"
        }
        Whose::Others => NOT_OURS,
    }
}

/// The kubelet alternates between the error and "back-off" around the same error; only the error is
/// news.
fn pull_error(message: &str) -> &str {
    message
        .split_once("ErrImagePull: ")
        .map_or(message, |(_, error)| error)
}
