//! Whether the holder of a pod's token may feed an attempt's stream. A cache that is behind the cluster
//! must never stop an agent, and an attempt that is over must never start one: so what is not known yet
//! is asked again, and only what is known to be over is fenced.

use super::{facts::PodFacts, identity::BoundPod, pod};
use crate::api::{
    job::{Attempt, Job, JobStatus},
    protocol::{Refusal, RefusalReason},
};

/// Where a request wants to write, and with whose token.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    pub namespace: &'a str,
    pub job: &'a str,
    pub attempt: u32,
    pub pod: &'a BoundPod,
}

/// Decides by names alone, so that nobody learns of a Job that is none of his business.
pub fn by_name(asking: Asking<'_>) -> Result<(), Refusal> {
    let Asking {
        namespace,
        job,
        attempt,
        pod,
    } = asking;
    if pod.namespace == namespace && pod.name == pod::name(job, attempt) {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalReason::Forbidden,
        format!(
            "the token is of pod {} in namespace {}, which is not the pod of attempt {attempt} of Job {job} in {namespace}",
            pod.name, pod.namespace
        ),
    ))
}

/// Decides by the Job as the watch brought it.
pub fn to_attempt<'a>(job: &'a Job, asking: Asking<'_>) -> Result<&'a Attempt, Refusal> {
    let attempts = job.status.as_ref().map(|status| status.attempts.as_slice());
    let newest = attempts
        .unwrap_or_default()
        .iter()
        .max_by_key(|attempt| attempt.number)
        .filter(|newest| newest.number >= asking.attempt)
        .ok_or_else(|| {
            Refusal::new(
                RefusalReason::Retry,
                format!(
                    "attempt {} of Job {} is not known here yet",
                    asking.attempt, asking.job
                ),
            )
        })?;
    if newest.number > asking.attempt {
        return Err(fenced(format!(
            "attempt {} of Job {} is over: attempt {} has begun",
            asking.attempt, asking.job, newest.number
        )));
    }
    if newest.pod != asking.pod.name {
        return Err(Refusal::new(
            RefusalReason::Forbidden,
            format!(
                "the token is of pod {}, and attempt {} of Job {} runs in pod {}",
                asking.pod.name, asking.attempt, asking.job, newest.pod
            ),
        ));
    }
    if newest
        .uid
        .as_ref()
        .is_some_and(|uid| *uid != asking.pod.uid)
    {
        return Err(fenced(format!(
            "attempt {} of Job {} runs in another pod of this name",
            asking.attempt, asking.job
        )));
    }
    if newest.closed.is_some() {
        return Err(fenced(format!(
            "attempt {} of Job {} is closed: its pod is known to be dead",
            asking.attempt, asking.job
        )));
    }
    Ok(newest)
}

/// May a stream begin of which the store has nothing yet? Not for a final Job, whose agent must not start any
/// more; but an agent that started and ended while the store was away has all of its output still to bring.
pub fn may_begin(job: &Job, attempt: &Attempt) -> bool {
    let is_final = job.status.as_ref().is_some_and(JobStatus::is_final);
    !is_final || (attempt.started.is_some() && attempt.ended.is_some())
}

/// Decides by the pod as the API server knows it; none is one that is gone.
pub fn of_pod(pod: Option<&PodFacts>, job_uid: &str, asking: Asking<'_>) -> Result<(), Refusal> {
    let name = &asking.pod.name;
    match pod {
        None => Err(fenced(format!("pod {name} is gone"))),
        Some(pod) if pod.uid != asking.pod.uid => {
            Err(fenced(format!("pod {name} is another one by now")))
        }
        Some(pod) if pod.owner.as_deref() != Some(job_uid) => Err(Refusal::new(
            RefusalReason::Forbidden,
            format!("pod {name} does not belong to Job {}", asking.job),
        )),
        Some(_) => Ok(()),
    }
}

/// The attempt's stream belongs to the pod that was the first to prove it.
pub fn of_pinned(pinned: &str, asking: Asking<'_>) -> Result<(), Refusal> {
    if pinned == asking.pod.uid {
        return Ok(());
    }
    Err(fenced(format!(
        "attempt {} of Job {} is another pod's",
        asking.attempt, asking.job
    )))
}

/// For a Job that the API server says is gone.
pub fn of_gone_job(job: &str) -> Refusal {
    fenced(format!("Job {job} is gone"))
}

fn fenced(message: String) -> Refusal {
    Refusal::new(RefusalReason::Fenced, message)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use k8s_openapi::{
        api::core::v1::Pod,
        apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
    };

    use super::*;
    use crate::api::{job::JobSpec, reason::Phase};

    fn attempt(number: u32) -> Attempt {
        Attempt {
            number,
            pod: format!("hello-{number}"),
            uid: None,
            intended: DateTime::UNIX_EPOCH,
            ..Attempt::default()
        }
    }

    fn job(attempts: &[Attempt]) -> Job {
        let mut job = Job::new("hello", JobSpec::default());
        job.status = Some(JobStatus {
            attempts: attempts.to_vec(),
            ..JobStatus::default()
        });
        job
    }

    fn bound(name: &str, uid: &str) -> BoundPod {
        BoundPod {
            namespace: "team-a".into(),
            name: name.into(),
            uid: uid.into(),
        }
    }

    fn asking(pod: &BoundPod, attempt: u32) -> Asking<'_> {
        Asking {
            namespace: "team-a",
            job: "hello",
            attempt,
            pod,
        }
    }

    fn known(uid: &str) -> Attempt {
        Attempt {
            uid: Some(uid.into()),
            ..attempt(1)
        }
    }

    #[test]
    fn the_pod_of_the_newest_attempt_alone_is_let_in() {
        use RefusalReason::{Fenced, Forbidden, Retry};
        let first = bound("hello-1", "u1");
        let second = bound("hello-2", "u2");
        let closed = Attempt {
            closed: Some(DateTime::UNIX_EPOCH),
            ..known("u1")
        };
        for (attempts, pod, number, expected) in [
            (vec![], &first, 1, Some(Retry)),
            (vec![attempt(1)], &first, 1, None),
            (vec![known("u1")], &first, 1, None),
            (vec![known("u0")], &first, 1, Some(Fenced)),
            (vec![closed], &first, 1, Some(Fenced)),
            (vec![attempt(1)], &second, 2, Some(Retry)),
            (vec![attempt(1)], &second, 1, Some(Forbidden)),
            (vec![attempt(1), attempt(2)], &first, 1, Some(Fenced)),
            (vec![attempt(1), attempt(2)], &first, 2, Some(Forbidden)),
            (vec![attempt(2), attempt(1)], &second, 2, None),
            (vec![attempt(1)], &first, 0, Some(Fenced)),
        ] {
            let job = job(&attempts);
            let answer = to_attempt(&job, asking(pod, number));
            let reason = answer.as_ref().err().map(|refused| refused.reason);
            assert_eq!(reason, expected, "{attempts:?} {pod:?} {number}");
        }
    }

    #[test]
    fn of_a_final_job_only_what_an_agent_that_ran_has_left_may_begin() {
        let ran = |started: bool, ended: bool| Attempt {
            started: started.then_some(DateTime::UNIX_EPOCH),
            ended: ended.then_some(DateTime::UNIX_EPOCH),
            ..attempt(1)
        };
        for (phase, started, ended, expected) in [
            (Phase::Pending, false, false, true),
            (Phase::Running, true, false, true),
            (Phase::Completed, true, true, true),
            (Phase::Failed, true, true, true),
            // Cancelled before its start: the end is that of the Job.
            (Phase::Cancelled, false, true, false),
            (Phase::Failed, true, false, false),
        ] {
            let attempt = ran(started, ended);
            let mut job = job(std::slice::from_ref(&attempt));
            job.status.as_mut().unwrap().phase = Some(phase);
            let answer = may_begin(&job, &attempt);
            assert_eq!(answer, expected, "{phase:?} {started} {ended}");
        }
    }

    #[test]
    fn a_pod_of_another_name_or_namespace_is_refused_whatever_the_job() {
        let elsewhere = BoundPod {
            namespace: "team-b".into(),
            ..bound("hello-1", "u1")
        };
        for (pod, number, let_in) in [
            (bound("hello-1", "u1"), 1, true),
            (bound("hello-1", "u1"), 2, false),
            (bound("hello-12", "u1"), 1, false),
            (bound("hello-1-1", "u1"), 1, false),
            (elsewhere, 1, false),
        ] {
            let answer = by_name(asking(&pod, number));
            let reason = answer.err().map(|refused| refused.reason);
            let expected = (!let_in).then_some(RefusalReason::Forbidden);
            assert_eq!(reason, expected, "{pod:?} {number}");
        }
    }

    #[test]
    fn the_api_servers_pod_must_be_the_tokens_and_the_jobs() {
        let owned = |job: &str, controller| Pod {
            metadata: ObjectMeta {
                name: Some("hello-1".into()),
                uid: Some("u1".into()),
                owner_references: Some(vec![OwnerReference {
                    api_version: "herdctl.dev/v1alpha1".into(),
                    kind: "Job".into(),
                    name: "hello".into(),
                    uid: job.into(),
                    controller: Some(controller),
                    ..OwnerReference::default()
                }]),
                ..ObjectMeta::default()
            },
            ..Pod::default()
        };
        let pod = |uid| bound("hello-1", uid);
        use RefusalReason::{Fenced, Forbidden};
        for (seen, uid, expected) in [
            (Some(owned("job-uid", true)), "u1", None),
            (Some(owned("job-uid", false)), "u1", Some(Forbidden)),
            (Some(owned("another", true)), "u1", Some(Forbidden)),
            (Some(owned("job-uid", true)), "u2", Some(Fenced)),
            (None, "u1", Some(Fenced)),
        ] {
            let facts = seen.as_ref().map(PodFacts::from);
            let answer = of_pod(facts.as_ref(), "job-uid", asking(&pod(uid), 1));
            assert_eq!(
                answer.err().map(|refused| refused.reason),
                expected,
                "{seen:?}"
            );
        }
    }

    #[test]
    fn a_stream_stays_with_the_pod_that_began_it() {
        let pod = bound("hello-1", "u1");
        assert!(of_pinned("u1", asking(&pod, 1)).is_ok());
        let refused = of_pinned("u0", asking(&pod, 1)).unwrap_err();
        assert_eq!(refused.reason, RefusalReason::Fenced);
    }
}
