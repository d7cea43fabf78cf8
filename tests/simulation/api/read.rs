//! GET: an object, a list, and what a watch tells.

use serde_json::{Value, json};

use super::{
    ApiServer, Key, Kind, Request,
    answer::{self, Answer, failure},
    request::Target,
};

impl ApiServer {
    pub(super) fn get(&self, key: &Key) -> Result<Answer, Answer> {
        let found = self
            .objects
            .get(key)
            .ok_or_else(|| answer::not_found(key))?;
        Ok(Answer::ok(found))
    }

    pub(super) fn list(&self, target: &Target, request: &Request) -> Answer {
        let lacks = request.parameter("labelSelector").and_then(lacked);
        let selected = |object: &Value| {
            let labels = &object["metadata"]["labels"];
            lacks.as_ref().is_none_or(|label| labels[label].is_null())
        };
        let items: Vec<Value> = self
            .objects
            .iter()
            .filter(|(key, object)| target.covers(key) && selected(object))
            .map(|(_, object)| object.as_ref().clone())
            .collect();
        Answer {
            code: 200,
            body: json!({
                "kind": format!("{}List", target.resource.kind()), "apiVersion": target.resource.api_version(),
                "metadata": {"resourceVersion": self.version.to_string()}, "items": items,
            }),
        }
    }

    /// What has happened since, as a list of events: the stream of a watch as far as it goes now.
    pub(super) fn watch(&self, target: &Target, request: &Request) -> Result<Answer, Answer> {
        let since = request
            .parameter("resourceVersion")
            .and_then(|version| version.parse().ok())
            .unwrap_or(0);
        if since < self.compacted {
            return Err(failure(410, "Expired", "too old resource version"));
        }
        let events: Vec<Value> = self
            .history
            .iter()
            .filter(|change| change.version > since && target.covers(&change.key))
            .map(|change| {
                let kind = match change.kind {
                    Kind::Added => "ADDED",
                    Kind::Modified => "MODIFIED",
                    Kind::Deleted => "DELETED",
                };
                json!({"type": kind, "object": change.object.as_ref()})
            })
            .collect();
        Ok(Answer {
            code: 200,
            body: Value::Array(events),
        })
    }
}

/// The label that objects must not have, of the one kind of selector that is known here: `!label`.
fn lacked(selector: &str) -> Option<String> {
    let selector = selector.replace("%21", "!").replace("%2F", "/");
    selector.strip_prefix('!').map(str::to_owned)
}
