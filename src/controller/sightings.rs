//! Pods that this process has seen and that no status knows yet. A pod's UID comes into its Job's status with
//! the next write that is due anyway; until then it is remembered here, so that a pod whose object somebody
//! takes away meanwhile is missed, and not made again while its agent may live.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::{api::job::Job, plan::facts::PodFacts};

/// The pod of a Job's newest attempt.
struct Sighting {
    attempt: u32,
    pod: String,
    uid: String,
}

/// By UID of the Job.
#[derive(Default)]
pub struct Sightings {
    last: Mutex<BTreeMap<String, Sighting>>,
}

impl Sightings {
    /// Takes in what is seen of the last attempt's pod, and puts its UID into a status that lacks it. A Job
    /// as it was before, from a cache that is behind, makes nothing of a later attempt forgotten.
    pub fn complete(&self, job: &mut Job, seen: Option<&Pod>) {
        let (Some(job_uid), Some(status)) = (job.uid(), &mut job.status) else {
            return;
        };
        if status.is_final() {
            return self.forget(&job_uid);
        }
        let Some(attempt) = status.attempts.last_mut().filter(|it| it.uid.is_none()) else {
            return;
        };
        let mut last = self.last();
        let is_ours = |pod: &&Pod| {
            pod.name_any() == attempt.pod && PodFacts::from(*pod).owner.as_ref() == Some(&job_uid)
        };
        let known = last.get(&job_uid);
        let is_new = known.is_none_or(|it| it.attempt <= attempt.number);
        if is_new && let Some(uid) = seen.filter(is_ours).and_then(|pod| pod.uid()) {
            let sighting = Sighting {
                attempt: attempt.number,
                pod: attempt.pod.clone(),
                uid,
            };
            last.insert(job_uid.clone(), sighting);
        }
        attempt.uid = last
            .get(&job_uid)
            .filter(|it| it.pod == attempt.pod)
            .map(|it| it.uid.clone());
    }

    /// The Job of this UID has ended, or is gone.
    pub fn forget(&self, job_uid: &str) {
        self.last().remove(job_uid);
    }

    fn last(&self) -> MutexGuard<'_, BTreeMap<String, Sighting>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::{
            job::{Attempt, JobSpec, JobStatus},
            reason::Phase,
        },
        plan::facts::tests::pod,
    };

    /// The Job that `pod` belongs to, or one of its name, in its first attempt.
    fn job(uid: &str) -> Job {
        let mut job = Job::new("hello", JobSpec::default());
        job.metadata.namespace = Some("team-a".into());
        job.metadata.uid = Some(uid.into());
        job.status = Some(JobStatus {
            attempts: vec![Attempt {
                number: 1,
                pod: "hello-1".into(),
                ..Attempt::default()
            }],
            ..JobStatus::default()
        });
        job
    }

    fn completed(sightings: &Sightings, mut job: Job, seen: Option<&Pod>) -> Option<String> {
        sightings.complete(&mut job, seen);
        job.status.unwrap().attempts[0].uid.clone()
    }

    #[test]
    fn a_pod_that_was_seen_once_is_known_until_its_job_has_ended_or_is_gone() {
        let (sightings, pod) = (Sightings::default(), pod(json!({})));
        assert_eq!(completed(&sightings, job("job-uid"), None), None);
        let known = Some("pod-uid".to_owned());
        assert_eq!(completed(&sightings, job("job-uid"), Some(&pod)), known);
        assert_eq!(completed(&sightings, job("job-uid"), None), known);
        let mut ended = job("job-uid");
        ended.status.as_mut().unwrap().phase = Some(Phase::Completed);
        completed(&sightings, ended, None);
        assert_eq!(completed(&sightings, job("job-uid"), None), None);
        completed(&sightings, job("job-uid"), Some(&pod));
        sightings.forget("job-uid");
        assert_eq!(completed(&sightings, job("job-uid"), None), None);
    }

    #[test]
    fn the_pod_of_another_job_or_attempt_says_nothing() {
        let (sightings, pod) = (Sightings::default(), pod(json!({})));
        assert_eq!(completed(&sightings, job("later"), Some(&pod)), None);
        completed(&sightings, job("job-uid"), Some(&pod));
        assert_eq!(completed(&sightings, job("later"), None), None);
        let mut second = job("job-uid");
        second.status.as_mut().unwrap().attempts[0].pod = "hello-2".into();
        assert_eq!(completed(&sightings, second, Some(&pod)), None);
    }

    #[test]
    fn a_job_as_it_was_before_makes_nothing_of_its_later_attempt_forgotten() {
        let (sightings, first) = (Sightings::default(), pod(json!({})));
        let mut second = first.clone();
        second.metadata.name = Some("hello-2".into());
        second.metadata.uid = Some("second-uid".into());
        let mut later = job("job-uid");
        let attempt = &mut later.status.as_mut().unwrap().attempts[0];
        attempt.number = 2;
        attempt.pod = "hello-2".into();
        let known = Some("second-uid".to_owned());
        assert_eq!(completed(&sightings, later.clone(), Some(&second)), known);
        completed(&sightings, job("job-uid"), Some(&first));
        assert_eq!(completed(&sightings, later, None), known);
    }
}
