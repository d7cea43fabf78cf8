//! Promise: what people write is checked when they write it, by the API server alone, and each refusal
//! names the field; and the status can have one outcome only, whoever writes it.

mod accepted;
mod frozen;
mod immutable;
mod reading;
mod refused;
mod refused_pods;

use herdctl::api::{agent::Agent, job::Job};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, PostParams},
};
use serde_json::{Value, json};

use crate::team::namespace::TEAM_A;

/// Checked by the API server to the last, and stored nowhere.
fn dry_run() -> PostParams {
    PostParams {
        dry_run: true,
        ..PostParams::default()
    }
}

/// An Agent's manifest.
fn agent(spec: Value) -> Value {
    named_agent("reviewer", spec)
}

fn named_agent(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "herdctl.dev/v1alpha1", "kind": "Agent", "metadata": {"name": name}, "spec": spec})
}

/// A Job's manifest.
fn job(spec: Value) -> Value {
    named_job("review", spec)
}

fn named_job(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "herdctl.dev/v1alpha1", "kind": "Job", "metadata": {"name": name}, "spec": spec})
}

/// Sends a manifest of either kind as it stands, which our types could not hold.
async fn try_create(client: &Client, manifest: &Value) -> kube::Result<DynamicObject> {
    let resource = match manifest["kind"].as_str() {
        Some("Agent") => ApiResource::erase::<Agent>(&()),
        _ => ApiResource::erase::<Job>(&()),
    };
    let object: DynamicObject = serde_json::from_value(manifest.clone()).unwrap();
    Api::namespaced_with(client.clone(), TEAM_A, &resource)
        .create(&dry_run(), &object)
        .await
}

/// One manifest that must not pass.
struct Bad {
    /// What is wrong, as a sentence.
    why: &'static str,
    manifest: Value,
    /// The one field that the refusal must name.
    field: &'static str,
}

fn bad(why: &'static str, manifest: Value, field: &'static str) -> Bad {
    Bad {
        why,
        manifest,
        field,
    }
}

/// Every one is refused, for the field that is wrong and no other. All are tried before it is said which
/// were not.
async fn assert_refused(client: &Client, table: Vec<Bad>) {
    let mut wrong = Vec::new();
    for Bad {
        why,
        manifest,
        field,
    } in table
    {
        match try_create(client, &manifest).await {
            Ok(_) => wrong.push(format!("{why}: was accepted")),
            Err(error) => {
                let named = fields(&error);
                if named.is_empty() || named.iter().any(|name| name != field) {
                    wrong.push(format!("{why}: names {named:?}, not {field}: {error}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The field of the remark that, because of the other causes, rules in CEL were not looked at.
const RULES_NOT_CHECKED: &str = "<nil>";

/// The fields that a refusal (422) names; empty for any other answer.
fn fields(error: &kube::Error) -> Vec<String> {
    match error {
        kube::Error::Api(status) if status.code == 422 => {
            let causes = status.details.iter().flat_map(|details| &details.causes);
            causes
                .map(|cause| cause.field.clone())
                .filter(|field| field != RULES_NOT_CHECKED)
                .collect()
        }
        _ => Vec::new(),
    }
}
