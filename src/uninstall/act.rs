//! What an uninstall does to the cluster. Each write names exactly the object that was looked at; one that is
//! gone meanwhile needs none.

use std::future::Future;

use futures::{StreamExt, stream};
use k8s_openapi::{
    api::{apps::v1::Deployment as Workload, core::v1::Pod as Kubelets},
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::{Value, json};

use super::{API_SERVICE, Work};
use crate::{
    api::job::{JOB_FINALIZER, Job, POD_FINALIZER},
    kubernetes::{
        Chain,
        call::{CallError, call, patched, unless_gone},
    },
    plan::{
        json_patch::release,
        uninstall::{Deed, Object, RunningJobs, Step},
    },
};

/// How many writes are under way at a time.
const AT_ONCE: usize = 8;

/// Whose writes these are.
const FIELD_MANAGER: &str = "herd-uninstall";

/// Of every patch.
fn ours() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    }
}

impl Work {
    /// Takes a step; false where something of it failed.
    pub(super) async fn act(&mut self, step: &Step) -> bool {
        match step {
            Step::Withdraw => {
                let done = self.withdraw().await;
                self.note(Deed::Withdraw, "remove the APIService", done)
            }
            Step::StopController => {
                let done = self.stop_controller().await;
                self.note(Deed::StopController, "stop the controller", done)
            }
            Step::Ask(jobs) => self.ask(jobs).await,
            Step::End(pods) => self.end(pods).await,
            Step::Release { pods, jobs } => self.release(pods, jobs).await,
            Step::Wait(_) | Step::Done | Step::GiveUp => true,
        }
    }

    async fn withdraw(&self) -> Result<(), CallError> {
        let api: Api<APIService> = Api::all(self.eyes.client.clone());
        let params = DeleteParams::default();
        let sent = call("delete the APIService", api.delete(API_SERVICE, &params));
        unless_gone(sent.await).map(drop)
    }

    async fn stop_controller(&self) -> Result<(), CallError> {
        let Some(controller) = &self.eyes.controller else {
            return Ok(());
        };
        let api: Api<Workload> = Api::namespaced(self.eyes.client.clone(), &controller.namespace);
        let none = Patch::Merge(json!({"spec": {"replicas": 0}}));
        let params = ours();
        let sent = call(
            "scale the Deployment",
            api.patch_scale(&controller.name, &params, &none),
        );
        unless_gone(sent.await).map(drop)
    }

    async fn ask(&mut self, jobs: &[Object]) -> bool {
        let spec = match self.running {
            RunningJobs::Cancel => json!({"cancel": true}),
            RunningJobs::Suspend | RunningJobs::Leave => json!({"suspend": true}),
        };
        let client = self.eyes.client.clone();
        let done = each(jobs, async |job: &Object| {
            let api: Api<Job> = Api::namespaced(client.clone(), &job.namespace);
            let patch = Patch::Merge(json!({"metadata": {"uid": job.uid}, "spec": spec}));
            let params = ours();
            let sent = call("change it", api.patch_metadata(&job.name, &params, &patch));
            unless_gone(sent.await).map(drop)
        });
        let mut well = true;
        for (job, done) in done.await {
            if done.is_ok() {
                self.asked.insert(job.uid.clone());
            }
            let doing = format!("ask Job {}/{} to stop", job.namespace, job.name);
            well &= self.note(Deed::Ask(job.uid), &doing, done);
        }
        well
    }

    async fn end(&mut self, pods: &[Object]) -> bool {
        let client = self.eyes.client.clone();
        let done = each(pods, async |pod: &Object| {
            let api: Api<Kubelets> = Api::namespaced(client.clone(), &pod.namespace);
            let params = DeleteParams {
                preconditions: Some(Preconditions {
                    uid: Some(pod.uid.clone()),
                    resource_version: None,
                }),
                ..DeleteParams::default()
            };
            unless_gone(call("delete it", api.delete(&pod.name, &params)).await).map(drop)
        });
        let mut well = true;
        for (pod, done) in done.await {
            let doing = format!("end pod {}/{}", pod.namespace, pod.name);
            well &= self.note(Deed::End(pod.uid), &doing, done);
        }
        well
    }

    /// Pods first: a Job that is being deleted goes with its last finalizer, and its pods should not be looked
    /// for without it.
    async fn release(&mut self, pods: &[Object], jobs: &[Object]) -> bool {
        let client = self.eyes.client.clone();
        let of_pods = each(pods, async |pod: &Object| {
            let Some(patch) = without(pod, POD_FINALIZER) else {
                return Ok(());
            };
            let api: Api<Kubelets> = Api::namespaced(client.clone(), &pod.namespace);
            let params = ours();
            let sent = api.patch_metadata(&pod.name, &params, &patch);
            unless_gone(patched("change it", sent).await).map(drop)
        })
        .await;
        let of_jobs = each(jobs, async |job: &Object| {
            let Some(patch) = without(job, JOB_FINALIZER) else {
                return Ok(());
            };
            let api: Api<Job> = Api::namespaced(client.clone(), &job.namespace);
            let params = ours();
            let sent = api.patch_metadata(&job.name, &params, &patch);
            unless_gone(patched("change it", sent).await).map(drop)
        })
        .await;
        let named = |kind: &'static str| {
            move |(object, done): (Object, Result<(), CallError>)| {
                let doing = format!("release {kind} {}/{}", object.namespace, object.name);
                (doing, done)
            }
        };
        let all = of_pods
            .into_iter()
            .map(named("pod"))
            .chain(of_jobs.into_iter().map(named("Job")));
        let mut well = true;
        for (doing, done) in all {
            well &= self.tell(&doing, &done);
        }
        well
    }

    fn note(&mut self, deed: Deed, doing: &str, done: Result<(), CallError>) -> bool {
        let well = self.tell(doing, &done);
        if !well {
            self.failures.add(deed);
        }
        well
    }

    /// Remembers why it failed, or that it has not failed in the end.
    fn tell(&mut self, doing: &str, done: &Result<(), CallError>) -> bool {
        match done {
            Ok(()) => {
                self.troubles.remove(doing);
            }
            Err(error) => {
                self.troubles
                    .insert(doing.to_owned(), Chain(error).to_string());
            }
        }
        done.is_ok()
    }
}

fn without(object: &Object, ours: &str) -> Option<Patch<Value>> {
    release(Some(object.uid.as_str()), &object.finalizers, ours)
}

/// The same for each object, a few at a time.
async fn each<'a, F>(
    objects: &'a [Object],
    act: impl Fn(&'a Object) -> F,
) -> Vec<(Object, Result<(), CallError>)>
where
    F: Future<Output = Result<(), CallError>>,
{
    stream::iter(objects)
        .map(|object| {
            let acting = act(object);
            async move { (object.clone(), acting.await) }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}
