//! The aggregated API: serves the lines of a Job to those who may read them, and holds nothing itself.
//!
//! `api` takes requests apart; `front_proxy` and `identity` say who asks, `rights` whether he may, `store`
//! and `stream` bring the lines. `certificate`, `bundle` and `registration` make the API server trust
//! this replica. It answers discovery from memory, whatever else is down.

pub mod api;
pub mod bundle;
pub mod certificate;
pub mod discovery;
pub mod front_proxy;
pub mod health;
pub mod identity;
pub mod joboutput;
pub mod names;
pub mod openapi;
pub mod parameters;
pub mod registration;
pub mod rights;
pub mod status;
pub mod store;
pub mod store_ca;
pub mod stream;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use chrono::Utc;
use rustls::ServerConfig;
use tokio::{sync::watch, time::sleep};
use tracing::{error, info, warn};

use self::{
    api::Gateway,
    certificate::{CertificateError, Serving, Subject},
    front_proxy::Known,
    health::Readiness,
    registration::Registration,
    rights::{REMEMBERED, Reviews, Rights},
    store::{Access, BadAddress, Store},
    store_ca::Published,
    stream::Patience,
};
use crate::{
    https::{self, Limits},
    kubernetes::{ConnectError, connect},
    probes,
    process::{listen, raise_descriptor_limit, terminated},
};

/// A follower is a connection. The API server keeps idle ones for 90 s and closes them first.
const LIMITS: Limits = Limits {
    connections: 4096,
    header_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_secs(120),
};

/// The cluster goes on sending requests here for a moment after it has asked this replica to end.
const LINGER: Duration = Duration::from_secs(3);

/// How the gateway was started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the API server reaches it.
    pub listen: SocketAddr,
    /// Where the kubelet's probes are answered.
    pub probes: SocketAddr,
    /// The store's address: `https://SERVICE.NAMESPACE.svc:PORT`.
    pub store: String,
    pub store_ca: Published,
    /// The file with the token for the store.
    pub store_token: PathBuf,
    /// The APIService that it serves.
    pub api_service: String,
    pub subject: Subject,
}

/// Why the gateway could not start, or not go on.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("failed to listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("failed to answer probes on {address}")]
    Probes {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("failed to go on serving")]
    Serve(#[source] io::Error),
    #[error("failed to raise the limit of open files")]
    Descriptors(#[source] io::Error),
    #[error("failed to listen for signals")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Store(#[from] BadAddress),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(options: Options) -> Result<(), GatewayError> {
    raise_descriptor_limit().map_err(GatewayError::Descriptors)?;
    let client = connect().await?;
    let (serving, served) = watch::channel(Arc::new(Serving::make(&options.subject, Utc::now())?));
    let (known, front_proxy) = watch::channel(Known::NotYet);
    let (registered, registration) = watch::channel(false);
    let (stop_sender, stop) = watch::channel(false);
    let (published, store_ca) = watch::channel(None);
    let readiness = Readiness {
        registered: registration,
        front_proxy: front_proxy.clone(),
    };
    let gateway = Gateway {
        front_proxy: front_proxy.clone(),
        rights: Rights::new(Arc::new(Reviews(client.clone())), REMEMBERED),
        store: Store::new(Access {
            url: options.store,
            ca: store_ca,
            token: options.store_token,
        })?,
        patience: Patience::default(),
    };
    let registration = Registration {
        client: client.clone(),
        api_service: options.api_service,
        subject: options.subject,
        serving,
        registered,
    };

    let address = options.listen;
    let listener = listen(address)
        .await
        .map_err(|source| GatewayError::Listen { address, source })?;
    let tls = tls(served, front_proxy)?;
    let router = api::router(gateway);
    tokio::spawn(store_ca::follow(
        client.clone(),
        options.store_ca,
        published,
    ));
    tokio::spawn(front_proxy::follow(client, known));
    let mut kept = tokio::spawn(registration.keep(stop.clone()));
    let probes = tokio::spawn(probes::serve(options.probes, move || readiness.missing()));
    let mut serve = tokio::spawn(https::serve(listener, tls, router, LIMITS, stop));
    tokio::select! {
        biased;
        signal = terminated() => signal.map_err(GatewayError::Signals)?,
        Ok(Err(source)) = &mut serve => return Err(GatewayError::Serve(source)),
        Ok(Err(error)) = &mut kept => return Err(error.into()),
        Ok(Err(source)) = probes => {
            return Err(GatewayError::Probes { address: options.probes, source });
        }
    }
    info!("stopping: readers are broken off and come back by another replica");
    sleep(LINGER).await;
    stop_sender.send_replace(true);
    if let (Err(error), _) | (_, Err(error)) = tokio::join!(serve, kept) {
        warn!(%error, "a part of the gateway did not end well");
    }
    Ok(())
}

/// How to serve now: with the newest certificate, and verifying the newest front proxy.
fn tls(
    mut serving: watch::Receiver<Arc<Serving>>,
    mut front_proxy: watch::Receiver<Known>,
) -> Result<watch::Receiver<Arc<ServerConfig>>, CertificateError> {
    let first = serving
        .borrow_and_update()
        .server(&front_proxy.borrow_and_update())?;
    let (sender, receiver) = watch::channel(first);
    tokio::spawn(async move {
        loop {
            let changed = tokio::select! {
                changed = serving.changed() => changed,
                changed = front_proxy.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
            match serving
                .borrow_and_update()
                .server(&front_proxy.borrow_and_update())
            {
                Ok(server) => drop(sender.send_replace(server)),
                Err(error) => error!(%error, "TLS could not be set up anew; serving as before"),
            }
        }
    });
    Ok(receiver)
}
