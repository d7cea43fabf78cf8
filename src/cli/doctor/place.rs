//! What the doctor makes of a namespace and of the person: rights, admission, the store's room for Jobs, and
//! what kubectl's words mean here.

use chrono::{DateTime, Utc};

use super::{
    finding::Finding,
    look::{Right, Seen},
    probe::Probed,
    waiting,
};
use crate::{
    api::{
        GROUP,
        job::{ConditionStatus, ConditionType},
        text::Clean,
    },
    cli::{
        cluster::explain::{Scope, rights::binding},
        view::short,
    },
    uninstall::some_of,
};

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// There is no such namespace; the API server gives rights in it, and lists nothing, all the same.
fn is_missing(seen: &Seen) -> bool {
    let looked_for = seen.namespace.is_some() && seen.home == Ok(None);
    looked_for || seen.probe == Ok(Some(Probed::NoNamespace))
}

fn place(seen: &Seen) -> String {
    match &seen.namespace {
        Some(namespace) => format!("in {namespace}"),
        None => "in all namespaces".into(),
    }
}

/// What the caller may do with agents and Jobs.
pub fn rights(seen: &Seen) -> Option<Finding> {
    (!is_missing(seen)).then(|| rights_in(place(seen), seen))
}

fn rights_in(place: String, seen: &Seen) -> Finding {
    let check = "rights";
    if let Some(gap) = seen
        .rights
        .iter()
        .find_map(|(_, answer)| answer.as_ref().err())
    {
        return Finding::unseen(check, "what you may do", gap);
    }
    let missing: Vec<Right> = seen
        .rights
        .iter()
        .filter(|(_, answer)| answer != &Ok(Some(true)))
        .map(|(right, _)| *right)
        .collect();
    if missing.is_empty() {
        return Finding::good(
            check,
            format!("you may run, see and stop Jobs and read their output {place}"),
        );
    }
    let named: Vec<String> = missing.iter().map(told).collect();
    let message = format!("you may not {} {place}", named.join(", "));
    let blind = missing
        .iter()
        .any(|right| right.resource == "jobs" && matches!(right.verb, "get" | "list"));
    let role = if missing.iter().all(|right| {
        matches!(right.verb, "get" | "list" | "watch") && right.resource != "joboutputs"
    }) {
        "view"
    } else {
        "edit"
    };
    let scope = match &seen.namespace {
        Some(namespace) => Scope::Namespace(namespace),
        None => Scope::AllNamespaces,
    };
    let user = seen.user.as_deref().unwrap_or("YOU");
    let finding = if blind {
        Finding::bad(check, message)
    } else {
        Finding::warning(check, message)
    };
    finding.next(format!(
        "an administrator can give you the role {role}: {}",
        binding(role, scope, user)
    ))
}

fn told(right: &Right) -> String {
    let part = right
        .subresource
        .map_or(String::new(), |part| format!("/{part}"));
    format!("{} {}{part}.{GROUP}", right.verb, right.resource)
}

/// The namespace exists, stays, and takes pods of ours.
pub fn namespace(seen: &Seen) -> Option<Finding> {
    let check = "namespace";
    let name = seen.namespace.as_deref()?;
    if is_missing(seen) {
        return Some(
            Finding::bad(check, format!("there is no namespace {name}")).next(format!(
                "kubectl create namespace {name}, or name another: -n NAME"
            )),
        );
    }
    let level = match &seen.home {
        Ok(Some(home)) if home.metadata.deletion_timestamp.is_some() => {
            let home = home.status.as_ref();
            let conditions = home.and_then(|status| status.conditions.as_ref());
            let why = conditions
                .into_iter()
                .flatten()
                .filter(|one| one.status == "True");
            let why: Vec<String> = why.filter_map(|one| one.message.clone()).collect();
            let why = Clean::line(&why.join("; "), 400);
            return Some(
                Finding::bad(check, format!("namespace {name} is being deleted: {why}"))
                    .next("the other lines say what holds it"),
            );
        }
        Ok(Some(home)) => {
            let labels = home.metadata.labels.as_ref();
            labels.and_then(|labels| labels.get(ENFORCE)).cloned()
        }
        Ok(None) | Err(_) => None,
    };
    let level = level.map_or(String::new(), |level| format!(" (Pod Security: {level})"));
    Some(match &seen.probe {
        Ok(Some(Probed::Taken)) => Finding::good(check, format!("namespace {name} takes agents' pods{level}")),
        Ok(Some(Probed::Refused(why))) => Finding::bad(check, format!("namespace {name} refuses agents' pods{level}: {why}"))
            .next(format!("change what refuses them: kubectl get resourcequota,limitrange -n {name}; kubectl get validatingadmissionpolicybinding,validatingwebhookconfiguration"))
            .next("or give the Agent what is asked for: kubectl explain ha.spec.pod"),
        Ok(Some(Probed::NoNamespace) | None) => return None,
        Err(gap) => Finding::unseen(check, &format!("whether namespace {name} takes agents' pods"), gap),
    })
}

/// Jobs that wait, and for what: see [`super::waiting`]; and whether the store takes their output.
pub fn jobs(seen: &Seen, now: DateTime<Utc>) -> Vec<Finding> {
    let Ok(Some(open)) = &seen.open else {
        return Vec::new();
    };
    if is_missing(seen) {
        return Vec::new();
    }
    let mut found = waiting::findings(open, seen.namespace.is_none(), now);
    let stalled: Vec<_> = open
        .iter()
        .filter_map(|job| {
            let conditions = job.conditions();
            let stalled = conditions.into_iter().find(|one| {
                one.type_ == ConditionType::OutputStalled && one.status == ConditionStatus::True
            })?;
            Some((short(job.name()).to_owned(), stalled))
        })
        .collect();
    match stalled.first() {
        Some((_, condition)) => {
            let names: Vec<String> = stalled.iter().map(|(name, _)| name.clone()).collect();
            found.push(
                Finding::bad(
                    "output",
                    format!(
                        "the store does not take the output of {}: {}",
                        some_of(&names),
                        Clean::line(&condition.message, 300)
                    ),
                )
                .next("make its volume larger (see the chart's README, Upgrade)"),
            );
        }
        None => found.push(Finding::good(
            "output",
            match &seen.namespace {
                Some(namespace) => format!("no Job in {namespace} waits for the store"),
                None => "no Job in any namespace waits for the store".into(),
            },
        )),
    }
    found
}

/// What `kubectl get jobs` lists, and whose short names are taken.
pub fn kubectl(seen: &Seen) -> Vec<Finding> {
    let Ok(Some(groups)) = &seen.groups else {
        return Vec::new();
    };
    let check = "kubectl";
    let has = |name: &str, short: bool| {
        let mut owners: Vec<&str> = Vec::new();
        for group in groups {
            let resources = group.versions.iter().flat_map(|version| &version.resources);
            let mut named = resources.filter(|(resource, shorts)| match short {
                true => shorts.iter().any(|one| one == name),
                false => resource == name,
            });
            if named.next().is_some() {
                owners.push(&group.name);
            }
        }
        owners
    };
    let mut found = Vec::new();
    let owners = has("jobs", false);
    match owners.first() {
        Some(first) if *first == GROUP => found.push(Finding::good(
            check,
            "kubectl get jobs lists these Jobs; Kubernetes' own need their full name, also for logs and wait: jobs.batch/NAME",
        )),
        Some(first) if owners.contains(&GROUP) => found.push(Finding::good(
            check,
            format!("kubectl get jobs lists those of {first}; these are kubectl get hj"),
        )),
        _ => {}
    }
    for (short, full) in [("hj", "jobs"), ("ha", "agents")] {
        let clash: Vec<&str> = has(short, true)
            .into_iter()
            .filter(|group| *group != GROUP)
            .collect();
        if !clash.is_empty() {
            found.push(
                Finding::warning(
                    check,
                    format!(
                        "kubectl's short name {short} belongs to {} too",
                        clash.join(", ")
                    ),
                )
                .next(format!("write kubectl get {full}.{GROUP}")),
            );
        }
    }
    found
}
