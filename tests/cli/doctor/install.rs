//! A healthy install as the tests' API server shows it, to be broken by the tests.

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{Datelike, TimeDelta, Utc};
use herdctl::api::crds;
use serde_json::{Value, json};

use crate::cluster::{Cluster, NAMESPACE};

pub const SYSTEM: &str = "herd-system";
pub const API_SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/output-v1.herdctl.dev";
pub const SERVICE: &str = "/api/v1/namespaces/herd-system/services/herd-gateway";
pub const LEASE: &str =
    "/apis/coordination.k8s.io/v1/namespaces/herd-system/leases/herd-controller";
pub const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/herd-system/deployments";
pub const STATEFUL_SETS: &str = "/apis/apps/v1/namespaces/herd-system/statefulsets";
pub const SCHEMA: &str = "/openapi/v3/apis/herdctl.dev/v1alpha1";
pub const ALL_PODS: &str = "/api/v1/pods";
pub const PODS: &str = "/api/v1/namespaces/team-a/pods";
pub const GROUPS: &str = "/apis";

pub fn list(items: Vec<Value>) -> Value {
    json!({"metadata": {"resourceVersion": "1"}, "items": items})
}

/// An API server with all of the operator on it.
pub fn healthy() -> Cluster {
    let cluster = Cluster::start();
    cluster.change(|world| {
        let objects = [
            ("/version", json!({"major": "1", "minor": "36+"})),
            (GROUPS, groups("v1alpha1")),
            (SCHEMA, schema()),
            (API_SERVICE, api_service(TimeDelta::days(20))),
            (SERVICE, json!({"metadata": {"name": "herd-gateway"}})),
            (
                DEPLOYMENTS,
                list(vec![
                    workload("controller", 1, 1),
                    workload("gateway", 2, 2),
                ]),
            ),
            (STATEFUL_SETS, list(vec![workload("store", 1, 1)])),
            (LEASE, lease(1)),
            (PODS, list(vec![])),
            (ALL_PODS, list(vec![])),
            (
                "/api/v1/namespaces/team-a",
                json!({"metadata": {"name": NAMESPACE,
                    "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}),
            ),
        ];
        for (path, object) in objects {
            world.objects.insert(path.into(), object);
        }
        for everywhere in ["deployments", "statefulsets"] {
            let of =
                world.objects[&format!("/apis/apps/v1/namespaces/{SYSTEM}/{everywhere}")].clone();
            world
                .objects
                .insert(format!("/apis/apps/v1/{everywhere}"), of);
        }
        for kind in ["agents", "jobs"] {
            let path = format!(
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind}.herdctl.dev"
            );
            world.objects.insert(path, definition(kind));
        }
    });
    cluster
}

/// Nothing of the operator is left but the CRDs.
pub fn without_operator(cluster: &Cluster) {
    cluster.change(|world| {
        for gone in [API_SERVICE, SERVICE, LEASE] {
            world.objects.remove(gone);
        }
        for kind in ["deployments", "statefulsets"] {
            for path in [
                format!("/apis/apps/v1/{kind}"),
                format!("/apis/apps/v1/namespaces/{SYSTEM}/{kind}"),
            ] {
                world.objects.insert(path, list(vec![]));
            }
        }
    });
}

pub fn groups(version: &str) -> Value {
    let resource = |name: &str, short: &[&str]| json!({"resource": name, "shortNames": short, "verbs": ["get"]});
    json!({"items": [
        {"metadata": {"name": "batch"}, "versions": [
            {"version": "v1", "resources": [resource("jobs", &[])]}]},
        {"metadata": {"name": "herdctl.dev"}, "versions": [
            {"version": version, "resources": [resource("agents", &["ha"]), resource("jobs", &["hj"])]},
            {"version": "output-v1", "resources": [resource("joboutputs", &[])]}]},
    ]})
}

/// The schema that the API server makes from the CRDs.
pub fn schema() -> Value {
    let mut schemas = serde_json::Map::new();
    for (file, definition) in crds::all().unwrap() {
        let kind = definition["spec"]["names"]["kind"].clone();
        let mut schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        schema["x-kubernetes-group-version-kind"] =
            json!([{"group": "herdctl.dev", "version": "v1alpha1", "kind": kind}]);
        schemas.insert(format!("dev.herdctl.{file}"), schema);
    }
    json!({"components": {"schemas": schemas}})
}

fn definition(kind: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{kind}.herdctl.dev")},
        "spec": {"group": "herdctl.dev", "scope": "Namespaced", "names": {"kind": "Job", "plural": kind}, "versions": []},
    })
}

/// With a certificate that lasts so long.
pub fn api_service(left: TimeDelta) -> Value {
    let mut parameters = rcgen::CertificateParams::new(["herd-gateway".to_owned()]).unwrap();
    let end = Utc::now() + left;
    parameters.not_after = rcgen::date_time_ymd(end.year(), end.month() as u8, end.day() as u8);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    json!({
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "output-v1.herdctl.dev"},
        "spec": {
            "group": "herdctl.dev",
            "version": "output-v1",
            "groupPriorityMinimum": 1000,
            "versionPriority": 15,
            "service": {"namespace": SYSTEM, "name": "herd-gateway"},
            "caBundle": BASE64_STANDARD.encode(certificate.pem()),
        },
        "status": {"conditions": [{"type": "Available", "status": "True"}]},
    })
}

/// A Deployment or StatefulSet.
pub fn workload(component: &str, wanted: i32, ready: i32) -> Value {
    json!({
        "metadata": {
            "name": format!("herd-{component}"),
            "namespace": SYSTEM,
            "labels": {
                "app.kubernetes.io/component": component,
                "app.kubernetes.io/version": env!("CARGO_PKG_VERSION"),
            },
        },
        "spec": {
            "replicas": wanted,
            "serviceName": "",
            "selector": {"matchLabels": {"app.kubernetes.io/component": component}},
            "template": {"spec": {"containers": [{"name": component, "args": [component, "--agent-image=localhost/agent:1"]}]}},
        },
        "status": {"readyReplicas": ready, "replicas": wanted},
    })
}

/// Renewed so many seconds ago.
pub fn lease(ago: i64) -> Value {
    let renewed = Utc::now() - TimeDelta::seconds(ago);
    json!({"metadata": {"name": "herd-controller"}, "spec": {
        "holderIdentity": "herd-controller-7d9f",
        "leaseDurationSeconds": 15,
        "renewTime": renewed.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
    }})
}

/// A pod or Job that has a finalizer of ours, and was deleted so many minutes ago.
pub fn held(kind: &str, name: &str, deleted: Option<i64>, phase: &str) -> Value {
    let finalizer = match kind {
        "pod" => "herdctl.dev/job-tracking",
        _ => "herdctl.dev/record",
    };
    let mut object = json!({
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": format!("uid-{name}"),
            "creationTimestamp": "2026-01-02T03:04:05Z",
            "finalizers": [finalizer],
        },
        "status": {"phase": phase},
    });
    if kind == "job" {
        object["spec"] = json!({"agent": "reviewer"});
        object["apiVersion"] = json!("herdctl.dev/v1alpha1");
        object["kind"] = json!("Job");
    }
    if let Some(minutes) = deleted {
        let at = Utc::now() - TimeDelta::minutes(minutes);
        object["metadata"]["deletionTimestamp"] =
            json!(at.format("%Y-%m-%dT%H:%M:%SZ").to_string());
    }
    object
}
