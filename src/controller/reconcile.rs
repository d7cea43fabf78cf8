//! Carries out what the plan decides for one Job: look, decide, act, and again with what is then known,
//! until there is nothing to do. Whoever calls it brings caches, clock and ids, so a simulation can call
//! the same code.

use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tracing::{debug, info};

use super::{
    announce::Announcer,
    caches::Caches,
    cluster::{Cluster, Created},
    creations::Creations,
    leader::Leader,
    orphans,
    recent::Recent,
    refusals::Refusals,
    sightings::Sightings,
    view::{LOOK_AGAIN, Sight, View},
    writes::{self, Of, Sent, Written},
};
use crate::{
    api::job::Job,
    kubernetes::call::CallError,
    plan::{
        lifecycle::{
            self, Action, AgentLookup, LookUp, Looked, Means, NamespaceLookup, NodeLookup,
            Observed, ResumedLookup, decide,
        },
        refused_write::Write,
        settings::Settings,
    },
};

/// More actions in a row than any Job needs, but for one that lets go of many earlier pods: the decisions
/// would be going in circles.
const MAX_ACTIONS: usize = 24;

/// Everything that reconciling needs besides the Job.
pub struct Context {
    pub caches: Caches,
    pub cluster: Cluster,
    pub leader: Leader,
    pub recent: Recent,
    pub refusals: Refusals,
    pub creations: Creations,
    pub sightings: Sightings,
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
    #[error("another replica leads, or none does")]
    NotLeading,
    #[error("{MAX_ACTIONS} actions in a row brought no rest")]
    Restless,
    #[error("the API server refuses what a pod without a Job needs")]
    Refused,
}

/// Brings one Job as far as it can go now; answers when to look again, if not at the next change.
pub async fn reconcile(job: &Job, context: &Context) -> Result<Option<Duration>, ReconcileError> {
    if !context.leader.may_write() || !context.caches.filled.all() {
        return Ok(None);
    }
    let again = match orphans::release_namesakes(job, context).await {
        Ok(()) => None,
        // Told at the pod. This Job does not depend on it, unless it waits for the name.
        Err(ReconcileError::Refused) => Some(LOOK_AGAIN),
        Err(error) => return Err(error),
    };
    let mut job = job.clone();
    let mut view = View::of(&job, context);
    let session_id = (context.new_id)();
    for _ in 0..MAX_ACTIONS {
        context.sightings.complete(&mut job, view.sight.pod());
        let action = next_action(&job, &view, &session_id, context);
        debug!(
            job = job.name_any(),
            namespace = job.namespace(),
            action = name(&action),
            "decided"
        );
        match act(action, &mut job, &mut view, context).await? {
            Step::Rest(wait) => return Ok(view.in_time(wait).into_iter().chain(again).min()),
            // Whoever leads next looks at all Jobs.
            Step::Again if !context.leader.may_write() => return Ok(None),
            Step::Again => {}
        }
    }
    Err(ReconcileError::Restless)
}

/// Whether there is more to do at once.
enum Step {
    Again,
    Rest(Option<Duration>),
}

fn next_action(job: &Job, view: &View, session_id: &str, context: &Context) -> Action {
    let agent = context.caches.agent_of(job);
    let store_ca = context.caches.store_ca();
    let seen = Observed {
        job,
        agent: agent.as_deref(),
        pod: view.sight.lookup(),
        pod_is_live: matches!(view.sight, Sight::Live(_)),
        earlier: view.earlier_facts(),
        looked: view.looked.clone(),
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
    view: &mut View,
    context: &Context,
) -> Result<Step, ReconcileError> {
    let cluster = &context.cluster;
    let (namespace, uid) = (job.namespace(), job.uid().unwrap_or_default());
    let namespace = namespace.as_deref();
    if let (Action::CreatePod(_), Some(left)) = (&action, context.creations.left(job)) {
        let deadline = lifecycle::start_deadline(job).map(|it| it - (context.clock)());
        let until = deadline.and_then(|it| it.to_std().ok());
        return Ok(Step::Rest(Some(
            until.map_or(left, |until| left.min(until)),
        )));
    }
    if view.must_be_live(&action, job) {
        let (namespace, name) = (namespace.unwrap_or_default(), job.name_any());
        let Some(found) = cluster.look_up_job(namespace, &name).await? else {
            return Ok(Step::Rest(None));
        };
        *job = found;
        *view = View::of(job, context);
        view.live = true;
        return Ok(Step::Again);
    }
    match action {
        Action::Wait(wait) => return Ok(Step::Rest(wait)),
        Action::HoldJob => {
            let of = of_job(Write::HoldJob, &uid);
            match writes::send(of, job, context, cluster.hold_job(job)).await? {
                Sent::Done(held) => *job = held,
                Sent::Refused(wait) => return Ok(Step::Rest(Some(wait))),
            }
            view.live = true;
        }
        Action::WriteStatus(status) => {
            let written = match writes::write_status(job, &status, context).await? {
                Written::Job(written) => *written,
                Written::Refused(wait) => return Ok(Step::Rest(Some(wait))),
                Written::AsIf(status) => {
                    job.status = Some(*status);
                    return Ok(Step::Again);
                }
            };
            context.announcer.changed(job, &written);
            let follows = attempts(&written) > attempts(job);
            *job = written;
            if follows {
                // What was known of the pod was of the one before.
                *view = View::of(job, context);
            }
            view.live = true;
        }
        Action::CreatePod(pod) => {
            view.sight = create(&pod, job, context).await?;
            view.again = context.creations.left(job);
        }
        Action::LookUpPod => {
            let found = look_up(job, context).await?;
            if let (None, Some(left)) = (&found, context.leader.awaits_creations()) {
                return Ok(Step::Rest(Some(left)));
            }
            view.sight = Sight::Live(found);
        }
        Action::LookUp(what) => ask(what, job, &mut view.looked, cluster).await?,
        Action::DeletePod { name, uid } => {
            let of = of_pod(Write::DeletePod, &name, &uid);
            let request = cluster.delete_pod(namespace, &name, &uid);
            if let Sent::Refused(wait) = writes::send(of, job, context, request).await? {
                return Ok(Step::Rest(Some(wait)));
            }
            let before = view.earlier.len();
            view.earlier.retain(|pod| pod.uid().as_ref() != Some(&uid));
            if view.earlier.len() == before {
                return Ok(Step::Rest(None));
            }
        }
        Action::RenewStoreCa { name, uid } => {
            let (Some(pod), Some(certificates)) = (view.sight.pod(), context.caches.store_ca())
            else {
                return Ok(Step::Rest(None));
            };
            let of = of_pod(Write::RenewStoreCa, &name, &uid);
            let request = cluster.renew_store_ca(pod, &certificates);
            let renewed = match writes::send(of, job, context, request).await? {
                Sent::Done(renewed) => renewed,
                Sent::Refused(wait) => {
                    view.looked.renewal_refused = true;
                    view.again = Some(wait);
                    return Ok(Step::Again);
                }
            };
            if let Some(pod) = &renewed {
                context.recent.remember(pod);
            }
            view.sight = Sight::Live(renewed.map(Box::new));
        }
        Action::ReleasePod { name, uid, sealed } => {
            let Some(pod) = view.take(&uid) else {
                return Ok(Step::Rest(None));
            };
            let of = of_pod(Write::ReleasePod, &name, &uid);
            let released = match writes::send(of, job, context, cluster.release_pod(&pod)).await? {
                Sent::Done(released) => released,
                Sent::Refused(wait) => return Ok(Step::Rest(Some(wait))),
            };
            info!(
                pod = name,
                uid, sealed, "the pod's outcome is recorded; it is let go"
            );
            if !sealed {
                context.announcer.unsealed(job);
            }
            // One that was to be deleted is gone now: no watch would say so again.
            let stays = |pod: &&Pod| pod.metadata.deletion_timestamp.is_none();
            if let Some(pod) = released.as_ref().filter(stays) {
                context.recent.remember(pod);
            }
            if view.sight.pod().and_then(|pod| pod.uid()) == Some(uid) {
                view.sight = Sight::Live(released.map(Box::new));
            }
        }
        Action::ReleaseJob => {
            let of = of_job(Write::ReleaseJob, &uid);
            return Ok(Step::Rest(
                match writes::send(of, job, context, cluster.release_job(job)).await? {
                    Sent::Done(()) => None,
                    Sent::Refused(wait) => Some(wait),
                },
            ));
        }
    }
    Ok(Step::Again)
}

fn of_job(write: Write, uid: &str) -> Of<'_> {
    Of {
        write,
        uid,
        pod: "",
    }
}

fn of_pod<'a>(write: Write, pod: &'a str, uid: &'a str) -> Of<'a> {
    Of { write, uid, pod }
}

fn attempts(job: &Job) -> usize {
    job.status
        .as_ref()
        .map_or(0, |status| status.attempts.len())
}

/// Asks the API server what no cache proves.
async fn ask(
    what: LookUp,
    job: &Job,
    looked: &mut Looked,
    cluster: &Cluster,
) -> Result<(), ReconcileError> {
    let namespace = job.namespace().unwrap_or_default();
    match what {
        LookUp::Node(name) => {
            looked.node = NodeLookup::from(cluster.look_up_node(&name).await?.as_ref());
        }
        LookUp::Namespace => {
            let found = cluster.look_up_namespace(&namespace).await?;
            looked.namespace = NamespaceLookup::from(found.as_ref());
        }
        LookUp::Agent => {
            let found = cluster.look_up_agent(&namespace, &job.spec.agent).await?;
            looked.agent = AgentLookup::from(found.as_ref());
        }
        LookUp::Resumed(job) => {
            let found = cluster.look_up_job(&namespace, &job).await?;
            looked.resumed = ResumedLookup::from(found.as_ref());
        }
    }
    Ok(())
}

async fn create(pod: &Pod, job: &Job, context: &Context) -> Result<Sight, ReconcileError> {
    if !context.leader.may_create() {
        return Err(ReconcileError::LeaseEnding);
    }
    match context.cluster.create_pod(pod).await? {
        Created::Pod(created) => {
            context.recent.remember(&created);
            context.creations.taken(job);
            Ok(Sight::Live(Some(created)))
        }
        Created::Refused(refusal) => {
            context.creations.refused(job);
            Ok(Sight::Refused(refusal))
        }
        // Made by an earlier pass whose answer was lost, or somebody else's: the owner tells.
        Created::Exists => {
            context.creations.taken(job);
            let found = context
                .cluster
                .look_up_pod(pod.namespace().as_deref(), &pod.name_any())
                .await?;
            Ok(Sight::Live(found.map(Box::new)))
        }
    }
}

/// The last attempt's pod, as the API server itself tells it.
async fn look_up(job: &Job, context: &Context) -> Result<Option<Box<Pod>>, ReconcileError> {
    let attempt = job.status.as_ref().and_then(|status| status.attempt());
    let Some(attempt) = attempt else {
        return Ok(None);
    };
    let found = context
        .cluster
        .look_up_pod(job.namespace().as_deref(), &attempt.pod)
        .await?;
    Ok(found.map(Box::new))
}

fn name(action: &Action) -> &'static str {
    match action {
        Action::HoldJob => "hold Job",
        Action::WriteStatus(_) => "write status",
        Action::CreatePod(_) => "create pod",
        Action::LookUpPod => "look up pod",
        Action::LookUp(LookUp::Node(_)) => "look up node",
        Action::LookUp(LookUp::Namespace) => "look up namespace",
        Action::LookUp(LookUp::Agent) => "look up Agent",
        Action::LookUp(LookUp::Resumed(_)) => "look up Job to continue",
        Action::DeletePod { .. } => "delete pod",
        Action::RenewStoreCa { .. } => "renew store CA",
        Action::ReleasePod { .. } => "release pod",
        Action::ReleaseJob => "release Job",
        Action::Wait(_) => "wait",
    }
}
