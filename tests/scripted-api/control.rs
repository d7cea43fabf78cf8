//! `/control`: what tests ask of the API and tell it.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde::Deserialize;

use crate::App;

/// `?session=<id>`
#[derive(Deserialize)]
pub struct InSession {
    session: String,
}

/// `?session=<id>`, or nothing for all sessions.
#[derive(Deserialize)]
pub struct OfSession {
    session: Option<String>,
}

/// `?key=<key>`: a scenario's key, or a session's id.
#[derive(Deserialize)]
pub struct OfKey {
    key: String,
}

/// The judge's word on one session, or on all.
pub async fn agents(State(app): State<Arc<App>>, Query(of): Query<OfSession>) -> Response {
    match of.session {
        Some(session) => Json(app.judge().agents(&session)).into_response(),
        None => Json(app.judge().totals()).into_response(),
    }
}

/// The latest request of a session's main conversation.
pub async fn request(State(app): State<Arc<App>>, Query(of): Query<InSession>) -> Response {
    match app.notebook().latest(&of.session) {
        Some(request) => Json(request).into_response(),
        None => (StatusCode::NOT_FOUND, "no request of this session\n").into_response(),
    }
}

/// Lets the answers go that wait for a key, now and later.
pub async fn release(State(app): State<Arc<App>>, Query(of): Query<OfKey>) -> Response {
    app.log(format_args!("release"));
    if app.gate.release(of.key) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        let message = "no more keys can be released; start the API anew\n";
        (StatusCode::INSUFFICIENT_STORAGE, message).into_response()
    }
}
