//! Whom the gateway believes when it is told who asks: a holder of a certificate of the API server's
//! front proxy. The API server publishes which in a ConfigMap; it is followed as it changes.

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use rustls::{
    RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, UnixTime, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::sync::watch;
use tracing::{info, warn};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::kubernetes::{Chain, watch::everything};

/// Where the API server publishes how it identifies itself and others.
pub const NAMESPACE: &str = "kube-system";
pub const CONFIG_MAP: &str = "extension-apiserver-authentication";

/// The front proxy, as far as it is known.
#[derive(Clone, Debug)]
pub enum Known {
    /// The ConfigMap was not read yet.
    NotYet,
    /// What the ConfigMap says can't be used; nobody is believed.
    Unusable(String),
    Good(Arc<FrontProxy>),
}

/// How the front proxy shows itself, and in which headers it says who asks.
#[derive(Debug)]
pub struct FrontProxy {
    verifier: Arc<dyn ClientCertVerifier>,
    /// Common names that its certificate may have; none means any.
    allowed_names: Vec<String>,
    pub username_headers: Vec<String>,
    pub uid_headers: Vec<String>,
    pub group_headers: Vec<String>,
    pub extra_prefixes: Vec<String>,
}

/// Why the ConfigMap can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error(
        "it has no {CA}: start the API server with --requestheader-client-ca-file, as aggregated APIs need"
    )]
    NoCa,
    #[error("its {key} holds no usable certificates: {why}")]
    BadCa { key: &'static str, why: String },
    #[error("its {key} is no JSON list of strings: {why}")]
    BadList { key: &'static str, why: String },
    #[error("its {USERNAME_HEADERS} is empty, so nothing says who asks")]
    NoUsernames,
    #[error(
        "any certificate of a CA that clients have too would do: {ALLOWED_NAMES} is empty, and {CA} and \
         {CLIENT_CA} share a key. Start the API server with --requestheader-allowed-names"
    )]
    Shared,
}

/// Why a peer is not the front proxy.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTheFrontProxy {
    #[error("the caller showed no client certificate")]
    NoCertificate,
    #[error("the caller's client certificate is not of the front proxy's CA, or not valid now")]
    NotOfTheCa,
    #[error(
        "the caller's client certificate is of the front proxy's CA, and its name is not allowed"
    )]
    NameNotAllowed,
}

const CA: &str = "requestheader-client-ca-file";
const CLIENT_CA: &str = "client-ca-file";
const ALLOWED_NAMES: &str = "requestheader-allowed-names";
const USERNAME_HEADERS: &str = "requestheader-username-headers";
const UID_HEADERS: &str = "requestheader-uid-headers";
const GROUP_HEADERS: &str = "requestheader-group-headers";
const EXTRA_PREFIXES: &str = "requestheader-extra-headers-prefix";

impl FrontProxy {
    /// Reads what the API server published.
    pub fn read(data: &BTreeMap<String, String>) -> Result<FrontProxy, Unusable> {
        let certificates = certificates(data, CA)?;
        if certificates.is_empty() {
            return Err(Unusable::NoCa);
        }
        let proxy = FrontProxy {
            verifier: verifier(&certificates)?,
            allowed_names: list(data, ALLOWED_NAMES)?,
            username_headers: list(data, USERNAME_HEADERS)?,
            uid_headers: list(data, UID_HEADERS)?,
            group_headers: list(data, GROUP_HEADERS)?,
            extra_prefixes: list(data, EXTRA_PREFIXES)?,
        };
        if proxy.username_headers.is_empty() {
            return Err(Unusable::NoUsernames);
        }
        if proxy.allowed_names.is_empty()
            && share_a_key(&certificates, &self::certificates(data, CLIENT_CA)?)
        {
            return Err(Unusable::Shared);
        }
        Ok(proxy)
    }

    /// Verifies clients in the handshake already; one that shows no certificate is let in as nobody.
    pub fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier)
    }

    /// Is the holder of this certificate (its own first) the front proxy? The handshake proved that it
    /// holds the key. Asked anew for each request: a connection may be older than the present CA.
    pub fn is(
        &self,
        certificates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), NotTheFrontProxy> {
        let Some((own, intermediates)) = certificates.split_first() else {
            return Err(NotTheFrontProxy::NoCertificate);
        };
        self.verifier
            .verify_client_cert(own, intermediates, now)
            .map_err(|_| NotTheFrontProxy::NotOfTheCa)?;
        let allowed = self.allowed_names.is_empty()
            || common_name(own).is_some_and(|name| self.allowed_names.contains(&name));
        allowed
            .then_some(())
            .ok_or(NotTheFrontProxy::NameNotAllowed)
    }
}

fn verifier(
    certificates: &[CertificateDer<'static>],
) -> Result<Arc<dyn ClientCertVerifier>, Unusable> {
    let bad = |why: String| Unusable::BadCa { key: CA, why };
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots
            .add(certificate.clone())
            .map_err(|error| bad(error.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()))
        .allow_unauthenticated()
        // A client that may choose would show nothing where its certificate comes by way of an
        // intermediate that it was not given.
        .clear_root_hint_subjects()
        .build()
        .map_err(|error| bad(error.to_string()))
}

fn certificates(
    data: &BTreeMap<String, String>,
    key: &'static str,
) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let pem = data.get(key).map(String::as_bytes).unwrap_or_default();
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| Unusable::BadCa {
            key,
            why: error.to_string(),
        })
}

fn list(data: &BTreeMap<String, String>, key: &'static str) -> Result<Vec<String>, Unusable> {
    let Some(text) = data.get(key) else {
        return Ok(Vec::new());
    };
    serde_json::from_str(text).map_err(|error| Unusable::BadList {
        key,
        why: error.to_string(),
    })
}

/// A CA may be issued anew under its key, so the keys are compared.
fn share_a_key(some: &[CertificateDer<'_>], others: &[CertificateDer<'_>]) -> bool {
    let key = |certificate: &CertificateDer<'_>| {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        Some(parsed.public_key().raw.to_vec())
    };
    let others: Vec<_> = others.iter().filter_map(key).collect();
    some.iter().filter_map(key).any(|key| others.contains(&key))
}

fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let name = parsed.subject().iter_common_name().next()?;
    name.as_str().ok().map(str::to_owned)
}

/// Follows the ConfigMap for ever. When it is deleted the last word counts: the API server writes it
/// again.
pub async fn follow(client: Client, known: watch::Sender<Known>) {
    let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    let config = everything().fields(&format!("metadata.name={CONFIG_MAP}"));
    let events = watcher::watcher(api, config).default_backoff();
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(map) | Event::InitApply(map)) => take(&map, &known),
            Ok(_) => {}
            Err(error) => {
                let error = Chain(&error);
                warn!(%error, "ConfigMap {NAMESPACE}/{CONFIG_MAP} can't be watched; trying again");
            }
        }
    }
}

fn take(map: &ConfigMap, known: &watch::Sender<Known>) {
    let now = match FrontProxy::read(map.data.as_ref().unwrap_or(&BTreeMap::new())) {
        Ok(proxy) => {
            info!(names = ?proxy.allowed_names, "the front proxy is known");
            Known::Good(Arc::new(proxy))
        }
        Err(error) => {
            let why = format!("ConfigMap {NAMESPACE}/{CONFIG_MAP} can't be used: {error}");
            warn!("{why}");
            Known::Unusable(why)
        }
    };
    known.send_replace(now);
}
