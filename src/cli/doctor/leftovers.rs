//! Objects that can't be deleted: our finalizers hold them where no operator is left, or where it has had
//! time enough.

use chrono::{DateTime, TimeDelta, Utc};
use k8s_openapi::jiff::Timestamp;

use super::{
    finding::Finding,
    look::{Held, Seen},
};
use crate::uninstall::{is_held, some_of};

/// A pod has ten minutes to hand its output over, and its record as long to be sealed: after that a working
/// operator lets go.
const PATIENCE: TimeDelta = TimeDelta::minutes(25);

pub fn finalizers(seen: &Seen, now: DateTime<Utc>, lease_now: Timestamp) -> Finding {
    let check = "finalizers";
    let held = match &seen.held {
        Ok(held) => held.as_deref().unwrap_or_default(),
        Err(gap) => return Finding::unseen(check, "whether objects are held", gap),
    };
    let names = |objects: &[&Held]| {
        let names: Vec<String> = objects.iter().map(|one| name(one)).collect();
        some_of(&names)
    };
    if matches!(seen.operator, Ok(None)) && !held.is_empty() {
        let all: Vec<&Held> = held.iter().collect();
        return Finding::bad(
            check,
            format!(
                "left of an operator that is gone: {} with our finalizer can't be deleted: {}",
                counted(all.len()),
                names(&all)
            ),
        )
        .fixable();
    }
    let stuck: Vec<&Held> = held
        .iter()
        .filter(|one| !one.others && since(one).is_some_and(|since| now - since > PATIENCE))
        .collect();
    if stuck.is_empty() {
        return Finding::good(
            check,
            "nothing that is being deleted waits for the operator",
        );
    }
    let message = format!(
        "deleted, and still held {} minutes after they should be gone: {}",
        PATIENCE.num_minutes(),
        names(&stuck)
    );
    let Ok(Some(operator)) = &seen.operator else {
        return Finding::bad(check, message)
            .next("ask an administrator of the cluster to run herdctl doctor");
    };
    let leads = matches!(&operator.lease, Some(Ok(Some(lease)))
        if lease.spec.as_ref().is_some_and(|spec| is_held(spec, lease_now)));
    let name = operator
        .part("controller")
        .map_or("deployment/herd-controller", |part| part.name.as_str());
    let namespace = &operator.namespace;
    Finding::bad(check, message).next(if leads {
        format!("see why the controller does not: kubectl --namespace {namespace} logs {name}")
    } else {
        format!(
            "the controller lets go as soon as it runs: kubectl --namespace {namespace} get {name}"
        )
    })
}

fn name(held: &Held) -> String {
    let meta = &held.meta;
    format!(
        "{} {}/{}",
        held.kind,
        meta.namespace.as_deref().unwrap_or_default(),
        meta.name.as_deref().unwrap_or_default()
    )
}

/// When it should have been gone: for a pod its grace is in it already.
fn since(held: &Held) -> Option<DateTime<Utc>> {
    let at = held.meta.deletion_timestamp.as_ref()?.0;
    DateTime::from_timestamp(at.as_second(), 0)
}

fn counted(objects: usize) -> String {
    match objects {
        1 => "1 object".into(),
        _ => format!("{objects} objects"),
    }
}
