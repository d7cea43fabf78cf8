//! The API's error answers: status, type and wording as the real API gives them, because the
//! Claude CLI decides by all three whether to retry and what to tell its user.

use std::fmt;
use std::str::FromStr;

use axum::http::StatusCode;
use serde_json::{Value, json};

/// Longer than the Claude CLI is willing to wait, so that a rate limit ends the run at once.
const RETRY_AFTER_SECONDS: u32 = 3600;

/// One way in which the API turns a request down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    Authentication,
    Permission,
    NoSuchModel,
    RequestTooLarge,
    PromptTooLong,
    NoCredit,
    RateLimit,
    Internal,
    Overloaded,
}

impl Failure {
    const ALL: [(&str, Self); 9] = [
        ("401", Self::Authentication),
        ("403", Self::Permission),
        ("404", Self::NoSuchModel),
        ("413", Self::RequestTooLarge),
        ("400-toolong", Self::PromptTooLong),
        ("400-credit", Self::NoCredit),
        ("429", Self::RateLimit),
        ("500", Self::Internal),
        ("529", Self::Overloaded),
    ];

    /// The HTTP status; 529 is the API's own.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Authentication => StatusCode::UNAUTHORIZED,
            Self::Permission => StatusCode::FORBIDDEN,
            Self::NoSuchModel => StatusCode::NOT_FOUND,
            Self::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::PromptTooLong | Self::NoCredit => StatusCode::BAD_REQUEST,
            Self::RateLimit => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Overloaded => {
                StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
            }
        }
    }

    /// Seconds for the header `retry-after`.
    pub fn retry_after(self) -> Option<u32> {
        (self == Self::RateLimit).then_some(RETRY_AFTER_SECONDS)
    }

    /// The JSON body, for a request that asked for `model`.
    pub fn body(self, model: &str) -> Value {
        match self {
            Self::Authentication => error("authentication_error", "invalid x-api-key"),
            Self::Permission => error(
                "permission_error",
                "Your API key does not have permission to use the specified resource.",
            ),
            Self::NoSuchModel => error("not_found_error", &format!("model: {model}")),
            Self::RequestTooLarge => error(
                "request_too_large",
                "Request exceeds the maximum allowed number of bytes",
            ),
            Self::PromptTooLong => error(
                "invalid_request_error",
                "prompt is too long: 250000 tokens > 200000 maximum",
            ),
            Self::NoCredit => error(
                "invalid_request_error",
                "Your credit balance is too low to access the Anthropic API. \
                 Please go to Plans & Billing to upgrade or purchase credits.",
            ),
            Self::RateLimit => error(
                "rate_limit_error",
                "This request would exceed your organization's rate limit",
            ),
            Self::Internal => error("api_error", "Internal server error"),
            Self::Overloaded => error("overloaded_error", "Overloaded"),
        }
    }
}

/// The API's envelope of an error.
pub fn error(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}})
}

/// A name that is no failure's.
#[derive(Debug)]
pub struct UnknownFailure;

impl FromStr for Failure {
    type Err = UnknownFailure;

    fn from_str(name: &str) -> Result<Self, UnknownFailure> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, failure)| *failure)
            .ok_or(UnknownFailure)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, known)| known == self);
        write!(f, "{}", name.map_or("unknown", |(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_the_status_of_its_name() {
        for (name, failure) in Failure::ALL {
            assert!(name.starts_with(failure.status().as_str()), "{name}");
            assert_eq!(failure.to_string(), name);
        }
    }
}
