//! Pods whose Job is gone. It takes somebody who removed the Job's finalizer by hand; our own finalizer
//! would then hold the pod, and its namespace, for ever.

use kube::{ResourceExt, runtime::reflector::ObjectRef};
use tracing::info;

use super::{reconcile::Context, watches};
use crate::{api::job::Job, kubernetes::call::CallError, plan::facts::PodFacts};

/// Ends and releases the pods of a Job that the cache does not know, after asking the API server.
pub async fn release(job: &ObjectRef<Job>, context: &Context) -> Result<(), CallError> {
    if !context.leader.may_write() {
        return Ok(());
    }
    for pod in watches::pods_of(&context.caches, job) {
        let facts = PodFacts::from(pod.as_ref());
        let namespace = pod.namespace();
        if !facts.held {
            continue;
        }
        let owner = context
            .cluster
            .look_up_job(namespace.as_deref().unwrap_or_default(), &job.name)
            .await?;
        if owner.is_some_and(|found| found.metadata.uid == facts.owner) {
            continue;
        }
        info!(
            pod = facts.name,
            namespace,
            job = job.name,
            "the pod's Job is gone"
        );
        if facts.is_dead() {
            context.cluster.release_pod(&pod).await?;
        } else if !facts.deleting {
            context
                .cluster
                .delete_pod(namespace.as_deref(), &facts.name, &facts.uid, None)
                .await?;
        }
    }
    Ok(())
}
