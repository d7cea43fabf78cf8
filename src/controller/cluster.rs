//! Every write of the controller, and the live reads. One place owns the client, so that each call has a
//! timeout, a named field manager and the precondition that makes repeating it harmless.

use std::fmt::Debug;

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Namespace, Node, Pod},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, ObjectList, PatchParams, PostParams, Preconditions},
    core::{PartialObjectMeta, Status},
};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::{
    api::{
        agent::Agent,
        job::{JOB_FINALIZER, Job, JobStatus, POD_FINALIZER, STORE_CA_ANNOTATION},
        text::Clean,
    },
    kubernetes::{
        apply::apply_status,
        call::{CallError, call, patched, unless_gone},
    },
    plan::{
        json_patch::{add, json_patch, release, test},
        pod::LABEL_JOB,
        refusal::{self, Refusal},
        status,
    },
};

/// The name under which the controller writes, and owns its fields of a Job's status.
pub const FIELD_MANAGER: &str = "herd-controller";
/// Longest text of the API server that is looked at when it takes no pod.
const MAX_REFUSAL_BYTES: usize = 2048;
/// Pods in one page of a list.
const PAGE: u32 = 500;

/// What came of a pod's creation.
#[derive(Debug)]
pub enum Created {
    Pod(Box<Pod>),
    /// One with this name is there already.
    Exists,
    Refused(Refusal),
}

/// The cluster, as far as the controller changes it.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
}

impl Cluster {
    pub fn new(client: Client) -> Self {
        Cluster { client }
    }

    /// Writes the controller's fields of the status, if the Job is still the one that was read.
    pub async fn write_status(&self, job: &Job, status: &JobStatus) -> Result<Job, CallError> {
        let body = json!({
            "apiVersion": "herdctl.dev/v1alpha1",
            "kind": "Job",
            "metadata": {"resourceVersion": job.metadata.resource_version},
            "status": status::the_controllers(status),
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        call(
            "write the status of the Job",
            apply_status(self.jobs(job), &job.name_any(), &params, body),
        )
        .await
    }

    /// Puts our finalizer on the Job, if the Job is still the one that was read.
    pub async fn hold_job(&self, job: &Job) -> Result<Job, CallError> {
        let version = json!(job.metadata.resource_version);
        let add = if job.finalizers().is_empty() {
            add(["metadata", "finalizers"], json!([JOB_FINALIZER]))
        } else {
            add(["metadata", "finalizers", "-"], json!(JOB_FINALIZER))
        };
        let patch = json_patch([test(["metadata", "resourceVersion"], version), add]);
        let api = self.jobs(job);
        patched(
            "put the finalizer on the Job",
            api.patch(&job.name_any(), &ours(), &patch),
        )
        .await
    }

    /// Takes our finalizer off the Job.
    pub async fn release_job(&self, job: &Job) -> Result<(), CallError> {
        let Some(patch) = release(job.metadata.uid.as_deref(), job.finalizers(), JOB_FINALIZER)
        else {
            return Ok(());
        };
        let api = self.jobs(job);
        let sent: Result<Job, _> = patched(
            "take the finalizer off the Job",
            api.patch(&job.name_any(), &ours(), &patch),
        )
        .await;
        unless_gone(sent).map(drop)
    }

    /// Creates a pod. Answers that leave open whether it exists are errors.
    pub async fn create_pod(&self, pod: &Pod) -> Result<Created, CallError> {
        let api = self.pods(pod.namespace().as_deref());
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        match call("create the pod", api.create(&params, pod)).await {
            Ok(created) => Ok(Created::Pod(Box::new(created))),
            Err(error) => match error.status() {
                Some(status) if status.is_already_exists() => Ok(Created::Exists),
                Some(status) if refusal::is_refusal(status.code, &status.message) => {
                    Ok(Created::Refused(refusal(status)))
                }
                Some(_) | None => Err(error),
            },
        }
    }

    /// Asks the API server itself for a pod.
    pub async fn look_up_pod(
        &self,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Pod>, CallError> {
        call("look the pod up", self.pods(namespace).get_opt(name)).await
    }

    /// Asks the API server itself for a Job.
    pub async fn look_up_job(&self, namespace: &str, name: &str) -> Result<Option<Job>, CallError> {
        call(
            "look the Job up",
            Api::namespaced(self.client.clone(), namespace).get_opt(name),
        )
        .await
    }

    /// Asks the API server itself whose Job has this name. Only its metadata: the rest may be unreadable.
    pub async fn look_up_owner(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<ObjectMeta>, CallError> {
        self.metadata::<Job>("look the Job up", namespace, name)
            .await
    }

    /// Asks the API server itself for an Agent. Only its metadata: the rest may be unreadable.
    pub async fn look_up_agent(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<ObjectMeta>, CallError> {
        self.metadata::<Agent>("look the Agent up", namespace, name)
            .await
    }

    /// Asks the API server itself for a node.
    pub async fn look_up_node(&self, name: &str) -> Result<Option<Node>, CallError> {
        call(
            "look the node up",
            Api::all(self.client.clone()).get_opt(name),
        )
        .await
    }

    /// Asks the API server itself for a namespace.
    pub async fn look_up_namespace(&self, name: &str) -> Result<Option<Namespace>, CallError> {
        call(
            "look the namespace up",
            Api::all(self.client.clone()).get_opt(name),
        )
        .await
    }

    /// Asks for this very pod's end, with the grace that it was built with. One that is gone already needs none.
    pub async fn delete_pod(
        &self,
        namespace: Option<&str>,
        name: &str,
        uid: &str,
    ) -> Result<(), CallError> {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let api = self.pods(namespace);
        let sent = call("delete the pod", api.delete(name, &params)).await;
        unless_gone(sent).map(drop)
    }

    /// Gives this very pod the store's present certificates. A pod that is gone needs none.
    pub async fn renew_store_ca(
        &self,
        pod: &Pod,
        certificates: &str,
    ) -> Result<Option<Pod>, CallError> {
        let patch = json_patch([
            test(["metadata", "uid"], json!(pod.uid())),
            add(
                ["metadata", "annotations", STORE_CA_ANNOTATION],
                json!(certificates),
            ),
        ]);
        let api = self.pods(pod.namespace().as_deref());
        unless_gone(
            patched(
                "give the pod the store's new certificates",
                api.patch(&pod.name_any(), &ours(), &patch),
            )
            .await,
        )
    }

    /// Takes our finalizer off this very pod; none is the answer when it is gone.
    pub async fn release_pod(&self, pod: &Pod) -> Result<Option<Pod>, CallError> {
        let Some(patch) = release(pod.metadata.uid.as_deref(), pod.finalizers(), POD_FINALIZER)
        else {
            return Ok(Some(pod.clone()));
        };
        let api = self.pods(pod.namespace().as_deref());
        unless_gone(
            patched(
                "take the finalizer off the pod",
                api.patch(&pod.name_any(), &ours(), &patch),
            )
            .await,
        )
    }

    /// A page of all pods that do not carry our label, by their metadata; the next one if the last told where
    /// that begins.
    pub async fn unlabelled_pods(
        &self,
        next: Option<String>,
    ) -> Result<ObjectList<PartialObjectMeta<Pod>>, CallError> {
        let mut params = ListParams::default()
            .labels(&format!("!{LABEL_JOB}"))
            .limit(PAGE);
        params.continue_token = next;
        let api = Api::<Pod>::all(self.client.clone());
        call(
            "list the pods without our label",
            api.list_metadata(&params),
        )
        .await
    }

    /// Puts our label back on a pod, if the pod is still the one that was read.
    pub async fn label_pod(&self, pod: &ObjectMeta, job: &str) -> Result<(), CallError> {
        let version = test(["metadata", "resourceVersion"], json!(pod.resource_version));
        let uid = test(["metadata", "uid"], json!(pod.uid));
        let label = match &pod.labels {
            Some(_) => add(["metadata", "labels", LABEL_JOB], json!(job)),
            None => add(["metadata", "labels"], json!({LABEL_JOB: job})),
        };
        let patch = json_patch([uid, version, label]);
        let name = pod.name.as_deref().unwrap_or_default();
        let api = self.pods(pod.namespace.as_deref());
        let sent: Result<Pod, _> = patched(
            "put the label back on the pod",
            api.patch(name, &ours(), &patch),
        )
        .await;
        unless_gone(sent).map(drop)
    }

    async fn metadata<K>(
        &self,
        what: &'static str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<ObjectMeta>, CallError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + DeserializeOwned,
    {
        let api = Api::<K>::namespaced(self.client.clone(), namespace);
        let found = call(what, api.get_metadata_opt(name)).await?;
        Ok(found.map(|object| object.metadata))
    }

    fn jobs(&self, job: &Job) -> Api<Job> {
        Api::namespaced(
            self.client.clone(),
            job.metadata.namespace.as_deref().unwrap_or_default(),
        )
    }

    fn pods(&self, namespace: Option<&str>) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace.unwrap_or_default())
    }
}

/// Of a patch other than apply.
fn ours() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

fn refusal(status: &Status) -> Refusal {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    Refusal {
        code: status.code,
        message: Clean::line(&status.message, MAX_REFUSAL_BYTES),
        namespace_terminating: causes
            .into_iter()
            .any(|cause| cause.reason == "NamespaceTerminating"),
    }
}
