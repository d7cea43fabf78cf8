//! A store for `ship`: a real HTTPS server that keeps the protocol's promises, and breaks them on demand.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{post, put};
use axum::serve::Listener;
use herdctl::api::protocol::{MAX_APPEND_BYTES, Position, Refusal, RefusalReason};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::pod::wait_for;

const TOKEN: &str = "the-first-token";

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As the protocol says.
    Good,
    No(RefusalReason),
    /// Something that is none of the protocol's.
    Garbage,
    /// As by something that stands between: a status and a page.
    BadGateway,
    /// Takes what was sent, and loses the answer.
    Lost,
    /// Never.
    Silence,
}

/// What arrived.
#[derive(Debug, Default)]
pub struct Arrived {
    /// The attempt's segment: acknowledged, all of it.
    pub segment: Vec<u8>,
    pub transcript: Vec<u8>,
    /// Times that the stream was taken up.
    pub opened: usize,
    /// The sizes of all appends that were taken.
    pub appends: Vec<usize>,
    /// So often the transcript was begun anew.
    pub transcripts: usize,
    /// When the verdict was there.
    pub verdict: Option<Instant>,
    /// The transcript's length at that time.
    pub transcript_before_verdict: usize,
    token: String,
    next: VecDeque<Answer>,
    otherwise: Option<Answer>,
    transcript_answer: Option<Answer>,
}

type Shared = Arc<Mutex<Arrived>>;

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
        let tcp = wait_for("the store's port", || {
            runtime.block_on(TcpListener::bind(self.address)).ok()
        });
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

/// Accepts connections whose handshake succeeds.
struct Tls {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.tcp.accept().await else {
                continue;
            };
            stream.set_nodelay(true).unwrap();
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

fn router(arrived: Shared) -> Router {
    let attempt = "/v1/namespaces/{namespace}/jobs/{job}/attempts/{attempt}";
    Router::new()
        .route(attempt, put(open))
        .route(&format!("{attempt}/output"), post(append))
        .route(&format!("{attempt}/transcript"), post(transcript))
        .layer(DefaultBodyLimit::max(MAX_APPEND_BYTES))
        .with_state(arrived)
}

#[derive(Deserialize)]
struct Place {
    offset: usize,
    #[serde(default)]
    acked: usize,
}

type Whose = Path<(String, String, u32)>;

async fn open(State(arrived): State<Shared>, Path(whose): Whose, headers: HeaderMap) -> Response {
    let take = |arrived: &mut Arrived| {
        arrived.opened += 1;
        Ok(arrived.segment.len())
    };
    answer(&arrived, &whose, &headers, None, take).await
}

async fn append(
    State(arrived): State<Shared>,
    Path(whose): Whose,
    Query(place): Query<Place>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let take = |arrived: &mut Arrived| arrived.append(&place, &body);
    answer(&arrived, &whose, &headers, None, take).await
}

async fn transcript(
    State(arrived): State<Shared>,
    Path(whose): Whose,
    Query(place): Query<Place>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let own = arrived.lock().unwrap().transcript_answer;
    let take = |arrived: &mut Arrived| {
        if place.offset == 0 {
            arrived.transcript.clear();
            arrived.transcripts += 1;
        }
        if place.offset != arrived.transcript.len() {
            return Err((RefusalReason::Gap, arrived.transcript.len()));
        }
        arrived.transcript.extend_from_slice(&body);
        Ok(arrived.transcript.len())
    };
    answer(&arrived, &whose, &headers, own, take).await
}

/// The length after it, or the reason against it and the length that is there.
type Taken = Result<usize, (RefusalReason, usize)>;

async fn answer(
    arrived: &Shared,
    whose: &(String, String, u32),
    headers: &HeaderMap,
    own: Option<Answer>,
    take: impl FnOnce(&mut Arrived) -> Taken,
) -> Response {
    assert_eq!(*whose, ("team-a".to_owned(), "job-1".to_owned(), 1));
    let how = own.unwrap_or_else(|| arrived.lock().unwrap().how());
    let token = format!("Bearer {}", arrived.lock().unwrap().token);
    let is_authentic = headers["authorization"] == *token;
    match how {
        _ if !is_authentic => refuse(RefusalReason::Unauthorized, None),
        Answer::Good => match take(&mut arrived.lock().unwrap()) {
            Ok(length) => axum::Json(Position {
                length: length as u64,
            })
            .into_response(),
            Err((reason, length)) => refuse(reason, Some(length as u64)),
        },
        Answer::No(reason) => refuse(reason, None),
        Answer::Garbage => "yes".into_response(),
        Answer::BadGateway => (StatusCode::BAD_GATEWAY, "<html>").into_response(),
        Answer::Lost => {
            take(&mut arrived.lock().unwrap()).unwrap();
            (StatusCode::GATEWAY_TIMEOUT, "").into_response()
        }
        Answer::Silence => std::future::pending().await,
    }
}

fn refuse(reason: RefusalReason, length: Option<u64>) -> Response {
    let status = StatusCode::from_u16(reason.status()).unwrap();
    let refusal = Refusal {
        reason,
        message: "because the test wants it".to_owned(),
        length,
    };
    (status, axum::Json(refusal)).into_response()
}

impl Arrived {
    fn how(&mut self) -> Answer {
        let next = self.next.pop_front();
        next.or(self.otherwise).unwrap_or(Answer::Good)
    }

    fn append(&mut self, place: &Place, bytes: &[u8]) -> Taken {
        let length = self.segment.len();
        if place.offset > length {
            return Err((RefusalReason::Gap, length));
        }
        let overlap = bytes.len().min(length - place.offset);
        let held = &self.segment[place.offset..place.offset + overlap];
        if let Some(differs) = (0..overlap).find(|at| held[*at] != bytes[*at]) {
            if place.offset + differs < place.acked {
                return Err((RefusalReason::Altered, length));
            }
            self.segment.truncate(place.acked);
        }
        let new = self.segment.len() - place.offset;
        self.segment
            .extend_from_slice(&bytes[new.min(bytes.len())..]);
        self.appends.push(bytes.len());
        if self.verdict.is_none() && self.has_verdict() {
            self.verdict = Some(Instant::now());
            self.transcript_before_verdict = self.transcript.len();
        }
        Ok(self.segment.len())
    }

    /// True once the last line is a verdict.
    pub fn has_verdict(&self) -> bool {
        let last = self
            .segment
            .strip_suffix(b"\n")
            .and_then(|lines| lines.rsplit(|byte| *byte == b'\n').next());
        last.is_some_and(|line| {
            line.windows(19)
                .any(|part| part == b"\"subtype\":\"verdict\"")
        })
    }
}
