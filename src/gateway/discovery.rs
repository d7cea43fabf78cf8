//! What the API server asks of an aggregated API before anybody uses it: which groups, versions and
//! resources there are. All of it is known beforehand and answered from memory. An aggregated API that
//! does not answer this blocks the deletion of every namespace in the cluster.

use axum::{
    Router,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

use super::{
    names::{KIND, LOG, PLURAL, SINGULAR, VERSION, group_version},
    openapi,
};
use crate::api::GROUP;

/// One answer for the whole group, since Kubernetes 1.30 and before it.
const AGGREGATED: [&str; 2] = ["v2", "v2beta1"];

/// The paths of discovery and of the OpenAPI documents.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/apis", get(groups))
        .route(&format!("/apis/{GROUP}"), get(async || json_of(&group())))
        .route(
            &format!("/apis/{GROUP}/{VERSION}"),
            get(async || json_of(&resources())),
        )
        .route("/version", get(async || json_of(&version())))
        .route("/openapi/v2", get(async || json_of(&openapi::v2())))
        .route("/openapi/v3", get(async || json_of(&openapi::v3_root())))
        .route(
            &format!("/openapi/v3/apis/{GROUP}/{VERSION}"),
            get(async || json_of(&openapi::v3())),
        )
}

fn json_of(document: &Value) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, document.to_string()).into_response()
}

async fn groups(headers: HeaderMap) -> Response {
    let accept = headers.get_all(header::ACCEPT).iter();
    let wishes = accept.filter_map(|value| value.to_str().ok());
    let Some(version) = wishes
        .flat_map(|wishes| wishes.split(','))
        .find_map(aggregated)
    else {
        return json_of(&json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group()]}));
    };
    let kind =
        format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
    let headers = [
        (header::CONTENT_TYPE, kind.as_str()),
        (header::VARY, "Accept"),
    ];
    (headers, aggregated_group(version).to_string()).into_response()
}

/// The version of aggregated discovery that this media type asks for.
fn aggregated(media_type: &str) -> Option<&'static str> {
    let parts: Vec<&str> = media_type.split(';').map(str::trim).collect();
    let has = |wanted: &str| parts.contains(&wanted);
    let ours =
        has("application/json") && has("g=apidiscovery.k8s.io") && has("as=APIGroupDiscoveryList");
    let wanted = |version: &&str| has(&format!("v={version}"));
    AGGREGATED.into_iter().find(wanted).filter(|_| ours)
}

fn aggregated_group(version: &str) -> Value {
    let kind = json!({"group": GROUP, "version": VERSION, "kind": KIND});
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {},
        "items": [{
            "metadata": {"name": GROUP},
            "versions": [{
                "version": VERSION,
                "freshness": "Current",
                "resources": [{
                    "resource": PLURAL,
                    "responseKind": kind,
                    "scope": "Namespaced",
                    "singularResource": SINGULAR,
                    "verbs": ["get"],
                    "subresources": [{
                        "subresource": LOG,
                        "responseKind": kind,
                        "verbs": ["get"],
                    }],
                }],
            }],
        }],
    })
}

fn group() -> Value {
    let version = json!({"groupVersion": group_version(), "version": VERSION});
    json!({
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": GROUP,
        "versions": [version],
        "preferredVersion": version,
    })
}

fn resources() -> Value {
    let resource = |name: &str, singular: &str| {
        json!({
            "name": name,
            "singularName": singular,
            "namespaced": true,
            "kind": KIND,
            "verbs": ["get"],
        })
    };
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version(),
        "resources": [resource(PLURAL, SINGULAR), resource(&format!("{PLURAL}/{LOG}"), "")],
    })
}

fn version() -> Value {
    let text = env!("CARGO_PKG_VERSION");
    let mut parts = text.split('.');
    let mut part = || parts.next().unwrap_or_default();
    json!({
        "major": part(),
        "minor": part(),
        "gitVersion": format!("v{text}"),
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}
