//! Promise: the controller asks the API server for little, and for nothing when there is nothing to do.

use std::time::Duration;

use chrono::Utc;
use herdctl::api::{
    job::POD_FINALIZER,
    reason::{ExitReason, Reason},
};
use kube::ResourceExt;

use crate::{
    audit::by_controller,
    status::assert_ended,
    team::{Team, namespace::TEAM_A, unique},
    wait::{RUN, until},
};

/// Intent, pod, running, final and release, and one to add the Job's finalizer.
const MOST: usize = 6;
/// What the controller does within this time after a Job's end is counted too.
const AFTERWARDS: Duration = Duration::from_secs(5);
/// How long the controller is watched while there is nothing to do.
const IDLE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_normal_job_costs_six_requests_at_most_beside_events() {
    let team = Team::alone().await;
    let agent = team.agent("text").await;
    let since = Utc::now();
    let job = team.job(&agent).await;
    assert_ended(
        &team.finished(&job).await,
        ExitReason::Success,
        Reason::Completed,
    );
    let pod = format!("{job}-1");
    until(&team.pods(), &pod, "released", RUN, |pod| {
        !pod.finalizers().iter().any(|name| name == POD_FINALIZER)
    })
    .await;
    tokio::time::sleep(AFTERWARDS).await;
    let mut requests = by_controller(since);
    requests.retain(|request| request.touches(TEAM_A, &[&job, &pod]));
    let (events, requests): (Vec<_>, Vec<_>) =
        requests.into_iter().partition(|request| request.is_event());
    let lines: Vec<String> = requests.iter().map(|request| request.line()).collect();
    println!(
        "{} requests and {} events:\n{}",
        lines.len(),
        events.len(),
        lines.join("\n")
    );
    assert!(
        requests.iter().any(|request| request.created_pod(&pod)),
        "the log does not tell it all: {lines:#?}"
    );
    assert!(lines.len() <= MOST, "{lines:#?}");
}

#[tokio::test]
async fn a_controller_with_nothing_to_do_keeps_its_lease_and_its_watches_and_asks_nothing_else() {
    let team = Team::alone().await;
    // A finished Job and one that waits are nothing to do.
    let agent = team.agent("text").await;
    team.finished(&team.job(&agent).await).await;
    team.pending(&team.job(&unique("nobody")).await, Reason::AgentNotFound)
        .await;
    tokio::time::sleep(AFTERWARDS).await;
    let since = Utc::now();
    tokio::time::sleep(IDLE).await;
    let lines: Vec<String> = by_controller(since)
        .iter()
        .map(|request| request.line())
        .collect();
    assert!(lines.is_empty(), "{lines:#?}");
}
