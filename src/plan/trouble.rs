//! Why a pod does not start, in our words: what the scheduler and the kubelet say, made into a pending
//! reason and a sentence with the next step.

use super::{
    facts::{PodFacts, Waiting},
    redaction,
};
use crate::api::{reason::Reason, text::Clean};

/// Longest text of the kubelet's or the scheduler's before our own words.
const MAX_QUOTE_BYTES: usize = 512;

/// What keeps a pod from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub reason: Reason,
    pub message: String,
    /// It can never heal: this pod's spec itself is wrong.
    pub hopeless: bool,
}

impl Trouble {
    fn passing(reason: Reason, message: String) -> Self {
        Trouble {
            reason,
            message,
            hopeless: false,
        }
    }
}

/// The first thing that keeps this pod from starting; none when it is simply on its way.
pub fn of(pod: &PodFacts) -> Option<Trouble> {
    if let Some(message) = &pod.unschedulable {
        return Some(Trouble::passing(
            Reason::Scheduling,
            format!(
                "no node takes pod {}: {}",
                pod.name,
                Clean::line(message, MAX_QUOTE_BYTES)
            ),
        ));
    }
    pod.waiting.iter().find_map(of_container)
}

fn of_container(waiting: &Waiting) -> Option<Trouble> {
    let Waiting {
        container,
        image,
        said,
    } = waiting;
    match said.reason.as_str() {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ErrImageNeverPull"
        | "RegistryUnavailable"
        | "ImageInspectError" => Some(Trouble::passing(
            Reason::ImagePull,
            format!(
                "image {image} of container {container} can't be pulled: {}; push it or create the pull secret before the startDeadline; if the name is wrong, put spec.pod.image of the Agent right and create another Job",
                Clean::line(pull_error(&said.message), MAX_QUOTE_BYTES)
            ),
        )),
        "InvalidImageName" => Some(Trouble {
            reason: Reason::InvalidPod,
            message: format!(
                "{image:?} is no image name: put spec.pod.image of the Agent right and create another Job"
            ),
            hopeless: true,
        }),
        "CreateContainerConfigError" => Some(Trouble::passing(
            Reason::ConfigMissing,
            format!(
                "container {container} waits for something that is not there: {}; create it before the startDeadline, the Job then starts by itself",
                Clean::line(&said.message, MAX_QUOTE_BYTES)
            ),
        )),
        "ContainerCreating" | "PodInitializing" => None,
        other if redaction::is_about_a_variable(&said.message) => Some(Trouble::passing(
            Reason::Starting,
            format!(
                "container {container} does not start: {other}: {}; {} before the startDeadline",
                Clean::line(&said.message, MAX_QUOTE_BYTES),
                redaction::ADVICE
            ),
        )),
        other => Some(Trouble::passing(
            Reason::Starting,
            format!(
                "container {container} does not start: {other}: {}",
                Clean::line(&said.message, MAX_QUOTE_BYTES)
            ),
        )),
    }
}

/// The kubelet alternates between the error and "back-off" around the same error; only the error is
/// news.
fn pull_error(message: &str) -> &str {
    message
        .split_once("ErrImagePull: ")
        .map_or(message, |(_, error)| error)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::facts::tests::pod;

    fn waiting(reason: &str, message: &str) -> PodFacts {
        PodFacts::from(&pod(json!({"phase": "Pending", "containerStatuses": [{
            "name": "agent", "image": "nowhere/x:1", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": reason, "message": message}},
        }]})))
    }

    #[test]
    fn each_word_of_the_kubelet_has_a_reason_of_ours() {
        for (word, reason, hopeless) in [
            ("ErrImagePull", Reason::ImagePull, false),
            ("ImagePullBackOff", Reason::ImagePull, false),
            ("ErrImageNeverPull", Reason::ImagePull, false),
            ("InvalidImageName", Reason::InvalidPod, true),
            ("CreateContainerConfigError", Reason::ConfigMissing, false),
            ("RunContainerError", Reason::Starting, false),
        ] {
            let trouble = of(&waiting(word, "m")).unwrap();
            assert_eq!(
                (trouble.reason, trouble.hopeless),
                (reason, hopeless),
                "{word}"
            );
        }
        assert_eq!(of(&waiting("ContainerCreating", "")), None);
        assert_eq!(of(&waiting("PodInitializing", "")), None);
    }

    #[test]
    fn a_value_that_is_no_text_is_told_with_where_to_put_it_right() {
        for words in [
            "grpc: error while marshaling: string field contains invalid UTF-8",
            "setenv: invalid argument",
            "invalid environment variable \"DB_PASSWORD=secret\": contains nul byte (\\x00)",
        ] {
            let message = of(&waiting("CreateContainerError", words)).unwrap().message;
            assert!(message.contains("spec.credentials"), "{message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn what_to_do_stands_behind_the_longest_words() {
        let message = of(&waiting("ErrImagePull", &"x".repeat(4096)))
            .unwrap()
            .message;
        assert!(
            message.len() < 1024 && message.contains("startDeadline"),
            "{message}"
        );
    }

    #[test]
    fn a_pull_that_backs_off_says_the_same_as_the_pull_that_failed() {
        let failed = of(&waiting("ErrImagePull", "not found"));
        let waits = of(&waiting(
            "ImagePullBackOff",
            "Back-off pulling image \"x\": ErrImagePull: not found",
        ));
        assert_eq!(failed, waits);
    }

    #[test]
    fn a_pod_that_no_node_takes_quotes_the_scheduler() {
        let facts = PodFacts::from(&pod(json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"},
        ]})));
        let trouble = of(&facts).unwrap();
        assert_eq!(trouble.reason, Reason::Scheduling);
        assert!(trouble.message.contains("0/1 nodes"));
    }
}
