//! Promise: what is missing or wrong is said with the field, the cause and the next step, within two
//! seconds of the kubelet's or the API server's word; what can heal starts by itself, and nothing
//! crash-loops.

mod images;
mod missing;
mod refused;
mod room;

use std::time::{Duration, Instant};

use herdctl::api::reason::Reason;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use crate::{
    team::Team,
    wait::{RUN, until},
};

/// The longest time from the kubelet's word to ours.
const PROMISED: Duration = Duration::from_secs(2);

/// The time from the moment when the pod says it to the moment when the Job does.
async fn lag(
    team: &Team,
    job: &str,
    pod: &str,
    reason: Reason,
    says: impl Fn(&Pod) -> bool,
) -> Duration {
    let pods = team.pods();
    let said = async {
        until(&pods, pod, "in trouble", RUN, |pod| says(pod)).await;
        Instant::now()
    };
    let told = async {
        team.pending(job, reason).await;
        Instant::now()
    };
    let (said, told) = tokio::join!(said, told);
    told.saturating_duration_since(said)
}

fn containers(pod: &Pod) -> Vec<ContainerStatus> {
    let status = pod.status.clone().unwrap_or_default();
    status
        .init_container_statuses
        .into_iter()
        .chain(status.container_statuses)
        .flatten()
        .collect()
}

/// Some container waits for one of these reasons.
fn waits_for(pod: &Pod, reasons: &[&str]) -> bool {
    containers(pod).iter().any(|container| {
        let waiting = container
            .state
            .as_ref()
            .and_then(|state| state.waiting.as_ref());
        waiting
            .and_then(|waiting| waiting.reason.as_deref())
            .is_some_and(|reason| reasons.contains(&reason))
    })
}
