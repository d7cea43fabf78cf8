//! An API server that knows no Job and no user: as much as kubectl and herdctl need to list Jobs, and it
//! notes who asks.

use std::{net::Ipv6Addr, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::AUTHORIZATION};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use rustls::ServerConfig;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::world::Log;

/// What a connection says of its other end.
#[derive(Clone, Debug)]
struct Peer {
    log: Log,
    /// The name within TLS, and the length of the client's certificate.
    tls: String,
}

async fn listen(port: u16) -> TcpListener {
    // Both families.
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
        .await
        .unwrap()
}

pub async fn secure(port: u16, config: Arc<ServerConfig>, log: Log) {
    let listener = listen(port).await;
    let acceptor = TlsAcceptor::from(config);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, log) = (acceptor.clone(), log.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let tls = told(&stream);
                serve(stream, Peer { log, tls }).await;
            });
        }
    });
}

fn told(stream: &TlsStream<TcpStream>) -> String {
    let (_, connection) = stream.get_ref();
    let client = connection.peer_certificates();
    let client = client
        .and_then(|chain| chain.first())
        .map(|certificate| certificate.len());
    format!(
        "tls={} certificate={client:?}",
        connection.server_name().unwrap_or("-")
    )
}

pub async fn plain(port: u16, log: Log) {
    let listener = listen(port).await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = "no tls".to_owned();
            tokio::spawn(serve(
                stream,
                Peer {
                    log: log.clone(),
                    tls,
                },
            ));
        }
    });
}

async fn serve(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
) {
    let router = Router::new().fallback(answer).with_state(peer);
    let service = TowerToHyperService::new(router);
    let connection = hyper::server::conn::http1::Builder::new();
    // An end that goes away is no fault.
    let _ = connection
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(State(peer): State<Peer>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let below = path.strip_prefix("/prefix").unwrap_or(&path);
    let headers = request.headers();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let authorization = headers.get(AUTHORIZATION).map(text);
    if below.ends_with("/jobs") {
        let mut who: Vec<String> = headers
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("impersonate-"))
            .map(|(name, value)| format!("{name}={}", text(value)))
            .collect();
        who.sort();
        let host = headers.get("host").map(text).unwrap_or_default();
        let line = format!(
            "{path} host={host} {} authorization={authorization:?} {who:?}",
            peer.tls
        );
        peer.log.lock().unwrap().requests.insert(line);
    }
    if authorization.as_deref() == Some("Bearer stale") {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 401, "reason": "Unauthorized", "message": "Unauthorized"});
        return (StatusCode::UNAUTHORIZED, axum::Json(status)).into_response();
    }
    let steps: Vec<&str> = below.trim_matches('/').split('/').collect();
    let object = match &steps[..] {
        ["api"] => json!({"kind": "APIVersions", "versions": ["v1"]}),
        ["apis"] => {
            let version = json!({"groupVersion": "herdctl.dev/v1alpha1", "version": "v1alpha1"});
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups":
                [{"name": "herdctl.dev", "versions": [version.clone()], "preferredVersion": version}]})
        }
        ["api", "v1"] => {
            json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1", "resources": []})
        }
        ["apis", "herdctl.dev", "v1alpha1"] => {
            let jobs = json!({"name": "jobs", "singularName": "job", "namespaced": true, "kind": "Job", "verbs": ["get", "list"]});
            json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "herdctl.dev/v1alpha1", "resources": [jobs]})
        }
        [.., "jobs"] => {
            json!({"kind": "JobList", "apiVersion": "herdctl.dev/v1alpha1", "metadata": {"resourceVersion": "1"}, "items": []})
        }
        ["api", "v1", "namespaces", name] => {
            json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}})
        }
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    axum::Json(object).into_response()
}
