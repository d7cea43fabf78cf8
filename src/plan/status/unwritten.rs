//! What becomes of a Job whose status the API server never takes. The Job ends with what can be written: its
//! outcome, without anything of another's making, since that is what was too large or not understood. Where
//! not even that is taken and the Job is being deleted, it ends as if it had been.

use chrono::{DateTime, Utc};

use super::{MAX_MESSAGE_BYTES, complete, decide, duration_text, with_conditions};
use crate::{
    api::{
        job::{Attempt, Job, JobStatus},
        reason::Reason,
        text::{self, Clean},
    },
    plan::{
        evidence::{self, Asked},
        facts,
        outcome::Outcome,
        refused_write::is_too_large,
    },
};

/// Of the API server's words. What follows is seldom of use, and often quotes the value that was refused.
const MAX_WORDS_BYTES: usize = 400;

/// What is written in place of this status, which the API server never takes.
pub fn reduced(job: &Job, next: &JobStatus, words: &str, now: DateTime<Utc>) -> JobStatus {
    let old = job.status.clone().unwrap_or_default();
    let mut status = JobStatus {
        session_id: next.session_id.clone(),
        started_at: next.started_at,
        resumed_from: next.resumed_from.clone(),
        // An attempt that is not known yet has no pod.
        attempts: old.attempts.iter().map(|it| plain(it, next)).collect(),
        observed_generation: job.metadata.generation,
        // The store's, which are not ours to write.
        report: old.report,
        progress: old.progress,
        output: old.output,
        conditions: old.conditions,
        ..JobStatus::default()
    };
    status.conditions.retain(|it| it.type_.is_the_stores());
    let at = next.completed_at.unwrap_or(now);
    complete(&mut status, at);
    decide(&mut status, &outcome(job, next, words));
    with_conditions(status, now)
}

/// The attempt as it is to be, in our own words alone.
fn plain(old: &Attempt, next: &JobStatus) -> Attempt {
    let now = next.attempts.iter().find(|it| it.number == old.number);
    Attempt {
        why: None,
        ..now.unwrap_or(old).clone()
    }
}

fn outcome(job: &Job, next: &JobStatus, words: &str) -> Outcome {
    let words = printable(words);
    if let (true, Some(reason)) = (next.is_final(), next.reason) {
        let message = next.message.as_deref().map(printable).unwrap_or_default();
        return Outcome {
            reason,
            message: cut(&format!(
                "{message}; more can't be written, since the API server does not take it: {words}"
            )),
        };
    }
    let asked = Asked {
        cancel: job.spec.cancel == Some(true),
        deletion: job.metadata.deletion_timestamp.is_some(),
        ..Asked::default()
    };
    if let Some(outcome) = evidence::end_asked_for(asked) {
        return outcome;
    }
    let advice = if is_too_large(&words) {
        "the Job keeps its Agent's spec in its status, and both together are too large: move large values, mostly of spec.env, into a ConfigMap, a Secret or the image"
    } else {
        "see that the CRDs are of the operator's version (helm upgrade), and correct what these words name"
    };
    Outcome {
        reason: if next.started_at.is_some() {
            Reason::RunnerError
        } else {
            Reason::InvalidPod
        },
        message: cut(&format!(
            "the Job's status can't be written, so the Job has ended: {words}; {advice}, and create another Job"
        )),
    }
}

/// What a status never fails for: whatever the API server's words quote is cut down to printable ASCII.
fn printable(words: &str) -> String {
    let plain = |c: char| if matches!(c, ' '..='~') { c } else { ' ' };
    let words: String = words.chars().map(plain).collect();
    Clean::line(&words, MAX_WORDS_BYTES).replace('…', "...")
}

fn cut(message: &str) -> String {
    text::cut(message, MAX_MESSAGE_BYTES).to_owned()
}

/// A deleted Job's status as it would be if it could be written: with it the pods are ended and let go, and
/// then the Job. All of its times are the deletion's, so that waiting for something has an end.
pub fn as_if_written(job: &Job, next: &JobStatus, now: DateTime<Utc>) -> JobStatus {
    let deleted = facts::time(job.metadata.deletion_timestamp.as_ref()).unwrap_or(now);
    let was_final = job.status.as_ref().is_some_and(JobStatus::is_final);
    let mut status = if next.is_final() {
        next.clone()
    } else {
        reduced(job, next, "", now)
    };
    if !was_final {
        status.completed_at = Some(deleted);
        status.duration = status.started_at.map(|it| duration_text(deleted - it));
    }
    for attempt in &mut status.attempts {
        attempt.closed = attempt.closed.map(|it| it.min(deleted)).or(Some(deleted));
    }
    status
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};

    use super::*;
    use crate::api::{
        job::{CapturedAgent, JobSpec},
        reason::Phase,
        verdict::Text,
    };

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn job() -> Job {
        let mut job = Job::new("hello", JobSpec::default());
        job.status = Some(JobStatus {
            phase: Some(Phase::Running),
            reason: Some(Reason::Working),
            agent: Some(CapturedAgent::default()),
            started_at: Some(at(1)),
            attempts: vec![Attempt {
                number: 1,
                pod: "hello-1".into(),
                uid: Some("pod-uid".into()),
                why: Some("\u{fffe}".into()),
                ..Attempt::default()
            }],
            ..JobStatus::default()
        });
        job
    }

    #[test]
    fn an_outcome_is_kept_and_what_others_said_is_not() {
        let job = job();
        let next = JobStatus {
            phase: Some(Phase::Completed),
            reason: Some(Reason::Completed),
            message: Some("it said \u{fffe}".into()),
            result: Some(Text::default()),
            completed_at: Some(at(9)),
            ..job.status.clone().unwrap()
        };
        let written = reduced(&job, &next, "yaml: control characters \u{7f}", at(10));
        assert_eq!(
            (written.phase, written.reason, written.completed_at),
            (Some(Phase::Completed), Some(Reason::Completed), Some(at(9)))
        );
        assert_eq!((&written.result, &written.agent), (&None, &None));
        assert_eq!(written.attempts[0].why, None);
        assert_eq!(written.attempts[0].uid.as_deref(), Some("pod-uid"));
        let text = serde_json::to_string(&written).unwrap();
        assert!(
            text.is_ascii() && text.contains("control characters"),
            "{text}"
        );
    }

    #[test]
    fn a_job_that_goes_on_ends_with_the_words_of_the_api_server() {
        let mut running = job();
        let next = running.status.clone().unwrap();
        let end = |job: &Job, next: &JobStatus, words: &str| {
            let written = reduced(job, next, words, at(10));
            (written.reason, written.message.unwrap_or_default())
        };
        let (reason, message) = end(&running, &next, "etcdserver: request is too large");
        assert_eq!(reason, Some(Reason::RunnerError));
        assert!(
            message.contains("too large") && message.contains("spec.env"),
            "{message}"
        );
        let fresh = JobStatus::default();
        let (reason, message) = end(&running, &fresh, "status.reason: Unsupported value");
        assert_eq!(reason, Some(Reason::InvalidPod));
        assert!(
            message.contains("Unsupported value") && message.contains("CRDs"),
            "{message}"
        );
        running.spec.cancel = Some(true);
        let (reason, _) = end(&running, &next, "no");
        assert_eq!(reason, Some(Reason::Cancelled));
    }

    #[test]
    fn a_job_that_is_deleted_ends_as_if_that_were_written_at_its_deletion() {
        let mut job = job();
        let time = Timestamp::from_second(at(5).timestamp()).unwrap();
        job.metadata.deletion_timestamp = Some(Time(time));
        let next = job.status.clone().unwrap();
        let status = as_if_written(&job, &next, at(99));
        assert_eq!(status.reason, Some(Reason::JobDeleted));
        assert_eq!(status.completed_at, Some(at(5)));
        assert_eq!(status.attempts[0].closed, Some(at(5)));
    }
}
