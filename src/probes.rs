//! How the kubelet learns whether a server of ours lives and is ready. The answers are given on the loopback
//! interface, and the kubelet runs this program in the container to ask for them: a port for its own requests
//! would be open to every pod of the cluster.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::api::text::Clean;

/// Each server is alone in its pod.
pub const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Less than the `timeoutSeconds` of the chart's probes, so that the answer has a reason.
const PATIENCE: Duration = Duration::from_secs(4);
/// Longest answer, in bytes.
const MAX_ANSWER: usize = 1024;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Probe {
    /// The process runs.
    Healthz,
    /// It can serve.
    Readyz,
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Probe::Healthz => "/healthz",
            Probe::Readyz => "/readyz",
        })
    }
}

/// Why a server is not as it should be; the kubelet puts the words into an Event.
#[derive(Debug, thiserror::Error)]
pub enum Unwell {
    #[error("nothing answers at {address}")]
    Unreachable {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent,
    #[error("the answer can't be read")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("{0}")]
    No(Clean),
}

/// Answers `/healthz` for a process that runs, and `/readyz` by `not_ready`: what it waits for, in words,
/// or nothing. Serves until the process ends.
pub async fn serve<F>(address: SocketAddr, not_ready: F) -> std::io::Result<()>
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
        .route(&Probe::Healthz.to_string(), get(|| async { "ok" }))
        .route(&Probe::Readyz.to_string(), get(readyz));
    axum::serve(tokio::net::TcpListener::bind(address).await?, router).await
}

/// Asks a server that [`serve`]s there.
pub async fn ask(address: SocketAddr, probe: Probe) -> Result<(), Unwell> {
    let asked = timeout(PATIENCE, answer(address, probe));
    asked.await.map_err(|_| Unwell::Silent)?
}

async fn answer(address: SocketAddr, probe: Probe) -> Result<(), Unwell> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|source| Unwell::Unreachable { address, source })?;
    let broken = |error: hyper::Error| Unwell::Broken(error.into());
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    tokio::spawn(connection);
    let request = Request::get(probe.to_string())
        .header("host", address.to_string())
        .body(Empty::<Bytes>::new())
        .map_err(|error| Unwell::Broken(error.into()))?;
    let response = requests.send_request(request).await.map_err(broken)?;
    let is_well = response.status().is_success();
    let body = Limited::new(response.into_body(), MAX_ANSWER);
    let words = body.collect().await.map_err(Unwell::Broken)?.to_bytes();
    match is_well {
        true => Ok(()),
        false => Err(Unwell::No(Clean::line(
            &String::from_utf8_lossy(&words),
            MAX_ANSWER,
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;

    #[tokio::test]
    async fn a_server_is_alive_before_it_is_ready_and_says_what_it_waits_for() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let nothing = ask(address, Probe::Healthz).await.unwrap_err();
        assert!(matches!(nothing, Unwell::Unreachable { .. }), "{nothing}");

        let ready = Arc::new(AtomicBool::new(false));
        let is_ready = Arc::clone(&ready);
        let not_ready = move || (!is_ready.load(Ordering::Relaxed)).then_some("the volume");
        tokio::spawn(serve(address, not_ready));
        while ask(address, Probe::Healthz).await.is_err() {
            tokio::task::yield_now().await;
        }
        let waits = ask(address, Probe::Readyz).await.unwrap_err();
        assert_eq!(waits.to_string(), "the volume");
        ready.store(true, Ordering::Relaxed);
        ask(address, Probe::Readyz).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_answer_is_not_waited_for() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let silent = ask(address, Probe::Healthz).await.unwrap_err();
        assert!(matches!(silent, Unwell::Silent), "{silent}");
    }
}
