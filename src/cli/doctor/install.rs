//! What the doctor makes of the install itself: versions, CRDs, the parts of the operator and the aggregated
//! API. Looks in, findings out.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use serde_json::Value;

use super::{
    finding::Finding,
    look::{Look, Part, Seen},
};
use crate::{
    api::{GROUP, crds, job::Job, text::Clean},
    cli::time,
    gateway::bundle,
    uninstall::{API_SERVICE, is_held},
};

/// The oldest Kubernetes that the chart installs on.
const KUBERNETES: (u32, u32) = (1, 33);
/// A gateway renews its certificate when a third of its thirty days is left.
const EXPIRES_SOON: TimeDelta = TimeDelta::days(5);
/// How many fields one line names.
const NAMED: usize = 4;

const APPLY_CRDS: &str =
    "kubectl apply --server-side --force-conflicts -f charts/herdctl/files/crds";
const INSTALL: &str =
    "helm upgrade --install herd charts/herdctl --namespace herd-system --create-namespace";

pub fn kubernetes(seen: &Seen) -> Option<Finding> {
    let check = "kubernetes";
    Some(match &seen.kubernetes {
        Ok(Some(version)) if *version < KUBERNETES => Finding::bad(
            check,
            format!(
                "Kubernetes {}.{} is too old: herdctl needs {}.{}",
                version.0, version.1, KUBERNETES.0, KUBERNETES.1
            ),
        )
        .next("upgrade the cluster"),
        Ok(Some((major, minor))) => Finding::good(check, format!("Kubernetes {major}.{minor}")),
        Ok(None) => return None,
        Err(gap) => Finding::unseen(check, "the version of Kubernetes", gap),
    })
}

/// The kinds are there, in our version and with all fields that this program knows.
pub fn crds(seen: &Seen) -> Finding {
    let check = "crds";
    let groups = match &seen.groups {
        Ok(Some(groups)) => groups,
        Ok(None) => return Finding::warning(check, "the API server lists no API groups"),
        Err(gap) => return Finding::unseen(check, "which kinds there are", gap),
    };
    let going = seen.definitions.iter().find_map(|definition| {
        let definition = definition.as_ref().ok()?.as_ref()?;
        definition.metadata.deletion_timestamp.as_ref()?;
        definition.metadata.name.clone()
    });
    if let Some(name) = going {
        return Finding::bad(
            check,
            format!("the CRD {name} is being deleted, and all its objects with it"),
        )
        .next("wait until it is gone; the line finalizers names what holds it");
    }
    let version = Job::version(&());
    let versions = groups
        .iter()
        .filter(|group| group.name == GROUP)
        .flat_map(|group| &group.versions);
    let served: Vec<_> = versions
        .filter(|version| version.name != "output-v1")
        .collect();
    let ours = served.iter().find(|one| one.name == version);
    let has =
        |kind: &str| ours.is_some_and(|version| version.resources.iter().any(|one| one.0 == kind));
    let missing: Vec<&str> = ["agents", "jobs"]
        .into_iter()
        .filter(|kind| !has(kind))
        .collect();
    if missing.is_empty() {
        return fields(seen);
    }
    let others: Vec<&str> = served
        .iter()
        .map(|version| version.name.as_str())
        .filter(|name| *name != version)
        .collect();
    if !others.is_empty() && ours.is_none() {
        return Finding::bad(
            check,
            format!(
                "the cluster has {GROUP} in the version {}, and this herdctl knows {version} only",
                others.join(", ")
            ),
        )
        .next("take the herdctl of the installed version, or upgrade the install");
    }
    let names: Vec<String> = missing
        .iter()
        .map(|kind| format!("{kind}.{GROUP}"))
        .collect();
    Finding::bad(
        check,
        format!("the cluster does not know {}", names.join(" and ")),
    )
    .next(INSTALL)
    .next(format!(
        "where the chart has crds.install=false: {APPLY_CRDS}"
    ))
}

/// Compares the schema that the API server tells everybody with the one that this program was built with.
fn fields(seen: &Seen) -> Finding {
    let check = "crds";
    let well = format!("agents.{GROUP} and jobs.{GROUP}, {}", Job::version(&()));
    let there = match &seen.schema {
        Ok(Some(schema)) => schema,
        Ok(None) => return Finding::good(check, well),
        Err(gap) => return Finding::unseen(check, "whether the CRDs are current", gap),
    };
    let (mut lacking, mut more) = (Vec::new(), 0_usize);
    for (_, definition) in crds::all().unwrap_or_default() {
        let Some((kind, ours)) = kind_of(&definition) else {
            continue;
        };
        let Some(theirs) = schema_of(there, kind) else {
            continue;
        };
        let (ours, theirs) = (paths(ours), paths(theirs));
        lacking.extend(ours.difference(&theirs).map(|path| format!("{kind}{path}")));
        more += theirs.difference(&ours).count();
    }
    if !lacking.is_empty() {
        let named = lacking
            .iter()
            .take(NAMED)
            .cloned()
            .collect::<Vec<_>>()
            .join(", ");
        let rest = match lacking.len().saturating_sub(NAMED) {
            0 => String::new(),
            rest => format!(" and {rest} more"),
        };
        return Finding::bad(
            check,
            format!("the CRDs are older than this herdctl: they lack {named}{rest}"),
        )
        .next(format!("{INSTALL} --reset-then-reuse-values"))
        .next(format!(
            "where the chart has crds.install=false: {APPLY_CRDS}"
        ));
    }
    if more > 0 {
        return Finding::warning(
            check,
            format!(
                "the CRDs are newer than this herdctl: {more} of their fields are unknown to it"
            ),
        )
        .next("take the herdctl of the installed version");
    }
    Finding::good(check, well)
}

fn kind_of(definition: &Value) -> Option<(&str, &Value)> {
    Some((
        definition.pointer("/spec/names/kind")?.as_str()?,
        definition.pointer("/spec/versions/0/schema/openAPIV3Schema")?,
    ))
}

fn schema_of<'a>(document: &'a Value, kind: &str) -> Option<&'a Value> {
    let schemas = document.pointer("/components/schemas")?.as_object()?;
    schemas.values().find(|schema| {
        let kinds = schema
            .get("x-kubernetes-group-version-kind")
            .and_then(Value::as_array);
        kinds.into_iter().flatten().any(|one| one["kind"] == kind)
    })
}

/// All fields of spec and status, as `.spec.prompt`.
fn paths(schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in ["spec", "status"] {
        if let Some(schema) = schema["properties"].get(part) {
            walk(schema, &format!(".{part}"), &mut found);
        }
    }
    found
}

fn walk(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    found.insert(path.to_owned());
    if let Some(fields) = schema["properties"].as_object() {
        for (name, field) in fields {
            walk(field, &format!("{path}.{name}"), found);
        }
    }
    if schema.get("items").is_some() {
        walk(&schema["items"], &format!("{path}[]"), found);
    }
}

/// The operator's version beside this program's.
pub fn versions(seen: &Seen) -> Option<Finding> {
    let check = "versions";
    let ours = env!("CARGO_PKG_VERSION");
    let operator = seen.operator.as_ref().ok()?.as_ref()?;
    let theirs = &operator
        .part("controller")
        .or(operator.parts.first())?
        .version;
    if theirs == ours {
        return Some(Finding::good(check, format!("herdctl and operator {ours}")));
    }
    Some(
        Finding::warning(check, format!("herdctl is {ours}, the operator {theirs}"))
            .next("take the herdctl of the installed version, or upgrade the install"),
    )
}

/// Each part of the operator, and who leads.
pub fn parts(seen: &Seen, now: Timestamp) -> Vec<Finding> {
    let operator = match &seen.operator {
        Ok(Some(operator)) => operator,
        Ok(None) => {
            return vec![
                Finding::bad("operator", "no operator is installed on this cluster").next(INSTALL),
            ];
        }
        Err(gap) => return vec![Finding::unseen("operator", "how the operator is", gap)],
    };
    let mut found: Vec<Finding> = [
        ("controller", "no Job starts or ends"),
        (
            "store",
            "what agents put out stays in their pods, and can't be read",
        ),
        (
            "gateway",
            "no output can be read, and no namespace of the cluster can be deleted",
        ),
    ]
    .into_iter()
    .map(|(component, while_away)| {
        part(
            &operator.namespace,
            operator.part(component),
            component,
            while_away,
        )
    })
    .collect();
    if let Some(lease) = &operator.lease {
        found.push(leader(
            &operator.namespace,
            operator.part("controller"),
            lease,
            now,
        ));
    }
    found
}

fn part(
    namespace: &str,
    part: Option<&Part>,
    component: &'static str,
    while_away: &str,
) -> Finding {
    let Some(part) = part else {
        return Finding::bad(
            component,
            format!("there is no {component} in namespace {namespace}: {while_away}"),
        )
        .next(format!("{INSTALL} --reset-then-reuse-values"));
    };
    if part.wanted == 0 {
        return Finding::bad(
            component,
            format!("the {component} is scaled to 0: {while_away}"),
        )
        .next(format!(
            "kubectl --namespace {namespace} scale {} --replicas=1",
            part.name
        ));
    }
    let ready = format!("{} of {} ready", part.ready, part.wanted);
    if part.ready >= part.wanted {
        return Finding::good(component, ready);
    }
    let (why, pod) = match &part.trouble {
        Some((pod, why)) => (format!(" ({why})"), format!("pod/{pod}")),
        None => (String::new(), part.name.clone()),
    };
    let say = match part.ready {
        0 => Finding::bad(component, format!("{ready}: {while_away}{why}")),
        _ => Finding::warning(component, format!("{ready}{why}")),
    };
    say.next(format!("kubectl --namespace {namespace} describe {pod}"))
        .next(format!(
            "kubectl --namespace {namespace} logs {pod} --previous"
        ))
}

fn leader(
    namespace: &str,
    controller: Option<&Part>,
    lease: &Look<k8s_openapi::api::coordination::v1::Lease>,
    now: Timestamp,
) -> Finding {
    let check = "leader";
    let lease = match lease {
        Err(gap) => return Finding::unseen(check, "whether a controller leads", gap),
        Ok(lease) => lease
            .as_ref()
            .and_then(|lease| lease.spec.clone())
            .unwrap_or_default(),
    };
    if is_held(&lease, now) {
        let holder = lease.holder_identity.unwrap_or_default();
        return Finding::good(check, format!("{holder} leads"));
    }
    let renewed = lease
        .renew_time
        .map(|time| now.as_second() - time.0.as_second());
    let since = renewed.map_or_else(String::new, |seconds| {
        format!(
            "; its lease was renewed last {} ago",
            time::age(TimeDelta::seconds(seconds))
        )
    });
    let name = controller.map_or("deployment/herd-controller", |part| part.name.as_str());
    Finding::bad(
        check,
        format!("no controller leads: Jobs stand still{since}"),
    )
    .next(format!("kubectl --namespace {namespace} logs {name}"))
}

/// The aggregated API, by the API server's own word.
pub fn api_service(seen: &Seen) -> Finding {
    let check = "api";
    let installed = matches!(seen.operator, Ok(Some(_)));
    let found = match &seen.api_service {
        Err(gap) => {
            return by_discovery(seen).unwrap_or_else(|| {
                Finding::unseen(check, &format!("whether {API_SERVICE} is served"), gap)
            });
        }
        Ok(None) if installed => {
            return Finding::bad(
                check,
                format!("the APIService {API_SERVICE} is missing: no output can be read"),
            )
            .next(format!("{INSTALL} --reset-then-reuse-values"));
        }
        Ok(None) => {
            return Finding::warning(
                check,
                format!("there is no APIService {API_SERVICE}: no output can be read"),
            );
        }
        Ok(Some(found)) => found,
    };
    if matches!(seen.service, Ok(None)) {
        return Finding::bad(
            check,
            format!("the APIService {API_SERVICE} names a Service that does not exist: no namespace of the cluster can be deleted"),
        )
        .fixable();
    }
    let spec = found.spec.clone().unwrap_or_default();
    if spec
        .ca_bundle
        .as_ref()
        .is_none_or(|bundle| bundle.0.is_empty())
    {
        return Finding::bad(
            check,
            format!(
                "{API_SERVICE} is not available, so that no output can be read and no namespace of the cluster can be deleted: it has no caBundle, since no gateway has added its certificate"
            ),
        )
        .next("see what the gateways say: kubectl logs -A -l app.kubernetes.io/component=gateway");
    }
    let available = found
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten())
        .find(|condition| condition.type_ == "Available");
    match available {
        Some(condition) if condition.status == "True" => Finding::good(check, format!("{API_SERVICE} is available")),
        Some(condition) => Finding::bad(
            check,
            format!(
                "{API_SERVICE} is not available, so that no output can be read and no namespace of the cluster can be deleted: {}: {}",
                condition.reason.as_deref().unwrap_or_default(),
                Clean::line(condition.message.as_deref().unwrap_or_default(), 300)
            ),
        )
        .next("see how the gateways are: kubectl get pods -A -l app.kubernetes.io/component=gateway"),
        None => Finding::warning(check, format!("the API server has not tried {API_SERVICE} yet")).next("try again"),
    }
}

/// What APIServices serve can be seen without the right to see them.
fn by_discovery(seen: &Seen) -> Option<Finding> {
    let groups = seen.groups.as_ref().ok()?.as_ref()?;
    let ours = groups.iter().filter(|group| group.name == GROUP);
    let served = ours
        .flat_map(|group| &group.versions)
        .any(|version| version.name == "output-v1" && !version.resources.is_empty());
    Some(match served {
        true => Finding::good("api", format!("{API_SERVICE} is served")),
        false => Finding::bad(
            "api",
            format!("{API_SERVICE} is not served: no output can be read"),
        )
        .next("ask an administrator of the cluster to run herdctl doctor"),
    })
}

/// Until when the API server can trust the gateways.
pub fn certificate(seen: &Seen, now: DateTime<Utc>) -> Option<Finding> {
    let check = "certificate";
    let found = seen.api_service.as_ref().ok()?.as_ref()?;
    let bundle = found.spec.as_ref()?.ca_bundle.as_ref()?;
    let last = bundle::expiries(&bundle.0).into_iter().max();
    let restart = "kubectl rollout restart --namespace NAMESPACE deployment -l app.kubernetes.io/component=gateway";
    let namespace = seen
        .operator
        .as_ref()
        .ok()
        .and_then(Option::as_ref)
        .map_or("herd-system", |operator| operator.namespace.as_str());
    let restart = restart.replace("NAMESPACE", namespace);
    Some(match last {
        None => {
            Finding::bad(check, "the caBundle holds no certificate that can be read").next(restart)
        }
        Some(until) if until <= now => Finding::bad(
            check,
            format!(
                "the gateways' certificate has expired, on {}: the API server does not trust them",
                time::date(until)
            ),
        )
        .next(restart),
        Some(until) if until - now < EXPIRES_SOON => Finding::warning(
            check,
            format!(
                "the gateways' certificate expires on {}, and should have been renewed",
                time::date(until)
            ),
        )
        .next(restart),
        Some(until) => Finding::good(
            check,
            format!(
                "the gateways' certificate is good until {}",
                time::date(until)
            ),
        ),
    })
}
