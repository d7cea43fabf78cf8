//! A store that a test holds in its hand: fills, seals, kills and starts again on the same port. It
//! speaks the protocol's reading half and keeps its records in memory.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use herdctl::{
    api::protocol::{BEGINS, RECORD_UID, RecordInfo, Refusal, RefusalReason},
    https::{self, Limits},
};
use rustls::{ServerConfig, crypto::ring};
use serde_json::json;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::certificates::{Ca, Identity};

pub const TOKEN: &str = "the gateway's token";

/// Pieces in which lines are sent, in bytes.
const PIECE: usize = 4096;

/// One record.
#[derive(Clone, Default)]
pub struct Record {
    pub uid: String,
    pub lines: Vec<u8>,
    pub sealed: bool,
}

/// The records, and what was asked.
#[derive(Clone)]
pub struct Records {
    records: Arc<watch::Sender<BTreeMap<String, Record>>>,
    /// The queries of `log`, in order.
    pub queries: Arc<Mutex<Vec<String>>>,
    /// Bytes of lines that were handed out.
    pub sent: Arc<AtomicU64>,
    /// Answers with lines that are open now.
    pub open: Arc<AtomicUsize>,
    /// While true it answers everything like a store that has just started.
    pub busy: Arc<AtomicBool>,
    /// While true it doesn't say where answers begin nor whose they are.
    pub mute: Arc<AtomicBool>,
    /// While true its answers with lines break off before the first.
    pub broken: Arc<AtomicBool>,
    /// How often open answers were ended before their record.
    ended: Arc<AtomicUsize>,
}

impl Records {
    /// Ends every open answer as if its record were complete, as a server that stops might.
    pub fn end_all(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.records.send_modify(|_| {});
    }

    pub fn put(&self, job: &str, record: Record) {
        self.records.send_modify(|records| {
            records.insert(job.to_owned(), record);
        });
    }

    pub fn append(&self, job: &str, lines: &[u8]) {
        self.records
            .send_modify(|records| records.get_mut(job).unwrap().lines.extend_from_slice(lines));
    }

    pub fn seal(&self, job: &str) {
        self.records
            .send_modify(|records| records.get_mut(job).unwrap().sealed = true);
    }

    pub fn queries(&self) -> Vec<String> {
        self.queries.lock().unwrap().clone()
    }
}

/// The store, running or not.
pub struct FakeStore {
    pub address: SocketAddr,
    pub records: Records,
    identity: Identity,
    running: Option<(JoinHandle<std::io::Result<()>>, watch::Sender<bool>)>,
}

impl FakeStore {
    pub async fn start(ca: &Ca) -> FakeStore {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut store = FakeStore {
            address: listener.local_addr().unwrap(),
            records: Records {
                records: Arc::new(watch::channel(BTreeMap::new()).0),
                queries: Arc::default(),
                sent: Arc::default(),
                open: Arc::default(),
                busy: Arc::default(),
                mute: Arc::default(),
                broken: Arc::default(),
                ended: Arc::default(),
            },
            identity: ca.server("localhost"),
            running: None,
        };
        store.run(listener);
        store
    }

    fn run(&mut self, listener: TcpListener) {
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.identity.chain.clone(), self.identity.key())
            .unwrap();
        let router = Router::new()
            .route("/v1/namespaces/{namespace}/jobs/{job}", get(info))
            .route("/v1/namespaces/{namespace}/jobs/{job}/log", get(log))
            .with_state(self.records.clone());
        let limits = Limits {
            connections: 2048,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
        };
        let (stop, stopped) = watch::channel(false);
        let tls = watch::channel(Arc::new(tls)).1;
        let served = tokio::spawn(https::serve(listener, tls, router, limits, stopped));
        self.running = Some((served, stop));
    }

    /// Ends it as `kill -9` does: every connection breaks.
    pub async fn kill(&mut self) {
        let (served, _stop) = self.running.take().unwrap();
        served.abort();
        assert!(served.await.unwrap_err().is_cancelled());
    }

    /// Starts it again where it was, with what it had.
    pub async fn start_again(&mut self) {
        assert!(self.running.is_none());
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.run(listener);
    }

    /// Serves with a certificate of another CA from now on.
    pub fn change_ca(&mut self, ca: &Ca) {
        self.identity = ca.server("localhost");
    }
}

type Parameters = BTreeMap<String, String>;

fn refuse(reason: RefusalReason, message: &str) -> Refusal {
    Refusal {
        reason,
        message: message.to_owned(),
        length: None,
    }
}

fn refused(refusal: Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.reason.status()).unwrap();
    (status, Json(refusal)).into_response()
}

fn admit(records: &Records, headers: &HeaderMap, job: &str) -> Result<Record, Refusal> {
    if headers.get("authorization").unwrap() != &format!("Bearer {TOKEN}") {
        return Err(refuse(
            RefusalReason::Unauthorized,
            "this token is not known",
        ));
    }
    if records.busy.load(Ordering::Relaxed) {
        return Err(refuse(RefusalReason::Retry, "the store is starting"));
    }
    let found = records.records.borrow().get(job).cloned();
    found.ok_or_else(|| {
        refuse(
            RefusalReason::NotFound,
            "no Job of that name, and no record",
        )
    })
}

async fn info(
    State(records): State<Records>,
    Path((_, job)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let record = match admit(&records, &headers, &job) {
        Ok(record) => record,
        Err(refusal) => return refused(refusal),
    };
    Json(RecordInfo {
        job: json!({"id": job, "uid": record.uid, "status": "running"}),
        bytes: record.lines.len() as u64,
        sealed: record.sealed,
    })
    .into_response()
}

async fn log(
    State(records): State<Records>,
    Path((_, job)): Path<(String, String)>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    uri: axum::http::Uri,
) -> Response {
    let query = uri.query().unwrap_or_default().to_owned();
    records.queries.lock().unwrap().push(query);
    let record = match admit(&records, &headers, &job) {
        Ok(record) => record,
        Err(refusal) => return refused(refusal),
    };
    let begins = begins(&record.lines, &parameters);
    if begins > record.lines.len() {
        return refused(refuse(
            RefusalReason::BadRequest,
            "offset is beyond the record's end",
        ));
    }
    let follow = parameters.contains_key("follow");
    let mute = records.mute.load(Ordering::Relaxed);
    let mut answer = Body::from_stream(lines(records, job, begins, follow)).into_response();
    if !mute {
        answer.headers_mut().insert(BEGINS, begins.into());
        answer
            .headers_mut()
            .insert(RECORD_UID, record.uid.parse().unwrap());
    }
    answer
}

fn begins(lines: &[u8], parameters: &Parameters) -> usize {
    if let Some(offset) = parameters.get("offset") {
        return offset.parse().unwrap();
    }
    let Some(tail) = parameters.get("tail") else {
        return 0;
    };
    let ends: Vec<usize> = (0..lines.len()).filter(|at| lines[*at] == b'\n').collect();
    let before = ends.len().saturating_sub(tail.parse::<usize>().unwrap());
    before.checked_sub(1).map_or(0, |end| ends[end] + 1)
}

/// Counts the answers that are open.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lines(
    records: Records,
    job: String,
    begins: usize,
    follow: bool,
) -> impl futures::Stream<Item = std::io::Result<Bytes>> {
    records.open.fetch_add(1, Ordering::Relaxed);
    let open = Open(Arc::clone(&records.open));
    let changes = records.records.subscribe();
    let begun = records.ended.load(Ordering::Relaxed);
    futures::stream::unfold((begins, changes, open), move |(at, mut changes, open)| {
        let (sent, job) = (Arc::clone(&records.sent), job.clone());
        let ended = Arc::clone(&records.ended);
        let broken = Arc::clone(&records.broken);
        async move {
            if broken.load(Ordering::Relaxed) {
                // What went before is to be on its way.
                tokio::time::sleep(Duration::from_millis(20)).await;
                return Some((Err(std::io::Error::other("broken")), (at, changes, open)));
            }
            loop {
                let (piece, ends) = {
                    let records = changes.borrow_and_update();
                    let record = &records[&job];
                    let end = record.lines.len().min(at + PIECE);
                    (
                        Bytes::copy_from_slice(&record.lines[at..end]),
                        record.sealed,
                    )
                };
                if !piece.is_empty() {
                    sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
                    let at = at + piece.len();
                    return Some((Ok(piece), (at, changes, open)));
                }
                if ends || !follow || ended.load(Ordering::Relaxed) > begun {
                    return None;
                }
                changes.changed().await.ok()?;
            }
        }
    })
}
