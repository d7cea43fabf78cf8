//! The two servers: what one has told of an object, how the real one is asked, and what of an answer both
//! must have in common.

use std::{collections::BTreeMap, mem};

use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde_json::{Value, json};

use crate::api::{Answer, Key, Request, Resource};

use super::steps::Said;

/// What one server has told of an object, to take preconditions from.
#[derive(Default)]
pub struct Known {
    pub first: Option<Value>,
    last: Option<Value>,
}

impl Known {
    pub fn hear(&mut self, answer: &Answer) {
        if answer.is_success() && answer.body["metadata"]["uid"].is_string() {
            self.first.get_or_insert_with(|| answer.body.clone());
            self.last = Some(answer.body.clone());
        }
    }

    fn field(&self, said: Said, field: &str, wrong: &str) -> Option<Value> {
        let of = |object: &Option<Value>| object.as_ref().map(|it| it["metadata"][field].clone());
        match said {
            Said::Nothing => None,
            Said::Right => of(&self.last),
            Said::Old => of(&self.first),
            Said::Wrong => Some(json!(wrong)),
        }
    }

    pub fn version(&self, said: Said) -> Option<Value> {
        // Neither server gets that far.
        self.field(said, "resourceVersion", "999999999")
    }

    pub fn uid(&self, said: Said) -> Option<Value> {
        self.field(said, "uid", "00000000-0000-4000-8000-000000000000")
    }

    pub fn finalizers(&self) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|it| it["metadata"]["finalizers"].is_array())
    }
}

/// An answer without what differs from server to server, or is not of interest to the controller.
pub fn comparable(resource: Resource, answer: &Answer) -> (u16, Value) {
    if !answer.is_success() {
        return (answer.code, answer.body["reason"].clone());
    }
    if answer.body["kind"] == "Status" {
        // The answer to a deletion that has removed the object.
        return (answer.code, json!("gone"));
    }
    (answer.code, object(resource, &answer.body))
}

fn object(resource: Resource, whole: &Value) -> Value {
    let metadata = &whole["metadata"];
    let mut kept = json!({
        "name": metadata["name"], "generation": metadata["generation"],
        "labels": metadata["labels"], "finalizers": metadata["finalizers"],
        "deleting": metadata["deletionTimestamp"].is_string(),
        "grace": metadata["deletionGracePeriodSeconds"],
    });
    match resource {
        Resource::Pods => {
            kept["node"] = whole["spec"]["nodeName"].clone();
            kept["generation"] = Value::Null;
        }
        _ => {
            kept["spec"] = whole["spec"].clone();
            kept["status"] = whole["status"].clone();
        }
    }
    kept
}

pub async fn real(client: &Client, request: &Request) -> Answer {
    let query: Vec<String> = request
        .query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let sent = http::Request::builder()
        .method(request.method.as_str())
        .uri(format!("{}?{}", request.path, query.join("&")))
        .header(http::header::CONTENT_TYPE, &request.content_type)
        .body(Body::from(request.body.clone()))
        .unwrap();
    let answer = client.send(sent).await.unwrap();
    let code = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    let body =
        serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
    Answer { code, body }
}

/// The events that a watch tells of one object from its creation on.
pub async fn watched(client: &Client, key: &Key, since: &str, seconds: u32) -> Answer {
    let mut request = Request::new("POST", key, "");
    request.method = "GET".to_owned();
    request.query = BTreeMap::from([
        ("watch".to_owned(), "true".to_owned()),
        ("resourceVersion".to_owned(), since.to_owned()),
        ("timeoutSeconds".to_owned(), seconds.to_string()),
        (
            "fieldSelector".to_owned(),
            format!("metadata.name%3D{}", key.name),
        ),
    ]);
    let answer = real(client, &request).await;
    let text = match &answer.body {
        Value::String(text) => text.clone(),
        one => one.to_string(),
    };
    let events = text.lines().map(|line| serde_json::from_str(line).unwrap());
    Answer {
        code: answer.code,
        body: Value::Array(events.collect()),
    }
}

/// What a watch tells of one object. But for one thing that no request did: every twenty seconds the cluster's
/// own collector marks those pods as failed that are going and have no node.
pub fn told(resource: Resource, events: &Answer, name: &str) -> Vec<(Value, Value)> {
    let events = events.body.as_array().cloned().unwrap_or_default();
    let mine = events
        .iter()
        .filter(|event| event["object"]["metadata"]["name"] == name);
    let mut failed = false;
    let mine = mine.filter(|event| {
        let before = mem::replace(&mut failed, event["object"]["status"]["phase"] == "Failed");
        before || !failed
    });
    mine.map(|event| (event["type"].clone(), object(resource, &event["object"])))
        .collect()
}
