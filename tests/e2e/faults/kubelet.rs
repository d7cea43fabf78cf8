//! A node's own programs that crash: the agents go on, and none is started twice.

use herdctl::api::reason::{ExitReason, Reason};

use super::{lost_node::Run, second_node::SecondNode};
use crate::{
    node,
    status::{assert_ended, only_attempt, session, status, told},
    team::Team,
    wait::{RUN, until},
};

/// How often the kubelet is killed in the moment of a container's start.
const KILLS: u32 = 10;

async fn goes_on_after_a_restart_of(program: &str) {
    let node = SecondNode::take().await;
    let team = Team::shared().await;
    let run = Run::start(&team).await;
    node.restart(program).await;
    node.ready().await;
    team.release(&run.key).await;
    let done = team.finished(&run.job).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    only_attempt(&done);
    team.assert_one_agent(&run.session).await;
    node.end().await;
}

#[tokio::test]
async fn a_run_does_not_notice_that_its_kubelet_crashed() {
    goes_on_after_a_restart_of("kubelet").await;
}

#[tokio::test]
async fn a_run_does_not_notice_that_its_containerd_crashed() {
    goes_on_after_a_restart_of("containerd").await;
}

#[tokio::test]
async fn a_kubelet_that_is_killed_as_the_agent_starts_makes_no_second_agent() {
    killed_as_the_agent_starts(KILLS).await;
}

/// A kubelet that dies between the start of a container and its note of it starts it once more.
pub async fn killed_as_the_agent_starts(times: u32) {
    let node = SecondNode::take().await;
    let team = Team::shared().await;
    let agent = team.agent_with("text", SecondNode::on_it).await;
    for _ in 0..times {
        let job = team.job(&agent).await;
        let pod = until(&team.pods(), &format!("{job}-1"), "there", RUN, |_| true).await;
        begins(&pod.metadata.uid.unwrap()).await;
        node.kill_kubelet();
        node.restart("kubelet").await;
        let done = team.finished(&job).await;
        assert_ended(&done, ExitReason::Success, Reason::Completed);
        let attempts = status(&done).attempts.len();
        team.assert_never_two_agents(&session(&done), attempts)
            .await;
        assert!(attempts <= 2, "{}", told(&done));
    }
    node.end().await;
}

/// Returns in the moment in which the runner of the agent's container is there.
async fn begins(pod_uid: &str) {
    let until = std::time::Instant::now() + RUN;
    while node::runner(pod_uid, "exec").is_empty() {
        assert!(std::time::Instant::now() < until, "no agent within {RUN:?}");
        tokio::task::yield_now().await;
    }
}
