//! A node that dies during a run. Its silence proves nothing; that it is off is an administrator's or the
//! cloud's to say, and until then the session has no second agent.

use herdctl::api::{
    agent::AgentSpec,
    job::Job,
    reason::{ExitReason, Reason},
};
use kube::ResourceExt;

use super::second_node::{NODE, SecondNode};
use crate::{
    status::{assert_ended, only_attempt, session, status, told},
    team::{Team, unique},
    wait::{RUN, until},
};

/// A Job whose agent waits on the second node.
pub struct Run {
    pub job: String,
    pub key: String,
    pub session: String,
    pub pod_uid: String,
}

impl Run {
    pub async fn start(team: &Team) -> Run {
        Run::start_with(team, |_| {}).await
    }

    /// The same with changes to the Agent.
    pub async fn start_with(team: &Team, change: impl FnOnce(&mut AgentSpec)) -> Run {
        let key = unique("node");
        let agent = team
            .agent_with(&format!("wait-for-release-{key}"), |spec| {
                SecondNode::on_it(spec);
                change(spec);
            })
            .await;
        let job = team.job(&agent).await;
        let running = team.running(&job).await;
        let attempt = only_attempt(&running);
        assert_eq!(attempt.node.as_deref(), Some(NODE), "{}", told(&running));
        let session = session(&running);
        team.asks(&session).await;
        Run {
            job,
            key,
            session,
            pod_uid: attempt.uid.unwrap(),
        }
    }

    /// The same, and then its node loses its power; the Job waits for proof.
    async fn on_a_node_that_dies(node: &SecondNode, team: &Team) -> Run {
        let run = Run::start(team).await;
        node.power_off().await;
        node.not_ready().await;
        run.waits_for_proof(team).await;
        node.replace().await;
        run
    }

    /// The Job waits for proof that the agent is dead, names the node and has made no second attempt.
    pub async fn waits_for_proof(&self, team: &Team) {
        // Kubernetes has asked for the pod's end, which the node can't answer.
        let pods = team.pods();
        let first = format!("{}-1", self.job);
        until(&pods, &first, "being deleted", RUN, |pod| {
            pod.metadata.deletion_timestamp.is_some()
        })
        .await;
        let waiting = team.pending(&self.job, Reason::Recovering).await;
        let message = status(&waiting).message.unwrap_or_default();
        assert!(message.contains(NODE), "{message}");
        only_attempt(&waiting);
        let second = pods.get_opt(&format!("{}-2", self.job)).await.unwrap();
        assert!(second.is_none(), "a second pod without proof");
    }

    /// The second attempt has come to the API, in the same session.
    pub async fn goes_on(&self, team: &Team) -> Job {
        let again = until(
            &team.jobs(),
            &self.job,
            "in its second attempt",
            RUN,
            |job| {
                let status = status(job);
                assert!(
                    !status.is_final(),
                    "{} ended: {}",
                    job.name_any(),
                    told(job)
                );
                status.attempts.len() == 2 && status.reason == Some(Reason::Working)
            },
        )
        .await;
        assert_eq!(session(&again), self.session);
        team.asks(&self.session).await;
        again
    }

    /// The Job completes with exactly two attempts, the first of which ended so.
    pub async fn completes(&self, team: &Team, first: Reason) {
        team.release(&self.key).await;
        let done = team.finished(&self.job).await;
        assert_ended(&done, ExitReason::Success, Reason::Completed);
        let attempts = status(&done).attempts;
        assert_eq!(attempts.len(), 2, "{}", told(&done));
        assert_eq!(attempts[0].outcome, Some(first), "{}", told(&done));
        team.assert_one_agent_at_a_time(&self.session).await;
    }
}

#[tokio::test]
async fn a_run_whose_node_died_goes_on_elsewhere_once_the_node_is_out_of_service() {
    let node = SecondNode::take().await;
    let team = Team::shared().await;
    let run = Run::on_a_node_that_dies(&node, &team).await;
    node.out_of_service().await;
    let again = run.goes_on(&team).await;
    // A node that comes back has nothing to do with the second attempt.
    let second = status(&again).attempts[1].clone();
    node.end().await;
    run.completes(&team, Reason::NodeLost).await;
    let done = team.get(&run.job).await;
    assert_eq!(status(&done).attempts[1].uid, second.uid);
}

#[tokio::test]
async fn a_run_whose_node_died_goes_on_elsewhere_once_the_node_is_deleted() {
    let node = SecondNode::take().await;
    let team = Team::shared().await;
    let run = Run::on_a_node_that_dies(&node, &team).await;
    node.delete().await;
    run.goes_on(&team).await;
    run.completes(&team, Reason::NodeLost).await;
    node.end().await;
}
