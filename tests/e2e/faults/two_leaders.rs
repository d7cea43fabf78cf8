//! Two controllers, of which the one that leads stands still in the middle of its work and goes on when the
//! other leads: as after a pause of its node.

use std::panic::{AssertUnwindSafe, resume_unwind};

use chrono::{DateTime, Utc};
use futures::FutureExt;
use k8s_openapi::api::{apps::v1::Deployment, coordination::v1::Lease, core::v1::Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    audit, cluster,
    controller::Controller,
    moments::{Run, begun, hit, intent_alone},
    status::{only_attempt, session, status},
    team::Team,
    wait::{RUN, until},
};

/// The controller's Deployment, which its lease is named after.
struct Replicas {
    name: String,
    deployments: Api<Deployment>,
    leases: Api<Lease>,
    pods: Api<Pod>,
}

impl Replicas {
    async fn find(platform: Client) -> Replicas {
        let namespace = cluster::system_namespace();
        let deployments: Api<Deployment> = Api::namespaced(platform.clone(), &namespace);
        let ours = ListParams::default().labels("app.kubernetes.io/component=controller");
        let found = deployments.list(&ours).await.unwrap();
        Replicas {
            name: found.items[0].name_any(),
            deployments,
            leases: Api::namespaced(platform.clone(), &namespace),
            pods: Api::namespaced(platform, &namespace),
        }
    }

    async fn scale(&self, replicas: u32) {
        let scale = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        self.deployments
            .patch_scale(&self.name, &PatchParams::default(), &scale)
            .await
            .unwrap();
    }

    /// The pod that leads, once it is not this one.
    async fn leader_after(&self, before: &str) -> String {
        let lease = until(
            &self.leases,
            &self.name,
            "another's",
            RUN,
            |lease: &Lease| holder(lease).is_some_and(|holder| holder != before),
        )
        .await;
        holder(&lease).unwrap().to_owned()
    }

    async fn process(&self, pod: &str) -> Controller {
        Controller::in_pod(&self.pods.get(pod).await.unwrap().uid().unwrap())
    }

    /// The controller that leads now.
    async fn leading(&self) -> Controller {
        let leader = self.leader_after("").await;
        self.process(&leader).await
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref()
}

#[tokio::test]
async fn each_of_two_controllers_stands_still_in_its_turn_and_a_run_has_one_of_all() {
    let team = Team::alone().await;
    let replicas = Replicas::find(cluster::as_platform().await).await;
    replicas.scale(2).await;
    let tried = AssertUnwindSafe(take_turns(&team, &replicas)).catch_unwind();
    let tried = tried.await;
    replicas.scale(1).await;
    Controller::running().await;
    tried.unwrap_or_else(|panic| resume_unwind(panic));
}

async fn take_turns(team: &Team, replicas: &Replicas) {
    let since = Utc::now();
    // The first is to create the pod next.
    let new = async || begun(team, replicas.leading().await).await;
    let (run, asleep) = hit(team, new, intent_alone).await;
    let first = replicas.leader_after("").await;
    let second = replicas.leader_after(&first).await;
    let running = team.running(&run.job).await;
    asleep.wake();
    // The second is to tell the outcome next.
    let asleep = replicas.process(&second).await.freeze();
    team.asks(&session(&running)).await;
    run.ends(team).await;
    let (job, _) = run.now(team).await;
    assert!(
        !status(&job).is_final(),
        "the second was not stopped in time"
    );
    assert_eq!(replicas.leader_after(&second).await, first);
    team.finished(&run.job).await;
    asleep.wake();
    // Both have seen the next one through.
    let next = Run::start(team).await;
    team.running(&next.job).await;
    next.ends(team).await;
    next.assert_one_of_all(team, None).await;
    run.assert_one_of_all(team, only_attempt(&running).uid)
        .await;
    assert_only_the_leader_wrote(since, &[&first, &second]);
}

/// Each write came from the pod whose renewal of the lease the API server took last; and there are some of
/// each of these pods.
fn assert_only_the_leader_wrote(since: DateTime<Utc>, pods: &[&str]) {
    let mut leader = None;
    let mut wrote = Vec::new();
    for request in audit::all_by("controller", since) {
        let pod = request.pod().map(str::to_owned);
        if request.renewed_lease() {
            leader = pod;
        } else if request.is_write() && leader.is_some() {
            assert_eq!(pod, leader, "{} without the lease", request.line());
            wrote.extend(pod);
        }
    }
    for pod in pods {
        assert!(
            wrote.iter().any(|wrote| wrote == pod),
            "{pod} wrote nothing"
        );
    }
}
