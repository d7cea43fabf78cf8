//! Answers, and the errors of Kubernetes as its clients know them.

use serde_json::{Value, json};

use super::Key;

/// An answer: the HTTP status and the body.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub code: u16,
    pub body: Value,
}

impl Answer {
    pub fn ok(object: &Value) -> Answer {
        Answer {
            code: 200,
            body: object.clone(),
        }
    }

    pub fn is_success(&self) -> bool {
        self.code < 300
    }
}

/// An error of this kind.
pub fn failure(code: u16, reason: &str, message: &str) -> Answer {
    with_details(code, reason, message, json!({}))
}

fn with_details(code: u16, reason: &str, message: &str, details: Value) -> Answer {
    Answer {
        code,
        body: json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "details": details, "code": code,
        }),
    }
}

fn details(key: &Key) -> Value {
    let mut details = json!({"name": key.name, "kind": key.resource.plural()});
    if key.resource.is_ours() {
        details["group"] = json!("herdctl.dev");
    }
    details
}

fn title(key: &Key) -> String {
    let group = if key.resource.is_ours() {
        ".herdctl.dev"
    } else {
        ""
    };
    format!("{}{group} \"{}\"", key.resource.plural(), key.name)
}

pub fn not_found(key: &Key) -> Answer {
    with_details(
        404,
        "NotFound",
        &format!("{} not found", title(key)),
        details(key),
    )
}

/// The answer to a deletion that has removed the object, of most kinds.
pub fn deleted(key: &Key, object: &Value) -> Answer {
    let mut details = details(key);
    details["uid"] = object["metadata"]["uid"].clone();
    Answer {
        code: 200,
        body: json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
        }),
    }
}

pub fn already_exists(key: &Key) -> Answer {
    with_details(
        409,
        "AlreadyExists",
        &format!("{} already exists", title(key)),
        details(key),
    )
}

pub fn conflict(key: &Key, why: &str) -> Answer {
    with_details(
        409,
        "Conflict",
        &format!("Operation cannot be fulfilled on {}: {why}", title(key)),
        details(key),
    )
}

/// A value that is never taken, with the field that holds it.
pub fn invalid(key: &Key, field: &str, why: &str) -> Answer {
    let mut details = details(key);
    details["causes"] = json!([{"reason": "FieldValueInvalid", "message": why, "field": field}]);
    let message = format!("{} is invalid: {field}: {why}", title(key));
    with_details(422, "Invalid", &message, details)
}

/// A JSON Patch whose test failed: nothing says what was wrong.
pub fn patch_refused() -> Answer {
    failure(
        422,
        "Invalid",
        "the server rejected our request due to an error in our request",
    )
}

pub fn namespace_terminating(key: &Key) -> Answer {
    let mut details = details(key);
    details["causes"] = json!([{
        "reason": "NamespaceTerminating", "field": "metadata.namespace",
        "message": format!("namespace {} is being terminated", key.namespace),
    }]);
    let message = format!(
        "{} is forbidden: unable to create new content in namespace {} because it is being terminated",
        title(key),
        key.namespace
    );
    with_details(403, "Forbidden", &message, details)
}
