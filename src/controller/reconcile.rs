//! Carries out what the plan decides for one Job: look, decide, act, and again with what is then known,
//! until there is nothing to do. Whoever calls it brings caches, clock and ids, so a simulation can call
//! the same code.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound, Utc};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tracing::{debug, info};

use super::{
    announce::Announcer,
    caches::Caches,
    cluster::{Cluster, Created},
    leader::Leader,
    recent::Recent,
};
use crate::{
    api::job::Job,
    kubernetes::call::CallError,
    plan::{
        facts::PodFacts,
        lifecycle::{Action, Means, Observed, PodLookup, decide},
        refusal::Refusal,
        settings::Settings,
    },
};

/// More actions in a row than any Job needs: the decisions would be going in circles.
const MAX_ACTIONS: usize = 16;

/// Everything that reconciling needs besides the Job.
pub struct Context {
    pub caches: Caches,
    pub cluster: Cluster,
    pub leader: Leader,
    pub recent: Recent,
    pub announcer: Announcer,
    pub settings: Settings,
    pub clock: Box<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    pub new_id: Box<dyn Fn() -> String + Send + Sync>,
}

/// Why a Job could not be brought further.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the lease is about to end: no pod is created now")]
    LeaseEnding,
    #[error("{MAX_ACTIONS} actions in a row brought no rest")]
    Restless,
}

/// The attempt's pod, as far as this pass knows.
enum Sight {
    Cached(Option<Arc<Pod>>),
    Live(Option<Box<Pod>>),
    Refused(Refusal),
}

impl Sight {
    fn pod(&self) -> Option<&Pod> {
        match self {
            Sight::Cached(pod) => pod.as_deref(),
            Sight::Live(pod) => pod.as_deref(),
            Sight::Refused(_) => None,
        }
    }

    fn lookup(&self) -> PodLookup {
        match (self, self.pod()) {
            (_, Some(pod)) => PodLookup::Seen(Box::new(PodFacts::from(pod))),
            (Sight::Cached(_), None) => PodLookup::NotSeen,
            (Sight::Live(_), None) => PodLookup::Gone,
            (Sight::Refused(refusal), None) => PodLookup::Refused(refusal.clone()),
        }
    }
}

/// Brings one Job as far as it can go now; answers when to look again, if not at the next change.
pub async fn reconcile(job: &Job, context: &Context) -> Result<Option<Duration>, ReconcileError> {
    if !context.leader.may_write() || !context.caches.filled.all() {
        return Ok(None);
    }
    let mut job = job.clone();
    let mut sight = Sight::Cached(known_pod(&job, context));
    let session_id = (context.new_id)();
    for _ in 0..MAX_ACTIONS {
        let action = next_action(&job, &sight, &session_id, context);
        debug!(
            job = job.name_any(),
            namespace = job.namespace(),
            action = name(&action),
            "decided"
        );
        match act(action, &mut job, &mut sight, context).await? {
            Step::Again => {}
            Step::Rest(wait) => return Ok(wait),
        }
    }
    Err(ReconcileError::Restless)
}

/// The pod of the last attempt, from the cache or, where that lags, from our own last write.
fn known_pod(job: &Job, context: &Context) -> Option<Arc<Pod>> {
    let attempt = job.status.as_ref()?.attempt()?;
    let cached = context.caches.pod_of(job);
    context.recent.newest(job.namespace(), &attempt.pod, cached)
}

/// Whether there is more to do at once.
enum Step {
    Again,
    Rest(Option<Duration>),
}

fn next_action(job: &Job, sight: &Sight, session_id: &str, context: &Context) -> Action {
    let agent = context.caches.agent_of(job);
    let store_ca = context.caches.store_ca();
    let seen = Observed {
        job,
        agent: agent.as_deref(),
        pod: sight.lookup(),
    };
    decide(
        &seen,
        Means {
            // Finer times would only make the status longer.
            now: (context.clock)().trunc_subsecs(3),
            session_id,
            settings: &context.settings,
            store_ca: store_ca.as_deref(),
        },
    )
}

async fn act(
    action: Action,
    job: &mut Job,
    sight: &mut Sight,
    context: &Context,
) -> Result<Step, ReconcileError> {
    let cluster = &context.cluster;
    let namespace = job.namespace();
    let namespace = namespace.as_deref();
    match action {
        Action::Wait(wait) => return Ok(Step::Rest(wait)),
        Action::HoldJob => *job = cluster.hold_job(job).await?,
        Action::WriteStatus(status) => {
            let written = cluster.write_status(job, &status).await?;
            context.announcer.changed(job, &written);
            *job = written;
        }
        Action::CreatePod(pod) => *sight = create(&pod, context).await?,
        Action::LookUpPod => *sight = look_up(job, context).await?,
        Action::DeletePod { name, uid } => {
            cluster.delete_pod(namespace, &name, &uid).await?;
            return Ok(Step::Rest(None));
        }
        Action::RenewStoreCa { .. } => {
            let (Some(pod), Some(certificates)) = (sight.pod(), context.caches.store_ca()) else {
                return Ok(Step::Rest(None));
            };
            let renewed = cluster.renew_store_ca(pod, &certificates).await?;
            if let Some(pod) = &renewed {
                context.recent.remember(pod);
            }
            *sight = Sight::Live(renewed.map(Box::new));
        }
        Action::ReleasePod { name, uid, sealed } => {
            info!(
                pod = name,
                uid, sealed, "the pod's outcome is recorded; letting it go"
            );
            if !sealed {
                context.announcer.unsealed(job);
            }
            let Some(pod) = sight.pod().cloned() else {
                return Ok(Step::Rest(None));
            };
            let released = cluster.release_pod(&pod).await?;
            if let Some(pod) = &released {
                context.recent.remember(pod);
            }
            *sight = Sight::Live(released.map(Box::new));
        }
        Action::ReleaseJob => {
            cluster.release_job(job).await?;
            return Ok(Step::Rest(None));
        }
    }
    Ok(Step::Again)
}

async fn create(pod: &Pod, context: &Context) -> Result<Sight, ReconcileError> {
    if !context.leader.may_create() {
        return Err(ReconcileError::LeaseEnding);
    }
    match context.cluster.create_pod(pod).await? {
        Created::Pod(created) => {
            context.recent.remember(&created);
            Ok(Sight::Live(Some(created)))
        }
        Created::Refused(refusal) => Ok(Sight::Refused(refusal)),
        // Made by an earlier pass whose answer was lost, or somebody else's: the owner tells.
        Created::Exists => {
            let found = context
                .cluster
                .look_up_pod(pod.namespace().as_deref(), &pod.name_any())
                .await?;
            Ok(Sight::Live(found.map(Box::new)))
        }
    }
}

async fn look_up(job: &Job, context: &Context) -> Result<Sight, ReconcileError> {
    let attempt = job.status.as_ref().and_then(|status| status.attempt());
    let Some(attempt) = attempt else {
        return Ok(Sight::Live(None));
    };
    let found = context
        .cluster
        .look_up_pod(job.namespace().as_deref(), &attempt.pod)
        .await?;
    Ok(Sight::Live(found.map(Box::new)))
}

fn name(action: &Action) -> &'static str {
    match action {
        Action::HoldJob => "hold Job",
        Action::WriteStatus(_) => "write status",
        Action::CreatePod(_) => "create pod",
        Action::LookUpPod => "look up pod",
        Action::DeletePod { .. } => "delete pod",
        Action::RenewStoreCa { .. } => "renew store CA",
        Action::ReleasePod { .. } => "release pod",
        Action::ReleaseJob => "release Job",
        Action::Wait(_) => "wait",
    }
}
