//! Pods that this process has seen and that no status knows yet. A pod's UID comes into its Job's status with
//! the next write that is due anyway; until then it is remembered here, so that a pod whose object somebody
//! takes away meanwhile is missed, and not made again while its agent may live.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, runtime::reflector::ObjectRef};

use crate::{api::job::Job, plan::facts::PodFacts};

/// The last attempt's pod of one Job.
struct Sighting {
    job_uid: Option<String>,
    pod: String,
    uid: String,
}

/// By namespace and name of the Job.
#[derive(Default)]
pub struct Sightings {
    last: Mutex<BTreeMap<(String, String), Sighting>>,
}

impl Sightings {
    /// Takes in what is seen of the last attempt's pod, and puts its UID into a status that lacks it.
    pub fn complete(&self, job: &mut Job, seen: Option<&Pod>) {
        let key = (job.namespace().unwrap_or_default(), job.name_any());
        let job_uid = job.uid();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(status) = &mut job.status else {
            return;
        };
        if status.is_final() {
            last.remove(&key);
            return;
        }
        let Some(attempt) = status.attempts.last_mut().filter(|it| it.uid.is_none()) else {
            return;
        };
        let ours =
            |pod: &&Pod| pod.name_any() == attempt.pod && PodFacts::from(*pod).owner == job_uid;
        if let Some(uid) = seen.filter(ours).and_then(|pod| pod.uid()) {
            let sighting = Sighting {
                job_uid: job_uid.clone(),
                pod: attempt.pod.clone(),
                uid,
            };
            last.insert(key.clone(), sighting);
        }
        attempt.uid = last
            .get(&key)
            .filter(|it| it.job_uid == job_uid && it.pod == attempt.pod)
            .map(|it| it.uid.clone());
    }

    /// The Job is gone.
    pub fn forget(&self, job: &ObjectRef<Job>) {
        let key = (job.namespace.clone().unwrap_or_default(), job.name.clone());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.remove(&key);
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
        sightings.forget(&ObjectRef::from_obj(&job("job-uid")));
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
}
