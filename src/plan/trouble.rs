//! Why a pod does not start, in our words: what the scheduler and the kubelet say, made into a pending
//! reason and a sentence with the next step.

mod container;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

pub(super) use self::container::ended;
use super::facts::{Container, PodFacts, Role, State, Whose};
use crate::api::{reason::Reason, text::Clean};

/// Who can help with what is none of ours.
pub(super) const NOT_OURS: &str = "herdctl did not put it into the pod, a webhook or a policy of the cluster did: ask the cluster's administrators";

/// Longest list of names in a message.
const MAX_NAMES_BYTES: usize = 256;
/// Longest text of the kubelet's or the scheduler's before our own words.
const MAX_QUOTE_BYTES: usize = 512;

/// So long a node may take to get a pod's volumes and network ready before it is spoken of: attaching a
/// volume takes its time.
const PREPARATION: TimeDelta = TimeDelta::seconds(30);

/// What keeps a pod from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub reason: Reason,
    pub message: String,
    /// It can never heal: this pod's spec itself is wrong.
    pub hopeless: bool,
    /// Before that it is nothing to speak of.
    pub from: Option<DateTime<Utc>>,
}

impl Trouble {
    fn passing(reason: Reason, message: String) -> Self {
        Trouble {
            reason,
            message,
            hopeless: false,
            from: None,
        }
    }

    /// How long it is still nothing to speak of; none once it is.
    pub fn not_before(&self, now: DateTime<Utc>) -> Option<Duration> {
        let left = (self.from? - now).to_std().ok()?;
        (!left.is_zero()).then_some(left)
    }

    fn hopeless(message: String) -> Self {
        Trouble {
            hopeless: true,
            ..Trouble::passing(Reason::InvalidPod, message)
        }
    }
}

/// The first thing that keeps this pod from starting; none when it is simply on its way.
pub fn of(pod: &PodFacts) -> Option<Trouble> {
    if let Some(altered) = pod.altered.filter(|it| it.is_hopeless()) {
        return Some(Trouble::hopeless(format!(
            "no agent can run in pod {}: {}",
            pod.name,
            altered.words()
        )));
    }
    if !pod.gates.is_empty() {
        let gates = Clean::line(&pod.gates.join(", "), MAX_NAMES_BYTES);
        return Some(Trouble::passing(
            Reason::Scheduling,
            format!(
                "pod {} is held back by a scheduling gate, {gates}, and is scheduled when that is taken off; {NOT_OURS}",
                pod.name
            ),
        ));
    }
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
    of_containers(pod).or_else(|| of_preparation(pod))
}

/// Why its volumes or its network are not ready stands in Events of the kubelet alone.
fn of_preparation(pod: &PodFacts) -> Option<Trouble> {
    let since = pod.prepared_since?;
    let node = pod.node.as_deref().unwrap_or("its node");
    Some(Trouble {
        from: Some(since + PREPARATION),
        ..Trouble::passing(
            Reason::Starting,
            format!(
                "{node} has not got the volumes or the network of pod {name} ready yet; what it waits for stands in its Events: kubectl get events --field-selector involvedObject.name={name}",
                name = pod.name
            ),
        )
    })
}

fn of_containers(pod: &PodFacts) -> Option<Trouble> {
    let (main, before): (Vec<&Container>, Vec<&Container>) = pod
        .containers
        .iter()
        .filter(|it| it.role != Role::Ephemeral)
        .partition(|it| it.role == Role::Main);
    if let Some(next) = before.into_iter().find(|it| !has_made_way(it)) {
        return container::trouble(pod, next);
    }
    // The agent's own trouble first. What stands before it there is started before it.
    let agent = main.iter().position(|it| it.whose() == Whose::Agents);
    let (first, agent) = main.split_at(agent.unwrap_or(0));
    let mut in_turn = agent.iter().take(1).chain(first);
    in_turn.find_map(|it| container::trouble(pod, it))
}

/// The next container may start.
fn has_made_way(container: &Container) -> bool {
    match (&container.state, container.role) {
        (State::Ended(death), Role::Init) => death.code == 0,
        // Ours has no probe, and its hook is short.
        (State::Running { started, .. }, Role::Sidecar) => {
            *started || container.whose() == Whose::Operators
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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

    /// A pod with containers that a policy has put into it.
    fn with_others(init: Value, main: Value) -> PodFacts {
        let mut pod = pod(json!({"phase": "Pending",
            "initContainerStatuses": init, "containerStatuses": main}));
        let of = |name: &str, policy: Option<&str>| json!({"name": name, "restartPolicy": policy});
        let mut agent = of("agent", None);
        agent["command"] = json!(["/herd/herd-runner", "exec"]);
        pod.spec = serde_json::from_value(json!({
            "nodeName": "node1",
            "initContainers": [
                of("ship", Some("Always")), of("mesh-init", None), of("mesh-native", Some("Always")),
            ],
            "containers": [of("mesh-proxy", None), agent],
        }))
        .unwrap();
        PodFacts::from(&pod)
    }

    fn is(name: &str, state: Value) -> Value {
        json!({"name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "started": false, "state": state})
    }

    fn runs() -> Value {
        json!({"running": {"startedAt": "2027-01-15T08:00:00Z"}})
    }

    fn ended(code: i32) -> Value {
        json!({"terminated": {"exitCode": code, "reason": "Error", "message": "no iptables"}})
    }

    fn waits(reason: &str) -> Value {
        json!({"waiting": {"reason": reason, "message": "m"}})
    }

    #[test]
    fn a_container_of_somebody_elses_that_holds_the_agent_up_is_named() {
        let agent = || is("agent", waits("PodInitializing"));
        let ship = || is("ship", runs());
        let mut crashes = is("mesh-native", runs());
        crashes["lastState"] = ended(3);
        for (init, main, words) in [
            (
                json!([ship(), is("mesh-init", runs())]),
                json!([agent()]),
                "mesh-init must end",
            ),
            (
                json!([ship(), is("mesh-init", ended(0)), is("mesh-native", runs())]),
                json!([agent()]),
                "mesh-native runs, but",
            ),
            (
                json!([ship(), is("mesh-init", ended(0)), crashes]),
                json!([agent()]),
                "mesh-native is started again and again (CrashLoopBackOff), and the agent starts after it; the last time it ended with code 3 (Error): no iptables",
            ),
            (
                json!([
                    ship(),
                    is("mesh-init", ended(0)),
                    is("mesh-native", ended(3))
                ]),
                json!([agent()]),
                "mesh-native is started again and again (CrashLoopBackOff), and the agent starts after it; the last time it ended with code 3 (Error): no iptables",
            ),
            (
                json!([ship(), is("mesh-init", waits("ImagePullBackOff"))]),
                json!([agent()]),
                "container mesh-init can't be pulled",
            ),
            (
                json!([ship(), is("mesh-init", waits("CreateContainerConfigError"))]),
                json!([agent()]),
                "container mesh-init waits for something",
            ),
            (
                json!([ship()]),
                json!([agent(), is("mesh-proxy", runs())]),
                "mesh-proxy runs, but",
            ),
            (
                json!([ship()]),
                json!([agent(), is("mesh-proxy", waits("PostStartHookError"))]),
                "container mesh-proxy does not start: PostStartHookError",
            ),
        ] {
            let trouble = of(&with_others(init.clone(), main)).unwrap_or_else(|| panic!("{init}"));
            assert!(
                trouble.message.contains(words),
                "{words}: {}",
                trouble.message
            );
            assert!(trouble.message.contains(NOT_OURS), "{}", trouble.message);
            assert!(!trouble.message.contains("spec.pod"), "{}", trouble.message);
            assert!(!trouble.hopeless, "{words}");
        }
    }

    #[test]
    fn a_container_that_gets_on_is_not_spoken_of_at_once() {
        let init = json!([is("ship", runs()), is("mesh-init", runs())]);
        let trouble = of(&with_others(init, json!([]))).unwrap();
        let began = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        assert_eq!(trouble.from, Some(began + container::PATIENCE));
    }

    #[test]
    fn what_has_made_way_for_the_agent_is_no_trouble() {
        let mut proxy = is("mesh-native", runs());
        proxy["started"] = json!(true);
        let init = json!([is("ship", runs()), is("mesh-init", ended(0)), proxy.clone()]);
        let agent = || is("agent", waits("ContainerCreating"));
        assert_eq!(of(&with_others(init.clone(), json!([agent()]))), None);
        let mut proxy = is("mesh-proxy", runs());
        proxy["started"] = json!(true);
        assert_eq!(
            of(&with_others(init.clone(), json!([agent(), proxy]))),
            None
        );
        // It is started after the agent, or beside it.
        let trouble = of(&with_others(
            init,
            json!([is("agent", waits("ErrImagePull"))]),
        ));
        assert!(trouble.unwrap().message.contains("container agent"));
    }

    #[test]
    fn an_image_that_can_not_be_pulled_is_put_right_where_it_was_named() {
        for (name, words) in [
            ("agent", "spec.pod.image of the Agent"),
            ("ship", "operator.image"),
            ("mesh-init", "administrators"),
        ] {
            for word in ["ErrImagePull", "InvalidImageName"] {
                let facts = with_others(json!([]), json!([is(name, waits(word))]));
                let container = &facts.containers[0];
                let trouble = container::trouble(&facts, container).unwrap();
                assert!(
                    trouble.message.contains(words),
                    "{name}: {}",
                    trouble.message
                );
            }
        }
    }

    #[test]
    fn an_image_that_a_policy_has_changed_is_not_the_agents_to_put_right() {
        for word in ["ErrImagePull", "InvalidImageName"] {
            let agent = is("agent", waits(word));
            let mut facts = with_others(json!([]), json!([agent]));
            facts.agent_image = Some("mirror.example.com/a:1".into());
            facts.asked_image = Some("a:1".into());
            let trouble = of(&facts).unwrap();
            assert!(
                trouble.message.contains("asks for a:1"),
                "{}",
                trouble.message
            );
            facts.asked_image = facts.agent_image.clone().map(String::from);
            let trouble = of(&facts).unwrap();
            assert!(
                trouble.message.contains("spec.pod.image"),
                "{}",
                trouble.message
            );
        }
    }

    #[test]
    fn a_scheduling_gate_is_named() {
        let mut held = pod(json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "m"},
        ]}));
        held.spec = serde_json::from_value(json!({
            "containers": [], "schedulingGates": [{"name": "example.com/queue"}],
        }))
        .unwrap();
        let trouble = of(&PodFacts::from(&held)).unwrap();
        assert_eq!(
            (trouble.reason, trouble.hopeless),
            (Reason::Scheduling, false)
        );
        assert!(
            trouble.message.contains("gate, example.com/queue,"),
            "{}",
            trouble.message
        );
    }

    #[test]
    fn a_pod_that_lost_one_of_our_containers_is_hopeless_and_a_changed_command_is_not() {
        let of_spec = |init: Value, main: Value| {
            let mut pod = pod(json!({"phase": "Pending"}));
            pod.spec = serde_json::from_value(json!({"initContainers": init, "containers": main}))
                .unwrap();
            of(&PodFacts::from(&pod))
        };
        let ship = || json!([{"name": "ship", "restartPolicy": "Always"}]);
        let agent = |command: Value| json!([{"name": "agent", "command": command}]);
        let ours = || json!(["/herd/herd-runner", "exec"]);
        for (init, main, words) in [
            (json!([]), agent(ours()), "container ship was taken out"),
            (json!([{"name": "ship"}]), agent(ours()), "restartPolicy"),
            (
                ship(),
                json!([{"name": "main"}]),
                "container agent was taken out",
            ),
        ] {
            let trouble = of_spec(init, main).unwrap();
            assert!(
                trouble.hopeless && trouble.message.contains(words),
                "{}",
                trouble.message
            );
        }
        assert_eq!(of_spec(ship(), agent(ours())), None);
        // Some put a program before it that fetches secrets and then starts it.
        assert_eq!(
            of_spec(
                ship(),
                agent(json!(["/vault/env", "/herd/herd-runner", "exec"]))
            ),
            None
        );
    }

    #[test]
    fn a_pod_whose_volumes_or_network_are_not_ready_is_spoken_of_after_a_while() {
        let facts = |ready: &str, containers: Value| {
            PodFacts::from(&pod(json!({"phase": "Pending", "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2027-01-15T08:00:00Z"},
                {"type": "PodReadyToStartContainers", "status": ready},
            ], "containerStatuses": containers})))
        };
        let creating = || json!([is("agent", waits("ContainerCreating"))]);
        let trouble = of(&facts("False", creating())).unwrap();
        let scheduled = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        assert_eq!(trouble.from, Some(scheduled + PREPARATION));
        assert!(!trouble.hopeless);
        for words in ["node1", "volumes", "network", "involvedObject.name=hello-1"] {
            assert!(trouble.message.contains(words), "{}", trouble.message);
        }
        assert_eq!(of(&facts("True", creating())), None);
        // A word about a container says more.
        let trouble = of(&facts("False", json!([is("agent", waits("ErrImagePull"))])));
        assert_eq!(trouble.map(|it| it.reason), Some(Reason::ImagePull));
    }

    /// No requests are sent to an agent: whether its pod takes any is nothing to wait for.
    #[test]
    fn a_readiness_gate_is_no_trouble() {
        let facts = PodFacts::from(&pod(json!({"phase": "Pending", "conditions": [
            {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady"},
            {"type": "example.com/balanced", "status": "False"},
        ]})));
        assert_eq!(of(&facts), None);
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
