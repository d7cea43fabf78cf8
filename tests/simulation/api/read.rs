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

    pub(super) fn list(&self, target: &Target) -> Answer {
        let of_it = |key: &&Key| target.covers(key);
        let items: Vec<Value> = self
            .objects
            .iter()
            .filter(|(key, _)| of_it(key))
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
