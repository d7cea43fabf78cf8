//! Which container's resources a quota or a LimitRange refuses, and who can change them. A quota names the
//! containers; a LimitRange only says what it wants and what it found, so its sentence is held against the
//! pod that was asked for.

use k8s_openapi::api::core::v1::{Container, Pod};

use super::quantity::quantity;
use crate::plan::{
    facts::{AGENT_CONTAINER, SHIP_CONTAINER},
    trouble::NOT_OURS,
};

/// Said by a quota, then `limits.cpu for: ship; limits.memory for: agent,ship`.
const MUST_SPECIFY: &str = "must specify ";
/// Said by a LimitRange of each container, and of all containers together.
const PER_CONTAINER: &str = " per Container is ";
const PER_POD: &str = " per Pod is ";

/// Quantities are told rounded, and ratios with six decimals.
const TOLERANCE: f64 = 1e-4;

/// Whose resources are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Culprits {
    agent: bool,
    ship: bool,
    others: bool,
}

/// The next step, where a refusal is about resources.
pub(super) fn next_step(message: &str, pod: &Pod) -> Option<String> {
    let culprits = of_quota(message, pod).or_else(|| of_limit_range(message, pod))?;
    Some(culprits.words())
}

impl Culprits {
    fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        names.fold(Culprits::default(), |all, name| match name {
            AGENT_CONTAINER => Culprits { agent: true, ..all },
            SHIP_CONTAINER => Culprits { ship: true, ..all },
            _ => Culprits {
                others: true,
                ..all
            },
        })
    }

    fn words(self) -> String {
        let agent = format!(
            "the resources of container {AGENT_CONTAINER} are spec.pod.resources of the Agent"
        );
        let ship = format!(
            "container {SHIP_CONTAINER} is the operator's sidecar, and the operator's administrator sets its resources with the chart's value ship.resources"
        );
        let others = format!(
            "a container that is neither {AGENT_CONTAINER} nor {SHIP_CONTAINER} is meant: {NOT_OURS}"
        );
        let all = [
            (self.agent, agent),
            (self.ship, ship),
            (self.others, others),
        ];
        let meant: Vec<String> = all
            .into_iter()
            .filter_map(|(meant, words)| meant.then_some(words))
            .collect();
        format!("{}; then create another Job", meant.join("; "))
    }
}

fn of_quota(message: &str, pod: &Pod) -> Option<Culprits> {
    let (_, wanted) = message.split_once(MUST_SPECIFY)?;
    let (mut named, mut unnamed) = (Vec::new(), Vec::new());
    for part in wanted.split(';') {
        match part.split_once(" for: ") {
            Some((_, names)) => named.extend(names.split(',').map(str::trim)),
            // Older API servers name no container.
            None => unnamed.extend(part.split(',').map(str::trim)),
        }
    }
    let lacking = containers(pod)
        .filter(|container| unnamed.iter().any(|it| lacks(container, it)))
        .map(|it| it.name.as_str());
    Some(Culprits::of(named.into_iter().chain(lacking)))
}

/// Whether a container says nothing of `limits.cpu`, `requests.cpu`, or `cpu`, which is the request.
fn lacks(container: &Container, resource: &str) -> bool {
    match resource.split_once('.') {
        Some(("limits", name)) => limit(container, name).is_none(),
        Some((_, name)) => request(container, name).is_none(),
        None => request(container, resource).is_none(),
    }
}

fn of_limit_range(message: &str, pod: &Pod) -> Option<Culprits> {
    if message.contains(PER_POD) {
        return Some(Culprits::of(containers(pod).map(|it| it.name.as_str())));
    }
    let mut parts = message.split(PER_CONTAINER);
    let mut before = parts.next()?;
    let mut meant = Vec::new();
    for after in parts {
        let complaint = Complaint::of(before, after)?;
        let mut guilty: Vec<&str> = containers(pod)
            .filter(|container| complaint.is_about(container))
            .map(|it| it.name.as_str())
            .collect();
        if guilty.is_empty() {
            // A default of the LimitRange was put in, or a container that we know nothing of.
            guilty.extend(
                containers(pod)
                    .filter(|container| complaint.leaves_to_defaults(container))
                    .map(|it| it.name.as_str()),
            );
        }
        if guilty.is_empty() {
            guilty.push("");
        }
        meant.extend(guilty);
        before = after;
    }
    (!meant.is_empty()).then(|| Culprits::of(meant.into_iter()))
}

/// One sentence of a LimitRange.
struct Complaint<'a> {
    resource: &'a str,
    found: Found,
}

/// What it found in the container.
enum Found {
    Request(f64),
    Limit(f64),
    Ratio(f64),
    NoRequest,
    NoLimit,
}

impl<'a> Complaint<'a> {
    /// `minimum memory usage`, ` per Container is `, `100Mi, but request is 16Mi`.
    fn of(before: &'a str, after: &str) -> Option<Self> {
        let resource = before
            .strip_suffix(" usage")
            .or_else(|| before.strip_suffix(" max limit to request ratio"))?
            .rsplit([' ', '['])
            .next()?;
        let number = |mark: &str| {
            let (_, rest) = after.split_once(mark)?;
            quantity(rest.split([',', ']', ' ']).next()?)
        };
        // What comes first is of this sentence: a longer message holds the next one too.
        let found = [
            (
                "but request is ",
                number("but request is ").map(Found::Request),
            ),
            ("but limit is ", number("but limit is ").map(Found::Limit)),
            (
                "but provided ratio is ",
                number("but provided ratio is ").map(Found::Ratio),
            ),
            ("No request is specified", Some(Found::NoRequest)),
            ("no request is specified", Some(Found::NoRequest)),
            ("No limit is specified", Some(Found::NoLimit)),
            ("no limit is specified", Some(Found::NoLimit)),
        ];
        let first = found
            .into_iter()
            .filter_map(|(mark, found)| Some((after.find(mark)?, found?)))
            .min_by_key(|(at, _)| *at);
        Some(Complaint {
            resource,
            found: first?.1,
        })
    }

    fn is_about(&self, container: &Container) -> bool {
        let (request, limit) = (
            request(container, self.resource),
            limit(container, self.resource),
        );
        match self.found {
            Found::Request(told) => is(request, told),
            Found::Limit(told) => is(limit, told),
            Found::Ratio(told) => is(
                limit.zip(request).map(|(limit, request)| limit / request),
                told,
            ),
            Found::NoRequest => request.is_none(),
            Found::NoLimit => limit.is_none(),
        }
    }

    fn leaves_to_defaults(&self, container: &Container) -> bool {
        let no_request = request(container, self.resource).is_none();
        let no_limit = limit(container, self.resource).is_none();
        match self.found {
            Found::Request(_) => no_request,
            Found::Limit(_) => no_limit,
            Found::Ratio(_) => no_request || no_limit,
            Found::NoRequest | Found::NoLimit => false,
        }
    }
}

fn is(own: Option<f64>, told: f64) -> bool {
    own.is_some_and(|own| (own - told).abs() <= TOLERANCE * own.abs().max(told.abs()))
}

fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    let spec = pod.spec.iter();
    spec.flat_map(|spec| {
        spec.containers
            .iter()
            .chain(spec.init_containers.iter().flatten())
    })
}

fn limit(container: &Container, resource: &str) -> Option<f64> {
    let resources = container.resources.as_ref()?;
    quantity(&resources.limits.as_ref()?.get(resource)?.0)
}

/// One that is left out is the limit.
fn request(container: &Container, resource: &str) -> Option<f64> {
    let resources = container.resources.as_ref()?;
    let request = resources.requests.as_ref().and_then(|it| it.get(resource));
    request.map_or_else(|| limit(container, resource), |it| quantity(&it.0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The agent sets all that it can; its sidecar has a request and a limit for memory alone.
    fn pod() -> Pod {
        serde_json::from_value(json!({"spec": {
            "containers": [{"name": "agent", "resources": {
                "requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"cpu": "1", "memory": "1Gi"},
            }}],
            "initContainers": [{"name": "ship", "resources": {
                "requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"},
            }}],
        }}))
        .unwrap()
    }

    #[test]
    fn a_refusal_of_resources_leads_to_the_container_that_is_meant() {
        const AGENT: (bool, bool, bool) = (true, false, false);
        const SHIP: (bool, bool, bool) = (false, true, false);
        const BOTH: (bool, bool, bool) = (true, true, false);
        const OTHERS: (bool, bool, bool) = (false, false, true);
        for (message, (agent, ship, others)) in [
            (
                "failed quota: team: must specify limits.cpu for: ship",
                SHIP,
            ),
            (
                "failed quota: team: must specify limits.cpu for: agent; limits.memory for: agent,ship",
                BOTH,
            ),
            (
                "failed quota: team: must specify limits.cpu for: mesh-proxy",
                OTHERS,
            ),
            (
                "failed quota: team: must specify limits.cpu,requests.memory",
                SHIP,
            ),
            (
                "minimum memory usage per Container is 100Mi, but request is 16Mi",
                SHIP,
            ),
            (
                "minimum memory usage per Container is 2Gi, but request is 512Mi",
                AGENT,
            ),
            (
                "maximum cpu usage per Container is 500m, but limit is 1",
                AGENT,
            ),
            (
                "maximum cpu usage per Container is 500m, but limit is 1k",
                SHIP,
            ),
            (
                "maximum cpu usage per Container is 500m.  No limit is specified",
                SHIP,
            ),
            (
                "memory max limit to request ratio per Container is 3, but provided ratio is 4.000000",
                SHIP,
            ),
            (
                "cpu max limit to request ratio per Container is 1, but provided ratio is 2.000000",
                AGENT,
            ),
            (
                "cpu max limit to request ratio per Container is 4, but no limit is specified or limit is 0",
                SHIP,
            ),
            (
                "[minimum cpu usage per Container is 50m, but request is 10m, maximum memory usage per Container is 512Mi, but limit is 1Gi]",
                BOTH,
            ),
            (
                "[maximum memory usage per Container is 512Mi, but limit is 1Gi, minimum cpu usage per Container is 50m, but request is 10m]",
                BOTH,
            ),
            (
                "maximum memory usage per Container is 512Mi, but limit is 3Gi",
                OTHERS,
            ),
            (
                "maximum memory usage per Pod is 1Gi, but limit is 1140850688",
                BOTH,
            ),
        ] {
            let message = format!("pods \"hello-1\" is forbidden: {message}");
            let words = next_step(&message, &pod()).unwrap();
            let said = (
                words.contains("spec.pod.resources"),
                words.contains("ship.resources"),
                words.contains(NOT_OURS),
            );
            assert_eq!(said, (agent, ship, others), "{message}: {words}");
        }
    }

    #[test]
    fn what_is_not_about_resources_has_no_container() {
        for message in [
            "exceeded quota: team",
            "spec.nodeSelector: Invalid value",
            "x per Container is y",
        ] {
            assert_eq!(next_step(message, &pod()), None, "{message}");
        }
    }
}
