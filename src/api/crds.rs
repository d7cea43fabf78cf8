//! The CustomResourceDefinitions, generated from the types. What the derive macros can't say is added
//! here, and what Rust's tools say that Kubernetes does not understand is taken out.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use super::{agent::Agent, job::Job};

/// Where the schema stands in a definition with one version.
const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";

/// All definitions of ours, by the name of the file that each is kept in.
pub fn all() -> Result<Vec<(&'static str, Value)>, serde_json::Error> {
    let mut job = tidy(&Job::crd())?;
    // Without the default, tools that judge by status take a Job that nobody has looked at for done.
    if let Some(status) = job.pointer_mut(&format!("{SCHEMA}/properties/status")) {
        status["default"] = json!({"observedGeneration": -1});
    }
    Ok(vec![
        ("agents.yaml", tidy(&Agent::crd())?),
        ("jobs.yaml", job),
    ])
}

fn tidy(crd: &CustomResourceDefinition) -> Result<Value, serde_json::Error> {
    let mut crd = serde_json::to_value(crd)?;
    if let Some(schema) = crd.pointer_mut(SCHEMA) {
        tidy_schema(schema);
        schema["properties"]["metadata"] = metadata();
    }
    Ok(crd)
}

/// Names are DNS labels of at most 52 characters: pod names, host names and label values end at 63, and
/// `-<attempt>` is added to a Job's.
fn metadata() -> Value {
    json!({
        "type": "object",
        "properties": {"name": {
            "type": "string",
            "x-kubernetes-validations": [{
                "rule": "size(self) <= 52 && self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
                "message": "must be a DNS label of at most 52 characters: lower-case letters, digits and '-', for example nightly-review",
            }],
        }},
    })
}

fn tidy_schema(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            unwrap_description(fields);
            forbid_null(fields);
            drop_unsigned_format(fields);
            bound_quantity(fields);
            fields.values_mut().for_each(tidy_schema);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy_schema),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `kubectl explain` wraps lines itself; the line ends of our source would show as ragged text.
fn unwrap_description(fields: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = fields.get_mut("description") {
        let paragraphs: Vec<String> = text
            .split("\n\n")
            .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        *text = paragraphs.join("\n\n");
    }
}

/// We leave absent fields out and never write null, and `null` in an enum reads as a choice.
fn forbid_null(fields: &mut Map<String, Value>) {
    if fields.get("nullable") == Some(&Value::Bool(true)) {
        fields.remove("nullable");
    }
    if let Some(Value::Array(choices)) = fields.get_mut("enum") {
        choices.retain(|choice| !choice.is_null());
    }
}

/// A quantity that is none is refused with the Agent, not with the first pod.
fn bound_quantity(fields: &mut Map<String, Value>) {
    const QUANTITY: &str =
        r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$";
    if fields.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        fields.insert("pattern".to_owned(), Value::from(QUANTITY));
        fields.insert("maxLength".to_owned(), Value::from(32));
    }
}

/// Kubernetes knows no unsigned formats and warns of them at each apply.
fn drop_unsigned_format(fields: &mut Map<String, Value>) {
    let unsigned = |format: &Value| format.as_str().is_some_and(|name| name.starts_with("uint"));
    if fields.get("format").is_some_and(unsigned) {
        fields.remove("format");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Larger ones get near the limits of Helm's release and of client-side apply.
    const MAX_BYTES: usize = 150 * 1024;

    #[test]
    fn every_definition_is_small_enough_for_helm_and_kubectl() {
        for (file, crd) in all().unwrap() {
            assert!(
                serde_json::to_string(&crd).unwrap().len() < MAX_BYTES,
                "{file}"
            );
        }
    }

    #[test]
    fn every_field_is_described() {
        for (file, crd) in all().unwrap() {
            let fields = fields(crd.pointer(SCHEMA).unwrap(), file);
            assert!(fields.len() > 60, "{file} has more than {}", fields.len());
            for (path, field) in fields {
                let described = field["description"].as_str();
                assert!(described.is_some_and(|it| !it.is_empty()), "{path}");
            }
        }
    }

    /// Each property of a schema by its path, those in lists and maps too; but metadata, which is Kubernetes'.
    fn fields<'a>(schema: &'a Value, path: &str) -> Vec<(String, &'a Value)> {
        let mut all = Vec::new();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            if name != "metadata" {
                all.extend(fields(field, &path));
                all.push((path, field));
            }
        }
        let inside = ["items", "additionalProperties"].map(|inner| schema.get(inner));
        for inner in inside.into_iter().flatten() {
            all.extend(fields(inner, path));
        }
        all
    }

    #[test]
    fn no_enum_offers_null() {
        for (file, crd) in all().unwrap() {
            assert!(!crd.to_string().contains("null"), "{file}");
        }
    }
}
