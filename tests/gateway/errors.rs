//! What is refused is refused as the API refuses: a Status that names what and says what to do.

use std::sync::atomic::Ordering;

use axum::body::Body;
use http::Request;

use crate::{
    certificates::Ca,
    client::HOST,
    ground::{Ground, JOB, log, object},
};

#[tokio::test]
async fn a_bad_parameter_is_named_before_the_store_is_asked() {
    let ground = Ground::new().await;
    for (query, name) in [
        ("follow=perhaps", "follow"),
        ("offset=-1", "offset"),
        ("tail=many", "tail"),
        ("since=yesterday", "since"),
        ("offset=1&tail=1", "offset"),
        ("limit=4", "limit"),
    ] {
        let answer = ground.get(&format!("{}?{query}", log(JOB))).await;
        let message = answer.failure(400, "BadRequest");
        assert!(message.contains(name), "{query}: {message}");
        assert_eq!(answer.json()["details"]["name"], JOB);
    }
    assert_eq!(ground.store.records.queries(), [""; 0]);
}

#[tokio::test]
async fn an_offset_beyond_the_end_is_a_bad_request() {
    let ground = Ground::new().await;
    let message = ground
        .get(&format!("{}?offset=9", log(JOB)))
        .await
        .failure(400, "BadRequest");
    assert!(message.contains("offset"), "{message}");
}

#[tokio::test]
async fn names_that_no_job_can_have_reach_nobody() {
    let ground = Ground::new().await;
    for name in [
        "%2e%2e",
        "a%2Fb",
        "a%2flog",
        "UPPER",
        "%C3%A4",
        "a%00",
        "a%3fb",
        &"x".repeat(64),
    ] {
        ground.get(&object(name)).await.failure(400, "BadRequest");
        ground.get(&log(name)).await.failure(400, "BadRequest");
    }
    assert_eq!(ground.words.asked(), []);
    assert_eq!(ground.store.records.queries(), [""; 0]);
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_done_is_said_so() {
    let ground = Ground::new().await;
    let missing = ground.get(&object("job-2")).await;
    let message = missing.failure(404, "NotFound");
    assert!(message.contains("job-2"), "{message}");
    assert_eq!(missing.json()["details"]["group"], "herdctl.dev");
    ground.get(&log("job-2")).await.failure(404, "NotFound");
    ground.get("/apis/batch/v1").await.failure(404, "NotFound");
    let list = "/apis/herdctl.dev/output-v1/namespaces/team-a/joboutputs";
    let message = ground.get(list).await.failure(405, "MethodNotAllowed");
    assert!(message.contains("kubectl get hj"), "{message}");
    for method in ["DELETE", "POST", "PUT", "PATCH"] {
        let request = Request::builder()
            .method(method)
            .uri(object(JOB))
            .header("host", HOST)
            .header("x-remote-user", "dev")
            .body(Body::empty())
            .unwrap();
        ground.send(request).await.failure(405, "MethodNotAllowed");
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_said_to_be_and_is_back_when_it_is_back() {
    let mut ground = Ground::new().await;
    ground.store.kill().await;
    for path in [object(JOB), log(JOB)] {
        let answer = ground.get(&path).await;
        let message = answer.failure(503, "ServiceUnavailable");
        assert!(
            message.contains("the output store does not answer"),
            "{message}"
        );
    }
    ground.store.start_again().await;
    assert_eq!(ground.get(&object(JOB)).await.status, 200);
}

#[tokio::test]
async fn a_store_that_is_just_starting_is_unavailable_too() {
    let ground = Ground::new().await;
    ground.store.records.busy.store(true, Ordering::Relaxed);
    let message = ground
        .get(&log(JOB))
        .await
        .failure(503, "ServiceUnavailable");
    assert!(message.contains("the store is starting"), "{message}");
}

#[tokio::test]
async fn a_store_that_never_started_has_no_ca_and_is_asked_as_soon_as_it_has() {
    let ground = Ground::new().await;
    let pem = ground.published.send_replace(None);
    let message = ground
        .get(&object(JOB))
        .await
        .failure(503, "ServiceUnavailable");
    assert!(message.contains("has never started"), "{message}");
    ground.published.send_replace(pem);
    assert_eq!(ground.get(&object(JOB)).await.status, 200);
}

#[tokio::test]
async fn a_changed_ca_counts_from_the_next_request_on() {
    let mut ground = Ground::new().await;
    assert_eq!(ground.get(&object(JOB)).await.status, 200);
    let next = Ca::new("herd-store");
    ground.store.kill().await;
    ground.store.change_ca(&next);
    ground.store.start_again().await;
    ground
        .get(&object(JOB))
        .await
        .failure(503, "ServiceUnavailable");
    let both = format!("{}{}", ground.store_ca.pem, next.pem);
    ground.published.send_replace(Some(both));
    assert_eq!(ground.get(&object(JOB)).await.status, 200);
}

#[tokio::test]
async fn a_changed_token_counts_from_the_next_request_on_and_a_wrong_one_is_nobodys_fault_in_front()
{
    let ground = Ground::new().await;
    let token = ground.files.path().join("token");
    let good = std::fs::read(&token).unwrap();
    std::fs::write(&token, "another").unwrap();
    let message = ground
        .get(&object(JOB))
        .await
        .failure(503, "ServiceUnavailable");
    assert!(message.contains("--reader"), "{message}");
    assert!(!message.contains("another"), "{message}");
    std::fs::write(&token, good).unwrap();
    assert_eq!(ground.get(&object(JOB)).await.status, 200);
}
