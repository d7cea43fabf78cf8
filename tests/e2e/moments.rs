//! Runs that a controller is brought to a chosen moment of, and what must be so whatever it does then.

use chrono::{DateTime, Utc};
use herdctl::api::{
    job::{Job, POD_FINALIZER},
    reason::{ExitReason, Reason},
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::{
    audit::{self, Request},
    controller::{Controller, Frozen},
    status::{assert_ended, only_attempt, session, status},
    team::{Team, unique},
    wait::{RUN, until},
};

/// How often a moment is tried to be hit, each time with a Job of its own.
const TRIES: u32 = 10;
/// Slices that the controller gets to come to the moment.
const SLICES: u32 = 400;

/// A Job on its way, with the gate that its agent waits at.
pub struct Run {
    pub job: String,
    /// Of the gate.
    pub key: String,
    since: DateTime<Utc>,
}

impl Run {
    pub async fn start(team: &Team) -> Run {
        let key = unique("crash");
        let agent = team.agent(&format!("wait-for-release-{key}")).await;
        let since = Utc::now();
        let job = team.job(&agent).await;
        Run { job, key, since }
    }

    pub fn pod(&self) -> String {
        format!("{}-1", self.job)
    }

    /// The Job and its pod as they are now.
    pub async fn now(&self, team: &Team) -> (Job, Option<Pod>) {
        (
            team.get(&self.job).await,
            team.pods().get_opt(&self.pod()).await.unwrap(),
        )
    }

    /// Everything that a crash must not double or change. `pod_uid` is the pod of before the crash.
    pub async fn assert_one_of_all(&self, team: &Team, pod_uid: Option<String>) {
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

    /// Lets the agent end, and returns when its node has said so.
    pub async fn ends(&self, team: &Team) {
        team.release(&self.key).await;
        let (pods, pod) = (team.pods(), self.pod());
        until(&pods, &pod, "through with its agent", RUN, agent_ended).await;
    }

    pub fn created_pods(&self) -> Vec<Request> {
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

pub fn held(pod: &Pod) -> bool {
    pod.finalizers().iter().any(|name| name == POD_FINALIZER)
}

/// An attempt stands in the status that has no pod.
pub fn intent_alone(job: &Job, pod: Option<&Pod>) -> bool {
    !status(job).attempts.is_empty() && pod.is_none()
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

/// The controller frozen, and a Job that it knows nothing of.
pub async fn begun(team: &Team, controller: Controller) -> (Run, Frozen) {
    let frozen = controller.freeze();
    (Run::start(team).await, frozen)
}

/// The controller frozen once the Job's agent asks for more, and something done to the Job after that.
pub async fn under_way(
    team: &Team,
    controller: Controller,
    done: impl AsyncFn(&Run),
) -> (Run, Frozen) {
    let run = Run::start(team).await;
    let running = team.running(&run.job).await;
    team.asks(&session(&running)).await;
    let frozen = controller.freeze();
    done(&run).await;
    (run, frozen)
}

/// Steps the controller on until the Job and its pod are as wanted; with a Job more, `from` its start, when
/// that state was passed over.
pub async fn hit(
    team: &Team,
    from: impl AsyncFn() -> (Run, Frozen),
    wanted: impl Fn(&Job, Option<&Pod>) -> bool,
) -> (Run, Frozen) {
    for _ in 0..TRIES {
        let (run, frozen) = from().await;
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
