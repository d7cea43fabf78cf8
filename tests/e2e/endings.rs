//! Promise: whoever ends a run from outside, the agent stops and the Job tells who it was.

use herdctl::api::{
    agent::OnDisruption,
    reason::{ExitReason, Phase, Reason},
};
use kube::{ResourceExt, api::DeleteParams};

use crate::{
    kubectl::kubectl_ok,
    node,
    status::{assert_ended, only_attempt, session, status},
    team::{Team, unique},
    wait::{RUN, SOON, until_gone, until_true},
};

/// A Job whose agent runs and waits for its answer.
struct Run {
    job: String,
    session: String,
    pod: String,
    pod_uid: String,
}

async fn run(team: &Team) -> Run {
    run_with(team, OnDisruption::Resume).await
}

async fn run_with(team: &Team, on_disruption: OnDisruption) -> Run {
    // Nobody ever opens this gate.
    let scenario = format!("wait-for-release-{}", unique("never"));
    let agent = team
        .agent_with(&scenario, |spec| spec.on_disruption = Some(on_disruption))
        .await;
    let job = team.job(&agent).await;
    let running = team.running(&job).await;
    let attempt = only_attempt(&running);
    let run = Run {
        job,
        session: session(&running),
        pod: attempt.pod,
        pod_uid: attempt.uid.unwrap(),
    };
    team.asks(&run.session).await;
    assert!(
        !node::agent_processes(&run.pod_uid).is_empty(),
        "a running agent has no process"
    );
    run
}

/// No process of the agent is left, by the word of the machine and of the API that it talked to.
async fn assert_stopped(team: &Team, run: &Run) {
    until_true("the agent has no process", SOON, || async {
        let left = node::agent_processes(&run.pod_uid);
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
    team.leaves(&run.session).await;
    team.assert_one_agent(&run.session).await;
}

#[tokio::test]
async fn a_running_job_is_cancelled() {
    let team = Team::shared().await;
    let run = run(&team).await;
    kubectl_ok(
        &[
            "patch",
            "hj",
            &run.job,
            "--type=merge",
            "-p",
            r#"{"spec":{"cancel":true}}"#,
        ],
        "",
    )
    .await;
    let done = team.finished(&run.job).await;
    assert_ended(&done, ExitReason::ManualCancel, Reason::Cancelled);
    assert_stopped(&team, &run).await;
    only_attempt(&done);
}

#[tokio::test]
async fn a_job_that_waits_for_its_agent_is_cancelled_and_never_starts() {
    let team = Team::shared().await;
    let agent = unique("late");
    let job = team.job(&agent).await;
    team.pending(&job, Reason::AgentNotFound).await;
    team.cancel(&job).await;
    assert_ended(
        &team.finished(&job).await,
        ExitReason::ManualCancel,
        Reason::Cancelled,
    );
    team.create_agent(&agent, "text", |_| {}).await;
    // By the time that another Job of this Agent is through, this one would have started too.
    team.finished(&team.job(&agent).await).await;
    let done = team.get(&job).await;
    assert_ended(&done, ExitReason::ManualCancel, Reason::Cancelled);
    assert!(
        status(&done).attempts.is_empty(),
        "{:#?}",
        status(&done).attempts
    );
    assert!(
        team.pods()
            .get_opt(&format!("{job}-1"))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_job_whose_pod_can_not_start_is_cancelled_and_its_pod_goes() {
    let team = Team::shared().await;
    let agent = team
        .agent_with("text", |spec| {
            spec.credentials.as_mut().unwrap().secret_ref.name = unique("absent")
        })
        .await;
    let job = team.job(&agent).await;
    let attempt = only_attempt(&team.pending(&job, Reason::ConfigMissing).await);
    team.cancel(&job).await;
    assert_ended(
        &team.finished(&job).await,
        ExitReason::ManualCancel,
        Reason::Cancelled,
    );
    until_gone(&team.pods(), &attempt.pod, &attempt.uid.unwrap(), RUN).await;
}

#[tokio::test]
async fn a_running_job_that_is_deleted_stops_its_agent_and_says_so_before_it_goes() {
    let team = Team::shared().await;
    let history = team.follow();
    let run = run(&team).await;
    let uid = team.get(&run.job).await.uid().unwrap();
    kubectl_ok(&["delete", "hj", &run.job, "--timeout=120s"], "").await;
    until_gone(&team.jobs(), &run.job, &uid, RUN).await;
    until_gone(&team.pods(), &run.pod, &run.pod_uid, RUN).await;
    assert_stopped(&team, &run).await;
    let last = history.of(&run.job).await.pop().expect("the Job was seen");
    assert_eq!(
        (last.phase, last.exit_reason, last.reason),
        (
            Some(Phase::Cancelled),
            Some(ExitReason::ManualCancel),
            Some(Reason::JobDeleted)
        ),
        "{last:#?}"
    );
}

#[tokio::test]
async fn a_job_that_waits_is_deleted_at_once() {
    let team = Team::shared().await;
    let job = team.job(&unique("nobody")).await;
    let uid = team
        .pending(&job, Reason::AgentNotFound)
        .await
        .uid()
        .unwrap();
    team.delete(&job).await;
    until_gone(&team.jobs(), &job, &uid, SOON).await;
}

#[tokio::test]
async fn a_finished_job_that_is_deleted_takes_its_pod_with_it() {
    let team = Team::shared().await;
    let job = team.job(&team.agent("text").await).await;
    let done = team.finished(&job).await;
    let attempt = only_attempt(&done);
    kubectl_ok(&["delete", "hj", &job, "--timeout=60s"], "").await;
    until_gone(&team.jobs(), &job, &done.uid().unwrap(), SOON).await;
    until_gone(&team.pods(), &attempt.pod, &attempt.uid.unwrap(), RUN).await;
}

#[tokio::test]
async fn a_pod_that_somebody_deleted_ends_its_job_where_its_agent_says_so() {
    let team = Team::shared().await;
    let run = run_with(&team, OnDisruption::Fail).await;
    team.pods()
        .delete(&run.pod, &DeleteParams::default())
        .await
        .unwrap();
    let done = team.finished(&run.job).await;
    assert_ended(&done, ExitReason::Error, Reason::PodDeleted);
    let message = status(&done).message.unwrap();
    assert!(message.contains("onDisruption"), "{message}");
    only_attempt(&done);
    assert_stopped(&team, &run).await;
    until_gone(&team.pods(), &run.pod, &run.pod_uid, RUN).await;
    assert_eq!(
        status(&team.get(&run.job).await).reason,
        Some(Reason::PodDeleted)
    );
}
