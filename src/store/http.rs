//! The store's protocol on HTTP: who asks, for what, and every refusal in one shape. `docs/protocol.md`
//! describes it for others.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use tokio::sync::Semaphore;

use super::gate::Gate;
use super::layout::is_label;
use super::records::Records;
use crate::api::protocol::{Refusal, RefusalReason};

mod body;
mod feed;
mod read;

/// Bodies that are in memory at the same time, in KiB; who comes then waits before he is read.
const BODIES_KIB: usize = 8 * 1024;

/// What the handlers share.
struct Shared<G> {
    records: Arc<Records>,
    gate: Arc<G>,
    bodies: Semaphore,
}

/// A refusal as an answer.
#[derive(Debug)]
struct Refused(Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        Refused(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.reason.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, axum::Json(self.0)).into_response()
    }
}

/// Answers for these records, as far as the gate lets in.
pub fn router<G: Gate>(records: Arc<Records>, gate: Arc<G>) -> Router {
    let record = "/v1/namespaces/{namespace}/jobs/{job}";
    let attempt = format!("{record}/attempts/{{attempt}}");
    Router::new()
        .route(&attempt, put(feed::take_up::<G>))
        .route(&format!("{attempt}/output"), post(feed::output::<G>))
        .route(
            &format!("{attempt}/transcript"),
            post(feed::transcript::<G>).get(feed::session::<G>),
        )
        .route(record, get(read::info::<G>))
        .route(&format!("{record}/log"), get(read::log::<G>))
        .fallback(async || refused("there is nothing at this path"))
        .method_not_allowed_fallback(async || refused("this path does not know this method"))
        .with_state(Arc::new(Shared {
            records,
            gate,
            bodies: Semaphore::new(BODIES_KIB),
        }))
}

fn refused(message: impl Into<String>) -> Refused {
    Refused(Refusal::new(RefusalReason::BadRequest, message))
}

/// The token of a request.
fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let value = headers.get(header::AUTHORIZATION);
    let token = value
        .and_then(|value| value.to_str().ok())
        .and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
    token.filter(|token| !token.is_empty()).ok_or_else(|| {
        Refusal::new(
            RefusalReason::Unauthorized,
            "the request has no bearer token",
        )
    })
}

/// Names as a path may hold them; all others are nobody's.
fn named(namespace: &str, job: &str) -> Result<(), Refusal> {
    if is_label(namespace) && is_label(job) {
        return Ok(());
    }
    let message = "the path names no namespace and Job: both are DNS labels";
    Err(Refusal::new(RefusalReason::BadRequest, message))
}
