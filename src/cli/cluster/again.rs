//! Requests that the API server puts off, with the word when to come again. kubectl comes again, and so does
//! this program, as long as somebody waits for the answer.

use std::time::Duration;

use http::{HeaderMap, Method, Request, StatusCode, header::RETRY_AFTER};
use kube::client::Body;

use super::CALL_TIMEOUT;

/// So long a request is put off in all: after that its last answer still comes in time, and says why.
pub const PATIENCE: Duration = CALL_TIMEOUT.saturating_sub(Duration::from_secs(2));
/// Waited where the API server says 0.
const LEAST: Duration = Duration::from_millis(100);

/// How long to wait before the same request goes out again; none where this answer stands. A 429 was not
/// carried out. What comes with another code may have been, so only a read is repeated.
pub fn wait(
    method: &Method,
    status: StatusCode,
    headers: &HeaderMap,
    patience: Duration,
) -> Option<Duration> {
    let harmless = status == StatusCode::TOO_MANY_REQUESTS
        || (status.is_server_error() && method == Method::GET);
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    let wait = Duration::from_secs(seconds).max(LEAST);
    (harmless && wait <= patience).then_some(wait)
}

/// The same request once more; none where its body is a stream.
pub fn copy(request: &Request<Body>) -> Option<Request<Body>> {
    let mut copy = Request::new(request.body().try_clone()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn after(method: &Method, code: u16, header: Option<&'static str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
        }
        let status = StatusCode::from_u16(code).unwrap();
        wait(method, status, &headers, Duration::from_secs(5))
    }

    #[test]
    fn only_what_was_not_carried_out_or_changes_nothing_is_repeated() {
        let second = Some(Duration::from_secs(1));
        for (method, code, header, expected) in [
            (Method::POST, 429, Some("1"), second),
            (Method::GET, 429, Some("1"), second),
            (Method::GET, 503, Some("1"), second),
            (Method::POST, 503, Some("1"), None),
            (Method::GET, 429, None, None),
            (Method::GET, 429, Some("0"), Some(LEAST)),
            (Method::GET, 429, Some("6"), None),
            (Method::GET, 429, Some("-1"), None),
            (
                Method::GET,
                429,
                Some("Tue, 01 Dec 2026 00:00:00 GMT"),
                None,
            ),
            (Method::GET, 200, Some("1"), None),
            (Method::GET, 404, Some("1"), None),
        ] {
            assert_eq!(
                after(&method, code, header),
                expected,
                "{method} {code} {header:?}"
            );
        }
    }
}
