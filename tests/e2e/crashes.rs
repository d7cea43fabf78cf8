//! Promise: a controller that is killed at any moment leaves one pod, one outcome and one agent process.

use chrono::Utc;
use herdctl::api::{
    job::{ConditionType, Job, JobStatus},
    reason::{ExitReason, Reason},
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::{
    controller::Controller,
    moments::{Run, begun, held, hit, intent_alone, under_way},
    status::{assert_ended, only_attempt, session, status},
    team::Team,
    wait::{RUN, until_true},
};

#[tokio::test]
async fn killed_after_the_intent_and_before_the_pod() {
    let team = Team::alone().await;
    let new = async || begun(&team, Controller::running().await).await;
    let (run, frozen) = hit(&team, new, intent_alone).await;
    let killed = Utc::now();
    frozen.kill().await;
    team.running(&run.job).await;
    team.release(&run.key).await;
    run.assert_one_of_all(&team, None).await;
    assert!(
        run.created_pods()[0].received > killed,
        "the pod was there before the crash"
    );
}

#[tokio::test]
async fn killed_after_the_pods_creation_and_before_the_status_knows_it() {
    let team = Team::alone().await;
    let known = |job: &Job| {
        status(job)
            .attempt()
            .is_some_and(|attempt| attempt.uid.is_some())
    };
    let new = async || begun(&team, Controller::running().await).await;
    let (run, frozen) = hit(&team, new, |job, pod| pod.is_some() && !known(job)).await;
    let uid = team.pods().get(&run.pod()).await.unwrap().uid();
    frozen.kill().await;
    team.running(&run.job).await;
    team.release(&run.key).await;
    run.assert_one_of_all(&team, uid).await;
}

#[tokio::test]
async fn killed_after_the_agents_end_and_before_the_outcome() {
    let team = Team::alone().await;
    let ended = async |run: &Run| run.ends(&team).await;
    let (run, frozen) = under_way(&team, Controller::running().await, ended).await;
    let (job, _) = run.now(&team).await;
    assert!(
        !status(&job).is_final(),
        "the controller was not stopped in time"
    );
    frozen.kill().await;
    run.assert_one_of_all(&team, only_attempt(&job).uid).await;
}

#[tokio::test]
async fn killed_after_the_final_status_and_before_the_pod_is_released() {
    let team = Team::alone().await;
    let ended = async |run: &Run| run.ends(&team).await;
    let at_end = async || under_way(&team, Controller::running().await, ended).await;
    let unreleased = |job: &Job, pod: Option<&Pod>| status(job).is_final() && pod.is_some_and(held);
    let (run, frozen) = hit(&team, at_end, unreleased).await;
    let before = team.get(&run.job).await;
    frozen.kill().await;
    run.assert_one_of_all(&team, only_attempt(&before).uid)
        .await;
    assert_same_outcome(&team, &run, &status(&before)).await;
}

#[tokio::test]
async fn killed_after_the_word_to_cancel_and_before_the_pods_deletion() {
    let team = Team::alone().await;
    let cancelled = async |run: &Run| team.cancel(&run.job).await;
    let undeleted = |job: &Job, pod: Option<&Pod>| {
        let lives = pod.is_some_and(|pod| pod.metadata.deletion_timestamp.is_none());
        status(job).reason == Some(Reason::Cancelling) && lives
    };
    let running = async || under_way(&team, Controller::running().await, cancelled).await;
    let (run, frozen) = hit(&team, running, undeleted).await;
    let (before, _) = run.now(&team).await;
    frozen.kill().await;
    let done = team.finished(&run.job).await;
    assert_ended(&done, ExitReason::ManualCancel, Reason::Cancelled);
    assert_eq!(only_attempt(&done).uid, only_attempt(&before).uid);
    team.leaves(&session(&done)).await;
    team.assert_one_agent(&session(&done)).await;
}

/// What the output store tells of the record may follow the outcome.
fn without_record(status: JobStatus) -> JobStatus {
    let mut status = JobStatus {
        progress: None,
        output: None,
        observed_generation: None,
        ..status
    };
    let of_record = [ConditionType::OutputIntact, ConditionType::OutputStalled];
    status
        .conditions
        .retain(|condition| !of_record.contains(&condition.type_));
    status
}

async fn assert_same_outcome(team: &Team, run: &Run, before: &JobStatus) {
    let before = without_record(before.clone());
    until_true("the Job is as it was", RUN, || async {
        let after = without_record(status(&team.get(&run.job).await));
        if after == before {
            Ok(())
        } else {
            Err(format!("{after:#?}"))
        }
    })
    .await;
}
