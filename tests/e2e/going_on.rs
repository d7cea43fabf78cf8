//! Promise: what was taken from an agent that had done nothing wrong, or paused, goes on in the same
//! session, in another pod, and never are there two agents.

use herdctl::api::{
    job::{Attempt, Job, JobSpec},
    reason::{ExitReason, Reason},
};
use kube::{
    ResourceExt,
    api::{DeleteParams, EvictParams},
};
use serde_json::json;

use crate::{
    node,
    own::Own,
    record::proof,
    status::{assert_ended, session, status},
    team::{Team, namespace::TEAM_A, unique},
    wait::{RUN, SOON, until_gone, until_true},
};

/// A Job whose agent runs and waits for a gate.
struct Run {
    job: String,
    agent: String,
    gate: String,
    session: String,
    first: Attempt,
}

async fn run(team: &Team) -> Run {
    let gate = unique("gate");
    let agent = team.agent(&format!("wait-for-release-{gate}")).await;
    let job = team.job(&agent).await;
    let running = team.running(&job).await;
    let session = session(&running);
    team.asks(&session).await;
    Run {
        job,
        agent,
        gate,
        session,
        first: last(&running),
    }
}

fn last(job: &Job) -> Attempt {
    status(job).attempt().cloned().expect("there is an attempt")
}

impl Run {
    fn first_uid(&self) -> &str {
        self.first.uid.as_deref().unwrap()
    }

    /// The second attempt runs in the same session, the first is told with why it ended and gone.
    async fn goes_on_after(&self, team: &Team, why: Reason) -> Job {
        let running = team.running_attempt(&self.job, 2).await;
        assert_eq!(session(&running), self.session);
        let attempts = status(&running).attempts;
        assert_eq!(attempts[0].outcome, Some(why), "{attempts:#?}");
        assert!(attempts[0].closed.is_some(), "{attempts:#?}");
        assert_eq!(attempts[1].pod, format!("{}-2", self.job));
        team.asks(&self.session).await;
        assert!(node::agent_processes(self.first_uid()).is_empty());
        until_gone(&team.pods(), &self.first.pod, self.first_uid(), RUN).await;
        running
    }

    /// Opens the gate: the agent ends well, having started once.
    async fn completes(&self, team: &Team) {
        team.release(&self.gate).await;
        let done = team.finished(&self.job).await;
        assert_ended(&done, ExitReason::Success, Reason::Completed);
        let told = status(&done);
        assert_eq!(told.started_at, told.attempts[0].started);
        team.assert_one_agent_at_a_time(&self.session).await;
    }
}

#[tokio::test]
async fn a_job_whose_pod_somebody_deleted_goes_on_in_another() {
    let team = Team::shared().await;
    let run = run(&team).await;
    let deletion = DeleteParams::default();
    team.pods().delete(&run.first.pod, &deletion).await.unwrap();
    run.goes_on_after(&team, Reason::PodDeleted).await;
    run.completes(&team).await;
}

#[tokio::test]
async fn a_job_whose_pod_was_evicted_goes_on_in_another() {
    let team = Team::shared().await;
    let run = run(&team).await;
    let eviction = EvictParams::default();
    team.pods().evict(&run.first.pod, &eviction).await.unwrap();
    run.goes_on_after(&team, Reason::Evicted).await;
    run.completes(&team).await;
}

#[tokio::test]
async fn a_paused_job_keeps_its_session_and_goes_on_with_a_new_prompt() {
    let team = Team::shared().await;
    let run = run(&team).await;
    team.change(&run.job, json!({"suspend": true})).await;
    team.pending(&run.job, Reason::Suspended).await;
    until_true("the agent has no process", SOON, || async {
        let left = node::agent_processes(run.first_uid());
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
    team.leaves(&run.session).await;
    until_gone(&team.pods(), &run.first.pod, run.first_uid(), RUN).await;
    let paused = team.pending(&run.job, Reason::Suspended).await;
    assert_eq!(status(&paused).attempts.len(), 1);
    let going_on = json!({"suspend": false, "resumePrompt": "Go on with the second half."});
    team.change(&run.job, going_on).await;
    run.goes_on_after(&team, Reason::Suspended).await;
    run.completes(&team).await;
}

#[tokio::test]
async fn a_job_suspended_from_the_start_gets_no_pod_before_it_may_go_on() {
    let team = Team::shared().await;
    let agent = team.agent("bash").await;
    let first = |spec: &mut JobSpec| spec.prompt = Some("RUN: echo first".into());
    let job = team
        .job_with(&agent, |spec| {
            first(spec);
            spec.suspend = Some(true);
        })
        .await;
    team.pending(&job, Reason::Suspended).await;
    // By the time that another Job of this Agent is through, this one would have started too.
    team.finished(&team.job_with(&agent, first).await).await;
    assert!(status(&team.get(&job).await).attempts.is_empty());
    let going_on = json!({"suspend": null, "resumePrompt": "RUN: echo then"});
    team.change(&job, going_on).await;
    let sealed = proof::sealed(&team, TEAM_A, &job).await;
    assert_ended(&sealed.job, ExitReason::Success, Reason::Completed);
    assert_eq!(status(&sealed.job).attempts.len(), 1);
    let calls = sealed.of("tool_use").into_iter();
    let commands: Vec<_> = calls
        .map(|call| call["command"].as_str().unwrap())
        .collect();
    assert_eq!(commands, ["echo first", "echo then"]);
}

#[tokio::test]
async fn a_paused_job_is_cancelled_without_another_pod() {
    let team = Team::shared().await;
    let run = run(&team).await;
    team.change(&run.job, json!({"suspend": true})).await;
    team.pending(&run.job, Reason::Suspended).await;
    team.cancel(&run.job).await;
    let done = team.finished(&run.job).await;
    assert_ended(&done, ExitReason::ManualCancel, Reason::Cancelled);
    assert_eq!(status(&done).attempts.len(), 1);
    team.assert_one_agent(&run.session).await;
}

#[tokio::test]
async fn a_job_whose_agent_is_deleted_is_stopped_and_says_so() {
    let team = Team::shared().await;
    let run = run(&team).await;
    let done = team.job(&team.agent("text").await).await;
    let done = team.finished(&done).await;
    for agent in [&run.agent, &done.spec.agent] {
        let deletion = DeleteParams::default();
        team.agents().delete(agent, &deletion).await.unwrap();
    }
    let ended = team.finished(&run.job).await;
    assert_ended(&ended, ExitReason::ManualCancel, Reason::AgentDeleted);
    team.leaves(&run.session).await;
    team.assert_one_agent(&run.session).await;
    let kept = team.get(&done.name_any()).await;
    assert_ended(&kept, ExitReason::Success, Reason::Completed);
}

#[tokio::test]
async fn a_namespace_that_is_deleted_takes_its_running_jobs_along_and_starts_nothing_anew() {
    let team = Team::shared().await;
    let own = Own::create(unique("own"), &team).await;
    let mine = team.elsewhere(own.name);
    let history = mine.follow();
    let run = run(&mine).await;
    own.delete().await;
    let told = history.of(&run.job).await;
    let last = told.last().expect("the Job was seen");
    assert_eq!(last.attempts.len(), 1, "{last:#?}");
    assert!(last.is_final(), "{last:#?}");
    assert!(
        matches!(last.reason, Some(Reason::JobDeleted | Reason::AgentDeleted)),
        "{last:#?}"
    );
    team.assert_one_agent(&run.session).await;
}
