//! A second outcome is refused by the API server itself, also when the controller's own account sends it.

use herdctl::api::job::Job;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::fields;
use crate::{
    cluster,
    status::status,
    team::{Team, namespace::TEAM_A, unique},
};

/// The field that each refusal names.
const FIELD: &str = "status";

/// A Job that has ended, and its API with the controller's rights.
struct Ended {
    _team: Team,
    jobs: Api<Job>,
    name: String,
}

/// Ends a Job whose Agent does not exist by writing an outcome as the controller would.
async fn ended() -> Ended {
    let team = Team::shared().await;
    let name = team.job(&unique("nobody")).await;
    let jobs: Api<Job> = Api::namespaced(cluster::as_controller().await, TEAM_A);
    let outcome = json!({"status": {
        "phase": "failed", "exitReason": "error", "reason": "AgentCrashed", "message": "it crashed",
        "error": "signal 9", "sessionId": "11111111-2222-3333-4444-555555555555",
        "startedAt": "2026-01-02T03:04:05Z", "completedAt": "2026-01-02T03:05:05Z", "duration": "1m0s",
        "agent": {"generation": 1, "spec": {"model": "opus"}}, "result": {"text": "so far", "truncated": false},
    }});
    jobs.patch_status(&name, &PatchParams::default(), &Patch::Merge(&outcome))
        .await
        .unwrap();
    Ended {
        _team: team,
        jobs,
        name,
    }
}

impl Ended {
    async fn write(&self, patch: Patch<Value>) -> kube::Result<Job> {
        self.jobs
            .patch_status(&self.name, &PatchParams::default(), &patch)
            .await
    }

    async fn merge(&self, status: Value) -> kube::Result<Job> {
        self.write(Patch::Merge(json!({"status": status}))).await
    }
}

fn assert_refused(what: &str, answer: kube::Result<Job>) {
    match answer {
        Ok(_) => panic!("{what} was accepted"),
        Err(error) => assert_eq!(fields(&error), [FIELD], "{what}: {error}"),
    }
}

#[tokio::test]
async fn no_field_of_an_outcome_can_be_changed_or_removed() {
    let ended = ended().await;
    for (field, other) in [
        ("phase", json!("completed")),
        ("exitReason", json!("success")),
        ("reason", json!("Completed")),
        ("message", json!("all is well")),
        ("error", json!("none")),
        ("sessionId", json!("66666666-2222-3333-4444-555555555555")),
        ("startedAt", json!("2026-01-02T03:04:06Z")),
        ("completedAt", json!("2026-01-02T03:05:06Z")),
        ("agent", json!({"generation": 2})),
        ("result", json!({"text": "something else"})),
    ] {
        assert_refused(
            &format!("another {field}"),
            ended.merge(json!({field: other})).await,
        );
        assert_refused(
            &format!("no {field}"),
            ended.merge(json!({field: null})).await,
        );
    }
    assert_refused(
        "pending again",
        ended
            .merge(json!({"phase": "pending", "exitReason": null}))
            .await,
    );
    let second = json!({"phase": "completed", "exitReason": "success", "reason": "Completed", "message": "all is well", "error": null});
    assert_refused("a whole second outcome", ended.merge(second).await);
}

#[tokio::test]
async fn an_outcome_can_not_be_removed_with_the_whole_status() {
    let ended = ended().await;
    assert_refused(
        "status: null by merge patch",
        ended.merge(json!(null)).await,
    );
    let removal: json_patch::Patch =
        serde_json::from_value(json!([{"op": "remove", "path": "/status"}])).unwrap();
    let answer = ended
        .jobs
        .patch_status(
            &ended.name,
            &PatchParams::default(),
            &Patch::Json::<()>(removal),
        )
        .await;
    assert_refused("its removal by JSON patch", answer);
    let emptied: json_patch::Patch =
        serde_json::from_value(json!([{"op": "replace", "path": "/status", "value": {}}])).unwrap();
    let answer = ended
        .jobs
        .patch_status(
            &ended.name,
            &PatchParams::default(),
            &Patch::Json::<()>(emptied),
        )
        .await;
    assert_refused("an empty status by JSON patch", answer);
}

#[tokio::test]
async fn a_write_to_the_job_itself_can_not_touch_its_outcome() {
    let ended = ended().await;
    let before = status(&ended.jobs.get(&ended.name).await.unwrap());
    let patch = json!({"spec": {"cancel": true}, "status": {"phase": "cancelled"}});
    let after = ended
        ._team
        .jobs()
        .patch(&ended.name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    assert_eq!(after.spec.cancel, Some(true), "{}", after.name_any());
    assert_eq!(status(&after).phase, before.phase);
}

#[tokio::test]
async fn what_follows_an_outcome_may_still_be_written() {
    let ended = ended().await;
    let later = json!({"observedGeneration": 7, "attempts": [
        {"number": 1, "pod": "review-1", "intended": "2026-01-02T03:04:05Z", "why": "the kubelet's word"},
    ]});
    let written = ended.merge(later).await.unwrap();
    assert_eq!(status(&written).attempts.len(), 1);
}
