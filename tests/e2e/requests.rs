//! Promise: controller, store and gateway ask the API server for little, and the controller for next to
//! nothing when there is nothing to do.

use std::time::Duration;

use chrono::Utc;
use herdctl::api::{
    job::POD_FINALIZER,
    reason::{ExitReason, Reason},
};
use kube::ResourceExt;

use crate::{
    audit::{self, Request},
    record::{proof::sealed, reader},
    status::assert_ended,
    team::{Team, namespace::TEAM_A, unique},
    wait::{RUN, until},
};

/// Intent, pod, running, final and release, and one to add the Job's finalizer.
const MOST_BY_CONTROLLER: usize = 6;
/// The gateway's replicas: each asks for itself.
const GATEWAYS: usize = 2;
/// Whose token it is, the pod, report, progress and seal; whose the gateway's token is; and at each read
/// which Job has the name now.
const MOST_BY_STORE: usize = 5 + GATEWAYS + READS;
/// Whether the reader may.
const MOST_BY_GATEWAY: usize = GATEWAYS;
/// How often the record is read at once.
const READS: usize = 3;
/// What is done within this time after a Job's end is counted too.
const AFTERWARDS: Duration = Duration::from_secs(5);
/// How long the controller is watched while there is nothing to do.
const IDLE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_normal_job_costs_little_of_each_writer() {
    let team = Team::alone().await;
    let agent = team.agent("text").await;
    let since = Utc::now();
    let job = team.job(&agent).await;
    let sealed = sealed(&team, TEAM_A, &job).await;
    assert_ended(&sealed.job, ExitReason::Success, Reason::Completed);
    let pod = format!("{job}-1");
    until(&team.pods(), &pod, "released", RUN, |pod| {
        !pod.finalizers().iter().any(|name| name == POD_FINALIZER)
    })
    .await;
    for _ in 0..READS {
        let read = reader::output(&team.client, TEAM_A, &job).await;
        assert!(read == Ok(sealed.bytes.clone()), "{read:?}");
    }
    tokio::time::sleep(AFTERWARDS).await;
    let of = |part| {
        let mut requests = audit::by(part, since);
        requests.retain(|request| request.touches(TEAM_A, &[&job, &pod]) || request.is_review());
        requests
    };
    let controller = of("controller");
    assert!(
        controller.iter().any(|request| request.created_pod(&pod)),
        "the log does not tell it all: {}",
        told(&controller)
    );
    assert_few("controller", controller, MOST_BY_CONTROLLER);
    assert_few("store", of("store"), MOST_BY_STORE);
    assert_few("gateway", of("gateway"), MOST_BY_GATEWAY);
}

fn assert_few(part: &str, requests: Vec<Request>, most: usize) {
    let (events, requests): (Vec<_>, Vec<_>) =
        requests.into_iter().partition(|request| request.is_event());
    let told = format!(
        "{part}: {} requests and {} events\n{}",
        requests.len(),
        events.len(),
        told(&requests)
    );
    println!("{told}");
    assert!(!requests.is_empty() && requests.len() <= most, "{told}");
}

fn told(requests: &[Request]) -> String {
    let lines: Vec<String> = requests.iter().map(Request::line).collect();
    lines.join("\n")
}

#[tokio::test]
async fn a_controller_with_nothing_to_do_keeps_its_lease_and_its_watches_and_seldom_lists_pods() {
    let team = Team::alone().await;
    // A finished Job and one that waits are nothing to do.
    let agent = team.agent("text").await;
    team.finished(&team.job(&agent).await).await;
    team.pending(&team.job(&unique("nobody")).await, Reason::AgentNotFound)
        .await;
    tokio::time::sleep(AFTERWARDS).await;
    let since = Utc::now();
    tokio::time::sleep(IDLE).await;
    let asked = audit::by("controller", since);
    let (lists, others): (Vec<_>, Vec<_>) = asked.into_iter().partition(Request::lists_pods);
    assert!(others.is_empty(), "{}", told(&others));
    assert!(lists.len() <= 1, "{}", told(&lists));
}
