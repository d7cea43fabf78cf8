//! What the gateway asks for, in the name of others.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Refused, Shared, bearer, named, refused};
use crate::api::protocol::{BEGINS, RECORD_UID, RecordInfo};
use crate::store::gate::{Gate, Named};
use crate::store::read::Wanted;

/// One JSON text a line.
const JSONL: &str = "application/jsonl";

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    follow: bool,
    offset: Option<u64>,
    tail: Option<u64>,
    since: Option<DateTime<Utc>>,
}

pub async fn info<G: Gate>(
    State(shared): State<Arc<Shared<G>>>,
    Path((namespace, job)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<RecordInfo>, Refused> {
    let whose = shared.whose(&headers, &namespace, &job).await?;
    Ok(Json(shared.records.info(&namespace, &job, whose).await?))
}

pub async fn log<G: Gate>(
    State(shared): State<Arc<Shared<G>>>,
    Path((namespace, job)): Path<(String, String)>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let whose = shared.whose(&headers, &namespace, &job).await?;
    let Query(asked) = asked.map_err(|error| refused(error.body_text()))?;
    if asked.offset.is_some() && (asked.tail.is_some() || asked.since.is_some()) {
        return Err(refused("offset goes neither with tail nor with since"));
    }
    let wanted = Wanted {
        follow: asked.follow,
        offset: asked.offset,
        tail: asked.tail,
        since: asked.since,
    };
    let lines = shared.records.lines(&namespace, &job, whose, wanted);
    let lines = lines.await?;
    let headers = [
        (header::CONTENT_TYPE.as_str(), JSONL.to_owned()),
        (BEGINS, lines.begins.to_string()),
        (RECORD_UID, lines.uid),
    ];
    Ok((headers, Body::from_stream(lines.stream)).into_response())
}

impl<G: Gate> Shared<G> {
    async fn whose(
        &self,
        headers: &HeaderMap,
        namespace: &str,
        job: &str,
    ) -> Result<Named, Refused> {
        self.gate.reader(bearer(headers)?).await?;
        named(namespace, job)?;
        Ok(self.gate.whose(namespace, job).await?)
    }
}
