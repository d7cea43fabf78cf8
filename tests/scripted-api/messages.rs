//! `POST /v1/messages`: plays the scenario of each request.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};

use crate::App;
use crate::connection::Peer;
use crate::conversation::Conversation;
use crate::failure::{Failure, error};
use crate::judge::{Seat, Sighting};
use crate::performance::{Performance, silence};
use crate::scenario::Scenario;
use crate::script::{Answer, answer};
use crate::visit::Visit;
use crate::wire::Envelope;

/// The header that the CLI adds for a subagent.
const SUBAGENT: &str = "x-claude-code-agent-id";

/// Longest session id that is taken.
const SESSION_LENGTH: usize = 64;

/// Answers a Messages request.
pub async fn create(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Ok(json) = serde_json::from_slice::<Value>(&body) else {
        return invalid("the body is not JSON");
    };
    let said = Conversation {
        is_subagent: headers.contains_key(SUBAGENT),
        ..Conversation::read(&json, body.len())
    };
    let scenario = match Scenario::choose(&said.model, key(&headers)) {
        Ok(scenario) => scenario,
        Err(unknown) => return invalid(&unknown.to_string()),
    };
    let session = session(&headers);
    let sighting = Sighting {
        session: session.clone(),
        seat: Seat {
            address: peer.address.ip(),
            device: said.device.clone(),
        },
        connection: peer.connection(),
        turns: said.is_main().then_some(said.turns),
    };
    let visit = Visit::begin(Arc::clone(&app), sighting);
    app.log(format_args!(
        "message scenario={scenario} session={session} turns={} step={} again={} peer={peer:?}",
        said.turns,
        said.steps,
        visit.earlier(),
    ));
    let envelope = Envelope {
        id: app.unique_id(),
        model: said.model.clone(),
        input_tokens: said.input_tokens,
    };
    if said.is_main() {
        app.notebook().enter(&session, said.clone());
    }
    match answer(&scenario, &said, visit.earlier()) {
        Answer::Hang => std::future::pending().await,
        Answer::Silent => event_stream(silence(visit)),
        Answer::Fail(failure) => failed(failure, &said.model, &envelope.id),
        Answer::Reply(reply) => {
            let performance = Performance {
                app,
                reply,
                envelope,
                visit,
                keys: scenario
                    .key()
                    .map(str::to_owned)
                    .into_iter()
                    .chain([session])
                    .collect(),
            };
            if said.stream {
                event_stream(performance.stream())
            } else {
                performance.whole().await.into_response()
            }
        }
    }
}

/// A guess at a request's tokens, for a client that asks before it sends.
pub async fn count_tokens(body: Bytes) -> Json<Value> {
    let json = serde_json::from_slice(&body).unwrap_or_default();
    Json(json!({"input_tokens": Conversation::read(&json, body.len()).input_tokens}))
}

fn event_stream(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, body).into_response()
}

fn failed(failure: Failure, model: &str, id: &str) -> Response {
    let mut body = failure.body(model);
    body["request_id"] = json!(format!("req_{id}"));
    let mut response = (failure.status(), Json(body)).into_response();
    if let Some(seconds) = failure.retry_after() {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn invalid(message: &str) -> Response {
    let body = error("invalid_request_error", message);
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

/// What the API does not have.
pub async fn missing(uri: Uri) -> Response {
    let body = error("not_found_error", &format!("no such path: {}", uri.path()));
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

fn key(headers: &HeaderMap) -> &str {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = || header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    header("x-api-key").or_else(bearer).unwrap_or_default()
}

/// The session that the CLI works on; it comes from outside and goes into the log.
fn session(headers: &HeaderMap) -> String {
    let header = headers.get("x-claude-code-session-id");
    let session = header
        .and_then(|value| value.to_str().ok())
        .unwrap_or("none");
    session
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .take(SESSION_LENGTH)
        .collect()
}
