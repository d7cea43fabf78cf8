//! What the gateway answers when it can't or won't: the `Status` of the Kubernetes API, so that kubectl
//! and every client library show its message as they show those of the API server.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Status, StatusDetails};

use super::names::{PLURAL, Target};
use crate::api::{
    GROUP,
    text::{Clean, LONGEST},
};

/// An answer that is not what was asked for. The message names what it is about and what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    pub reason: StatusReason,
    pub message: String,
    /// The JobOutput that it is about.
    pub about: Option<String>,
}

/// The API's own reasons, as far as they occur here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusReason {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Conflict,
    InternalError,
    ServiceUnavailable,
}

impl StatusReason {
    /// The HTTP status that goes with it.
    pub fn code(self) -> StatusCode {
        match self {
            StatusReason::BadRequest => StatusCode::BAD_REQUEST,
            StatusReason::Unauthorized => StatusCode::UNAUTHORIZED,
            StatusReason::Forbidden => StatusCode::FORBIDDEN,
            StatusReason::NotFound => StatusCode::NOT_FOUND,
            StatusReason::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            StatusReason::Conflict => StatusCode::CONFLICT,
            StatusReason::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            StatusReason::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// As it stands in `reason`.
    fn word(self) -> &'static str {
        match self {
            StatusReason::BadRequest => "BadRequest",
            StatusReason::Unauthorized => "Unauthorized",
            StatusReason::Forbidden => "Forbidden",
            StatusReason::NotFound => "NotFound",
            StatusReason::MethodNotAllowed => "MethodNotAllowed",
            StatusReason::Conflict => "Conflict",
            StatusReason::InternalError => "InternalError",
            StatusReason::ServiceUnavailable => "ServiceUnavailable",
        }
    }

    /// A refusal for this reason.
    pub fn because(self, message: impl Into<String>) -> Refused {
        Refused {
            reason: self,
            message: Clean::line(&message.into(), LONGEST).into(),
            about: None,
        }
    }
}

impl Refused {
    /// The same, about one JobOutput.
    pub fn about(mut self, target: &Target) -> Refused {
        self.about = Some(target.job.clone());
        self
    }

    fn status(&self) -> Status {
        Status {
            status: Some("Failure".to_owned()),
            reason: Some(self.reason.word().to_owned()),
            message: Some(self.message.clone()),
            code: Some(i32::from(self.reason.code().as_u16())),
            details: Some(StatusDetails {
                name: self.about.clone(),
                group: self.about.as_ref().map(|_| GROUP.to_owned()),
                kind: self.about.as_ref().map(|_| PLURAL.to_owned()),
                ..StatusDetails::default()
            }),
            ..Status::default()
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.reason.code(), Json(self.status())).into_response()
    }
}
