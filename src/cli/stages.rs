//! A Job, watched: how it ends, and what happens before its first line, told beside the output, since a
//! person who waits wants to know for what.

use std::future::ready;

use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt, stream};
use kube::runtime::{WatchStreamExt, watcher};
use tokio::time::Instant;

use super::{
    cluster::{Cluster, explain},
    error::CliError,
    play::Stage,
    record::GRACE,
    time,
    view::JobView,
};
use crate::api::reason::{Phase, Reason};

/// A watch whose connection has silently died is noticed when the server should have ended it.
pub const WATCH_SECONDS: u32 = 60;

/// A Job as it changes, beginning with how it is; it ends when the Job is deleted, or is not there. After
/// an error it is tried again.
pub fn changes(
    cluster: &Cluster,
    name: &str,
) -> impl Stream<Item = Result<JobView, watcher::Error>> + use<> {
    let config = watcher::Config::default()
        .fields(&format!("metadata.name={name}"))
        .timeout(WATCH_SECONDS);
    let mut listed = false;
    watcher(cluster.jobs(false), config)
        .default_backoff()
        .filter_map(move |change| {
            ready(match change {
                Ok(watcher::Event::Apply(job)) => Some(Some(Ok(JobView::from(job)))),
                Ok(watcher::Event::Delete(_)) => Some(None),
                Ok(watcher::Event::Init) => {
                    listed = false;
                    None
                }
                Ok(watcher::Event::InitApply(job)) => {
                    listed = true;
                    Some(Some(Ok(JobView::from(job))))
                }
                // What was deleted while nobody watched has no event of its own.
                Ok(watcher::Event::InitDone) => (!listed).then_some(None),
                Err(error) => Some(Some(Err(error))),
            })
        })
        .take_while(|change| ready(change.is_some()))
        .filter_map(ready)
}

/// A Job as soon as it is so; none if it was deleted meanwhile. An error where the right to see it is
/// missing: whatever else keeps the watch from it passes.
pub async fn until(
    cluster: &Cluster,
    name: &str,
    is_so: fn(&JobView) -> bool,
) -> Result<Option<JobView>, CliError> {
    let mut changes = std::pin::pin!(changes(cluster, name));
    let (mut seen, mut refused) = (false, None);
    while let Some(change) = changes.next().await {
        match change {
            Ok(job) if is_so(&job) => return Ok(Some(job)),
            Ok(_) => (seen, refused) = (true, None),
            Err(error) => {
                let Some(refusal) = refusal(cluster, &error, false) else {
                    continue;
                };
                let since = *refused.get_or_insert_with(Instant::now);
                if !seen || since.elapsed() >= GRACE {
                    return Err(refusal);
                }
            }
        }
    }
    Ok(None)
}

/// Words for a watch that the API server does not allow.
pub fn refusal(cluster: &Cluster, error: &watcher::Error, everywhere: bool) -> Option<CliError> {
    let (verb, error) = match error {
        watcher::Error::InitialListFailed(error) => ("list", error),
        watcher::Error::WatchStartFailed(error) => ("watch", error),
        _ => return None,
    };
    let refused = matches!(error, kube::Error::Api(status) if matches!(status.code, 401 | 403));
    let request = cluster
        .request(verb, "jobs.herdctl.dev")
        .everywhere(everywhere);
    refused.then(|| explain::explain(&request, error))
}

/// The stages that a Job goes through, until it has ended.
pub fn stages(cluster: &Cluster, name: &str) -> impl Stream<Item = Stage> + use<> {
    let mut last: Option<(String, DateTime<Utc>)> = None;
    let mut troubled = String::new();
    changes(cluster, name)
        // Told beside the output: whoever may not watch does without.
        .filter_map(|change| ready(change.ok()))
        .take_while(|job| ready(!job.is_final()))
        .flat_map(move |job| {
            let now = Utc::now();
            let mut told = Vec::new();
            let stage = stage(&job);
            if last.as_ref().is_none_or(|(last, _)| *last != stage) {
                let since = last.replace((stage.clone(), now));
                told.extend(since.map(|(_, since)| Stage::Took(time::span(now - since))));
                told.push(Stage::Entered(stage));
            }
            let trouble = trouble(&job);
            if trouble != troubled {
                troubled = trouble;
                told.extend((!troubled.is_empty()).then(|| Stage::Trouble(troubled.clone())));
            }
            stream::iter(told)
        })
}

/// What keeps a Job from going on, until it has ended.
pub fn troubles(cluster: &Cluster, name: &str) -> impl Stream<Item = Stage> + use<> {
    stages(cluster, name).filter(|stage| ready(matches!(stage, Stage::Trouble(_))))
}

fn stage(job: &JobView) -> String {
    let stage = job.outcome();
    let attempts = job.attempts();
    let node = attempts.last().and_then(|attempt| attempt.node.as_deref());
    match node.filter(|_| job.phase() == Some(Phase::Running)) {
        Some(node) => format!("{stage} on {node}"),
        None => stage,
    }
}

/// What somebody must do something about, or wait for.
fn trouble(job: &JobView) -> String {
    match job.reason() {
        // Its message still says how to resume it.
        Some(Reason::Suspended) if !job.is_to_pause() => String::new(),
        Some(
            Reason::ConfigMissing
            | Reason::AgentNotFound
            | Reason::QuotaExceeded
            | Reason::Suspended
            | Reason::Recovering,
        ) => job.text("/status/message"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(status: Value) -> JobView {
        let object = json!({"apiVersion": "herdctl.dev/v1alpha1", "kind": "Job",
            "metadata": {"name": "a"}, "spec": {"agent": "x", "suspend": true}, "status": status});
        JobView(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_stage_says_where_the_agent_works_and_what_else_goes_on() {
        let attempts = json!([{"number": 1, "pod": "a-1", "node": "node-2", "intended": "2026-01-02T12:00:00Z"}]);
        for (phase, reason, told) in [
            ("pending", "Scheduling", "pending Scheduling"),
            ("running", "Working", "running on node-2"),
            ("running", "Suspending", "running Suspending on node-2"),
            ("pending", "Suspended", "pending Suspended"),
        ] {
            let job = job(json!({"phase": phase, "reason": reason, "attempts": attempts}));
            assert_eq!(stage(&job), told);
        }
    }

    #[test]
    fn what_a_job_waits_for_that_goes_on_later_is_told() {
        for (reason, told) in [("Suspended", "m"), ("Recovering", "m"), ("ImagePull", "")] {
            let job = job(json!({"phase": "pending", "reason": reason, "message": "m"}));
            assert_eq!(trouble(&job), told, "{reason}");
        }
    }

    #[test]
    fn a_job_that_was_just_resumed_is_not_told_to_be_paused() {
        let mut job = job(json!({"phase": "pending", "reason": "Suspended", "message": "m"}));
        assert_eq!(trouble(&job), "m");
        job.0.data["spec"]["suspend"] = false.into();
        assert_eq!(trouble(&job), "");
    }
}
