//! A store for `ship`: a real HTTPS server that keeps the protocol's promises, and breaks them on demand.

// Where it is is said, since the benchmark takes this file from another folder.
#[path = "store/answers.rs"]
mod answers;

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

pub use self::answers::Answer;
use self::answers::{Arrived, Shared, Tls, router};

const PAUSE: Duration = Duration::from_millis(5);

const TOKEN: &str = "the-first-token";

/// A store, running or not.
pub struct Store {
    folder: TempDir,
    arrived: Shared,
    address: SocketAddr,
    server: Option<Runtime>,
}

impl Store {
    pub fn new() -> Store {
        let mut store = Store::away();
        store.come();
        store
    }

    /// One that has an address and does not answer yet.
    pub fn away() -> Store {
        let folder = tempfile::tempdir().unwrap();
        let arrived = Arrived {
            token: TOKEN.to_owned(),
            ..Arrived::default()
        };
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let store = Store {
            folder,
            arrived: Arc::new(Mutex::new(arrived)),
            address: port.local_addr().unwrap(),
            server: None,
        };
        store.write_token(TOKEN);
        store.new_certificates();
        store
    }

    /// Starts to answer.
    pub fn come(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        // The one before may hold the port for a moment.
        let tcp = (0..1000).find_map(|_| {
            let bound = runtime.block_on(TcpListener::bind(self.address));
            bound.inspect_err(|_| thread::sleep(PAUSE)).ok()
        });
        let tcp = tcp.expect("the store's port");
        let tls = TlsAcceptor::from(Arc::new(self.tls()));
        let app = router(Arc::clone(&self.arrived));
        runtime.spawn(async move { axum::serve(Tls { tcp, tls }, app).await.unwrap() });
        self.server = Some(runtime);
    }

    /// Is gone in the middle of whatever it does.
    pub fn go(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown_timeout(Duration::ZERO);
        }
    }

    pub fn arrived(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap()
    }

    /// Answers the next requests like this, then well again.
    pub fn answer_next(&self, answers: &[Answer]) {
        self.arrived().next.extend(answers);
    }

    /// Answers every request like this from now on.
    pub fn answer(&self, answer: Answer) {
        self.arrived().otherwise = Some(answer);
    }

    /// Answers the next requests about the transcript like this.
    pub fn answer_next_transcripts(&self, answers: &[Answer]) {
        self.arrived().next_transcripts.extend(answers);
    }

    /// Answers every request about the transcript like this from now on.
    pub fn answer_transcripts(&self, answer: Answer) {
        self.arrived().transcript_answer = Some(answer);
    }

    /// From now on only another token is good.
    pub fn change_token(&self, token: &str) {
        token.clone_into(&mut self.arrived().token);
    }

    pub fn write_token(&self, token: &str) {
        fs::write(self.path("token"), format!("{token}\n")).unwrap();
    }

    /// Another CA with a certificate of its own; a running server keeps the old one.
    pub fn new_certificates(&self) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let server_key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec!["localhost".to_owned()])
            .unwrap()
            .signed_by(&server_key, &issuer)
            .unwrap();
        fs::write(self.path("ca.crt"), ca.pem()).unwrap();
        fs::write(self.path("server.der"), server.der()).unwrap();
        fs::write(self.path("server.key"), server_key.serialize_der()).unwrap();
    }

    fn tls(&self) -> ServerConfig {
        let key = PrivateKeyDer::try_from(fs::read(self.path("server.key")).unwrap()).unwrap();
        let certificate = fs::read(self.path("server.der")).unwrap().into();
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What `ship` is told about this store.
    pub fn arguments(&self) -> Vec<OsString> {
        let url = format!("https://localhost:{}", self.address.port());
        let mut arguments: Vec<OsString> = [
            "--store",
            &url,
            "--namespace",
            "team-a",
            "--job",
            "job-1",
            "--attempt",
            "1",
        ]
        .map(OsString::from)
        .to_vec();
        arguments.extend(["--token".into(), self.path("token").into()]);
        arguments.extend(["--ca".into(), self.path("ca.crt").into()]);
        arguments
    }
}
