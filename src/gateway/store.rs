//! Reading from the output store. It may be away at any time, its CA and our token change while we run:
//! both are looked up for each request, and a changed CA begins a new pool of connections.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::body::Body;
use http::{Request, Response, StatusCode, Uri, header, uri::InvalidUri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde::de::DeserializeOwned;
use tokio::{sync::watch, time::timeout};

use super::names::Target;
use crate::api::protocol::{self, RecordInfo, Refusal, RefusalReason};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A follow's header comes at once too, however long its lines take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A store whose node died says nothing: TCP finds it out after this and three probes.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(10);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
const KEEPALIVE_PROBES: u32 = 3;
const IDLE: Duration = Duration::from_secs(30);
const IDLE_CONNECTIONS: usize = 16;
/// What a connection reads ahead of a reader who takes nothing, in bytes.
const READ_AHEAD: usize = 16 * 1024;
/// The largest answer that is not a log: a `job.json` with its texts.
const MAX_ANSWER: usize = 1024 * 1024;

/// Where the store is and how one gets in.
#[derive(Clone, Debug)]
pub struct Access {
    /// `https://SERVICE.NAMESPACE.svc:PORT`
    pub url: String,
    /// PEM, one or more certificates; None until it is known.
    pub ca: watch::Receiver<Option<String>>,
    pub token: PathBuf,
}

/// The store did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is not there, not yet, or not well; later it may be.
    #[error("{0}")]
    Away(String),
    /// It does not take our token.
    #[error("the output store does not take this gateway's token: {0}")]
    Unwelcome(String),
    /// It said no, and will again.
    #[error("{}", .0.message)]
    Refused(Refusal),
}

impl StoreError {
    /// True where asking again later may help.
    pub fn passes(&self) -> bool {
        !matches!(self, StoreError::Refused(_))
    }
}

/// The lines of a record as they come.
#[derive(Debug)]
pub struct Lines {
    /// The byte of the record that they begin with, where the store says.
    pub begins: Option<u64>,
    /// The UID of the record's Job, where the store says.
    pub uid: Option<String>,
    pub body: Incoming,
}

type Pool = Client<HttpsConnector<HttpConnector>, Body>;

/// The store, as its readers see it.
pub struct Store {
    access: Access,
    /// With the CA that it was made for.
    pool: Mutex<Option<(String, Pool)>>,
}

impl Store {
    /// Checks the address; no connection is made. The address must be `https://HOST[:PORT]`.
    pub fn new(access: Access) -> Result<Arc<Store>, BadAddress> {
        let bad = || BadAddress(access.url.clone());
        let uri: Uri = access.url.parse().map_err(|_: InvalidUri| bad())?;
        if uri.scheme_str() != Some("https") || uri.host().is_none() || uri.path() != "/" {
            return Err(bad());
        }
        Ok(Arc::new(Store {
            access,
            pool: Mutex::default(),
        }))
    }

    /// What is known of a record.
    pub async fn info(&self, target: &Target) -> Result<RecordInfo, StoreError> {
        let path = protocol::record(&target.namespace, &target.job);
        let response = self.get(&path).await?;
        timeout(ANSWER_TIMEOUT, json(response.into_body()))
            .await
            .unwrap_or_else(|_| Err(away("its answer did not end")))
    }

    /// The lines of a record; `query` is [`super::parameters::Wanted::to_store`].
    pub async fn lines(&self, target: &Target, query: &str) -> Result<Lines, StoreError> {
        let path = protocol::log(&target.namespace, &target.job);
        let response = self.get(&format!("{path}?{query}")).await?;
        let header = |name| response.headers().get(name)?.to_str().ok();
        Ok(Lines {
            begins: header(protocol::BEGINS).and_then(|text| text.parse().ok()),
            uid: header(protocol::RECORD_UID).map(str::to_owned),
            body: response.into_body(),
        })
    }

    async fn get(&self, path: &str) -> Result<Response<Incoming>, StoreError> {
        // The kubelet keeps it in memory: reading it blocks nobody.
        let token = fs::read(&self.access.token).map_err(|error| {
            away(&format!(
                "its token {} can't be read: {error}",
                self.access.token.display()
            ))
        })?;
        let mut bearer = b"Bearer ".to_vec();
        bearer.extend_from_slice(token.trim_ascii());
        let url = format!("{}{path}", self.access.url.trim_end_matches('/'));
        let request = Request::get(url)
            .header(header::AUTHORIZATION, bearer)
            .body(Body::empty())
            .map_err(|error| away(&format!("it can't be asked: {error}")))?;
        let response = timeout(ANSWER_TIMEOUT, self.pool()?.request(request))
            .await
            .map_err(|_| away(&format!("nothing within {} s", ANSWER_TIMEOUT.as_secs())))?
            .map_err(|error| away(&deepest(&error)))?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        Err(refusal(response).await)
    }

    fn pool(&self) -> Result<Pool, StoreError> {
        let Some(pem) = self.access.ca.borrow().clone() else {
            return Err(away("it has never started, its CA is not known"));
        };
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        match &*pool {
            Some((ca, pool)) if *ca == pem => Ok(pool.clone()),
            _ => {
                let made = connect(&pem).map_err(|why| away(&format!("its CA {why}")))?;
                *pool = Some((pem, made.clone()));
                Ok(made)
            }
        }
    }
}

/// An address that can't be the store's.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no address of a store; it must be like https://herd-store.herd.svc:8443")]
pub struct BadAddress(String);

fn away(why: &str) -> StoreError {
    StoreError::Away(format!("the output store does not answer: {why}"))
}

fn connect(pem: &str) -> Result<Pool, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("is no PEM: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("is no CA: {error}"))?;
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(KEEPALIVE_AFTER));
    tcp.set_keepalive_interval(Some(KEEPALIVE_EVERY));
    tcp.set_keepalive_retries(Some(KEEPALIVE_PROBES));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_only()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .http1_read_buf_exact_size(READ_AHEAD)
        .build(connector))
}

async fn refusal(response: Response<Incoming>) -> StoreError {
    let status = response.status();
    let refusal = match timeout(ANSWER_TIMEOUT, json::<Refusal>(response.into_body())).await {
        Ok(Ok(refusal)) => refusal,
        _ => return away(&format!("it answers {status}")),
    };
    match refusal.reason {
        RefusalReason::Retry | RefusalReason::Full => StoreError::Away(refusal.message),
        RefusalReason::Unauthorized | RefusalReason::Forbidden => {
            StoreError::Unwelcome(refusal.message)
        }
        _ => StoreError::Refused(refusal),
    }
}

async fn json<T: DeserializeOwned>(body: Incoming) -> Result<T, StoreError> {
    let bytes = Limited::new(body, MAX_ANSWER)
        .collect()
        .await
        .map_err(|error| away(&format!("its answer broke off: {error}")))?
        .to_bytes();
    serde_json::from_slice(&bytes)
        .map_err(|error| away(&format!("its answer can't be read: {error}")))
}

/// hyper's own words say only which step failed; the last cause says what happened.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}
