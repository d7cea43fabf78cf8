//! An API server of one object: lists and watches it, and takes merge patches that are about its present
//! version. What it does not do, nobody here asks for.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

/// The object as it is now, or nothing.
#[derive(Clone)]
pub struct FakeApi {
    object: Arc<watch::Sender<Option<Value>>>,
    /// Before so many of the next patches somebody else is faster.
    pub races: Arc<AtomicUsize>,
}

impl FakeApi {
    /// Serves the object under its collection's path and its own; answers a client for it too.
    pub async fn start(collection: &str, object: Option<Value>) -> (FakeApi, Client) {
        let api = FakeApi {
            object: Arc::new(watch::channel(None).0),
            races: Arc::default(),
        };
        if let Some(object) = object {
            api.write(object);
        }
        let router = Router::new()
            .route(collection, get(list))
            .route(
                &format!("{collection}/{{name}}"),
                axum::routing::patch(patch),
            )
            .with_state(api.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        let client = Client::try_from(Config::new(url.parse().unwrap())).unwrap();
        (api, client)
    }

    /// Somebody writes the object, whatever it was before.
    pub fn write(&self, mut object: Value) {
        self.object.send_modify(|present| {
            object["metadata"]["resourceVersion"] = json!((version(present) + 1).to_string());
            *present = Some(object);
        });
    }

    /// Somebody changes the object.
    pub fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut object = self.object.borrow().clone().unwrap();
        change(&mut object);
        self.write(object);
    }

    pub fn now(&self) -> Value {
        self.object.borrow().clone().unwrap()
    }
}

fn version(object: &Option<Value>) -> u64 {
    let version = object
        .as_ref()
        .map(|object| &object["metadata"]["resourceVersion"]);
    version
        .and_then(Value::as_str)
        .map_or(0, |text| text.parse().unwrap())
}

async fn list(
    State(api): State<FakeApi>,
    Query(parameters): Query<BTreeMap<String, String>>,
) -> Response {
    assert!(parameters["fieldSelector"].starts_with("metadata.name="));
    if parameters.contains_key("watch") {
        let known = parameters["resourceVersion"].parse().unwrap();
        return Body::from_stream(events(api.object.subscribe(), known)).into_response();
    }
    let object = api.object.borrow().clone();
    let version = version(&object).to_string();
    let items: Vec<Value> = object.into_iter().collect();
    Json(json!({"metadata": {"resourceVersion": version}, "items": items})).into_response()
}

/// One line for each version after the known one.
fn events(
    changes: watch::Receiver<Option<Value>>,
    known: u64,
) -> impl futures::Stream<Item = Result<Bytes, Infallible>> {
    futures::stream::unfold((changes, known), async |(mut changes, known)| {
        loop {
            let object = changes.borrow_and_update().clone();
            let version = version(&object);
            if version > known {
                let line = format!("{}\n", json!({"type": "MODIFIED", "object": object}));
                return Some((Ok(Bytes::from(line)), (changes, version)));
            }
            changes.changed().await.ok()?;
        }
    })
}

async fn patch(State(api): State<FakeApi>, Json(patch): Json<Value>) -> Response {
    let faster = |races: usize| races.checked_sub(1);
    if api
        .races
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, faster)
        .is_ok()
    {
        api.change(|object| object["metadata"]["annotations"] = json!({"somebody": "else"}));
    }
    let mut object = api.now();
    if patch["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
        let status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "reason": "Conflict",
            "message": "the object has been modified",
            "code": 409,
        });
        return (StatusCode::CONFLICT, Json(status)).into_response();
    }
    json_patch::merge(&mut object, &patch);
    api.write(object);
    Json(api.now()).into_response()
}
