//! Jobs that wait for something a person must do, or for longer than a start takes. Two Jobs wait for the same
//! only where reason and message are the same; else one would be told the other's cause.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::finding::Finding;
use crate::{
    api::reason::Reason,
    cli::view::{JobView, count, short},
    uninstall::some_of,
};

/// Images are large and nodes come late; after this somebody should look.
const LONG: TimeDelta = TimeDelta::minutes(3);
/// So many causes of one reason are told.
const CAUSES: usize = 5;

/// For what, and whether only a wait that takes long is worth a word.
const REASONS: [(Reason, &str, bool); 5] = [
    (
        Reason::ConfigMissing,
        "wait for a Secret or ConfigMap that is missing",
        false,
    ),
    (
        Reason::AgentNotFound,
        "wait for an Agent that does not exist",
        false,
    ),
    (Reason::QuotaExceeded, "wait for room in a quota", false),
    (Reason::ImagePull, "have waited long for their image", true),
    (Reason::Scheduling, "have waited long for a node", true),
];

/// A line for each cause.
pub fn findings(open: &[JobView], everywhere: bool, now: DateTime<Utc>) -> Vec<Finding> {
    let of_reason = |(reason, what, only_long): (Reason, &str, bool)| {
        let causes = causes(open, reason, |job| !only_long || waits_long(job, now));
        let mut causes: Vec<_> = causes.into_iter().collect();
        // What holds up most comes first.
        causes.sort_by_key(|(_, jobs)| std::cmp::Reverse(jobs.len()));
        let rest = causes.split_off(causes.len().min(CAUSES));
        let more = rest.iter().map(|(_, jobs)| jobs.len()).sum();
        let told = causes
            .into_iter()
            .map(|(message, jobs)| finding(what, &message, &jobs, everywhere));
        told.chain(others(reason, what, more, everywhere))
            .collect::<Vec<_>>()
    };
    REASONS.into_iter().flat_map(of_reason).collect()
}

fn causes(
    open: &[JobView],
    reason: Reason,
    counts: impl Fn(&JobView) -> bool,
) -> BTreeMap<String, Vec<&JobView>> {
    let mut causes: BTreeMap<String, Vec<&JobView>> = BTreeMap::new();
    let waiting = open.iter().filter(|job| job.reason() == Some(reason));
    for job in waiting.filter(|job| counts(job)) {
        let message = job.text("/status/message");
        causes.entry(message).or_default().push(job);
    }
    causes
}

/// Since the attempt that is to start was intended; before the first, since the Job was created.
fn waits_long(job: &JobView, now: DateTime<Utc>) -> bool {
    let attempt = job.attempt().map(|attempt| attempt.intended);
    let since = attempt.or_else(|| job.created());
    since.is_some_and(|since| now - since >= LONG)
}

fn finding(what: &str, message: &str, jobs: &[&JobView], everywhere: bool) -> Finding {
    let named = |job: &&JobView| match everywhere {
        true => format!("{}/{}", job.namespace(), short(job.name())),
        false => short(job.name()).to_owned(),
    };
    let names: Vec<String> = jobs.iter().map(named).collect();
    let mut words = format!("Jobs {what}: {}", some_of(&names));
    if !message.is_empty() {
        words.push_str(&format!(": {message}"));
    }
    let finding = Finding::warning("jobs", words);
    match jobs.first() {
        Some(first) => finding.next(format!(
            "{{program}} jobs show {} -n {}",
            short(first.name()),
            first.namespace()
        )),
        None => finding,
    }
}

fn others(reason: Reason, what: &str, more: usize, everywhere: bool) -> Option<Finding> {
    let all = if everywhere { " -A" } else { "" };
    let words = format!(
        "{} more {what}, with other messages",
        count(more as u64, "Job")
    );
    (more > 0).then(|| {
        Finding::warning("jobs", words)
            .next(format!("{{program}} jobs list --reason {reason}{all}"))
    })
}
