//! Promise: a controller that is killed at any moment leaves one pod, one outcome and one agent process.

use chrono::{DateTime, Utc};
use herdctl::api::{
    job::{ConditionType, Job, JobStatus, POD_FINALIZER},
    reason::{ExitReason, Reason},
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::{
    audit::{self, Request},
    controller::{Controller, Frozen},
    status::{assert_ended, only_attempt, session, status},
    team::{Team, unique},
    wait::{RUN, until, until_true},
};

/// How often a moment is tried to be hit, each time with a Job of its own.
const TRIES: u32 = 10;
/// Slices that the controller gets to come to the moment.
const SLICES: u32 = 400;

/// A Job on its way, with the gate that its agent waits at.
struct Run {
    job: String,
    key: String,
    since: DateTime<Utc>,
}

impl Run {
    async fn start(team: &Team) -> Run {
        let key = unique("crash");
        let agent = team.agent(&format!("wait-for-release-{key}")).await;
        let since = Utc::now();
        let job = team.job(&agent).await;
        Run { job, key, since }
    }

    fn pod(&self) -> String {
        format!("{}-1", self.job)
    }

    /// The Job and its pod as they are now.
    async fn now(&self, team: &Team) -> (Job, Option<Pod>) {
        (
            team.get(&self.job).await,
            team.pods().get_opt(&self.pod()).await.unwrap(),
        )
    }

    /// Everything that a crash must not double or change. `pod_uid` is the pod of before the crash.
    async fn assert_one_of_all(&self, team: &Team, pod_uid: Option<String>) {
        let done = team.finished(&self.job).await;
        assert_ended(&done, ExitReason::Success, Reason::Completed);
        assert_eq!(status(&done).result.unwrap().text, "Released.");
        let attempt = only_attempt(&done);
        assert_eq!(attempt.pod, self.pod());
        if pod_uid.is_some() {
            assert_eq!(attempt.uid, pod_uid, "another pod");
        }
        team.assert_one_agent(&session(&done)).await;
        let created = self.created_pods();
        assert_eq!(created.len(), 1, "{created:#?}");
        let released = until(&team.pods(), &attempt.pod, "released", RUN, |pod| {
            !held(pod)
        })
        .await;
        assert_eq!(released.uid(), attempt.uid);
    }

    fn created_pods(&self) -> Vec<Request> {
        let mut requests = audit::by("controller", self.since);
        requests.retain(|request| request.created_pod(&self.pod()));
        requests
    }

    /// Ends a run that missed its moment.
    async fn abandon(self, team: &Team) {
        team.release(&self.key).await;
        team.finished(&self.job).await;
    }
}

fn held(pod: &Pod) -> bool {
    pod.finalizers().iter().any(|name| name == POD_FINALIZER)
}

/// Steps the controller through a new Job until the Job and its pod are as wanted, with a Job more when
/// that state was passed over.
async fn hit(team: &Team, wanted: impl Fn(&Job, Option<&Pod>) -> bool) -> (Run, Frozen) {
    for _ in 0..TRIES {
        let frozen = Controller::running().await.freeze();
        let run = Run::start(team).await;
        let hit = frozen
            .step_until(SLICES, || async {
                let (job, pod) = run.now(team).await;
                wanted(&job, pod.as_ref())
            })
            .await;
        if hit {
            return (run, frozen);
        }
        drop(frozen);
        run.abandon(team).await;
    }
    panic!("the moment was not hit in {TRIES} tries");
}

#[tokio::test]
async fn killed_after_the_intent_and_before_the_pod() {
    let team = Team::alone().await;
    let intent_alone =
        |job: &Job, pod: Option<&Pod>| !status(job).attempts.is_empty() && pod.is_none();
    let (run, frozen) = hit(&team, intent_alone).await;
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
    let (run, frozen) = hit(&team, |job, pod| pod.is_some() && !known(job)).await;
    let uid = team.pods().get(&run.pod()).await.unwrap().uid();
    frozen.kill().await;
    team.running(&run.job).await;
    team.release(&run.key).await;
    run.assert_one_of_all(&team, uid).await;
}

#[tokio::test]
async fn killed_after_the_agents_end_and_before_the_outcome() {
    let team = Team::alone().await;
    let run = Run::start(&team).await;
    let running = team.running(&run.job).await;
    team.asks(&session(&running)).await;
    let frozen = Controller::running().await.freeze();
    team.release(&run.key).await;
    until(
        &team.pods(),
        &run.pod(),
        "through with its agent",
        RUN,
        agent_ended,
    )
    .await;
    let (job, _) = run.now(&team).await;
    assert!(
        !status(&job).is_final(),
        "the controller was not stopped in time"
    );
    frozen.kill().await;
    run.assert_one_of_all(&team, only_attempt(&running).uid)
        .await;
}

fn agent_ended(pod: &Pod) -> bool {
    let containers = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.clone())
        .unwrap_or_default();
    containers.iter().any(|container| {
        container.name == "agent"
            && container
                .state
                .as_ref()
                .is_some_and(|state| state.terminated.is_some())
    })
}

/// Lets a Job's agent run and stops the controller; then does something to the Job, and steps the controller
/// on until Job and pod are as wanted. With a Job more when that state was passed over.
async fn hit_running(
    team: &Team,
    done: impl AsyncFn(&Run),
    wanted: impl Fn(&Job, Option<&Pod>) -> bool,
) -> (Run, Job, Frozen) {
    for _ in 0..TRIES {
        let run = Run::start(team).await;
        let running = team.running(&run.job).await;
        team.asks(&session(&running)).await;
        let frozen = Controller::running().await.freeze();
        done(&run).await;
        let hit = frozen
            .step_until(SLICES, || async {
                let (job, pod) = run.now(team).await;
                wanted(&job, pod.as_ref())
            })
            .await;
        if hit {
            return (run, running, frozen);
        }
        drop(frozen);
        run.abandon(team).await;
    }
    panic!("the moment was not hit in {TRIES} tries");
}

#[tokio::test]
async fn killed_after_the_final_status_and_before_the_pod_is_released() {
    let team = Team::alone().await;
    let ends = async |run: &Run| {
        team.release(&run.key).await;
        let pods = team.pods();
        until(
            &pods,
            &run.pod(),
            "through with its agent",
            RUN,
            agent_ended,
        )
        .await;
    };
    let unreleased = |job: &Job, pod: Option<&Pod>| status(job).is_final() && pod.is_some_and(held);
    let (run, running, frozen) = hit_running(&team, ends, unreleased).await;
    let outcome = status(&team.get(&run.job).await);
    frozen.kill().await;
    run.assert_one_of_all(&team, only_attempt(&running).uid)
        .await;
    assert_same_outcome(&team, &run, &outcome).await;
}

#[tokio::test]
async fn killed_after_the_word_to_cancel_and_before_the_pods_deletion() {
    let team = Team::alone().await;
    let cancelled = async |run: &Run| team.cancel(&run.job).await;
    let undeleted = |job: &Job, pod: Option<&Pod>| {
        let lives = pod.is_some_and(|pod| pod.metadata.deletion_timestamp.is_none());
        status(job).reason == Some(Reason::Cancelling) && lives
    };
    let (run, running, frozen) = hit_running(&team, cancelled, undeleted).await;
    frozen.kill().await;
    let done = team.finished(&run.job).await;
    assert_ended(&done, ExitReason::ManualCancel, Reason::Cancelled);
    assert_eq!(only_attempt(&done).uid, only_attempt(&running).uid);
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
