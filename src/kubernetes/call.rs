//! One call to the API server: within its time, and with an error that says what was tried.

use std::{future::Future, time::Duration};

use kube::core::Status;

/// A call that has not been answered by then is given up; what it did is found out by looking again.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The API server's word for what an admission policy or webhook says no to.
const DENIED: &str = "denied";

/// A call that did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("failed to {doing}")]
    Failed {
        doing: &'static str,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("did not {doing}: it has changed meanwhile")]
    Outdated { doing: &'static str },
    #[error("failed to {doing}: no answer within {} s", CALL_TIMEOUT.as_secs())]
    TimedOut { doing: &'static str },
}

impl CallError {
    /// The HTTP status of the API server's answer, if it answered.
    pub fn status(&self) -> Option<&Status> {
        match self {
            CallError::Failed { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            CallError::Outdated { .. } | CallError::TimedOut { .. } => None,
        }
    }

    pub fn is_not_found(&self) -> bool {
        self.status().is_some_and(Status::is_not_found)
    }

    /// The API server named what it does not take: the same again fails again.
    pub fn is_refused(&self) -> bool {
        self.status().is_some_and(names_what_is_invalid)
    }

    /// Somebody else was faster: what we knew is old, and looking again is the remedy.
    pub fn is_conflict(&self) -> bool {
        matches!(self, CallError::Outdated { .. }) || self.status().is_some_and(Status::is_conflict)
    }
}

/// Awaits one call, within its time.
pub async fn call<T>(
    doing: &'static str,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(CALL_TIMEOUT, request).await {
        Ok(answer) => answer.map_err(|source| CallError::Failed {
            doing,
            source: Box::new(source),
        }),
        Err(_) => Err(CallError::TimedOut { doing }),
    }
}

/// The same for a JSON Patch: that its test failed is answered as invalid, without a word about what is.
pub async fn patched<T>(
    doing: &'static str,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, CallError> {
    call(doing, request)
        .await
        .map_err(|error| match error.status() {
            Some(status) if is_failed_test(status) => CallError::Outdated { doing },
            Some(_) | None => error,
        })
}

/// A webhook may say no with the same code, and also without naming a field.
fn is_failed_test(status: &Status) -> bool {
    let denied = status.message.contains(DENIED);
    status.is_invalid() && !names_what_is_invalid(status) && !denied
}

fn names_what_is_invalid(status: &Status) -> bool {
    let details = status.details.as_ref();
    status.is_invalid() && details.is_some_and(|details| !details.causes.is_empty())
}

/// None is the answer when the object is gone.
pub fn unless_gone<T>(sent: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match sent {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What comes of a patch that is answered as invalid, with these details.
    async fn invalid(message: &str, details: Value) -> CallError {
        let status = json!({
            "kind": "Status", "status": "Failure", "reason": "Invalid", "code": 422,
            "message": message, "details": details,
        });
        let status: Status = serde_json::from_value(status).unwrap();
        let answer = async { Err::<(), _>(kube::Error::Api(Box::new(status))) };
        patched("try it", answer).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_test_that_failed_is_told_from_a_value_that_is_refused() {
        let words = "the server rejected our request due to an error in our request";
        let outdated = invalid(words, json!({})).await;
        assert!(outdated.is_conflict() && !outdated.is_refused());
        let words = "admission webhook \"w\" denied the request: no";
        let denied = invalid(words, json!({})).await;
        assert!(!denied.is_conflict());
        let refused = invalid(
            "m",
            json!({"causes": [{
                "reason": "FieldValueTypeInvalid", "field": "status.progress.costUSD",
                "message": "Invalid value: \"null\"",
            }]}),
        )
        .await;
        assert!(refused.is_refused() && !refused.is_conflict());
    }
}
