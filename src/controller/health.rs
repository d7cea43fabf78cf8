//! What the kubelet's probes ask: `/healthz` is answered by a process that runs, `/readyz` by one whose
//! caches are filled.

use std::net::SocketAddr;

use axum::{Router, http::StatusCode, routing::get};

use super::caches::Filled;

/// Serves until the process ends.
pub async fn serve(address: SocketAddr, filled: Filled) -> std::io::Result<()> {
    let readyz = move || async move {
        if filled.all() {
            (StatusCode::OK, "ok")
        } else {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the caches are not filled yet",
            )
        }
    };
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz));
    axum::serve(tokio::net::TcpListener::bind(address).await?, router).await
}
