//! A node that the API server hears nothing of, while its agents live on and talk to the world.

use herdctl::api::reason::Reason;

use super::{lost_node::Run, second_node::SecondNode};
use crate::{node, team::Team};

#[tokio::test]
async fn an_agent_on_a_node_that_is_cut_off_has_no_second_one_beside_it() {
    let second_node = SecondNode::take().await;
    let team = Team::shared().await;
    let run = Run::start(&team).await;
    let cut = second_node.cut();
    second_node.not_ready().await;
    run.waits_for_proof(&team).await;
    // It lives, and still has its question open.
    assert!(!node::agent_processes(&run.pod_uid).is_empty());
    let agents = team.agents_of(&run.session).await;
    assert_eq!((agents.connected, agents.under_way), (1, 1), "{agents:?}");
    drop(cut);
    // Only when the node has heard that the pod is to end, and ended it, the next one begins.
    run.goes_on(&team).await;
    assert!(node::agent_processes(&run.pod_uid).is_empty());
    run.completes(&team, Reason::NodeLost).await;
    second_node.end().await;
}
