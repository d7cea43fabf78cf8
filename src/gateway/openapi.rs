//! The OpenAPI documents: what `kubectl explain joboutputs` reads. Version 2 is merged by the API server
//! into its own large document and has nothing to add there; clients that know version 3 ask for that.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::{
    joboutput::JobOutput,
    names::{KIND, LOG, PLURAL, VERSION, group_version},
};
use crate::api::GROUP;

/// The schema's name, in the manner of the API server's own.
const SCHEMA: &str = "dev.herdctl.output-v1.JobOutput";

/// `/openapi/v2`
pub fn v2() -> Value {
    json!({"swagger": "2.0", "info": info(), "paths": {}})
}

/// `/openapi/v3`: where the document of each version is.
pub fn v3_root() -> Value {
    let path = format!("apis/{}", group_version());
    let url = format!("/openapi/v3/{path}?hash={}", env!("CARGO_PKG_VERSION"));
    json!({"paths": {path: {"serverRelativeURL": url}}})
}

/// `/openapi/v3/apis/herdctl.dev/output-v1`
pub fn v3() -> Value {
    let object = format!(
        "/apis/{}/namespaces/{{namespace}}/{PLURAL}/{{name}}",
        group_version()
    );
    let log = format!("{object}/{LOG}");
    let parameter = |name: &str, place: &str, kind: &str, description: &str| {
        json!({
            "name": name,
            "in": place,
            "required": place == "path",
            "description": description,
            "schema": {"type": kind},
        })
    };
    let path = [
        parameter("namespace", "path", "string", "The Job's namespace."),
        parameter("name", "path", "string", "The Job's name."),
    ];
    let query = [
        parameter("follow", "query", "boolean", "Until the record is sealed."),
        parameter("offset", "query", "integer", "From this byte on."),
        parameter("tail", "query", "integer", "The last so many lines."),
        parameter(
            "since",
            "query",
            "string",
            "From this time on, or a duration like 90m.",
        ),
    ];
    let kind = json!({"group": GROUP, "version": VERSION, "kind": KIND});
    let get = |id: &str, content: Value, parameters: &[Value]| {
        json!({
            "operationId": id,
            "parameters": parameters,
            "responses": {"200": {"description": "OK", "content": content}},
            "x-kubernetes-action": "get",
            "x-kubernetes-group-version-kind": kind,
        })
    };
    let of_object =
        json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{SCHEMA}")}}});
    let of_log = json!({"application/jsonl": {"schema": {"type": "string"}}});
    json!({
        "openapi": "3.0.0",
        "info": info(),
        "paths": {
            object: {"parameters": path, "get": get("readJobOutput", of_object, &[])},
            log: {"parameters": path, "get": get("readJobOutputLog", of_log, &query)},
        },
        "components": {"schemas": {SCHEMA: schema(&kind)}},
    })
}

fn info() -> Value {
    json!({"title": "herdctl output", "version": VERSION})
}

fn schema(kind: &Value) -> Value {
    let mut settings = SchemaSettings::openapi3();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    let generated = settings
        .into_generator()
        .into_root_schema_for::<JobOutput>();
    let mut schema = Value::from(generated);
    schema["x-kubernetes-group-version-kind"] = json!([kind]);
    schema
}
