//! Every write of the controller, and the live reads. One place owns the client, so that each call has a
//! timeout, a named field manager and the precondition that makes repeating it harmless.

use std::{future::Future, time::Duration};

use json_patch::{
    AddOperation, Patch as Operations, PatchOperation, RemoveOperation, TestOperation,
    jsonptr::PointerBuf,
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
    core::Status,
};
use serde_json::{Value, json};

use crate::{
    api::job::{JOB_FINALIZER, Job, JobStatus, POD_FINALIZER, STORE_CA_ANNOTATION},
    plan::{refusal::Refusal, status},
};

/// The name under which the controller owns its fields of a Job's status.
pub const FIELD_MANAGER: &str = "herd-controller";

/// A call that has not been answered by then is given up; what it did is found out by looking again.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A call that did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("failed to {doing}")]
    Failed {
        doing: &'static str,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("did not {doing}: it has changed meanwhile")]
    Outdated { doing: &'static str },
    #[error("failed to {doing}: no answer within {} s", CALL_TIMEOUT.as_secs())]
    TimedOut { doing: &'static str },
}

impl CallError {
    /// The HTTP status of the API server's answer, if it answered.
    pub fn status(&self) -> Option<&Status> {
        match self {
            CallError::Failed { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            CallError::Outdated { .. } | CallError::TimedOut { .. } => None,
        }
    }

    fn is_not_found(&self) -> bool {
        self.status().is_some_and(Status::is_not_found)
    }

    /// Somebody else was faster: what we knew is old, and looking again is the remedy.
    pub fn is_conflict(&self) -> bool {
        matches!(self, CallError::Outdated { .. }) || self.status().is_some_and(Status::is_conflict)
    }
}

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
        let api = self.jobs(job);
        let name = job.name_any();
        call(
            "write the status of the Job",
            api.patch_status(&name, &params, &Patch::Apply(body)),
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
            api.patch(&job.name_any(), &PatchParams::default(), &patch),
        )
        .await
    }

    /// Takes our finalizer off the Job.
    pub async fn release_job(&self, job: &Job) -> Result<(), CallError> {
        let Some(patch) = release(job.uid(), job.finalizers(), JOB_FINALIZER) else {
            return Ok(());
        };
        let api = self.jobs(job);
        let sent: Result<Job, _> = patched(
            "take the finalizer off the Job",
            api.patch(&job.name_any(), &PatchParams::default(), &patch),
        )
        .await;
        unless_gone(sent).map(drop)
    }

    /// Creates a pod. Only answers that leave open whether it exists are errors.
    pub async fn create_pod(&self, pod: &Pod) -> Result<Created, CallError> {
        let api = self.pods(pod.namespace().as_deref());
        match call("create the pod", api.create(&PostParams::default(), pod)).await {
            Ok(created) => Ok(Created::Pod(Box::new(created))),
            Err(error) => match error.status() {
                Some(status) if status.is_already_exists() => Ok(Created::Exists),
                Some(status) if (400..500).contains(&status.code) && status.code != 429 => {
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

    /// Asks for this very pod's end, with the grace that it was built with. A pod that is gone is fine.
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
        unless_gone(call("delete the pod", api.delete(name, &params)).await).map(drop)
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
                api.patch(&pod.name_any(), &PatchParams::default(), &patch),
            )
            .await,
        )
    }

    /// Takes our finalizer off this very pod; none is the answer when it is gone.
    pub async fn release_pod(&self, pod: &Pod) -> Result<Option<Pod>, CallError> {
        let Some(patch) = release(pod.uid(), pod.finalizers(), POD_FINALIZER) else {
            return Ok(Some(pod.clone()));
        };
        let api = self.pods(pod.namespace().as_deref());
        unless_gone(
            patched(
                "take the finalizer off the pod",
                api.patch(&pod.name_any(), &PatchParams::default(), &patch),
            )
            .await,
        )
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

/// The same for a JSON Patch: that its test failed is answered as invalid.
async fn patched<T>(
    doing: &'static str,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, CallError> {
    call(doing, request)
        .await
        .map_err(|error| match error.status() {
            Some(status) if status.is_invalid() => CallError::Outdated { doing },
            Some(_) | None => error,
        })
}

/// Awaits one call, within its time.
pub(super) async fn call<T>(
    doing: &'static str,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(CALL_TIMEOUT, request).await {
        Ok(answer) => answer.map_err(|source| CallError::Failed {
            doing,
            source: Box::new(source),
        }),
        Err(_) => Err(CallError::TimedOut { doing }),
    }
}

fn unless_gone<T>(sent: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match sent {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn refusal(status: &Status) -> Refusal {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    Refusal {
        code: status.code,
        message: status.message.clone(),
        namespace_terminating: causes
            .into_iter()
            .any(|cause| cause.reason == "NamespaceTerminating"),
    }
}

/// Removes one finalizer of exactly this object. Its place in the list is part of the test, so that a
/// list that has changed meanwhile is a conflict and not the loss of somebody else's.
fn release(uid: Option<String>, finalizers: &[String], ours: &str) -> Option<Patch<Value>> {
    let place = finalizers.iter().position(|name| name == ours)?.to_string();
    let path = ["metadata", "finalizers", place.as_str()];
    Some(json_patch([
        test(["metadata", "uid"], json!(uid)),
        test(path, json!(ours)),
        PatchOperation::Remove(RemoveOperation {
            path: PointerBuf::from_tokens(path),
        }),
    ]))
}

fn json_patch<const N: usize>(operations: [PatchOperation; N]) -> Patch<Value> {
    Patch::Json(Operations(operations.into()))
}

fn test<const N: usize>(path: [&str; N], value: Value) -> PatchOperation {
    PatchOperation::Test(TestOperation {
        path: PointerBuf::from_tokens(path),
        value,
    })
}

fn add<const N: usize>(path: [&str; N], value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation {
        path: PointerBuf::from_tokens(path),
        value,
    })
}
