//! Which Job was created last, and by whom. Kubernetes keeps the second in which an object was created and
//! not who did it; so `herdctl` writes both into annotations of the Jobs it creates. `@last` needs them: two
//! Jobs may share a second, and a Job is stopped as `@last` only by the user who created it.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use kube::api::ObjectMeta;

use super::view;

/// The user who created the Job, as the API server knows them.
const BY: &str = "herdctl.dev/created-by";
/// When, by the clock of that user's machine.
const AT: &str = "herdctl.dev/created-at";
/// Annotations are believed if they are no further from the object's own time. Of an object that was
/// exported and created again they say nothing.
const BELIEVED: TimeDelta = TimeDelta::minutes(10);

/// The annotations of a Job that this user creates now.
pub fn annotations(user: &str, now: DateTime<Utc>) -> BTreeMap<String, String> {
    let at = now.to_rfc3339_opts(SecondsFormat::Nanos, true);
    BTreeMap::from([(BY.to_owned(), user.to_owned()), (AT.to_owned(), at)])
}

/// The user who created this Job with `herdctl`; none where that is not known.
pub fn by(job: &ObjectMeta) -> Option<&str> {
    at(job)?;
    job.annotations.as_ref()?.get(BY).map(String::as_str)
}

/// When exactly, as far as it can be believed.
pub fn at(job: &ObjectMeta) -> Option<DateTime<Utc>> {
    let told: DateTime<Utc> = job.annotations.as_ref()?.get(AT)?.parse().ok()?;
    let apart = (told - view::created(job)?).abs();
    (apart <= BELIEVED).then_some(told)
}

/// The Job that was created last. Several, if they share a second and nothing tells them apart: clocks are
/// compared only where one user created them all.
pub fn last(jobs: &[ObjectMeta]) -> Vec<&ObjectMeta> {
    let newest = jobs.iter().filter_map(view::created).max();
    let candidates: Vec<&ObjectMeta> = jobs
        .iter()
        .filter(|job| view::created(job) == newest)
        .collect();
    let creators = candidates.iter().map(|job| by(job));
    let one_clock = creators.clone().all(|by| by.is_some()) && {
        let mut creators: Vec<_> = creators.collect();
        creators.dedup();
        creators.len() == 1
    };
    if !one_clock {
        return candidates;
    }
    let latest = candidates.iter().filter_map(|job| at(job)).max();
    let is_latest = |job: &&ObjectMeta| at(job) == latest;
    candidates.into_iter().filter(is_latest).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(name: &str, created: &str, annotations: Option<(&str, &str)>) -> ObjectMeta {
        let mut job = json!({"name": name, "creationTimestamp": created});
        if let Some((by, at)) = annotations {
            job["annotations"] = json!({BY: by, AT: at});
        }
        serde_json::from_value(job).unwrap()
    }

    fn names(jobs: &[ObjectMeta]) -> Vec<&str> {
        let last = last(jobs).into_iter();
        last.filter_map(|job| job.name.as_deref()).collect()
    }

    const SECOND: &str = "2026-01-02T03:04:05Z";

    #[test]
    fn a_later_second_decides() {
        let jobs = [
            job("z", SECOND, Some(("jane", "2026-01-02T03:04:09Z"))),
            job("a", "2026-01-02T03:04:06Z", None),
        ];
        assert_eq!(names(&jobs), ["a"]);
        assert_eq!(names(&[]), [""; 0]);
    }

    #[test]
    fn within_a_second_the_finer_time_of_one_user_decides() {
        let first = job(
            "z",
            SECOND,
            Some(("jane", "2026-01-02T03:04:05.000000001Z")),
        );
        let second = job(
            "a",
            SECOND,
            Some(("jane", "2026-01-02T03:04:05.000000002Z")),
        );
        assert_eq!(names(&[first.clone(), second.clone()]), ["a"]);
        assert_eq!(names(&[second, first]), ["a"]);
    }

    #[test]
    fn what_nothing_tells_apart_stays_undecided() {
        let mine = job("a", SECOND, Some(("jane", "2026-01-02T03:04:05.5Z")));
        for other in [
            job("b", SECOND, None),
            job("b", SECOND, Some(("joe", "2026-01-02T03:04:05.1Z"))),
            // It was exported last year and created again.
            job("b", SECOND, Some(("jane", "2025-01-02T03:04:05.1Z"))),
        ] {
            assert_eq!(names(&[mine.clone(), other]), ["a", "b"]);
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let now: DateTime<Utc> = "2026-01-02T03:04:05.123456789Z".parse().unwrap();
        let mut written = job("a", SECOND, None);
        written.annotations = Some(annotations("jane", now));
        assert_eq!((by(&written), at(&written)), (Some("jane"), Some(now)));
    }
}
