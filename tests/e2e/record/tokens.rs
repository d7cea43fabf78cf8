//! Promise: only the pod of a Job's present attempt feeds its record. The store is called directly, with
//! every token that somebody could come by.

use herdctl::api::protocol::{AUDIENCE, Position};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use crate::{
    record::{
        call::{Answer, Store, token},
        run::Run,
        volume,
    },
    team::{Team, namespace::TEAM_A, unique},
    wait::{RUN, until_gone},
};

/// Looks like a line of an agent's.
const LINE: &[u8] = br#"{"type":"output","seq":1,"content":"forged"}
"#;

/// A Job whose agent waits, and which stays as it is.
async fn waiting(team: &Team) -> Run<'_> {
    let run = Run::start(team, &format!("wait-for-release-{}", unique("token"))).await;
    run.tells("\"subtype\":\"init\"").await;
    run
}

/// Tries to open and to write with the token: both are refused with one of these, and nothing is written.
async fn assert_refused(
    store: &Store,
    run: &Run<'_>,
    who: &str,
    token: Option<&str>,
    with: &[u16],
) {
    let before = volume::output(TEAM_A, &run.job);
    for number in [1, 2] {
        let opened = store.open(&run.job, number, token).await;
        let written = store
            .append(&run.job, number, token, before.len() as u64, LINE)
            .await;
        let begun = store.append(&run.job, number, token, 0, LINE).await;
        for answer in [opened, written, begun] {
            assert!(
                with.contains(&answer.status),
                "{who}, attempt {number}: {answer:?}"
            );
        }
    }
    // The agent may have said more meanwhile.
    let after = volume::output(TEAM_A, &run.job);
    assert!(after.starts_with(&before), "{who} wrote over it");
    assert!(
        !String::from_utf8_lossy(&after).contains("forged"),
        "{who} wrote"
    );
}

#[tokio::test]
async fn no_token_but_the_attempts_own_opens_or_feeds_a_record() {
    let team = Team::shared().await;
    let (run, other) = (waiting(&team).await, waiting(&team).await);
    let store = Store::known_by(&team, &run.pod).await;
    let (own, others) = (run.pod().await, other.pod().await);
    assert_refused(&store, &run, "nobody", None, &[401]).await;
    assert_refused(&store, &run, "nonsense", Some("e30.e30.e30"), &[401]).await;
    for audience in ["https://kubernetes.default.svc", "somebody-else"] {
        let token = token(&team, audience, Some(&own)).await;
        assert_refused(&store, &run, audience, Some(&token), &[401]).await;
    }
    let user = token(&team, AUDIENCE, None).await;
    assert_refused(&store, &run, "a user", Some(&user), &[401, 403]).await;
    let foreign = token(&team, AUDIENCE, Some(&others)).await;
    assert_refused(&store, &run, "another Job's pod", Some(&foreign), &[403]).await;
    let impostor = impostor(&team, &run.job).await;
    // For an attempt that is not known yet the store has no answer but to ask again.
    let forged = token(&team, AUDIENCE, Some(&impostor)).await;
    assert_refused(&store, &run, "an impostor", Some(&forged), &[403, 503]).await;
    // The tests' own way of asking is not what was refused.
    let own = token(&team, AUDIENCE, Some(&own)).await;
    let opened = store.open(&run.job, 1, Some(&own)).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    assert!(opened.json::<Position>().length > 0);
    for run in [run, other] {
        team.cancel(&run.job).await;
    }
}

/// A pod that whoever may create pods makes look like the Job's second attempt.
async fn impostor(team: &Team, job: &str) -> Pod {
    let owner = team.get(job).await;
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": format!("{job}-2"), "ownerReferences": [{
            "apiVersion": "herdctl.dev/v1alpha1", "kind": "Job", "name": job,
            "uid": owner.metadata.uid, "controller": true,
        }]},
        "spec": {
            // Nothing of it ever runs.
            "schedulerName": "nobody",
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "impostor", "image": "localhost/none", "securityContext": {
                "allowPrivilegeEscalation": false, "runAsUser": 1000, "capabilities": {"drop": ["ALL"]},
            }}],
        },
    }))
    .unwrap();
    team.pods()
        .create(&PostParams::default(), &pod)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_token_is_worth_nothing_once_its_job_has_ended_or_its_pod_is_gone() {
    let team = Team::shared().await;
    let run = waiting(&team).await;
    let store = Store::known_by(&team, &run.pod).await;
    let own = token(&team, AUDIENCE, Some(&run.pod().await)).await;
    team.cancel(&run.job).await;
    run.finished().await;
    let sealed = run.sealed().await;
    assert_refused(
        &store,
        &run,
        "a finished Job's pod",
        Some(&own),
        &[401, 403],
    )
    .await;
    run.remove_pod().await;
    // Whichever the store finds out first: that the attempt is over, or that the token's pod is gone.
    assert_refused(&store, &run, "a pod that is gone", Some(&own), &[401, 403]).await;
    assert!(volume::output(TEAM_A, &run.job) == sealed.bytes);
}

#[tokio::test]
async fn a_deleted_pods_token_is_refused_while_its_job_goes_on() {
    let team = Team::shared().await;
    let (run, other) = (waiting(&team).await, waiting(&team).await);
    let store = Store::known_by(&team, &run.pod).await;
    let impostor = impostor(&team, &other.job).await;
    let name = impostor.metadata.name.clone().unwrap();
    let forged = token(&team, AUDIENCE, Some(&impostor)).await;
    let now = DeleteParams::default().grace_period(0);
    team.pods().delete(&name, &now).await.unwrap();
    until_gone(&team.pods(), &name, &impostor.metadata.uid.unwrap(), RUN).await;
    assert_refused(&store, &run, "a deleted pod", Some(&forged), &[401]).await;
    for run in [run, other] {
        team.cancel(&run.job).await;
    }
}

/// What the store lets a gateway read, it lets nobody else.
#[tokio::test]
async fn nobody_but_the_gateway_reads_from_the_store() {
    let team = Team::shared().await;
    let run = waiting(&team).await;
    let store = Store::known_by(&team, &run.pod).await;
    let own = run.pod().await;
    let own = token(&team, AUDIENCE, Some(&own)).await;
    let user = token(&team, AUDIENCE, None).await;
    let log = herdctl::api::protocol::log(TEAM_A, &run.job);
    let record = herdctl::api::protocol::record(TEAM_A, &run.job);
    for path in [log, record] {
        for (who, token) in [
            ("nobody", None),
            ("a pod", Some(&own)),
            ("a user", Some(&user)),
        ] {
            let Answer { status, body } = store
                .call("GET", &path, token.map(String::as_str), b"")
                .await;
            assert!(
                matches!(status, 401 | 403),
                "{who} reads {path}: {status} {body}"
            );
            assert!(!body.contains("\"seq\""), "{who} reads {path}: {body}");
        }
    }
    team.cancel(&run.job).await;
}
