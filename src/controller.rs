//! Carries decisions out on the cluster: watches, caches, writes, leadership. What to do is decided in
//! [`crate::plan`]; `reconcile` asks it again and again, and this file only wires the two to the world.

// Public for `tests/simulation`, which brings its own caches, clock and API server.
#[doc(hidden)]
pub mod announce;
#[doc(hidden)]
pub mod backoff;
#[doc(hidden)]
pub mod caches;
#[doc(hidden)]
pub mod cluster;
#[doc(hidden)]
pub mod creations;
#[doc(hidden)]
pub mod leader;
#[doc(hidden)]
pub mod orphans;
#[doc(hidden)]
pub mod recent;
#[doc(hidden)]
pub mod reconcile;
#[doc(hidden)]
pub mod refusals;
#[doc(hidden)]
pub mod sightings;
#[doc(hidden)]
pub mod strays;
#[doc(hidden)]
pub mod watches;

mod view;
mod writes;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use chrono::Utc;
use futures::{StreamExt, TryStreamExt};
use kube::runtime::{
    controller::{self, Action, applier},
    reflector::ObjectRef,
};
use tokio::sync::{mpsc, watch};
use tracing::{debug, info, warn};

use self::{
    announce::Announcer,
    backoff::Backoff,
    cluster::Cluster,
    creations::Creations,
    leader::{Leader, LeaseOptions},
    recent::Recent,
    reconcile::{Context, ReconcileError},
    refusals::Refusals,
    sightings::Sightings,
    watches::ConfigMapName,
};
use crate::{
    api::job::Job,
    kubernetes::{Chain, ConnectError, connect},
    plan::settings::Settings,
    probes,
    process::terminated,
};

/// How many Jobs are looked at together. Each holds at most one request.
const CONCURRENCY: u16 = 32;
/// How long a stopping controller may take to give the lease back.
const FAREWELL: Duration = Duration::from_secs(5);

/// How the controller was started.
#[derive(Clone, Debug)]
pub struct Options {
    pub settings: Settings,
    /// Where the probes are answered.
    pub probes: SocketAddr,
    /// The operator's own namespace: of the Lease, and of the store's ConfigMap.
    pub namespace: String,
    /// The ConfigMap in which the store publishes its CA certificates.
    pub store_ca_config_map: String,
    pub lease_name: String,
    /// This replica's name: its pod's.
    pub identity: String,
}

/// Why the controller could not start.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("failed to answer probes on {address}")]
    Probes {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("failed to listen for signals")]
    Signals(#[source] std::io::Error),
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(options: Options) -> Result<(), ControllerError> {
    let client = connect().await?;
    let again = watch::Sender::default();
    let leader = Leader::new(again.clone());
    let (stop_sender, stop) = watch::channel(false);
    let store_ca = ConfigMapName {
        namespace: options.namespace.clone(),
        name: options.store_ca_config_map,
    };
    let creations = Creations::default();
    let (caches, changes) = watches::start(&client, &store_ca, &again, &creations);
    let context = Arc::new(Context {
        caches: caches.clone(),
        cluster: Cluster::new(client.clone()),
        leader: leader.clone(),
        recent: Recent::default(),
        refusals: Refusals::default(),
        creations,
        sightings: Sightings::default(),
        announcer: Announcer::new(client.clone(), options.identity.clone()),
        settings: options.settings,
        clock: Box::new(Utc::now),
        new_id: Box::new(|| uuid::Uuid::new_v4().to_string()),
    });

    let filled = caches.filled;
    let not_ready = move || (!filled.all()).then_some("the caches are not filled yet");
    let probes = tokio::spawn(probes::serve(options.probes, not_ready));
    let lease = LeaseOptions {
        namespace: options.namespace,
        name: options.lease_name,
        identity: options.identity,
    };
    let leading = tokio::spawn(leader::hold(client, lease, leader, stop));

    let backoff = Arc::new(Backoff::default());
    let (gone, told) = mpsc::unbounded_channel();
    let orphans = orphans::look_after(told, Arc::clone(&context));
    let strays = strays::look_after(again.subscribe(), Arc::clone(&context));
    let passes = passes(changes, context, backoff, gone).for_each(|()| async {});
    tokio::select! {
        biased;
        signal = terminated() => signal.map_err(ControllerError::Signals)?,
        served = probes => {
            if let Ok(Err(source)) = served {
                return Err(ControllerError::Probes { address: options.probes, source });
            }
        }
        () = passes => warn!("the watches have ended"),
        () = orphans => {}
        () = strays => {}
    }
    info!("stopping: giving the lease back");
    stop_sender.send_replace(true);
    if tokio::time::timeout(FAREWELL, leading).await.is_err() {
        warn!("the lease was not given back in time; it ends by itself");
    }
    Ok(())
}

/// One pass a Job at a time, as many Jobs together as allowed.
fn passes(
    changes: futures::stream::BoxStream<'static, ObjectRef<Job>>,
    context: Arc<Context>,
    backoff: Arc<Backoff>,
    gone: mpsc::UnboundedSender<ObjectRef<Job>>,
) -> impl futures::Stream<Item = ()> {
    let failed = Arc::clone(&backoff);
    let store = context.caches.jobs.clone();
    applier(
        move |job: Arc<Job>, context: Arc<Context>| {
            let backoff = Arc::clone(&backoff);
            Box::pin(async move {
                let wait = reconcile::reconcile(&job, &context).await?;
                backoff.reset(&job);
                Ok::<Action, ReconcileError>(
                    wait.map_or_else(Action::await_change, Action::requeue),
                )
            })
        },
        move |job, error, _| Action::requeue(failed.after(&job, error)),
        context,
        store,
        changes.map(Ok::<_, std::convert::Infallible>),
        controller::Config::default().concurrency(CONCURRENCY),
    )
    .into_stream()
    .map(move |pass| report(pass, &gone))
}

type Pass =
    Result<(ObjectRef<Job>, Action), controller::Error<ReconcileError, std::convert::Infallible>>;

/// Says how a pass went, and that its Job is gone where that is so.
fn report(pass: Pass, gone: &mpsc::UnboundedSender<ObjectRef<Job>>) {
    match pass {
        Ok((job, action)) => debug!(%job, ?action, "looked at"),
        Err(controller::Error::ReconcilerFailed(ReconcileError::Call(error), job))
            if error.is_conflict() =>
        {
            debug!(%job, error = %Chain(&error), "what was known of a Job was old; looking again");
        }
        Err(controller::Error::ReconcilerFailed(error, job)) => {
            warn!(%job, error = %Chain(&error), "a Job could not be brought further; trying again");
        }
        Err(controller::Error::ObjectNotFound(job)) => {
            let namespace = job.namespace.as_deref().unwrap_or_default();
            // It is looked after as long as this process is there.
            let _ = gone.send(ObjectRef::new(&job.name).within(namespace));
        }
        Err(error) => warn!(error = %Chain(&error), "a pass failed"),
    }
}
