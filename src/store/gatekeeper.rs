//! The [`Gate`] of a real cluster: tokens are reviewed, Jobs come from the watch, pods are looked up once.

use std::{collections::HashSet, sync::Arc};

use kube::{Api, Client};

use super::{
    gate::{Gate, Named, RecordKey, Shipper, Source},
    jobs::Jobs,
    namespaces::Namespaces,
    pods::{Pods, gone_namespace, unanswered},
    tokens::Tokens,
};
use crate::{
    api::{
        job::{Job, JobStatus, ResumedFrom},
        protocol::{Refusal, RefusalReason},
    },
    kubernetes::call::call,
    plan::admission::{self, Asking},
};

/// See the module.
pub struct Gatekeeper {
    pub client: Client,
    pub tokens: Tokens,
    pub jobs: Jobs,
    pub pods: Arc<Pods>,
    pub namespaces: Arc<Namespaces>,
    /// Usernames of those who may read for others.
    pub readers: HashSet<String>,
}

impl Gate for Gatekeeper {
    async fn shipper(
        &self,
        token: &str,
        namespace: &str,
        job: &str,
        attempt: u32,
    ) -> Result<Shipper, Refusal> {
        let holder = self.tokens.holder(token).await?;
        let pod = holder.pod.as_ref().ok_or_else(|| {
            forbidden("this token is of no pod: only the pod of a Job's attempt may ship")
        })?;
        let asking = Asking {
            namespace,
            job,
            attempt,
            pod,
        };
        admission::by_name(asking)?;
        let known = self.job(namespace, job).await?;
        if known.status.as_ref().is_some_and(JobStatus::is_sealed) {
            // Its pod may be gone by now, and with it the token's worth; hardly anything is sent any more.
            self.tokens.holder_now(token).await?;
        }
        let fed = admission::to_attempt(&known, asking)?;
        let job_uid = known.metadata.uid.as_deref().unwrap_or_default();
        let namespace_uid = self
            .pods
            .admit(asking, &holder, job_uid, &self.namespaces)
            .await?;
        Ok(Shipper {
            record: RecordKey {
                namespace: namespace.to_owned(),
                namespace_uid,
                job: job.to_owned(),
                job_uid: job_uid.to_owned(),
            },
            attempt,
            pod_uid: pod.uid.clone(),
            agent: known.spec.agent.clone(),
            ended: !admission::may_begin(&known, fed),
            resumes: self.source(&known),
        })
    }

    async fn reader(&self, token: &str) -> Result<(), Refusal> {
        let holder = self.tokens.holder(token).await?;
        if self.readers.contains(&holder.username) {
            return Ok(());
        }
        Err(forbidden(
            "only the gateway reads here: ask the API server for joboutputs instead",
        ))
    }

    async fn whose(&self, namespace: &str, job: &str) -> Result<Named, Refusal> {
        // Never from memory alone: the name may be another's since a moment ago.
        let job_uid = self.uid_now(namespace, job).await?;
        if let Some(known) = self.jobs.get(namespace, job)
            && known.metadata.uid == job_uid
            && let Some(namespace_uid) = self.namespaces.of_job(&known).await.map_err(unanswered)?
        {
            return Ok(Named {
                namespace_uid,
                job_uid,
            });
        }
        let namespace_uid = self
            .namespaces
            .now(namespace)
            .await
            .map_err(unanswered)?
            .ok_or_else(|| gone_namespace(namespace))?;
        Ok(Named {
            namespace_uid,
            job_uid,
        })
    }
}

impl Gatekeeper {
    /// The Job as the watch has it. What it has not is new, or gone: the API server knows.
    async fn job(&self, namespace: &str, name: &str) -> Result<Arc<Job>, Refusal> {
        if let Some(job) = self.jobs.get(namespace, name) {
            return Ok(job);
        }
        if !self.jobs.are_known() {
            return Err(not_yet(name));
        }
        Err(match self.uid_now(namespace, name).await? {
            Some(_) => not_yet(name),
            None => admission::of_gone_job(name),
        })
    }

    /// Whose session a Job continues: the controller has pinned it.
    fn source(&self, job: &Job) -> Option<Source> {
        let from = job.status.as_ref()?.resumed_from.as_ref()?;
        let ResumedFrom { job: name, uid } = from.clone();
        let namespace = job.metadata.namespace.as_deref().unwrap_or_default();
        let known = self.jobs.get(namespace, &name);
        let ended = known
            .filter(|known| known.metadata.uid.as_ref() == Some(&uid))
            .is_some_and(|known| known.status.as_ref().is_some_and(JobStatus::is_final));
        Some(Source {
            job: name,
            job_uid: uid,
            ended,
        })
    }

    /// The UID of the Job that has this name, by the API server's word.
    async fn uid_now(&self, namespace: &str, name: &str) -> Result<Option<String>, Refusal> {
        let api: Api<Job> = Api::namespaced(self.client.clone(), namespace);
        let found = call("look the Job up", api.get_metadata_opt(name))
            .await
            .map_err(unanswered)?;
        Ok(found.and_then(|job| job.metadata.uid))
    }
}

fn not_yet(job: &str) -> Refusal {
    Refusal::new(
        RefusalReason::Retry,
        format!("Job {job} is not known here yet; try again"),
    )
}

fn forbidden(message: &str) -> Refusal {
    Refusal::new(RefusalReason::Forbidden, message)
}
