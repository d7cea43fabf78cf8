//! What the definitions of our kinds refuse: values of the wrong type, another outcome of a Job that has
//! ended, another spec of one that exists. The rules are those of `crds/jobs.yaml`.

use herdctl::api::{
    agent::Agent,
    job::{FROZEN, Job},
};
use serde_json::Value;

use super::{
    Key, Resource,
    answer::{Answer, invalid},
};

/// What never changes in a Job's spec.
const IMMUTABLE: [&str; 6] = [
    "agent",
    "prompt",
    "model",
    "timeout",
    "outputSchema",
    "resume",
];

pub fn check(key: &Key, old: Option<&Value>, new: &Value, lenient: bool) -> Result<(), Answer> {
    let wrong_type = match key.resource {
        Resource::Jobs => serde_json::from_value::<Job>(new.clone()).err(),
        Resource::Agents => serde_json::from_value::<Agent>(new.clone()).err(),
        _ => None,
    };
    if let Some(error) = wrong_type {
        return Err(invalid(key, "", &error.to_string()));
    }
    check_finalizers(key, old, new)?;
    let (Resource::Jobs, Some(old)) = (key.resource, old) else {
        return Ok(());
    };
    let (was, is) = (&old["status"], &new["status"]);
    if !lenient && is_final(was) && FROZEN.iter().any(|field| was[*field] != is[*field]) {
        return Err(invalid(
            key,
            "status",
            "status: this Job has ended, its outcome never changes",
        ));
    }
    let (asked, asks) = (&old["spec"], &new["spec"]);
    if let Some(field) = IMMUTABLE
        .iter()
        .find(|field| asked[**field] != asks[**field])
    {
        return Err(invalid(key, &format!("spec.{field}"), "can't be changed"));
    }
    if asked["cancel"] == true && asks["cancel"] != true {
        return Err(invalid(key, "spec.cancel", "cancel can't be taken back"));
    }
    if asked["suspend"] != true && asks["suspend"] == true && is_final(was) {
        return Err(invalid(key, "spec.suspend", "suspend: this Job has ended"));
    }
    let resumes =
        asked["suspend"] == true && asks["suspend"] != true && was["reason"] == "Suspended";
    if asked["resumePrompt"] != asks["resumePrompt"] && !resumes {
        return Err(invalid(
            key,
            "spec.resumePrompt",
            "resumePrompt changes only together with the end of a suspension",
        ));
    }
    Ok(())
}

/// Nothing more may hold an object that is being deleted.
fn check_finalizers(key: &Key, old: Option<&Value>, new: &Value) -> Result<(), Answer> {
    let of = |object: &Value| {
        let all = object["metadata"]["finalizers"].as_array().cloned();
        all.unwrap_or_default()
    };
    let Some(old) = old else {
        return Ok(());
    };
    let before = of(old);
    if old["metadata"]["deletionTimestamp"].is_string()
        && of(new).iter().any(|finalizer| !before.contains(finalizer))
    {
        let why = "no new finalizers can be added if the object is being deleted";
        return Err(invalid(key, "metadata.finalizers", why));
    }
    Ok(())
}

pub fn is_final(status: &Value) -> bool {
    matches!(
        status["phase"].as_str(),
        Some("completed" | "failed" | "cancelled")
    )
}
