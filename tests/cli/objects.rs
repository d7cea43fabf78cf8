//! Objects of other kinds on the tests' API server, by their paths: they are read, deleted, and their
//! finalizers taken off; pods are tried as a dry run, and rights are asked for.

use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, header, request::Parts};
use serde_json::{Value, json};

use crate::{
    cluster::World,
    server::{Shared, form, object, selected},
};

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// The answer, if the request is for such an object.
pub fn answer(shared: &Shared, parts: &Parts, body: &[u8]) -> Option<Response> {
    let path = parts.uri.path();
    let query = parts.uri.query().unwrap_or_default();
    let mut world = shared.world.lock().unwrap();
    let answer = match parts.method {
        Method::GET => read(&world, path, query),
        Method::DELETE => delete(&mut world, path),
        Method::POST if path == REVIEWS => Some(review(&world, body)),
        Method::POST if path.ends_with("/pods") && query.contains("dryRun=All") => {
            Some(serde_json::from_slice(body).unwrap())
        }
        Method::PATCH => {
            let kind = parts.headers.get(header::CONTENT_TYPE)?;
            let operations = kind == "application/json-patch+json";
            patch(&mut world, path, body, operations)
        }
        _ => None,
    }?;
    drop(world);
    shared.changed.send_modify(|count| *count += 1);
    Some(match parts.method {
        Method::POST => (StatusCode::CREATED, axum::Json(answer)).into_response(),
        _ => object(answer),
    })
}

fn read(world: &World, path: &str, query: &str) -> Option<Value> {
    let mut found = world.objects.get(path)?.clone();
    let selector = form(query)
        .into_iter()
        .find(|(key, _)| key == "fieldSelector");
    if let (Some(items), Some((_, selector))) = (found["items"].as_array_mut(), selector) {
        items.retain(|item| selected(item, &selector));
    }
    Some(found)
}

fn delete(world: &mut World, path: &str) -> Option<Value> {
    world.objects.remove(path)?;
    Some(json!({"kind": "Status", "status": "Success"}))
}

fn review(world: &World, body: &[u8]) -> Value {
    let mut review: Value = serde_json::from_slice(body).unwrap();
    let asked = &review["spec"]["resourceAttributes"];
    let text = |field: &str| asked[field].as_str().unwrap_or_default().to_owned();
    let part = match asked["subresource"].as_str() {
        Some(part) => format!("/{part}"),
        None => String::new(),
    };
    let what = format!("{} {}{part}", text("verb"), text("resource"));
    let allowed = !world.denied.iter().any(|denied| *denied == what);
    review["status"] = json!({"allowed": allowed});
    review
}

/// A patch of a pod, or a JSON Patch of a Job; other patches of Jobs are the server's own.
fn patch(world: &mut World, path: &str, body: &[u8], operations: bool) -> Option<Value> {
    let (folder, name) = path.rsplit_once('/')?;
    let apply = |object: &mut Value| {
        let change: json_patch::Patch = serde_json::from_slice(body).unwrap();
        json_patch::patch(object, &change).unwrap();
    };
    if !operations {
        // Without the version that was read, as an uninstall asks.
        let change: Value = serde_json::from_slice(body).unwrap();
        if change["metadata"]["resourceVersion"].is_string() {
            return None;
        }
        let mut job = world.jobs.get(name)?.clone();
        assert_eq!(change["metadata"]["uid"], job["metadata"]["uid"]);
        json_patch::merge(&mut job, &change);
        world.put(job.clone());
        return Some(job);
    }
    if folder.ends_with("/jobs") {
        let mut job = world.jobs.get(name)?.clone();
        apply(&mut job);
        world.put(job.clone());
        return Some(job);
    }
    let items = world.objects.get_mut("/api/v1/pods")?["items"].as_array_mut()?;
    let pod = items
        .iter_mut()
        .find(|pod| pod["metadata"]["name"] == name)?;
    apply(pod);
    Some(pod.clone())
}
