//! Writes that the API server does not take: because of a policy, until somebody changes that, or because the
//! object would be too large. And what must hold of controllers that meet one: they do not hammer.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    api::{Answer, Request, Resource, failure},
    wire::Process,
    world::World,
};

/// So often a minute may the same be tried after it was refused. A status counts twice, since what can be
/// written is tried after what should be.
const MOST: usize = 20;
/// And once it has been refused for so many milliseconds.
const LASTS: u64 = 3 * MINUTE;
const MOST_LATER: usize = 6;
const MINUTE: u64 = 60_000;

/// What a policy of the cluster keeps controllers from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    PodUpdates,
    PodDeletions,
    Statuses,
    /// Changes of Jobs other than of their status.
    Jobs,
}

impl Forbidden {
    pub const ALL: [Forbidden; 4] = [
        Forbidden::PodUpdates,
        Forbidden::PodDeletions,
        Forbidden::Statuses,
        Forbidden::Jobs,
    ];

    fn covers(self, request: &Request) -> bool {
        let Some(target) = request.target() else {
            return false;
        };
        let of_status = target.subresource.is_some();
        match (self, request.method.as_str(), target.resource) {
            (Forbidden::PodUpdates, "PATCH", Resource::Pods)
            | (Forbidden::PodDeletions, "DELETE", Resource::Pods) => true,
            (Forbidden::Statuses, "PATCH", Resource::Jobs) => of_status,
            (Forbidden::Jobs, "PATCH", Resource::Jobs) => !of_status,
            _ => false,
        }
    }
}

/// What was refused, by who asked for it and how.
#[derive(Default)]
pub struct Refused(BTreeMap<(Process, String, String), Tries>);

struct Tries {
    first: u64,
    /// In the last minute.
    recent: Vec<u64>,
}

impl World {
    /// The policy's answer, if it is against this.
    pub fn forbids(&self, request: &Request) -> Option<Answer> {
        let mut all = self.forbidden.iter();
        all.any(|it| it.covers(request)).then(|| {
            failure(
                422,
                "Invalid",
                "is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: not here",
            )
        })
    }

    /// Another object of this name has tries of its own.
    pub fn forget_refusals(&mut self, name: &str) {
        let is_of = |path: &str| path.split('/').any(|part| part == name);
        self.refused.0.retain(|(_, _, path), _| !is_of(path));
    }

    /// What is refused is not tried again and again.
    pub fn note_refusal(&mut self, from: Process, request: &Request, answer: &Answer) {
        let key = (from, request.method.clone(), request.path.clone());
        if request.method == "POST" || !is_refusal(answer) {
            if answer.is_success() {
                self.refused.0.remove(&key);
            }
            return;
        }
        let now = self.now;
        let tries = self.refused.0.entry(key).or_insert(Tries {
            first: now,
            recent: Vec::new(),
        });
        tries.recent.retain(|at| now - at < MINUTE);
        tries.recent.push(now);
        let most = if now - tries.first > LASTS {
            MOST_LATER
        } else {
            MOST
        };
        if tries.recent.len() > most {
            let rule = format!("{} {} is tried on and on", request.method, request.path);
            self.break_rule(rule);
        }
    }
}

fn is_refusal(answer: &Answer) -> bool {
    let message = answer.body["message"].as_str().unwrap_or_default();
    message.contains("denied request") || message.contains("request is too large")
}

/// The answer where an object has no room.
pub fn too_large() -> Answer {
    failure(500, "InternalError", "etcdserver: request is too large")
}

/// The size of an object, as etcd counts it.
pub fn bytes(object: &Value) -> usize {
    object.to_string().len()
}

mod tests {
    use super::{
        super::{
            scenario::{Deed, Scenario},
            world::run,
        },
        Forbidden,
    };

    fn warned(deeds: &[(u64, Deed)]) -> Vec<String> {
        let scenario = Scenario {
            works: Some(30_000),
            told: true,
            ..Scenario::calm(7).with(deeds)
        };
        let report = run(&scenario);
        assert_eq!(report.violation, None, "{}", report.lines.join("\n"));
        report.warned
    }

    #[test]
    fn a_policy_against_a_write_is_told_once_by_an_event_on_the_job() {
        for (forbidden, deed) in [
            (Forbidden::PodUpdates, Deed::EditAgent),
            (Forbidden::PodDeletions, Deed::Cancel(0)),
            (Forbidden::Statuses, Deed::EditAgent),
            (Forbidden::Jobs, Deed::DeleteJob(0)),
        ] {
            let deeds = [
                (6_000, Deed::Forbid(forbidden)),
                (7_000, deed),
                (400_000, Deed::Allow),
            ];
            assert_eq!(warned(&deeds), ["job-0 WriteRefused"], "{forbidden:?}");
        }
    }

    #[test]
    fn a_refused_finalizer_is_told_by_an_event_on_a_job_that_waits_for_it() {
        let deeds = [(5, Deed::Forbid(Forbidden::Jobs)), (400_000, Deed::Allow)];
        assert_eq!(warned(&deeds), ["job-0 WriteRefused"]);
    }

    #[test]
    fn a_refused_release_of_a_pod_without_a_job_is_told_by_an_event_on_the_pod() {
        let deeds = [
            (6_000, Deed::Forbid(Forbidden::PodUpdates)),
            (7_000, Deed::StripJob(0)),
            (400_000, Deed::Allow),
        ];
        assert_eq!(warned(&deeds), ["job-0-1 WriteRefused"]);
    }

    #[test]
    fn a_status_that_is_never_taken_is_told_by_an_event() {
        let deeds = [(6_000, Deed::Limit(0)), (400_000, Deed::Allow)];
        assert_eq!(warned(&deeds), ["job-0 WriteRefused"]);
    }
}
