//! Puts the two halves of the store together: the volume, the certificates, the watch of Jobs, the steward
//! and the server.

use std::{
    collections::HashSet,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::Utc;
use kube::Client;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tracing::info;

use super::{
    ca::{self, Ca, CaError, Kept, Publication},
    gate::RecordKey,
    gatekeeper::Gatekeeper,
    http,
    jobs::{self, Jobs},
    layout::OUTPUT,
    namespaces::Namespaces,
    news::{Closing, News, Sealed},
    pods::Pods,
    records::{Records, StoreError},
    status::{SealError, Sealer, Steward},
    tokens::Tokens,
};
use crate::{
    https::{self, Limits},
    kubernetes::{ConnectError, connect},
    probes,
    process::{listen, raise_descriptor_limit, terminated},
};

/// The folder of the certificate authorities on the volume. No namespace has such a name.
const CA_FOLDER: &str = ".ca";
/// News on their way to the steward; more of them wait with whoever brings them.
const NEWS: usize = 1024;
/// The same for what the watch brings.
const CHANGES: usize = 1024;
/// Each pod that ships holds a connection or two, each replica of the gateway one for each follower.
const LIMITS: Limits = Limits {
    connections: 8192,
    header_timeout: Duration::from_secs(10),
    // A shipper that is waiting for its agent's next line keeps its connection.
    idle_timeout: Duration::from_secs(120),
};

/// How the store was started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The volume.
    pub data: PathBuf,
    /// Where shippers and the gateway are served, by HTTPS.
    pub listen: SocketAddr,
    /// Where the probes are answered.
    pub probes: SocketAddr,
    /// The Service by which the store is reached, and its namespace.
    pub service: String,
    pub namespace: String,
    /// The ConfigMap, in that namespace, for the CA certificates.
    pub ca_config_map: String,
    /// Usernames of those who may read for others.
    pub readers: Vec<String>,
}

/// Why the store could not start, or not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("failed to open the volume {path}")]
    Volume {
        path: PathBuf,
        #[source]
        source: Box<StoreError>,
    },
    #[error(transparent)]
    Ca(#[from] CaError),
    #[error("failed to serve on {address}")]
    Serve {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("failed to raise the limit of open files")]
    Descriptors(#[source] io::Error),
    #[error("failed to listen for signals")]
    Signals(#[source] io::Error),
    #[error("a part of the store has ended")]
    Part,
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(options: Options) -> Result<(), RunError> {
    raise_descriptor_limit().map_err(RunError::Descriptors)?;
    let client = connect().await?;
    // Before the volume is read: that may take longer than the kubelet waits for a process to start, and
    // one that it kills begins anew.
    let readiness = Arc::<Readiness>::default();
    let missing = Arc::clone(&readiness);
    let probes = tokio::spawn(probes::serve(options.probes, move || missing.missing()));
    let (news_sender, news) = mpsc::channel(NEWS);
    let records = open(options.data.clone(), news_sender).await?;
    let names = names(&options.service, &options.namespace);
    let ca = Ca::open(options.data.join(CA_FOLDER), names, Utc::now())?;
    let Kept { serving, bundle } = ca::keep(ca, Utc::now)?;
    let publication = Publication {
        namespace: options.namespace.clone(),
        config_map: options.ca_config_map.clone(),
        done: Arc::clone(&readiness.published),
    };
    let publishing = tokio::spawn(ca::publish(client.clone(), publication, bundle));

    let (gatekeeper, keeping) = keep_jobs(&client, &options, &records, news);
    // It is set here alone, so it was empty.
    let _ = readiness.jobs.set(gatekeeper.jobs.clone());

    let failed = |source| RunError::Serve {
        address: options.listen,
        source,
    };
    let listener = listen(options.listen).await.map_err(failed)?;
    let (stop_sender, stop) = watch::channel(false);
    let router = http::router(records, Arc::new(gatekeeper));
    let mut server = tokio::spawn(https::serve(listener, serving, router, LIMITS, stop));
    info!(address = %options.listen, "serving");
    tokio::select! {
        signal = terminated() => signal.map_err(RunError::Signals)?,
        served = &mut server => return Err(served.map_or(RunError::Part, |served| {
            served.err().map_or(RunError::Part, failed)
        })),
        served = probes => return Err(match served {
            Ok(Err(source)) => RunError::Serve { address: options.probes, source },
            Ok(Ok(())) | Err(_) => RunError::Part,
        }),
        _ = keeping => return Err(RunError::Part),
        _ = publishing => return Err(RunError::Part),
    }
    info!("stopping");
    stop_sender.send_replace(true);
    // It ends by itself within seconds; an error on the way out changes nothing.
    let _ = server.await;
    Ok(())
}

/// Reading what a store before left can take a while.
async fn open(data: PathBuf, news: mpsc::Sender<News>) -> Result<Arc<Records>, RunError> {
    let path = data.clone();
    tokio::task::spawn_blocking(move || Records::open(&data, news, Utc::now))
        .await
        .map_err(|_| RunError::Part)?
        .map_err(|source| RunError::Volume {
            path,
            source: Box::new(source),
        })
}

/// Starts the watch and the steward; answers who lets in by what they know.
fn keep_jobs(
    client: &Client,
    options: &Options,
    records: &Arc<Records>,
    news: mpsc::Receiver<News>,
) -> (Gatekeeper, JoinHandle<()>) {
    let (jobs, jobs_watch) = jobs::cache();
    let (changes_sender, changes) = mpsc::channel(CHANGES);
    tokio::spawn(jobs_watch.run(client.clone(), changes_sender));
    let pods = Arc::new(Pods::new(client.clone()));
    let namespaces = Arc::new(Namespaces::new(client.clone()));
    let steward = Steward {
        client: client.clone(),
        sealer: Arc::clone(records),
        jobs: jobs.clone(),
        pods: Arc::clone(&pods),
        namespaces: Arc::clone(&namespaces),
        clock: Utc::now,
    };
    let gatekeeper = Gatekeeper {
        client: client.clone(),
        tokens: Tokens::new(client.clone(), Utc::now),
        jobs,
        pods,
        namespaces,
        readers: options.readers.iter().cloned().collect::<HashSet<_>>(),
    };
    (gatekeeper, tokio::spawn(steward.run(news, changes)))
}

/// What a store needs before it is any use.
#[derive(Default)]
struct Readiness {
    published: Arc<AtomicBool>,
    /// From when the volume has been read.
    jobs: OnceLock<Jobs>,
}

impl Readiness {
    /// What is waited for, or nothing.
    fn missing(&self) -> Option<&'static str> {
        let Some(jobs) = self.jobs.get() else {
            return Some("the records on the volume are being read");
        };
        if !self.published.load(Ordering::Relaxed) {
            return Some("the CA certificate is not published yet");
        }
        (!jobs.are_known()).then_some("the Jobs are not known yet")
    }
}

/// All names of a Service within the cluster.
fn names(service: &str, namespace: &str) -> Vec<String> {
    vec![
        format!("{service}.{namespace}.svc"),
        format!("{service}.{namespace}.svc.cluster.local"),
        format!("{service}.{namespace}"),
        service.to_owned(),
    ]
}

impl Sealer for Records {
    fn unsealed(&self) -> Vec<RecordKey> {
        self.known()
    }

    fn path(&self, key: &RecordKey) -> String {
        let folder = self.published.folder(key).unwrap_or_default();
        folder.join(OUTPUT).display().to_string()
    }

    async fn seal(&self, key: &RecordKey, closing: Closing) -> Result<Sealed, SealError> {
        Ok(Records::seal(self, key, closing).await?)
    }
}
