//! What the store of the tests answers, and what it keeps.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::serve::Listener;
use herdctl::api::protocol::{MAX_APPEND_BYTES, Position, Refusal, RefusalReason};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

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
    /// What the session's attempts before this one left; none for no transcript.
    pub session: Option<Vec<u8>>,
    /// So often the session was asked for.
    pub sessions: usize,
    /// Requests, whatever became of them.
    pub asked: usize,
    /// Times that the stream was taken up.
    pub opened: usize,
    /// The sizes of all appends that were taken.
    pub appends: Vec<usize>,
    /// So often the transcript was begun anew.
    pub transcripts: usize,
    /// When the verdict was there.
    pub verdict: Option<SystemTime>,
    /// The transcript's length at that time.
    pub transcript_before_verdict: usize,
    pub token: String,
    pub next: VecDeque<Answer>,
    pub otherwise: Option<Answer>,
    pub next_transcripts: VecDeque<Answer>,
    pub transcript_answer: Option<Answer>,
}

pub type Shared = Arc<Mutex<Arrived>>;

/// Accepts connections whose handshake succeeds.
pub struct Tls {
    pub tcp: TcpListener,
    pub tls: TlsAcceptor,
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

pub fn router(arrived: Shared) -> Router {
    let attempt = "/v1/namespaces/{namespace}/jobs/{job}/attempts/{attempt}";
    Router::new()
        .route(attempt, put(open))
        .route(&format!("{attempt}/output"), post(append))
        .route(&format!("{attempt}/transcript"), post(transcript))
        .route(&format!("{attempt}/transcript"), get(session))
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
    let own = arrived.lock().unwrap().about_transcript();
    let take = |arrived: &mut Arrived| {
        if place.offset == 0 {
            arrived.transcript.clear();
            arrived.transcripts += 1;
        }
        if place.offset > arrived.transcript.len() {
            return Err((RefusalReason::Gap, arrived.transcript.len()));
        }
        arrived.transcript.truncate(place.offset);
        arrived.transcript.extend_from_slice(&body);
        Ok(arrived.transcript.len())
    };
    answer(&arrived, &whose, &headers, own, take).await
}

/// Its bytes are the transcript from then on.
async fn session(
    State(arrived): State<Shared>,
    Path(whose): Whose,
    headers: HeaderMap,
) -> Response {
    let own = arrived.lock().unwrap().about_transcript();
    let take = |arrived: &mut Arrived| {
        arrived.sessions += 1;
        let Some(session) = arrived.session.clone() else {
            return Err((RefusalReason::NotFound, 0));
        };
        arrived.transcript = session;
        Ok(arrived.transcript.len())
    };
    let answered = answer(&arrived, &whose, &headers, own, take).await;
    match answered.status() {
        StatusCode::OK if own.is_none() => {
            arrived.lock().unwrap().transcript.clone().into_response()
        }
        _ => answered,
    }
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
    arrived.lock().unwrap().asked += 1;
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
    fn about_transcript(&mut self) -> Option<Answer> {
        self.next_transcripts.pop_front().or(self.transcript_answer)
    }

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
            self.verdict = Some(SystemTime::now());
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
