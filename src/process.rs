//! What every server of ours does as a process: it answers the kubelet's probes and ends when it is asked
//! to.

use std::net::SocketAddr;

use axum::{Router, http::StatusCode, routing::get};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

/// Answers `/healthz` for a process that runs, and `/readyz` by `not_ready`: what it waits for, in words,
/// or nothing. Serves until the process ends.
pub async fn serve_probes<F>(address: SocketAddr, not_ready: F) -> std::io::Result<()>
where
    F: Fn() -> Option<&'static str> + Clone + Send + Sync + 'static,
{
    let readyz = move || {
        let answer = match not_ready() {
            None => (StatusCode::OK, "ok"),
            Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
        };
        async move { answer }
    };
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz));
    axum::serve(tokio::net::TcpListener::bind(address).await?, router).await
}

/// Lets the process have as many descriptors as it may: a connection and a file are one each, and a
/// container starts with a limit of 1024 where its runtime has no other.
pub fn raise_descriptor_limit() -> std::io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

/// Returns when SIGTERM or SIGINT arrives.
pub async fn terminated() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
