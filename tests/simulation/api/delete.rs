//! DELETE: preconditions, the grace of pods, and finalizers, which hold what should be gone.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::collector::Cascade;

use super::{
    ApiServer, Key, Kind, Request, Resource,
    answer::{self, Answer},
    seconds,
};

/// The grace of a pod that names none.
const DEFAULT_GRACE: i64 = 30;

impl ApiServer {
    pub(super) fn delete(
        &mut self,
        key: &Key,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Answer, Answer> {
        let old = self.object(key).ok_or_else(|| answer::not_found(key))?;
        let mut object = old.as_ref().clone();
        let options = if request.body.is_empty() {
            Value::Null
        } else {
            request.body()?
        };
        for field in ["uid", "resourceVersion"] {
            let wanted = &options["preconditions"][field];
            if !wanted.is_null() && *wanted != object["metadata"][field] {
                return Err(answer::conflict(
                    key,
                    &format!("Precondition failed: {field} in precondition: {wanted}"),
                ));
            }
        }
        let asked = options["gracePeriodSeconds"].as_i64();
        let graceful = key.resource == Resource::Pods;
        let metadata = &mut object["metadata"];
        if let Some(cascade) = Cascade::of(&options) {
            let mut finalizers = metadata["finalizers"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            if !finalizers.iter().any(|it| it == cascade.finalizer()) {
                finalizers.push(json!(cascade.finalizer()));
            }
            metadata["finalizers"] = json!(finalizers);
        }
        let held = metadata["finalizers"].is_array();
        let pending = metadata["deletionGracePeriodSeconds"].as_i64();
        let begun = !metadata["deletionTimestamp"].is_null();
        // Pods and what is held are marked first, which those who watch see, then removed.
        let marks = (graceful || held) && (!begun || pending.unwrap_or(0) > 0);
        let grace = match (begun, pending, asked) {
            (true, Some(before), Some(asked)) => before.min(asked),
            (true, Some(before), None) => before,
            _ => grace(key, &object, asked),
        };
        if marks && (!begun || pending != Some(grace)) {
            let metadata = &mut object["metadata"];
            metadata["deletionTimestamp"] = json!(seconds(now + TimeDelta::seconds(grace)));
            metadata["deletionGracePeriodSeconds"] = json!(grace);
            if key.resource.counts_generations() {
                let generation = metadata["generation"].as_u64().unwrap_or(0);
                metadata["generation"] = json!(generation + 1);
            }
            object = self
                .store(key.clone(), object, Kind::Modified)
                .as_ref()
                .clone();
        }
        if held || grace > 0 {
            return Ok(Answer::ok(&object));
        }
        self.remove(key);
        Ok(if key.resource.returns_deleted() {
            Answer::ok(&object)
        } else {
            answer::deleted(key, &object)
        })
    }
}

/// A pod that no node has, or that has ended, needs no grace.
fn grace(key: &Key, object: &Value, asked: Option<i64>) -> i64 {
    if key.resource != Resource::Pods {
        return 0;
    }
    let phase = object["status"]["phase"].as_str().unwrap_or_default();
    if object["spec"]["nodeName"].is_null() || matches!(phase, "Succeeded" | "Failed") {
        return 0;
    }
    asked
        .or(object["spec"]["terminationGracePeriodSeconds"].as_i64())
        .unwrap_or(DEFAULT_GRACE)
}

/// True when the object was to be deleted and nothing holds it any more.
pub fn is_free(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let grace = metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    !metadata["deletionTimestamp"].is_null() && metadata["finalizers"].is_null() && grace == 0
}
