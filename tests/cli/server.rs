//! The tests' API server: as much of Kubernetes' API over plain HTTP as herdctl uses, on a runtime of its
//! own, so that stopping it closes every connection as the end of a process does.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use futures::stream;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, sync::watch};

use crate::{
    cluster::{NAMESPACE, USER, World, status},
    objects, record,
};

#[derive(Clone)]
pub struct Shared {
    pub world: Arc<Mutex<World>>,
    pub changed: watch::Sender<u64>,
}

pub struct Server {
    pub port: u16,
    runtime: Runtime,
}

impl Server {
    pub fn start(world: Arc<Mutex<World>>, changed: watch::Sender<u64>, port: Option<u16>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new()
            .fallback(answer)
            .with_state(Shared { world, changed });
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await
        });
        Server { port, runtime }
    }

    pub fn stop(self) {
        self.runtime.shutdown_background();
    }
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let asked = format!("{} {}", request.method(), request.uri());
    let mut answer = answer_to(shared.clone(), request).await;
    for (to, name, value) in &shared.world.lock().unwrap().headers {
        if asked.contains(to) {
            answer.headers_mut().append(*name, value.parse().unwrap());
        }
    }
    answer
}

async fn answer_to(shared: Shared, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let user = parts.headers.get("impersonate-user");
    let user = user.map(|user| user.to_str().unwrap().to_owned());
    let impersonated = user.as_ref().map(|user| format!(" as {user}"));
    let asked = format!(
        "{} {path}?{query}{}",
        parts.method,
        impersonated.unwrap_or_default()
    );
    let fault = {
        let mut world = shared.world.lock().unwrap();
        world.requests.push(asked.clone());
        world.fault(&asked)
    };
    shared.changed.send_modify(|count| *count += 1);
    if let Some((code, body)) = fault {
        return plain(code, body);
    }
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let accept = parts.headers.get(header::ACCEPT);
    let metadata =
        accept.is_some_and(|accept| accept.to_str().unwrap().contains("PartialObjectMetadata"));
    if let Some(answer) = objects::answer(&shared, &parts, &body) {
        return answer;
    }
    let steps: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (&parts.method, &steps[..]) {
        (_, ["apis", _, _, "namespaces", namespace, ..])
            if *namespace != NAMESPACE && parts.method != Method::GET =>
        {
            no_namespace(namespace)
        }
        (&Method::POST, ["apis", "authentication.k8s.io", "v1", "selfsubjectreviews"]) => {
            let user = user.unwrap_or_else(|| USER.to_owned());
            object(
                json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview",
                "metadata": {}, "status": {"userInfo": {"username": user}}}),
            )
        }
        (&Method::GET, ["api", "v1", "namespaces", NAMESPACE]) => object(
            json!({"metadata": {"name": NAMESPACE}, "apiVersion": "v1", "kind": "Namespace"}),
        ),
        (&Method::GET, ["api", "v1", "namespaces", namespace]) => no_namespace(namespace),
        (&Method::GET, ["apis", "herdctl.dev", "v1alpha1", "jobs"])
        | (
            &Method::GET,
            [
                "apis",
                "herdctl.dev",
                "v1alpha1",
                "namespaces",
                NAMESPACE,
                "jobs",
            ],
        ) => jobs(shared, &query, metadata),
        (
            &Method::GET,
            [
                "apis",
                "herdctl.dev",
                "v1alpha1",
                "namespaces",
                NAMESPACE,
                kind @ ("jobs" | "agents"),
                name,
            ],
        ) => {
            let world = shared.world.lock().unwrap();
            let all = if *kind == "jobs" {
                &world.jobs
            } else {
                &world.agents
            };
            all.get(*name)
                .cloned()
                .map_or_else(|| not_found(kind, name), object)
        }
        (
            &Method::GET,
            [
                "apis",
                "herdctl.dev",
                "v1alpha1",
                "namespaces",
                NAMESPACE,
                "agents",
            ],
        ) => {
            let world = shared.world.lock().unwrap();
            object(list(
                world.agents.values().cloned().collect(),
                world.version,
            ))
        }
        (
            &Method::GET,
            [
                "apis",
                "herdctl.dev",
                "v1alpha1",
                "namespaces",
                _,
                "jobs" | "agents",
            ],
        ) => object(list(Vec::new(), 1)),
        (
            &Method::POST,
            [
                "apis",
                "herdctl.dev",
                "v1alpha1",
                "namespaces",
                NAMESPACE,
                "jobs",
            ],
        ) => create(&shared, &body, query.contains("dryRun")),
        (
            &Method::PATCH,
            [
                "apis",
                "herdctl.dev",
                "v1alpha1",
                "namespaces",
                NAMESPACE,
                "jobs",
                name,
            ],
        ) => patch(&shared, name, &body),
        (
            &Method::GET,
            [
                "apis",
                "herdctl.dev",
                "output-v1",
                "namespaces",
                NAMESPACE,
                "joboutputs",
                name,
            ],
        ) => record::info(&shared, name),
        (
            &Method::GET,
            [
                "apis",
                "herdctl.dev",
                "output-v1",
                "namespaces",
                NAMESPACE,
                "joboutputs",
                name,
                "log",
            ],
        ) => record::log(shared, name, &query),
        _ => not_found("", &steps.join("/")),
    }
}

pub fn object(object: Value) -> Response {
    axum::Json(object).into_response()
}

pub fn plain(code: u16, body: String) -> Response {
    (StatusCode::from_u16(code).unwrap(), body).into_response()
}

pub fn not_found(kind: &str, name: &str) -> Response {
    let details = json!({"group": "herdctl.dev", "kind": kind, "name": name});
    let message = format!("{kind}.herdctl.dev \"{name}\" not found");
    plain(404, status(404, "NotFound", &message, details))
}

fn no_namespace(name: &str) -> Response {
    let details = json!({"kind": "namespaces", "name": name});
    let message = format!("namespaces \"{name}\" not found");
    plain(404, status(404, "NotFound", &message, details))
}

fn list(items: Vec<Value>, version: u64) -> Value {
    json!({"apiVersion": "herdctl.dev/v1alpha1", "kind": "List",
        "metadata": {"resourceVersion": version.to_string()}, "items": items})
}

fn jobs(shared: Shared, query: &str, metadata: bool) -> Response {
    let pairs: Vec<(String, String)> = form(query);
    let of = |name: &str| {
        pairs
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    };
    let selector = of("fieldSelector").unwrap_or_default();
    if of("watch").is_some() {
        let from = of("resourceVersion")
            .and_then(|version| version.parse().ok())
            .unwrap_or(0);
        return watch(shared, from, selector);
    }
    let world = shared.world.lock().unwrap();
    let found: Vec<Value> = world
        .jobs
        .values()
        .filter(|job| selected(job, &selector))
        .cloned()
        .collect();
    // Small pages, so that paging is tried.
    let limit = of("limit")
        .and_then(|limit| limit.parse().ok())
        .unwrap_or(usize::MAX)
        .min(2);
    let begin: usize = of("continue")
        .and_then(|token| token.parse().ok())
        .unwrap_or(0);
    let page: Vec<Value> = found.iter().skip(begin).take(limit).cloned().collect();
    let mut list = list(page, world.version);
    if begin + limit < found.len() && of("limit").as_deref() != Some("1") {
        list["metadata"]["continue"] = (begin + limit).to_string().into();
    }
    if metadata {
        for item in list["items"].as_array_mut().unwrap() {
            *item = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": item["metadata"]});
        }
    }
    object(list)
}

/// Query pairs; only what herdctl percent-encodes is decoded.
pub fn form(query: &str) -> Vec<(String, String)> {
    let uri: http::Uri = format!("/?{query}").parse().unwrap();
    axum::extract::Query::try_from_uri(&uri).unwrap().0
}

/// True for an object that a field selector of `=` and `!=` lets through.
pub fn selected(job: &Value, selector: &str) -> bool {
    selector
        .split(',')
        .filter(|part| !part.is_empty())
        .all(|part| {
            let (field, value, wanted) = match part.split_once("!=") {
                Some((field, value)) => (field, value, false),
                None => {
                    let (field, value) = part.split_once('=').unwrap();
                    (field, value, true)
                }
            };
            let found = job.pointer(&format!("/{}", field.replace('.', "/")));
            (found.and_then(Value::as_str).unwrap_or_default() == value) == wanted
        })
}

fn watch(shared: Shared, from: u64, selector: String) -> Response {
    let changed = shared.changed.subscribe();
    let state = (shared, from, selector, changed);
    let events = stream::unfold(state, async |(shared, from, selector, mut changed)| {
        loop {
            changed.mark_unchanged();
            let next = {
                let world = shared.world.lock().unwrap();
                let next = world
                    .history
                    .iter()
                    .find(|(version, _, job)| *version > from && selected(job, &selector));
                next.cloned()
            };
            if let Some((version, change, job)) = next {
                let line = format!("{}\n", json!({"type": change, "object": job}));
                let line: Result<Bytes, std::io::Error> = Ok(Bytes::from(line));
                return Some((line, (shared, version, selector, changed)));
            }
            changed.changed().await.ok()?;
        }
    });
    Body::from_stream(events).into_response()
}

fn create(shared: &Shared, body: &[u8], dry_run: bool) -> Response {
    let mut job: Value = serde_json::from_slice(body).unwrap();
    let name = job["metadata"]["name"].as_str().unwrap().to_owned();
    let mut world = shared.world.lock().unwrap();
    if world.jobs.contains_key(&name) {
        let details = json!({"group": "herdctl.dev", "kind": "jobs", "name": name});
        return plain(
            409,
            status(409, "AlreadyExists", "it already exists", details),
        );
    }
    job["metadata"]["uid"] = format!("uid-{name}").into();
    // All that a test creates is created in the same second.
    let second = world.second.get_or_insert_with(chrono::Utc::now);
    let second = second.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    job["metadata"]["creationTimestamp"] = second.into();
    let lost = world.lost > 0;
    if !dry_run {
        world.put(job.clone());
        world.lost = world.lost.saturating_sub(1);
        drop(world);
        shared.changed.send_modify(|count| *count += 1);
    }
    if lost {
        let broken = stream::once(async { Err::<Bytes, _>(std::io::Error::other("lost")) });
        return Body::from_stream(broken).into_response();
    }
    (StatusCode::CREATED, axum::Json(job)).into_response()
}

/// A merge patch of a Job's spec, as the API server takes it: refused where the Job has changed, and where a
/// rule of the CRD forbids it.
fn patch(shared: &Shared, name: &str, body: &[u8]) -> Response {
    let change: Value = serde_json::from_slice(body).unwrap();
    let mut world = shared.world.lock().unwrap();
    let changes = world.change_before_patch.pop_front();
    if let Some((status, spec)) = changes {
        let mut job = world.jobs[name].clone();
        job["status"] = status;
        json_patch::merge(&mut job["spec"], &spec);
        world.put(job);
    }
    let Some(mut job) = world.jobs.get(name).cloned() else {
        return not_found("jobs", name);
    };
    let details = json!({"group": "herdctl.dev", "kind": "jobs", "name": name});
    if change["metadata"]["resourceVersion"] != job["metadata"]["resourceVersion"] {
        let words = "the object has been modified; please apply your changes to the latest version";
        return plain(409, status(409, "Conflict", words, details));
    }
    let old = job.clone();
    json_patch::merge(&mut job, &change);
    let ends_a_suspension = old["spec"]["suspend"] == true
        && job["spec"]["suspend"] != true
        && old["status"]["reason"] == "Suspended";
    if old["spec"]["resumePrompt"] != job["spec"]["resumePrompt"] && !ends_a_suspension {
        return plain(
            422,
            status(
                422,
                "Invalid",
                "resumePrompt changes only together with the end of a suspension",
                details,
            ),
        );
    }
    world.patches.push(change["spec"].clone());
    world.put(job.clone());
    drop(world);
    shared.changed.send_modify(|count| *count += 1);
    object(job)
}
