//! Pods whose Job is gone: its finalizer was removed by hand, or a leader that slept created the pod late. Our
//! own finalizer would hold them, and their namespace, for ever.

use std::{collections::BTreeMap, mem, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tracing::{info, warn};

use super::{
    reconcile::{Context, ReconcileError},
    writes::{self, Of, Sent},
};
use crate::{
    api::job::Job,
    kubernetes::Chain,
    plan::{facts::PodFacts, refused_write::Write},
};

/// How long until what failed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Looks after the pods of each Job that it is told is gone, until that is done. Passes over Jobs do not wait
/// for it.
pub async fn look_after(mut told: mpsc::UnboundedReceiver<ObjectRef<Job>>, context: Arc<Context>) {
    // In an order, since what is done should not depend on chance.
    let mut failed = BTreeMap::new();
    let mut again = Instant::now();
    loop {
        let news = if failed.is_empty() {
            Ok(told.recv().await)
        } else {
            timeout_at(again, told.recv()).await
        };
        let due = match news {
            Ok(None) => return,
            Ok(Some(job)) => vec![job],
            Err(_) => mem::take(&mut failed).into_values().collect(),
        };
        for job in due {
            let Err(error) = release(&job, &context).await else {
                continue;
            };
            // A refusal has been told where it was met.
            if !matches!(error, ReconcileError::NotLeading | ReconcileError::Refused) {
                warn!(%job, error = %Chain(&error), "an orphaned pod could not be let go; trying again");
            }
            if failed.is_empty() {
                again = Instant::now() + RETRY;
            }
            failed.insert((job.namespace.clone(), job.name.clone()), job);
        }
    }
}

/// Ends and releases the pods of a Job that the cache does not know.
pub async fn release(job: &ObjectRef<Job>, context: &Context) -> Result<(), ReconcileError> {
    see_off(context.caches.pods_of(job), job, context).await
}

/// Ends and releases the pods of Jobs that had this one's name before.
pub async fn release_namesakes(job: &Job, context: &Context) -> Result<(), ReconcileError> {
    let pods = context.caches.pods_of_namesakes(job);
    see_off(pods, &ObjectRef::from_obj(job), context).await
}

/// Each after asking the API server for its Job: that this one's cache does not know it proves nothing.
async fn see_off(
    pods: Vec<Arc<Pod>>,
    job: &ObjectRef<Job>,
    context: &Context,
) -> Result<(), ReconcileError> {
    let mut refused = false;
    for pod in pods {
        let facts = PodFacts::from(pod.as_ref());
        let namespace = pod.namespace();
        if !facts.held || (facts.deleting && !facts.is_dead()) {
            continue;
        }
        if !context.leader.may_write() {
            return Err(ReconcileError::NotLeading);
        }
        let write = if facts.is_dead() {
            Write::ReleasePod
        } else {
            Write::DeletePod
        };
        if context.refusals.left(&facts.uid, write).is_some() {
            refused = true;
            continue;
        }
        let owner = context
            .cluster
            .look_up_owner(namespace.as_deref().unwrap_or_default(), &job.name)
            .await?;
        // One that does not say which Job of the name made it may be of any.
        if owner.is_some_and(|found| facts.owner.is_none() || found.uid == facts.owner) {
            continue;
        }
        if let Some(uid) = &facts.owner {
            context.sightings.forget(uid);
        }
        info!(
            pod = facts.name,
            namespace,
            job = job.name,
            "the pod's Job is gone"
        );
        let of = Of {
            write,
            uid: &facts.uid,
            pod: &facts.name,
        };
        let cluster = &context.cluster;
        let request = async {
            if facts.is_dead() {
                return cluster.release_pod(&pod).await.map(drop);
            }
            let namespace = namespace.as_deref();
            cluster.delete_pod(namespace, &facts.name, &facts.uid).await
        };
        let sent = writes::send(of, pod.as_ref(), context, request).await?;
        refused |= matches!(sent, Sent::Refused(_));
    }
    if refused {
        return Err(ReconcileError::Refused);
    }
    Ok(())
}
