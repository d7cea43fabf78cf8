//! The cluster as the verbs see it: each request once, with a timeout, and with an error that a person
//! can act on.

use std::{future::Future, time::Duration};

use k8s_openapi::api::{authentication::v1::SelfSubjectReview, core::v1::Namespace};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams},
    core::{ApiResource, ObjectList},
};
use serde_json::{Value, json};

use self::{
    connect::Who,
    explain::{Request, Scope, explain, no_answer},
};
use super::{error::CliError, view::JobView};
use crate::api::{agent::Agent, job::Job};

mod again;
mod certificates;
pub mod connect;
mod connector;
pub mod explain;
mod impersonation;
mod kubeconfig;
mod login;
pub mod plugin;
mod pod;
mod proxy;
mod server;
mod transport;
mod trust;
pub mod warnings;

/// Whose fields these are, for `kubectl get --show-managed-fields`.
const FIELD_MANAGER: &str = "herdctl";
/// A request that has not been answered by then is given up.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How many objects a page of a list holds.
pub const PAGE: u32 = 500;
/// A list whose next page has expired is begun again so often, since it is then another list.
const LISTS: usize = 5;
/// What Kubernetes answers when it no longer knows the token of a page.
pub const GONE: u16 = 410;

/// Which Jobs, by what the API server can tell apart.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// In every namespace.
    pub everywhere: bool,
    /// A field selector.
    pub fields: Option<String>,
}

/// Whether a change is made or only checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    Real,
    /// The API server checks everything and keeps nothing.
    DryRun,
}

/// A way to one cluster, and the namespace that is meant.
pub struct Cluster {
    pub client: Client,
    /// The API server's address, for error messages.
    pub server: String,
    pub namespace: String,
    /// Who asks, for error messages.
    who: Who,
    jobs: ApiResource,
}

impl Cluster {
    /// Jobs, as the API server gives them: fields that this program does not know stay as they are.
    pub fn jobs(&self, everywhere: bool) -> Api<DynamicObject> {
        if everywhere {
            return Api::all_with(self.client.clone(), &self.jobs);
        }
        Api::namespaced_with(self.client.clone(), &self.namespace, &self.jobs)
    }

    /// A Job by its name; none when there is none.
    pub async fn job(&self, name: &str) -> Result<Option<JobView>, CliError> {
        let request = self.request("get", "jobs.herdctl.dev").named(name);
        let found = self.call(&request, self.jobs(false).get_opt(name)).await?;
        if found.is_none() {
            // Kubernetes answers 404 for a missing object and for a missing kind; a list tells them apart.
            self.list_one(&Selection::default()).await?;
        }
        Ok(found.map(JobView::from))
    }

    /// All Jobs of the selection, in pages.
    pub async fn list(&self, selection: &Selection) -> Result<Vec<JobView>, CliError> {
        let request = self
            .request("list", "jobs.herdctl.dev")
            .everywhere(selection.everywhere);
        let jobs = &self.jobs(selection.everywhere);
        let page = async |params: ListParams| jobs.list(&params).await;
        let found = self.all_pages(&request, selection, page).await?;
        Ok(found.into_iter().map(JobView::from).collect())
    }

    /// All objects of a list in pages. Where a page has expired, the list begins again, and what came of
    /// the old one is dropped: the two would not fit together.
    async fn all_pages<T: Clone>(
        &self,
        request: &Request<'_>,
        selection: &Selection,
        page: impl AsyncFn(ListParams) -> Result<ObjectList<T>, kube::Error>,
    ) -> Result<Vec<T>, CliError> {
        for _ in 0..LISTS {
            if let Some(found) = self.pages(request, selection, &page).await? {
                return Ok(found);
            }
        }
        Err(CliError::new(format!(
            "the list of {} could not be read to its end: its pages expired {LISTS} times",
            request.resource
        ))
        .next("try again, or ask for fewer: name a namespace with -n, or an agent with --agent"))
    }

    /// The objects of one list; none where a page of it has expired.
    async fn pages<T: Clone>(
        &self,
        request: &Request<'_>,
        selection: &Selection,
        page: &impl AsyncFn(ListParams) -> Result<ObjectList<T>, kube::Error>,
    ) -> Result<Option<Vec<T>>, CliError> {
        let mut params = list_params(selection);
        let mut found = Vec::new();
        loop {
            let answer = async {
                match page(params.clone()).await {
                    Err(kube::Error::Api(status)) if status.code == GONE => Ok(None),
                    answer => answer.map(Some),
                }
            };
            let Some(list) = self.call(request, answer).await? else {
                return Ok(None);
            };
            found.extend(list.items);
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => return Ok(Some(found)),
            }
        }
    }

    /// An error where a list of the selection is not to be had; what there is is not looked at.
    pub async fn list_one(&self, selection: &Selection) -> Result<(), CliError> {
        let request = self
            .request("list", "jobs.herdctl.dev")
            .everywhere(selection.everywhere);
        let one = list_params(selection).limit(1);
        self.call(
            &request,
            self.jobs(selection.everywhere).list_metadata(&one),
        )
        .await?;
        Ok(())
    }

    /// What the Jobs of this namespace are called, and when they were made.
    pub async fn names(&self, selection: &Selection) -> Result<Vec<ObjectMeta>, CliError> {
        let request = self.request("list", "jobs.herdctl.dev");
        let jobs = &self.jobs(false);
        let page = async |params: ListParams| jobs.list_metadata(&params).await;
        let found = self.all_pages(&request, selection, page).await?;
        Ok(found.into_iter().map(|item| item.metadata).collect())
    }

    /// The user as whom the API server knows us; none where it does not say.
    pub async fn user(&self) -> Option<String> {
        let reviews: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let (params, review) = (PostParams::default(), SelfSubjectReview::default());
        let answer = tokio::time::timeout(CALL_TIMEOUT, reviews.create(&params, &review)).await;
        answer.ok()?.ok()?.status?.user_info?.username
    }

    pub async fn create(&self, job: &Job, write: Write) -> Result<JobView, NotMade> {
        let name = job.name_any();
        let request = self.request("create", "jobs.herdctl.dev").named(&name);
        let params = PostParams {
            dry_run: write == Write::DryRun,
            field_manager: Some(FIELD_MANAGER.into()),
        };
        let object = serde_json::to_value(job)
            .and_then(serde_json::from_value)
            .map_err(|error| NotMade::Refused(CliError::unprintable(error)))?;
        let jobs = self.jobs(false);
        let answer = tokio::time::timeout(CALL_TIMEOUT, jobs.create(&params, &object)).await;
        match answer {
            Ok(Ok(job)) => Ok(JobView::from(job)),
            Ok(Err(error)) if explain::is_open(&error) => {
                Err(NotMade::Open(explain(&request, &error)))
            }
            Ok(Err(error)) => Err(NotMade::Refused(explain(&request, &error))),
            Err(_) => Err(NotMade::Open(no_answer(&request, CALL_TIMEOUT))),
        }
    }

    /// Changes a Job's spec, if the Job is still as it was read; none where it has changed since.
    pub async fn change(&self, job: &JobView, spec: &Value) -> Result<Option<JobView>, CliError> {
        let name = job.name();
        let request = self.request("patch", "jobs.herdctl.dev").named(name);
        let version = &job.0.metadata.resource_version;
        let patch = json!({"metadata": {"resourceVersion": version}, "spec": spec});
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PatchParams::default()
        };
        let (jobs, patch) = (self.jobs(false), Patch::Merge(&patch));
        let patched = async {
            match jobs.patch(name, &params, &patch).await {
                Err(kube::Error::Api(status)) if status.is_conflict() => Ok(None),
                patched => patched.map(|job| Some(JobView::from(job))),
            }
        };
        self.call(&request, patched).await
    }

    /// An Agent by its name. None when there is none, or when it may not be read: then the call
    /// that needs it will say so.
    pub async fn agent(&self, name: &str) -> Result<Lookup<Agent>, CliError> {
        let agents: Api<Agent> = Api::namespaced(self.client.clone(), &self.namespace);
        self.look_up(
            &self.request("get", "agents.herdctl.dev").named(name),
            agents.get(name),
        )
        .await
    }

    /// The names of this namespace's Agents.
    pub async fn agent_names(&self) -> Result<Vec<String>, CliError> {
        let agents: Api<Agent> = Api::namespaced(self.client.clone(), &self.namespace);
        let request = self.request("list", "agents.herdctl.dev");
        let all = ListParams::default();
        let found = agents.list_metadata(&all);
        let found = self.call(&request, found).await?;
        let names = found
            .items
            .into_iter()
            .filter_map(|item| item.metadata.name);
        Ok(names.collect())
    }

    /// An error when the namespace does not exist: a list in it is empty, not refused.
    pub async fn check_namespace(&self) -> Result<(), CliError> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let request = self
            .request("get", "namespaces")
            .named(&self.namespace)
            .of_cluster();
        match self
            .look_up(&request, namespaces.get_metadata(&self.namespace))
            .await?
        {
            Lookup::Absent => Err(explain::no_namespace(&self.namespace)),
            Lookup::Found(_) | Lookup::Hidden => Ok(()),
        }
    }

    async fn look_up<T>(
        &self,
        request: &Request<'_>,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<Lookup<T>, CliError> {
        let answer = tokio::time::timeout(CALL_TIMEOUT, call)
            .await
            .map_err(|_| no_answer(request, CALL_TIMEOUT))?;
        match answer {
            Ok(object) => Ok(Lookup::Found(object)),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Lookup::Absent),
            Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(Lookup::Hidden),
            Err(error) => Err(explain(request, &error)),
        }
    }

    /// Sends a request, and puts what went wrong into words.
    pub async fn call<T>(
        &self,
        request: &Request<'_>,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, CliError> {
        tokio::time::timeout(CALL_TIMEOUT, call)
            .await
            .map_err(|_| no_answer(request, CALL_TIMEOUT))?
            .map_err(|error| explain(request, &error))
    }

    pub fn request<'a>(&'a self, verb: &'static str, resource: &'static str) -> Request<'a> {
        Request {
            server: &self.server,
            who: &self.who,
            verb,
            resource,
            scope: Scope::Namespace(&self.namespace),
            name: None,
        }
    }
}

/// Why no new Job came back.
#[derive(Debug)]
pub enum NotMade {
    /// There is none.
    Refused(CliError),
    /// There may be one all the same: the request went out, and its answer did not come.
    Open(CliError),
}

impl From<NotMade> for CliError {
    fn from(not_made: NotMade) -> Self {
        match not_made {
            NotMade::Refused(error) | NotMade::Open(error) => error,
        }
    }
}

/// What came of looking for something.
#[derive(Debug)]
pub enum Lookup<T> {
    Found(T),
    Absent,
    /// The right to look is missing.
    Hidden,
}

fn list_params(selection: &Selection) -> ListParams {
    ListParams {
        field_selector: selection.fields.clone(),
        ..ListParams::default().limit(PAGE)
    }
}

fn job_resource() -> ApiResource {
    ApiResource {
        group: Job::group(&()).into(),
        version: Job::version(&()).into(),
        api_version: Job::api_version(&()).into(),
        kind: Job::kind(&()).into(),
        plural: Job::plural(&()).into(),
    }
}
