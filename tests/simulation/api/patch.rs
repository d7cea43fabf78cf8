//! PATCH in its four kinds: server-side apply and JSON Patch, merge patch and, as its like, strategic
//! merge; on an object or on its status.

use json_patch::Patch;
use serde_json::{Value, json};

use crate::refusals::{bytes, too_large};

use super::{
    ApiServer, Key, Request,
    answer::{self, Answer, failure},
    apply,
    request::Target,
};

impl ApiServer {
    pub(super) fn patch(&mut self, target: &Target, request: &Request) -> Result<Answer, Answer> {
        let key = target.key();
        let old = self.object(&key).ok_or_else(|| answer::not_found(&key))?;
        let old = old.as_ref().clone();
        let of_status = target.subresource.as_deref() == Some("status");
        let kind = request.content_type.split(';').next().unwrap_or_default();
        let mut patched = old.clone();
        match kind {
            "application/json-patch+json" => {
                let operations: Patch = serde_json::from_slice(&request.body)
                    .map_err(|error| failure(400, "BadRequest", &error.to_string()))?;
                json_patch::patch(&mut patched, &operations)
                    .map_err(|_| answer::patch_refused())?;
            }
            "application/merge-patch+json" | "application/strategic-merge-patch+json" => {
                json_patch::merge(&mut patched, &request.body()?);
            }
            "application/apply-patch+yaml" => {
                return self.apply(&key, old, request, of_status);
            }
            _ => {
                return Err(failure(
                    415,
                    "UnsupportedMediaType",
                    "this kind of patch is not known",
                ));
            }
        }
        let manager = request.parameter("fieldManager").unwrap_or("unknown");
        let new = only(&key, old.clone(), patched, of_status);
        let owners = self.owners_after(&key, &format!("update by {manager}"), &new);
        self.update(&key, new, owners)
    }

    fn apply(
        &mut self,
        key: &Key,
        old: Value,
        request: &Request,
        of_status: bool,
    ) -> Result<Answer, Answer> {
        let body = apply::read(&request.body)?;
        let manager = request
            .parameter("fieldManager")
            .ok_or_else(|| answer::invalid(key, "fieldManager", "is required for apply patch"))?;
        let part = if of_status { "status" } else { "spec" };
        let config = json!({part: body[part]});
        let mut owners = self.owners.get(key).cloned().unwrap_or_default();
        let mut patched = apply::merged(&old, &config);
        owners.prune(manager, &config, &mut patched);
        patched["metadata"]["resourceVersion"] = body["metadata"]["resourceVersion"].clone();
        let new = only(key, old.clone(), patched, of_status);
        owners.applied(manager, &config, &old, &new);
        let (was, is) = (bytes(&old), bytes(&new));
        if self.limit.is_some_and(|limit| is > limit && is > was) {
            return Err(too_large());
        }
        self.update(key, new, owners)
    }
}

/// The subresource changes the status alone, the object all but that.
fn only(key: &Key, old: Value, patched: Value, of_status: bool) -> Value {
    if !key.resource.has_status() {
        return patched;
    }
    let (mut kept, from) = if of_status {
        (old, patched)
    } else {
        (patched, old)
    };
    if of_status {
        kept["metadata"]["resourceVersion"] = from["metadata"]["resourceVersion"].clone();
    }
    match from.get("status") {
        Some(status) if !status.is_null() => kept["status"] = status.clone(),
        _ => {
            if let Some(fields) = kept.as_object_mut() {
                fields.remove("status");
            }
        }
    }
    kept
}
