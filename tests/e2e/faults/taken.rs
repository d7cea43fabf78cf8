//! A pod that is taken from its agent by a node's care, by something more urgent, or by force: nothing that
//! the agent did, so its session goes on in another pod.

use herdctl::api::{agent::AgentSpec, reason::Reason};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, EvictParams, PostParams};
use serde_json::json;

use super::{
    lost_node::Run,
    second_node::{NODE, SecondNode},
};
use crate::{
    node,
    status::{only_attempt, status},
    team::{Team, unique},
    wait::{RUN, until, until_gone},
};

/// More than half of a node: two such pods have no room there.
const MOST_OF_A_NODE: &str = "1200m";
/// The PriorityClass of `tests/e2e/platform.yaml`.
const URGENT: &str = "urgent";

fn first_pod(run: &Run) -> String {
    format!("{}-1", run.job)
}

#[tokio::test]
async fn a_run_whose_node_is_drained_goes_on_once_there_is_a_node_for_it() {
    let node = SecondNode::take().await;
    let team = Team::shared().await;
    let run = Run::start(&team).await;
    node.cordon().await;
    let eviction = EvictParams::default();
    team.pods()
        .evict(&first_pod(&run), &eviction)
        .await
        .unwrap();
    until_gone(&team.pods(), &first_pod(&run), &run.pod_uid, RUN).await;
    let waiting = team.pending(&run.job, Reason::Scheduling).await;
    let message = status(&waiting).message.unwrap_or_default();
    assert!(message.contains("unschedulable"), "{message}");
    team.leaves(&run.session).await;
    node.restore().await;
    run.goes_on(&team).await;
    run.completes(&team, Reason::Evicted).await;
    node.end().await;
}

#[tokio::test]
async fn a_run_that_makes_room_for_a_more_urgent_pod_goes_on_when_there_is_room() {
    let node = SecondNode::take().await;
    let team = Team::shared().await;
    let run = Run::start_with(&team, takes_most_of_a_node).await;
    let urgent = urgent_pod();
    let name = urgent.metadata.name.clone().unwrap();
    let created = team.pods().create(&PostParams::default(), &urgent).await;
    let uid = created.unwrap().metadata.uid.unwrap();
    until(&team.pods(), &name, "scheduled", RUN, |pod: &Pod| {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        node == Some(NODE)
    })
    .await;
    team.leaves(&run.session).await;
    let now = DeleteParams::default().grace_period(0);
    drop(team.pods().delete(&name, &now).await.unwrap());
    until_gone(&team.pods(), &name, &uid, RUN).await;
    run.goes_on(&team).await;
    run.completes(&team, Reason::Evicted).await;
    node.end().await;
}

fn takes_most_of_a_node(spec: &mut AgentSpec) {
    let pod = spec.pod.get_or_insert_default();
    let requests = json!({"requests": {"cpu": MOST_OF_A_NODE, "memory": "64Mi"}});
    pod.resources = Some(serde_json::from_value(requests).unwrap());
}

/// It gets a node, and that is all that it needs: there is no such image.
fn urgent_pod() -> Pod {
    let mut agent = AgentSpec::default();
    SecondNode::on_it(&mut agent);
    let place = agent.pod.unwrap();
    let pod = json!({
        "metadata": {"name": unique("urgent")},
        "spec": {
            "priorityClassName": URGENT,
            "nodeSelector": place.node_selector,
            "tolerations": place.tolerations,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "urgent",
                "image": "localhost/urgent:none",
                "imagePullPolicy": "Never",
                "resources": {"requests": {"cpu": MOST_OF_A_NODE}},
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    });
    serde_json::from_value(pod).unwrap()
}

/// `kubectl delete pod --force`: the API server gives no grace, and the pod's finalizer keeps it all the same
/// until its node has ended the agent.
#[tokio::test]
async fn a_run_whose_pod_is_deleted_by_force_goes_on_once_its_agent_is_dead() {
    let node = SecondNode::take().await;
    let team = Team::shared().await;
    let run = Run::start(&team).await;
    let at_once = DeleteParams::default().grace_period(0);
    let deleted = team.pods().delete(&first_pod(&run), &at_once).await;
    drop(deleted.unwrap());
    run.goes_on(&team).await;
    assert!(node::agent_processes(&run.pod_uid).is_empty());
    run.completes(&team, Reason::PodDeleted).await;
    node.end().await;
}

/// Power is back before anybody misses the node: nothing but the kubelet tells that the agent is gone.
#[tokio::test]
async fn a_run_whose_node_starts_again_goes_on_in_another_pod() {
    let node = SecondNode::take().await;
    let team = Team::shared().await;
    let run = Run::start(&team).await;
    node.power_off().await;
    assert!(node::agent_processes(&run.pod_uid).is_empty());
    only_attempt(&team.get(&run.job).await);
    node.power_on().await;
    run.goes_on(&team).await;
    run.completes(&team, Reason::NodeLost).await;
    node.end().await;
}
