//! What the kubelet's probes ask: `/healthz` and `/livez` are answered by a process that runs, `/readyz`
//! by one that the API server trusts and that knows the API server. The store does not matter here: a
//! gateway without it still answers discovery, and must.

use axum::{Router, http::StatusCode, routing::get};
use tokio::sync::watch;

use super::front_proxy::Known;

/// What a gateway needs before it is any use.
#[derive(Clone, Debug)]
pub struct Readiness {
    pub registered: watch::Receiver<bool>,
    pub front_proxy: watch::Receiver<Known>,
}

impl Readiness {
    /// What is waited for, or nothing.
    pub fn missing(&self) -> Option<&'static str> {
        match &*self.front_proxy.borrow() {
            Known::NotYet => Some("how the API server identifies itself was not read yet"),
            Known::Unusable(_) => {
                Some("how the API server identifies itself can't be used; see the log")
            }
            Known::Good(_) if !*self.registered.borrow() => {
                Some("the APIService does not have this replica's certificate yet")
            }
            Known::Good(_) => None,
        }
    }
}

/// The same paths where the API itself is answered: for whoever looks at it from outside.
pub fn routes(readiness: Readiness) -> Router {
    let readyz = async move || match readiness.missing() {
        None => (StatusCode::OK, "ok"),
        Some(missing) => (StatusCode::SERVICE_UNAVAILABLE, missing),
    };
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(readyz))
}
