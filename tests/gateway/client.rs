//! What stands in front of the gateway: the API server's proxy, or somebody who would like to be it.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::certificates::Identity;

/// Nothing here takes long; who waits so long waits in vain.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The name that the API server asks for.
pub const HOST: &str = "herd-gateway.herd.svc";

pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

/// An open connection.
pub async fn connect(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    identity: Option<&Identity>,
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        Some(identity) => builder
            .with_client_auth_cert(identity.chain.clone(), identity.key())
            .unwrap(),
        None => builder.with_no_client_auth(),
    };
    let name = ServerName::try_from(HOST).unwrap();
    let tcp = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
}

/// Sends a request on a connection of its own, which lasts as long as the answer is held.
pub async fn send(
    stream: TlsStream<TcpStream>,
    request: Request<Body>,
) -> hyper::Result<Response<Incoming>> {
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .title_case_headers(true)
        .handshake(TokioIo::new(stream))
        .await?;
    tokio::spawn(connection);
    sender.send_request(request).await
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub content_type: String,
    pub body: Bytes,
}

impl Answer {
    pub async fn of(response: Response<Incoming>) -> Answer {
        let status = response.status();
        let header = response.headers().get("content-type");
        let content_type = header
            .map_or("", |value| value.to_str().unwrap())
            .to_owned();
        let body = soon("the answer's end", response.into_body().collect()).await;
        Answer {
            status,
            content_type,
            body: body.unwrap().to_bytes(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that it is a Status of the API and answers its message.
    pub fn failure(&self, code: u16, reason: &str) -> String {
        let status = self.json();
        assert_eq!(self.status.as_u16(), code, "{status}");
        assert_eq!(status["kind"], "Status");
        assert_eq!(status["apiVersion"], "v1");
        assert_eq!(status["status"], "Failure");
        assert_eq!(status["code"], code);
        assert_eq!(status["reason"], reason);
        status["message"].as_str().unwrap().to_owned()
    }
}

/// An answer that is read piece by piece.
pub struct Reading {
    pub headers: HeaderMap,
    body: Incoming,
    pub got: Vec<u8>,
}

impl Reading {
    pub fn new(response: Response<Incoming>) -> Reading {
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers().get("content-length").is_none());
        Reading {
            headers: response.headers().clone(),
            body: response.into_body(),
            got: Vec::new(),
        }
    }

    /// Reads until so many bytes are there.
    pub async fn until(&mut self, bytes: usize) -> &[u8] {
        while self.got.len() < bytes {
            let frame = soon("more lines", self.body.frame()).await;
            let frame = frame
                .expect("the answer ended early")
                .expect("the answer broke off");
            self.got.extend_from_slice(&frame.into_data().unwrap());
        }
        &self.got
    }

    /// Reads to the end; an answer that breaks off is an error.
    pub async fn end(mut self) -> Result<Vec<u8>, hyper::Error> {
        while let Some(frame) = soon("the end", self.body.frame()).await {
            self.got.extend_from_slice(&frame?.into_data().unwrap());
        }
        Ok(self.got)
    }
}
