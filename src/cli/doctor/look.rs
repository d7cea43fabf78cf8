//! What the doctor looks at. Everything is asked for at once, and whatever can't be read leaves a gap that
//! says which right is missing.

use std::{fmt::Debug, future::Future};

use http::Request;
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        authorization::v1::{
            ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
        },
        coordination::v1::Lease,
        core::v1::{Namespace, Pod, Service},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ListParams, ObjectMeta, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::probe::{self, Probed};
use crate::{
    api::{
        GROUP,
        job::{JOB_FINALIZER, POD_FINALIZER},
        text::Clean,
    },
    cli::{
        cluster::{
            CALL_TIMEOUT, Cluster, PAGE, Selection,
            explain::{
                deepest,
                rights::{VERSION, is_of_acting},
            },
        },
        error::CliError,
        view::JobView,
    },
    plan::pod::LABEL_JOB,
    uninstall::API_SERVICE,
};

/// On everything of the chart's.
const OURS: &str = "app.kubernetes.io/part-of=herdctl";
const COMPONENT: &str = "app.kubernetes.io/component";
/// Where our kinds are described to anybody who is logged in.
const SCHEMA: &str = "/openapi/v3/apis/herdctl.dev/v1alpha1";
const MAX_CAUSE: usize = 300;

/// Why something was not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gap {
    /// This right is missing.
    Hidden(String),
    Failed(String),
}

/// What came of a look: there, not there, or not seen.
pub type Look<T> = Result<Option<T>, Gap>;

/// A version of an API group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    pub name: String,
    pub versions: Vec<Version>,
}

#[derive(Clone, Debug, Default)]
pub struct Version {
    pub name: String,
    /// Each resource with its short names.
    pub resources: Vec<(String, Vec<String>)>,
}

/// A part of the operator: how many pods it should have, and has.
#[derive(Clone, Debug, Default)]
pub struct Part {
    pub component: String,
    /// `deployment/herd-controller`.
    pub name: String,
    pub wanted: i32,
    pub ready: i32,
    pub version: String,
    pub arguments: Vec<String>,
    /// Why a pod of it is not ready: its name, and the reason in words.
    pub trouble: Option<(String, String)>,
}

/// The operator, where there is one.
#[derive(Clone, Debug, Default)]
pub struct Operator {
    pub namespace: String,
    pub parts: Vec<Part>,
    pub lease: Option<Look<Lease>>,
}

impl Operator {
    pub fn part(&self, component: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.component == component)
    }
}

/// An object with a finalizer of ours.
#[derive(Clone, Debug)]
pub struct Held {
    pub kind: &'static str,
    pub meta: ObjectMeta,
    /// Whose finalizers these are, other than ours, hold it too.
    pub others: bool,
}

/// A right that people need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    pub verb: &'static str,
    pub resource: &'static str,
    pub subresource: Option<&'static str>,
}

const fn right(verb: &'static str, resource: &'static str) -> Right {
    Right {
        verb,
        resource,
        subresource: None,
    }
}

/// What the verbs of this program ask for.
pub const RIGHTS: [Right; 12] = [
    right("get", "jobs"),
    right("list", "jobs"),
    right("watch", "jobs"),
    right("create", "jobs"),
    right("patch", "jobs"),
    right("delete", "jobs"),
    right("get", "agents"),
    right("list", "agents"),
    right("create", "agents"),
    right("patch", "agents"),
    right("get", "joboutputs"),
    Right {
        subresource: Some("log"),
        ..right("get", "joboutputs")
    },
];

/// All that was seen.
pub struct Seen {
    /// None: all.
    pub namespace: Option<String>,
    pub kubernetes: Look<(u32, u32)>,
    pub groups: Look<Vec<Group>>,
    pub schema: Look<Value>,
    pub definitions: [Look<CustomResourceDefinition>; 2],
    pub api_service: Look<APIService>,
    /// The Service behind it.
    pub service: Look<()>,
    pub operator: Look<Operator>,
    /// As whom the API server knows the caller; none where it does not say.
    pub user: Option<String>,
    pub rights: Vec<(Right, Look<bool>)>,
    pub home: Look<Namespace>,
    /// Whether the namespace takes a pod of ours.
    pub probe: Look<Probed>,
    /// Jobs that have not ended.
    pub open: Look<Vec<JobView>>,
    pub held: Look<Vec<Held>>,
}

/// Looks at everything.
pub async fn look(cluster: &Cluster, everywhere: bool) -> Result<Seen, CliError> {
    let client = &cluster.client;
    // An API server that can't be reached, or does not know the caller, answers nothing else either.
    cluster
        .call(
            &cluster.request("get", VERSION).of_cluster(),
            get::<Value>(client, VERSION),
        )
        .await?;
    let namespace = (!everywhere).then(|| cluster.namespace.clone());
    let (kubernetes, groups, schema, agents, jobs, api_service) = tokio::join!(
        version(client),
        groups(client),
        tried("read the API's schema", get(client, SCHEMA)),
        definition(client, "agents.herdctl.dev"),
        definition(client, "jobs.herdctl.dev"),
        object::<APIService>(Api::all(client.clone()), API_SERVICE, "get apiservices"),
    );
    let (service, operator, user, rights, home, open) = tokio::join!(
        service(client, &api_service),
        operator(client, &api_service),
        cluster.user(),
        rights(client, namespace.as_deref()),
        home(client, namespace.as_deref()),
        open(cluster, everywhere),
    );
    let held = match held_by(client, &operator).await {
        Some(held) => Ok(Some(held)),
        None => held(client, namespace.as_deref()).await,
    };
    let probe = match &namespace {
        Some(namespace) => probe::try_pod(client, namespace, &operator).await,
        None => Ok(None),
    };
    Ok(Seen {
        namespace,
        kubernetes,
        groups,
        schema,
        definitions: [agents, jobs],
        api_service,
        service,
        operator,
        user,
        rights,
        home,
        probe,
        open,
        held,
    })
}

/// A look, within its time, by an answer.
pub async fn tried<T>(right: &str, call: impl Future<Output = Result<T, kube::Error>>) -> Look<T> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(Ok(found)) => Ok(Some(found)),
        Ok(Err(kube::Error::Api(status))) if status.is_not_found() => Ok(None),
        Ok(Err(kube::Error::Api(status))) if status.is_forbidden() && is_of_acting(&status) => {
            Err(Gap::Hidden(format!("act as somebody else to {right}")))
        }
        Ok(Err(kube::Error::Api(status))) if status.is_forbidden() => {
            Err(Gap::Hidden(right.to_owned()))
        }
        Ok(Err(kube::Error::Api(status))) => {
            Err(Gap::Failed(Clean::line(&status.message, MAX_CAUSE).into()))
        }
        Ok(Err(error)) => Err(Gap::Failed(deepest(&error))),
        Err(_) => Err(Gap::Failed(format!(
            "no answer within {} s",
            CALL_TIMEOUT.as_secs()
        ))),
    }
}

async fn get<T: DeserializeOwned>(client: &Client, path: &str) -> Result<T, kube::Error> {
    let request = Request::get(path)
        .body(Vec::new())
        .map_err(kube::Error::HttpError)?;
    client.request(request).await
}

async fn object<K>(api: Api<K>, name: &str, right: &str) -> Look<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    tried(right, api.get(name)).await
}

async fn definition(client: &Client, name: &str) -> Look<CustomResourceDefinition> {
    object(
        Api::all(client.clone()),
        name,
        "get customresourcedefinitions",
    )
    .await
}

/// Major and minor; vendors add to the minor, as in `33+`.
async fn version(client: &Client) -> Look<(u32, u32)> {
    let found = tried("get /version", get::<Value>(client, VERSION)).await?;
    let number = |field: &str| {
        let text = found.as_ref()?.get(field)?.as_str()?;
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    Ok(number("major").zip(number("minor")))
}

async fn groups(client: &Client) -> Look<Vec<Group>> {
    let found = tried("get /apis", client.list_api_groups_aggregated()).await?;
    Ok(found.map(|list| {
        let groups = list.items.into_iter();
        groups
            .map(|group| Group {
                name: group
                    .metadata
                    .and_then(|meta| meta.name)
                    .unwrap_or_default(),
                versions: group
                    .versions
                    .into_iter()
                    .map(|version| Version {
                        name: version.version.unwrap_or_default(),
                        resources: version
                            .resources
                            .into_iter()
                            .map(|one| (one.resource.unwrap_or_default(), one.short_names))
                            .collect(),
                    })
                    .collect(),
            })
            .collect()
    }))
}

fn service_of(api_service: &Look<APIService>) -> Option<(String, String)> {
    let service = api_service
        .as_ref()
        .ok()?
        .as_ref()?
        .spec
        .as_ref()?
        .service
        .as_ref()?;
    service.namespace.clone().zip(service.name.clone())
}

async fn service(client: &Client, api_service: &Look<APIService>) -> Look<()> {
    let Some((namespace, name)) = service_of(api_service) else {
        return Ok(None);
    };
    let api: Api<Service> = Api::namespaced(client.clone(), &namespace);
    let found = object(api, &name, &format!("get services in {namespace}")).await?;
    Ok(found.map(drop))
}

/// The operator is where its Service is; where there is none, all namespaces are searched.
async fn operator(client: &Client, api_service: &Look<APIService>) -> Look<Operator> {
    let place = service_of(api_service).map(|(namespace, _)| namespace);
    let found = parts(client, place.as_deref()).await?;
    let found = match (found, &place) {
        (None, Some(_)) => parts(client, None).await?,
        (found, _) => found,
    };
    let Some((namespace, parts)) = found else {
        return Ok(None);
    };
    let mut operator = Operator {
        namespace,
        parts,
        lease: None,
    };
    if let Some(controller) = operator.part("controller") {
        let name = controller.name.rsplit('/').next().unwrap_or_default();
        let leases: Api<Lease> = Api::namespaced(client.clone(), &operator.namespace);
        let right = format!("get leases in {}", operator.namespace);
        operator.lease = Some(object(leases, name, &right).await);
    }
    Ok(Some(operator))
}

async fn parts(client: &Client, place: Option<&str>) -> Look<(String, Vec<Part>)> {
    let params = ListParams::default().labels(OURS);
    let deployments: Api<Deployment> = api(client, place);
    let sets: Api<StatefulSet> = api(client, place);
    let within = place.map_or("in all namespaces".to_owned(), |place| {
        format!("in {place}")
    });
    let deployments = tried(
        &format!("list deployments {within}"),
        deployments.list(&params),
    )
    .await?;
    let sets = tried(&format!("list statefulsets {within}"), sets.list(&params)).await?;
    let mut namespace = None;
    let mut parts = Vec::new();
    for deployment in deployments.into_iter().flatten() {
        namespace = namespace.or(deployment.namespace());
        parts.push(part_of_deployment(client, deployment).await);
    }
    for set in sets.into_iter().flatten() {
        namespace = namespace.or(set.namespace());
        parts.push(part_of_set(client, set).await);
    }
    Ok(namespace.map(|namespace| (namespace, parts)))
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

async fn part_of_deployment(client: &Client, deployment: Deployment) -> Part {
    let spec = deployment.spec.clone().unwrap_or_default();
    let ready = deployment
        .status
        .as_ref()
        .and_then(|status| status.ready_replicas);
    let arguments = spec.template.spec.iter().flat_map(|pod| &pod.containers);
    let part = Part {
        name: format!("deployment/{}", deployment.name_any()),
        wanted: spec.replicas.unwrap_or(1),
        ready: ready.unwrap_or_default(),
        arguments: arguments
            .flat_map(|one| one.args.clone().unwrap_or_default())
            .collect(),
        ..labelled(deployment.labels())
    };
    with_trouble(
        client,
        part,
        deployment.namespace(),
        spec.selector.match_labels,
    )
    .await
}

async fn part_of_set(client: &Client, set: StatefulSet) -> Part {
    let spec = set.spec.clone().unwrap_or_default();
    let ready = set.status.as_ref().and_then(|status| status.ready_replicas);
    let part = Part {
        name: format!("statefulset/{}", set.name_any()),
        wanted: spec.replicas.unwrap_or(1),
        ready: ready.unwrap_or_default(),
        ..labelled(set.labels())
    };
    with_trouble(client, part, set.namespace(), spec.selector.match_labels).await
}

fn labelled(labels: &std::collections::BTreeMap<String, String>) -> Part {
    let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
    Part {
        component: label(COMPONENT),
        version: label("app.kubernetes.io/version"),
        ..Part::default()
    }
}

async fn with_trouble(
    client: &Client,
    mut part: Part,
    namespace: Option<String>,
    selector: Option<std::collections::BTreeMap<String, String>>,
) -> Part {
    if part.ready < part.wanted {
        let pairs = selector.unwrap_or_default();
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let pods: Api<Pod> = api(client, namespace.as_deref());
        let params = ListParams::default().labels(&pairs.join(",")).limit(PAGE);
        let found = tried("list pods", pods.list(&params)).await;
        part.trouble = found
            .ok()
            .flatten()
            .and_then(|pods| pods.items.iter().find_map(trouble));
    }
    part
}

/// Why a pod is not ready.
fn trouble(pod: &Pod) -> Option<(String, String)> {
    let status = pod.status.as_ref()?;
    let waiting = status
        .container_statuses
        .iter()
        .flatten()
        .find_map(|container| {
            let waiting = container.state.as_ref()?.waiting.as_ref()?;
            Some((waiting.reason.clone(), waiting.message.clone()))
        });
    let condition = || {
        let conditions = status.conditions.iter().flatten();
        let mut bad = conditions.filter(|one| one.status == "False");
        let found = bad.find(|one| one.reason.is_some())?;
        Some((found.reason.clone(), found.message.clone()))
    };
    let (reason, message) = waiting.or_else(condition)?;
    let words: Vec<String> = reason.into_iter().chain(message).collect();
    Some((
        pod.name_any(),
        Clean::line(&words.join(": "), MAX_CAUSE).into(),
    ))
}

async fn rights(client: &Client, namespace: Option<&str>) -> Vec<(Right, Look<bool>)> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let ask = async |right: Right| {
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    namespace: namespace.map(str::to_owned),
                    verb: Some(right.verb.into()),
                    group: Some(GROUP.into()),
                    resource: Some(right.resource.into()),
                    subresource: right.subresource.map(str::to_owned),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let params = PostParams::default();
        let answer = tried(
            "create selfsubjectaccessreviews",
            reviews.create(&params, &review),
        )
        .await;
        (
            right,
            answer.map(|review| {
                review
                    .and_then(|review| review.status)
                    .map(|status| status.allowed)
            }),
        )
    };
    futures::future::join_all(RIGHTS.map(ask)).await
}

async fn home(client: &Client, namespace: Option<&str>) -> Look<Namespace> {
    match namespace {
        Some(name) => object(Api::all(client.clone()), name, "get namespaces").await,
        None => Ok(None),
    }
}

async fn open(cluster: &Cluster, everywhere: bool) -> Look<Vec<JobView>> {
    let selection = Selection {
        everywhere,
        fields: Some("status.phase!=completed,status.phase!=failed,status.phase!=cancelled".into()),
    };
    match cluster.list(&selection).await {
        Ok(jobs) => Ok(Some(jobs)),
        Err(_) => Err(Gap::Hidden("list jobs.herdctl.dev".into())),
    }
}

/// What an operator that is gone holds may be in any namespace; not everybody may see them all.
async fn held_by(client: &Client, operator: &Look<Operator>) -> Option<Vec<Held>> {
    match operator {
        Ok(None) => held(client, None).await.ok().flatten(),
        Ok(Some(_)) | Err(_) => None,
    }
}

async fn held(client: &Client, namespace: Option<&str>) -> Look<Vec<Held>> {
    let jobs: Api<crate::api::job::Job> = api(client, namespace);
    let pods: Api<Pod> = api(client, namespace);
    let (jobs, pods) = tokio::join!(
        metadata("list jobs.herdctl.dev", jobs, ListParams::default()),
        metadata("list pods", pods, ListParams::default().labels(LABEL_JOB)),
    );
    let mut held = Vec::new();
    for (kind, ours, found) in [("job", JOB_FINALIZER, jobs), ("pod", POD_FINALIZER, pods)] {
        let found = found?.into_iter().flatten();
        held.extend(found.filter_map(|meta| {
            let finalizers = meta.finalizers.clone().unwrap_or_default();
            let holds = finalizers.iter().any(|name| name == ours);
            holds.then(|| Held {
                kind,
                others: finalizers.iter().any(|name| name != ours),
                meta,
            })
        }));
    }
    Ok(Some(held))
}

/// The metadata of all objects, page by page.
async fn metadata<K>(right: &str, api: Api<K>, params: ListParams) -> Look<Vec<ObjectMeta>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let mut params = params.limit(PAGE);
    let mut found = Vec::new();
    loop {
        let Some(page) = tried(right, api.list_metadata(&params)).await? else {
            return Ok(None);
        };
        found.extend(page.items.into_iter().map(|item| item.metadata));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(Some(found)),
        }
    }
}
