//! What happens to a Job before its first line: told beside the output, since a person who waits wants to
//! know for what.

use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt, stream};
use kube::runtime::{WatchStreamExt, watcher};

use super::{cluster::Cluster, play::Stage, time, view::JobView};
use crate::api::reason::{Phase, Reason};

/// A watch whose connection has silently died is noticed when the server should have ended it.
pub const WATCH_SECONDS: u32 = 60;

/// A Job as it changes, beginning with how it is; it ends when the Job is deleted.
pub fn changes(cluster: &Cluster, name: &str) -> impl Stream<Item = JobView> + use<> {
    let config = watcher::Config::default()
        .fields(&format!("metadata.name={name}"))
        .timeout(WATCH_SECONDS);
    watcher(cluster.jobs(false), config)
        .default_backoff()
        .filter_map(async |change| match change {
            Ok(watcher::Event::Apply(job) | watcher::Event::InitApply(job)) => Some(Some(job)),
            Ok(watcher::Event::Delete(_)) => Some(None),
            Ok(watcher::Event::Init | watcher::Event::InitDone) | Err(_) => None,
        })
        .take_while(|job| std::future::ready(job.is_some()))
        .filter_map(async |job| job.map(JobView))
}

/// The stages that a Job goes through, until it has ended.
pub fn stages(cluster: &Cluster, name: &str) -> impl Stream<Item = Stage> + use<> {
    let mut last: Option<(String, DateTime<Utc>)> = None;
    let mut troubled = String::new();
    changes(cluster, name)
        .take_while(|job| std::future::ready(!job.is_final()))
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

fn stage(job: &JobView) -> String {
    let phase = job.phase_word();
    if job.phase() == Some(Phase::Running) {
        let attempts = job.attempts();
        let node = attempts.last().and_then(|attempt| attempt.node.as_deref());
        return node.map_or(phase.clone(), |node| format!("{phase} on {node}"));
    }
    format!("{phase} {}", job.text("/status/reason"))
        .trim_end()
        .to_owned()
}

/// What somebody must do something about.
fn trouble(job: &JobView) -> String {
    match job.field("/status/reason") {
        Some(Reason::ConfigMissing | Reason::AgentNotFound | Reason::QuotaExceeded) => {
            job.text("/status/message")
        }
        _ => String::new(),
    }
}
