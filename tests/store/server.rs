//! A store of the tests' own: the real server over TLS on a folder that goes with it, and a client.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use herdctl::api::protocol::{self, Position, Refusal, RefusalReason};
use herdctl::https::{Limits, serve};
use herdctl::store::gate::{Gate, Named, RecordKey, Shipper, Source};
use herdctl::store::http::router;
use herdctl::store::news::News;
use herdctl::store::records::Records;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

/// Whatever takes longer never comes.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The token of who may read.
pub const READER: &str = "reader";

pub const LIMITS: Limits = Limits {
    connections: 2000,
    header_timeout: Duration::from_secs(20),
    idle_timeout: Duration::from_secs(60),
};

/// Lets in every token as that of the pod with this UID, but for the reader's and nobody's. Of a pod whose
/// name says so the Job has ended.
#[derive(Debug, Default)]
pub struct FakeGate {
    jobs: Mutex<HashMap<(String, String), Named>>,
    sources: Mutex<HashMap<String, Source>>,
}

impl FakeGate {
    /// A name stands for this Job now; or, without a UID, for none.
    pub fn name(&self, namespace: &str, job: &str, namespace_uid: &str, job_uid: Option<&str>) {
        let named = Named {
            namespace_uid: namespace_uid.to_owned(),
            job_uid: job_uid.map(str::to_owned),
        };
        let mut jobs = self.jobs.lock().unwrap();
        jobs.insert((namespace.to_owned(), job.to_owned()), named);
    }

    /// A Job continues the session of another one, which has ended or not.
    pub fn resume(&self, job: &str, from: &str, from_uid: &str, ended: bool) {
        let source = Source {
            job: from.to_owned(),
            job_uid: from_uid.to_owned(),
            ended,
        };
        self.sources.lock().unwrap().insert(job.to_owned(), source);
    }

    fn named(&self, namespace: &str, job: &str) -> Named {
        let jobs = self.jobs.lock().unwrap();
        let named = jobs.get(&(namespace.to_owned(), job.to_owned())).cloned();
        named.unwrap_or_else(|| Named {
            namespace_uid: format!("uid-{namespace}"),
            job_uid: Some(format!("uid-{job}")),
        })
    }
}

impl Gate for FakeGate {
    async fn shipper(
        &self,
        token: &str,
        namespace: &str,
        job: &str,
        attempt: u32,
    ) -> Result<Shipper, Refusal> {
        let named = self.named(namespace, job);
        match (token, named.job_uid) {
            ("nobody", _) => Err(Refusal::new(RefusalReason::Unauthorized, "nobody")),
            (READER, _) => Err(Refusal::new(RefusalReason::Forbidden, "a reader")),
            (_, None) => Err(Refusal::new(RefusalReason::NotFound, "no Job")),
            (pod, Some(job_uid)) => Ok(Shipper {
                record: RecordKey {
                    namespace: namespace.to_owned(),
                    namespace_uid: named.namespace_uid,
                    job: job.to_owned(),
                    job_uid,
                },
                attempt,
                pod_uid: pod.to_owned(),
                agent: "agent".to_owned(),
                ended: pod.ends_with("-ended"),
                resumes: self.sources.lock().unwrap().get(job).cloned(),
            }),
        }
    }

    async fn reader(&self, token: &str) -> Result<(), Refusal> {
        match token {
            READER => Ok(()),
            _ => Err(Refusal::new(RefusalReason::Forbidden, "no reader")),
        }
    }

    async fn whose(&self, namespace: &str, job: &str) -> Result<Named, Refusal> {
        Ok(self.named(namespace, job))
    }
}

pub fn key(namespace: &str, job: &str) -> RecordKey {
    RecordKey {
        namespace: namespace.to_owned(),
        namespace_uid: format!("uid-{namespace}"),
        job: job.to_owned(),
        job_uid: format!("uid-{job}"),
    }
}

pub fn shipper(job: &str, attempt: u32) -> Shipper {
    Shipper {
        record: key("ns", job),
        attempt,
        pod_uid: format!("pod-{attempt}"),
        agent: "agent".to_owned(),
        ended: false,
        resumes: None,
    }
}

/// A running store.
pub struct Server {
    pub records: Arc<Records>,
    pub gate: Arc<FakeGate>,
    pub news: mpsc::Receiver<News>,
    pub door: Door,
    folder: PathBuf,
    _own: Option<tempfile::TempDir>,
    _stop: watch::Sender<bool>,
}

impl Server {
    pub async fn start() -> Server {
        let own = tempfile::tempdir().unwrap();
        let mut server = Server::at(own.path()).await;
        server._own = Some(own);
        server
    }

    /// On a folder that stays.
    pub async fn at(folder: &Path) -> Server {
        let (told, news) = mpsc::channel(1000);
        let at = folder.to_owned();
        let open = move || Records::open(&at, told, Utc::now).unwrap();
        let records = tokio::task::spawn_blocking(open).await.unwrap();
        Server::with(records, news, folder, LIMITS).await
    }

    pub async fn with(
        records: Arc<Records>,
        news: mpsc::Receiver<News>,
        folder: &Path,
        limits: Limits,
    ) -> Server {
        let gate = Arc::new(FakeGate::default());
        let router = router(Arc::clone(&records), Arc::clone(&gate));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (config, certificate) = identity();
        let (_, config) = watch::channel(config);
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(serve(listener, config, router, limits, stopped));
        Server {
            records,
            gate,
            news,
            door: Door::new(address, certificate),
            folder: folder.to_owned(),
            _own: None,
            _stop: stop,
        }
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// A record's file.
    pub fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.path(path)).unwrap()
    }

    pub fn job_json(&self, namespace: &str, job: &str) -> serde_json::Value {
        let bytes = self.read(&format!("{namespace}/jobs/{job}/job.json"));
        serde_json::from_slice(&bytes).unwrap()
    }

    pub async fn connect(&self) -> Client {
        self.door.connect().await
    }

    /// The next news that is wanted.
    pub async fn hear<T>(&mut self, wanted: impl Fn(News) -> Option<T>) -> T {
        let heard = async {
            loop {
                if let Some(heard) = wanted(self.news.recv().await.unwrap()) {
                    return heard;
                }
            }
        };
        timeout(DEADLINE, heard).await.unwrap()
    }
}

/// Where a store is found.
#[derive(Clone)]
pub struct Door {
    pub address: SocketAddr,
    certificate: CertificateDer<'static>,
    tls: Arc<rustls::ClientConfig>,
}

/// So that another process can read it.
impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "door {} ", self.address)?;
        self.certificate
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Door {
    pub fn read(line: &str) -> Option<Door> {
        let (address, certificate) = line.strip_prefix("door ")?.split_once(' ')?;
        let bytes = (0..certificate.len()).step_by(2);
        let bytes = bytes.map(|at| u8::from_str_radix(&certificate[at..at + 2], 16).unwrap());
        let certificate = bytes.collect::<Vec<u8>>().into();
        Some(Door::new(address.parse().unwrap(), certificate))
    }

    pub fn new(address: SocketAddr, certificate: CertificateDer<'static>) -> Door {
        Door {
            address,
            tls: trusting(certificate.clone()),
            certificate,
        }
    }

    /// A connection on which nothing was said yet.
    pub async fn stream(&self) -> TlsStream<TcpStream> {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("store").unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&self.tls));
        connector.connect(name, tcp).await.unwrap()
    }

    pub async fn connect(&self) -> Client {
        let stream = TokioIo::new(self.stream().await);
        let (requests, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Client { requests }
    }

    /// A request on a connection of its own; none when the store hangs up first.
    pub async fn request<B>(&self, request: http::Request<B>) -> Option<http::Response<Incoming>>
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let stream = TokioIo::new(self.stream().await);
        let (mut requests, connection) =
            hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let sent = timeout(DEADLINE, requests.send_request(request)).await;
        sent.unwrap().ok()
    }
}

fn identity() -> (Arc<rustls::ServerConfig>, CertificateDer<'static>) {
    let own = rcgen::generate_simple_self_signed(vec!["store".to_owned()]).unwrap();
    let certificate = own.cert.der().clone();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (Arc::new(config), certificate)
}

fn trusting(certificate: CertificateDer<'static>) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// One connection.
pub struct Client {
    requests: SendRequest<Full<Bytes>>,
}

/// What a store answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn length(&self) -> u64 {
        assert_eq!(self.status, 200, "{:?}", self.body);
        serde_json::from_slice::<Position>(&self.body)
            .unwrap()
            .length
    }

    pub fn refusal(&self) -> Refusal {
        let refusal: Refusal = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(self.status, refusal.reason.status());
        assert!(!refusal.message.is_empty());
        refusal
    }

    pub fn reason(&self) -> RefusalReason {
        self.refusal().reason
    }
}

impl Client {
    pub async fn open(
        &mut self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: impl Into<Bytes>,
    ) -> http::Response<Incoming> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "store");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let sent = async {
            self.requests.ready().await.unwrap();
            let request = request.body(Full::new(body.into())).unwrap();
            self.requests.send_request(request).await.unwrap()
        };
        timeout(DEADLINE, sent).await.unwrap()
    }

    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: impl Into<Bytes>,
    ) -> Answer {
        let answer = self.open(method, path, token, body).await;
        let (parts, body) = answer.into_parts();
        let body = timeout(DEADLINE, body.collect()).await.unwrap().unwrap();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.to_bytes(),
        }
    }

    pub async fn take_up(&mut self, job: &str, attempt: u32) -> Answer {
        let path = protocol::attempt("ns", job, attempt);
        let pod = format!("pod-{attempt}");
        self.send("PUT", &path, Some(&pod), Bytes::new()).await
    }

    pub async fn append(
        &mut self,
        job: &str,
        attempt: u32,
        (offset, acked): (u64, u64),
        body: impl Into<Bytes>,
    ) -> Answer {
        let path = protocol::output("ns", job, attempt);
        let path = format!("{path}?offset={offset}&acked={acked}");
        let pod = format!("pod-{attempt}");
        self.send("POST", &path, Some(&pod), body).await
    }

    pub async fn transcribe(
        &mut self,
        job: &str,
        attempt: u32,
        offset: u64,
        body: impl Into<Bytes>,
    ) -> Answer {
        let path = protocol::transcript("ns", job, attempt);
        let path = format!("{path}?offset={offset}");
        let pod = format!("pod-{attempt}");
        self.send("POST", &path, Some(&pod), body).await
    }

    /// The transcript that an attempt is to continue.
    pub async fn session(&mut self, job: &str, attempt: u32) -> Answer {
        let path = protocol::transcript("ns", job, attempt);
        let pod = format!("pod-{attempt}");
        self.send("GET", &path, Some(&pod), Bytes::new()).await
    }

    pub async fn log(&mut self, job: &str, query: &str) -> Answer {
        let path = format!("{}?{query}", protocol::log("ns", job));
        self.send("GET", &path, Some(READER), Bytes::new()).await
    }
}
