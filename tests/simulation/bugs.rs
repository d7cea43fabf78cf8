//! Planted bugs, each a known one of a known system, to show that the simulation finds such. They sit at
//! the seam between `reconcile` and the API server: what is asked is changed on its way, or what is
//! answered.

use serde_json::{Value, json};

use super::{
    api::{Answer, Request, Resource},
    wire::Process,
    world::World,
};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A pod's name is drawn anew for each creation (tektoncd/pipeline#3126, #4358: two pods a run).
    PodNamesByChance,
    /// A status is written whatever was written meanwhile, and nothing freezes it (argo-workflows#16294:
    /// a finished run starts again).
    StatusWithoutVersion,
    /// The pod goes before what it said is in the status (argo-workflows#13533; kubernetes#103388).
    PodReleasedBeforeTheStatus,
    /// A finalizer is left on a pod that is being deleted (kubernetes#109429, #108645).
    FinalizerLeftBehind,
    /// A cache is asked instead of the API server before a pod is declared lost (kubernetes#130103).
    CacheTakenForTheTruth,
    /// A node that is silent is taken for one that is gone (tektoncd/pipeline#7218: a retry while the old pod
    /// lives).
    SilentTakenForDead,
    /// A pod is deleted by its name, whoever has it now (cassandra-operator#402: deletion by a stale read).
    DeletionWithoutUid,
    /// The first finalizer is taken off, whose it may be and whatever the object.
    FinalizerWithoutTest,
    /// An error of a creation is taken for a pod that was not created (tektoncd/pipeline#3557).
    FailureTakenForRefusal,
    /// A pod that has the name is taken for the Job's own (kubernetes#59848: identity by name).
    OwnerNotLookedAt,
    /// A write is thought to have gone through (kubernetes#125410: the status that never came).
    IntentNotWritten,
    /// Nothing looks again when a deadline has come (argo-workflows#12103: running for ever).
    ForgetsToLookAgain,
    /// An error is not followed by another try (Anvil: liveness at a crash or an error).
    GivesUpAfterAnError,
    /// A record is sealed when its agent has spoken, final or not.
    SealsBeforeTheEnd,
    /// A Job is let go before its pod is (kubernetes#119159: finished before finalizers are gone).
    JobReleasedFirst,
}

impl Bug {
    pub const ALL: [Bug; 15] = [
        Bug::PodNamesByChance,
        Bug::StatusWithoutVersion,
        Bug::PodReleasedBeforeTheStatus,
        Bug::FinalizerLeftBehind,
        Bug::CacheTakenForTheTruth,
        Bug::SilentTakenForDead,
        Bug::DeletionWithoutUid,
        Bug::FinalizerWithoutTest,
        Bug::FailureTakenForRefusal,
        Bug::OwnerNotLookedAt,
        Bug::IntentNotWritten,
        Bug::ForgetsToLookAgain,
        Bug::GivesUpAfterAnError,
        Bug::SealsBeforeTheEnd,
        Bug::JobReleasedFirst,
    ];
}

impl World {
    /// Changes a request as the planted bug has it; an answer is one that the API server never gave.
    pub fn bend(&mut self, from: Process, request: &mut Request) -> Option<Answer> {
        let bug = self.scenario.bug?;
        let target = request.target()?;
        let key = target.key();
        let of_status = target.subresource.is_some();
        let pods = target.resource == Resource::Pods;
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let apply = request.content_type.contains("apply");
        match (bug, request.method.as_str()) {
            (Bug::PodNamesByChance, "POST") if pods => {
                self.drawn += 1;
                let name = body["metadata"]["name"].as_str()?;
                let mut changed = body.clone();
                changed["metadata"]["name"] = json!(format!("{name}-{}", self.drawn));
                request.body = changed.to_string().into_bytes();
                None
            }
            (Bug::StatusWithoutVersion, "PATCH") if apply => {
                let mut changed = body;
                changed["metadata"] = json!({});
                request.body = changed.to_string().into_bytes();
                None
            }
            (Bug::PodReleasedBeforeTheStatus, "PATCH")
                if apply && body["status"]["completedAt"].is_string() =>
            {
                self.release_pods_of(&key.name);
                None
            }
            (Bug::FinalizerLeftBehind, "PATCH") if pods && takes_finalizer(&body) => {
                let pod = self.api.object(&key)?;
                let deleting = !pod["metadata"]["deletionTimestamp"].is_null();
                deleting.then(|| Answer::ok(pod))
            }
            (Bug::CacheTakenForTheTruth, "GET") if pods => {
                let cached =
                    self.cached_pod(from.controller, &(key.namespace.clone(), key.name.clone()));
                Some(match cached {
                    Some(pod) => Answer::ok(&pod),
                    None => super::api::failure(404, "NotFound", "not in the cache"),
                })
            }
            (Bug::SilentTakenForDead, "GET") if target.resource == Resource::Nodes => {
                let node = self.api.object(&key)?;
                let silent = node["status"]["conditions"][0]["status"] == "Unknown";
                silent.then(|| super::api::failure(404, "NotFound", "it does not answer"))
            }
            (Bug::DeletionWithoutUid, "DELETE") if pods => {
                request.body = b"{}".to_vec();
                None
            }
            (Bug::FinalizerWithoutTest, "PATCH") if takes_finalizer(&body) => {
                request.body = br#"[{"op": "remove", "path": "/metadata/finalizers/0"}]"#.to_vec();
                None
            }
            (Bug::OwnerNotLookedAt, "GET") if pods => {
                let mut pod = self.api.object(&key)?.as_ref().clone();
                let jobs: Vec<_> = self.api.all(Resource::Jobs).collect();
                let named = &pod["metadata"]["ownerReferences"][0]["name"];
                let job = jobs.iter().find(|(job, _)| job.name == *named)?;
                pod["metadata"]["ownerReferences"][0]["uid"] = job.1["metadata"]["uid"].clone();
                Some(Answer::ok(&pod))
            }
            (Bug::IntentNotWritten, "PATCH") if of_status && apply => {
                let job = self.api.object(&key)?;
                let first =
                    job["status"]["attempts"].is_null() && !body["status"]["attempts"].is_null();
                first.then(|| {
                    let mut written = job.as_ref().clone();
                    written["status"] = body["status"].clone();
                    Answer::ok(&written)
                })
            }
            (Bug::JobReleasedFirst, "PATCH")
                if !pods && apply && body["status"]["completedAt"].is_string() =>
            {
                let job = self.api.object(&key)?;
                if !job["metadata"]["deletionTimestamp"].is_null() {
                    self.api
                        .edit(&key, |job| job["metadata"]["finalizers"] = Value::Null);
                }
                None
            }
            _ => None,
        }
    }

    /// The same for an answer.
    pub fn bend_answer(&self, request: &Request, answer: &mut Answer) {
        let creates = request.method == "POST";
        if self.scenario.bug == Some(Bug::FailureTakenForRefusal) && creates && answer.code >= 500 {
            *answer = super::api::failure(422, "Invalid", "it was not created");
        }
    }

    fn release_pods_of(&mut self, job: &str) {
        let theirs = |name: &str| name.rsplit_once('-').is_some_and(|(of, _)| of == job);
        let keys: Vec<_> = self
            .api
            .all(Resource::Pods)
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys.into_iter().filter(|key| theirs(&key.name)) {
            self.api
                .edit(&key, |pod| pod["metadata"]["finalizers"] = Value::Null);
        }
    }
}

fn takes_finalizer(body: &Value) -> bool {
    let operations = body.as_array().into_iter().flatten();
    operations.into_iter().any(|it| {
        it["op"] == "remove"
            && it["path"]
                .as_str()
                .is_some_and(|path| path.contains("finalizers"))
    })
}
