//! What `ship` asks for.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::body::{Taken, pass_over, take};
use super::{Refused, Shared, bearer, named, refused};
use crate::api::protocol::{Position, Refusal, RefusalReason};
use crate::store::gate::{Gate, Shipper};

type At = Path<(String, String, String)>;
type Asked<T> = Result<Query<T>, QueryRejection>;

/// Of an append.
#[derive(Deserialize)]
pub struct Append {
    offset: u64,
    acked: u64,
}

/// Of a piece of the transcript.
#[derive(Deserialize)]
pub struct Piece {
    offset: u64,
}

pub async fn take_up<G: Gate>(
    State(shared): State<Arc<Shared<G>>>,
    at: At,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Position>, Refused> {
    let shipper = shared.shipper(&at, &headers).await;
    pass_over(body).await;
    Ok(Json(shared.records.take_up(shipper?).await?))
}

pub async fn output<G: Gate>(
    State(shared): State<Arc<Shared<G>>>,
    at: At,
    asked: Asked<Append>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Position>, Refused> {
    let (shipper, asked, taken) = shared.sent(at, asked, headers, body).await?;
    let Taken { bytes, room: _room } = taken;
    let appended = shared
        .records
        .append(shipper, asked.offset, asked.acked, bytes);
    Ok(Json(appended.await?))
}

pub async fn transcript<G: Gate>(
    State(shared): State<Arc<Shared<G>>>,
    at: At,
    asked: Asked<Piece>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Position>, Refused> {
    let (shipper, asked, taken) = shared.sent(at, asked, headers, body).await?;
    let Taken { bytes, room: _room } = taken;
    let written = shared.records.transcribe(shipper, asked.offset, bytes);
    Ok(Json(written.await?))
}

pub async fn session<G: Gate>(
    State(shared): State<Arc<Shared<G>>>,
    at: At,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let shipper = shared.shipper(&at, &headers).await?;
    let session = shared.records.session(shipper).await?;
    // So that one that broke off is known to be no whole one.
    let length = [(header::CONTENT_LENGTH, session.length)];
    Ok((length, Body::from_stream(session.stream)).into_response())
}

impl<G: Gate> Shared<G> {
    /// Who sends, what is asked, and the body. Nobody's body is kept who may not send one.
    async fn sent<T>(
        &self,
        at: At,
        asked: Asked<T>,
        headers: HeaderMap,
        body: Body,
    ) -> Result<(Shipper, T, Taken<'_>), Refused> {
        let shipper = self.shipper(&at, &headers).await.map_err(Refused);
        let asked = asked.map_err(|error| refused(error.body_text()));
        let (shipper, Query(asked)) = match shipper.and_then(|shipper| Ok((shipper, asked?))) {
            Ok(sent) => sent,
            Err(error) => {
                pass_over(body).await;
                return Err(error);
            }
        };
        let taken = take(body, &self.bodies).await?;
        Ok((shipper, asked, taken))
    }

    async fn shipper(
        &self,
        Path((namespace, job, attempt)): &At,
        headers: &HeaderMap,
    ) -> Result<Shipper, Refusal> {
        let token = bearer(headers)?;
        named(namespace, job)?;
        let attempt = attempt.parse().ok().filter(|number| *number > 0);
        let attempt = attempt.ok_or_else(|| {
            Refusal::new(RefusalReason::BadRequest, "attempts are counted from 1")
        })?;
        self.gate.shipper(token, namespace, job, attempt).await
    }
}
