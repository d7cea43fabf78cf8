//! Pods that our finalizer holds and that no watch shows, because somebody took their label off. Nothing
//! would let them go. Their label is put back from time to time, and with it all else follows.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::core::PartialObjectMeta;
use tokio::sync::watch;
use tracing::{info, warn};

use super::{
    reconcile::{Context, ReconcileError},
    writes::{self, Of},
};
use crate::{
    kubernetes::Chain,
    plan::{facts, refused_write::Write},
};

/// How often they are looked for. The whole cluster's other pods are listed for it, by their metadata.
const EVERY: Duration = Duration::from_secs(5 * 60);
/// And after a request that failed.
const RETRY: Duration = Duration::from_secs(30);

/// Looks for them each time that this replica begins to lead, and then from time to time. Each step of `again`
/// may mean that it does.
pub async fn look_after(mut again: watch::Receiver<u64>, context: Arc<Context>) {
    loop {
        let mut wait = EVERY;
        if context.leader.may_write()
            && let Err(error) = put_labels_back(&context).await
        {
            warn!(error = %Chain(&error), "pods without their label could not all be looked after; trying again");
            wait = RETRY;
        }
        let leads = context.leader.may_write();
        tokio::select! {
            () = tokio::time::sleep(wait), if leads => {}
            changed = again.changed() => if changed.is_err() { return },
        }
    }
}

async fn put_labels_back(context: &Context) -> Result<(), ReconcileError> {
    let (mut next, mut done) = (None, Ok(()));
    loop {
        let page = context.cluster.unlabelled_pods(next).await?;
        for pod in page
            .items
            .iter()
            .filter(|pod| facts::is_held(&pod.metadata))
        {
            if !context.leader.may_write() {
                return Err(ReconcileError::NotLeading);
            }
            // One that fails keeps no other waiting.
            done = put_label_back(pod, context).await.and(done);
        }
        next = page.metadata.continue_.filter(|token| !token.is_empty());
        if next.is_none() {
            return done;
        }
    }
}

async fn put_label_back(
    pod: &PartialObjectMeta<Pod>,
    context: &Context,
) -> Result<(), ReconcileError> {
    let meta = &pod.metadata;
    let (name, Some(job)) = (meta.name.as_deref().unwrap_or_default(), job_of(meta)) else {
        return Ok(());
    };
    info!(
        pod = name,
        namespace = meta.namespace,
        job,
        "a pod has lost its label; putting it back"
    );
    let of = Of {
        write: Write::LabelPod,
        uid: meta.uid.as_deref().unwrap_or_default(),
        pod: name,
    };
    let request = context.cluster.label_pod(meta, &job);
    writes::send(of, pod, context, request).await.map(drop)
}

/// The Job's name: by its controller reference or, where that is gone too, by the pod's own name.
fn job_of(meta: &ObjectMeta) -> Option<String> {
    let by_owner = facts::controller(meta).map(|owner| owner.name.clone());
    let by_name = || Some(meta.name.as_deref()?.rsplit_once('-')?.0.to_owned());
    by_owner.or_else(by_name)
}
