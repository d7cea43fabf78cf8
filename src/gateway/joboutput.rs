//! A JobOutput: what the store knows of a Job's record, as an object of the API, so that
//! `kubectl get joboutputs NAME` tells something and every client library can read it.

use http::{HeaderMap, header};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::names::{KIND, Target, group_version};
use crate::api::protocol::RecordInfo;

/// The record of what a Job's agent did: where it is and how far. Its lines are in the subresource `log`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobOutput {
    api_version: String,
    kind: &'static str,
    metadata: Metadata,
    /// Bytes of output.jsonl that are safe on the store's disk.
    bytes: u64,
    /// The last line is there; nothing follows and nothing changes any more.
    sealed: bool,
    /// The record's job.json, as it is on the store's volume; empty before the first line.
    job: Map<String, Value>,
}

/// Named as the Job is.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Metadata {
    name: String,
    namespace: String,
    /// The UID of the Job that the record is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
}

impl JobOutput {
    /// What the store answered.
    pub fn new(target: &Target, info: RecordInfo) -> JobOutput {
        let job = match info.job {
            Value::Object(job) => job,
            _ => Map::new(),
        };
        JobOutput {
            api_version: group_version(),
            kind: KIND,
            metadata: Metadata {
                name: target.job.clone(),
                namespace: target.namespace.clone(),
                uid: job.get("uid").and_then(Value::as_str).map(str::to_owned),
            },
            bytes: info.bytes,
            sealed: info.sealed,
            job,
        }
    }

    /// The object, or the table of one line that kubectl prints.
    pub fn render(&self, headers: &HeaderMap) -> Value {
        if wants_table(headers) {
            self.table()
        } else {
            json!(self)
        }
    }

    fn table(&self) -> Value {
        let of = |field: &str| {
            self.job
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let column = |name: &str, kind: &str, description: &str| {
            let format = if name == "Name" { "name" } else { "" };
            json!({"name": name, "type": kind, "format": format, "description": description, "priority": 0})
        };
        json!({
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": {},
            "columnDefinitions": [
                column("Name", "string", "The Job's name."),
                column("Status", "string", "The Job's phase, as the record has it."),
                column("Exit", "string", "How the Job ended."),
                column("Bytes", "integer", "Bytes of output that are safe."),
                column("Sealed", "boolean", "Nothing follows any more."),
            ],
            "rows": [{
                "cells": [self.metadata.name, of("status"), of("exitReason"), self.bytes, self.sealed],
                "object": {
                    "kind": "PartialObjectMetadata",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": self.metadata,
                },
            }],
        })
    }
}

/// kubectl names what it prefers first, and a Table is its first wish where it prints columns.
fn wants_table(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let first = accept
        .unwrap_or_default()
        .split(',')
        .next()
        .unwrap_or_default();
    let has = |wanted: &str| first.split(';').any(|part| part.trim() == wanted);
    has("application/json") && has("as=Table") && has("g=meta.k8s.io") && has("v=v1")
}
