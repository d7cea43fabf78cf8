//! The API server's own record of who asked what.

use std::{collections::BTreeMap, fs};

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::cluster;

/// One request that was answered.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    stage: String,
    pub verb: String,
    user: User,
    object_ref: Option<Object>,
    response_status: Option<Answer>,
    #[serde(rename = "requestReceivedTimestamp")]
    pub received: DateTime<Utc>,
}

#[derive(Clone, Debug, Deserialize)]
struct User {
    username: String,
    #[serde(default)]
    extra: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Object {
    #[serde(default)]
    resource: String,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    code: u16,
}

impl Request {
    fn object(&self) -> Object {
        self.object_ref.clone().unwrap_or_default()
    }

    /// For example `patch jobs/status hello 200`.
    pub fn line(&self) -> String {
        let Object {
            resource,
            subresource,
            name,
            ..
        } = self.object();
        let slash = if subresource.is_empty() { "" } else { "/" };
        format!(
            "{} {resource}{slash}{subresource} {name} {}",
            self.verb,
            self.code()
        )
    }

    fn code(&self) -> u16 {
        self.response_status
            .as_ref()
            .map_or(0, |answer| answer.code)
    }

    /// The pod whose token was shown.
    pub fn pod(&self) -> Option<&str> {
        let pods = self
            .user
            .extra
            .get("authentication.kubernetes.io/pod-name")?;
        pods.first().map(String::as_str)
    }

    /// It took or renewed the lease.
    pub fn renewed_lease(&self) -> bool {
        self.verb == "patch" && self.object().resource == "leases" && self.code() == 200
    }

    /// It changed something that a Job or a pod is.
    pub fn is_write(&self) -> bool {
        let reads = matches!(self.verb.as_str(), "get" | "list" | "watch");
        !reads && !self.is_event() && self.object().resource != "leases"
    }

    /// True for what goes on whether there are Jobs or not: the lease and the watches.
    fn is_upkeep(&self) -> bool {
        self.verb == "watch" || self.object().resource == "leases"
    }

    /// It looks for pods that have lost their label, in all namespaces.
    pub fn lists_pods(&self) -> bool {
        self.verb == "list" && self.object().resource == "pods"
    }

    pub fn is_event(&self) -> bool {
        self.object().resource == "events"
    }

    /// Whether it is about this object, or creates something in its namespace: the name of a new object
    /// may be missing.
    pub fn touches(&self, namespace: &str, names: &[&str]) -> bool {
        let object = self.object();
        object.namespace == namespace
            && (names.contains(&object.name.as_str()) || self.verb == "create")
    }

    /// It asks the API server who somebody is, or what he may do: `TokenReview` or `SubjectAccessReview`.
    pub fn is_review(&self) -> bool {
        matches!(
            self.object().resource.as_str(),
            "tokenreviews" | "subjectaccessreviews"
        )
    }

    /// A pod was created by it.
    pub fn created_pod(&self, name: &str) -> bool {
        let Object {
            resource,
            subresource,
            name: created,
            ..
        } = self.object();
        self.verb == "create"
            && resource == "pods"
            && subresource.is_empty()
            && created == name
            && self.code() == 201
    }
}

/// The requests of the operator's part (`controller`, `store` or `gateway`) since then, but for upkeep, in
/// the order in which they were received.
pub fn by(part: &str, since: DateTime<Utc>) -> Vec<Request> {
    let mut requests = all_by(part, since);
    requests.retain(|request| !request.is_upkeep());
    requests
}

/// The same with upkeep.
pub fn all_by(part: &str, since: DateTime<Utc>) -> Vec<Request> {
    let user = cluster::user(part);
    let log = fs::read_to_string(cluster::audit_log()).unwrap();
    let mut requests: Vec<Request> = log
        .lines()
        // The last line may be half written.
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|request: &Request| {
            request.stage == "ResponseComplete" && request.user.username == user
        })
        .filter(|request| request.received >= since)
        .collect();
    requests.sort_by_key(|request| request.received);
    requests
}
