use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize},
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use kube::Config;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn review(minutes_ago: i64, left: i64) -> Review {
    Review {
        identity: Identity {
            username: "system:serviceaccount:team-a:default".into(),
            uid: "sa".into(),
            pod: None,
        },
        at: now() - TimeDelta::minutes(minutes_ago),
        expires: now() + TimeDelta::minutes(left),
    }
}

#[test]
fn a_review_ages_and_never_outlives_its_token() {
    for (minutes_ago, left, worth) in [
        (0, 60, Worth::Fresh),
        (5, 60, Worth::Fresh),
        (6, 60, Worth::Stale),
        (15, 60, Worth::Stale),
        (16, 60, Worth::Nothing),
        (0, 0, Worth::Nothing),
        (6, 0, Worth::Nothing),
    ] {
        assert_eq!(
            review(minutes_ago, left).worth(now()),
            worth,
            "{minutes_ago}"
        );
    }
}

/// An API server that reviews tokens.
#[derive(Default)]
struct Server {
    asked: AtomicUsize,
    away: AtomicBool,
    /// Every pod is gone.
    gone: AtomicBool,
}

async fn answer(State(server): State<Arc<Server>>, Json(asked): Json<Value>) -> Response {
    assert_eq!(asked["spec"]["audiences"], json!([AUDIENCE]));
    server.asked.fetch_add(1, Ordering::Relaxed);
    if server.away.load(Ordering::Relaxed) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let mut review = asked;
    review["status"] = if server.gone.load(Ordering::Relaxed) {
        json!({"authenticated": false, "error": "the pod is gone"})
    } else {
        json!({"authenticated": true, "audiences": [AUDIENCE], "user": {"username": "somebody"}})
    };
    Json(review).into_response()
}

async fn world(clock: fn() -> DateTime<Utc>) -> (Tokens, Arc<Server>) {
    let server = Arc::<Server>::default();
    let router = Router::new()
        .route("/apis/authentication.k8s.io/v1/tokenreviews", post(answer))
        .with_state(Arc::clone(&server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    let config = Config::new(format!("http://{address}").parse().unwrap());
    let client = Client::try_from(config).unwrap();
    (Tokens::new(client, clock), server)
}

/// A token that lasts beyond all clocks of these tests.
fn token(id: &str) -> String {
    let payload = format!(r#"{{"aud":["{AUDIENCE}"],"exp":1900000000,"jti":"{id}"}}"#);
    format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload))
}

fn asked(server: &Server) -> usize {
    server.asked.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_token_is_reviewed_once_unless_somebody_wants_it_anew() {
    let (tokens, server) = world(now).await;
    for _ in 0..3 {
        let holder = tokens.holder(&token("a")).await.unwrap();
        assert_eq!(holder.username, "somebody");
    }
    assert_eq!(asked(&server), 1);
    tokens.holder(&token("b")).await.unwrap();
    assert_eq!(asked(&server), 2);
    server.gone.store(true, Ordering::Relaxed);
    assert!(tokens.holder(&token("a")).await.is_ok());
    let refused = tokens.holder_now(&token("a")).await.unwrap_err();
    assert_eq!(refused.reason, RefusalReason::Unauthorized);
    // What was said last counts.
    assert!(tokens.holder(&token("a")).await.is_err());
}

/// Minutes after [`now`], for the test below alone.
static LATER: AtomicI64 = AtomicI64::new(0);

fn later() -> DateTime<Utc> {
    now() + TimeDelta::minutes(LATER.load(Ordering::Relaxed))
}

#[tokio::test]
async fn without_an_answer_who_is_known_goes_on_for_a_while_and_nobody_new_comes_in() {
    let (tokens, server) = world(later).await;
    tokens.holder(&token("a")).await.unwrap();
    server.away.store(true, Ordering::Relaxed);
    LATER.store(6, Ordering::Relaxed);
    assert!(tokens.holder(&token("a")).await.is_ok());
    assert_eq!(asked(&server), 2);
    assert!(tokens.holder(&token("a")).await.is_ok());
    assert_eq!(asked(&server), 2, "who is known does not wait again");
    let refused = tokens.holder(&token("new")).await.unwrap_err();
    assert_eq!(refused.reason, RefusalReason::Retry);
    LATER.store(16, Ordering::Relaxed);
    let refused = tokens.holder(&token("a")).await.unwrap_err();
    assert_eq!(refused.reason, RefusalReason::Retry);
    server.away.store(false, Ordering::Relaxed);
    assert!(tokens.holder(&token("a")).await.is_ok());
}
