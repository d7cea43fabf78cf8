//! The client of the output store: four requests, each with a deadline. Its files are read anew every
//! time, since the kubelet replaces the token and the controller the certificates while we run.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::http::{Method, Request, Response, StatusCode, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body};

use self::resolver::Remembering;
use crate::api::protocol::{
    self, ACKED, MAX_APPEND_BYTES, MAX_TRANSCRIPT_BYTES, OFFSET, Position, Refusal, RefusalReason,
};
use crate::api::run::path;

mod resolver;

/// How long any request may take.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long all of a transcript may take.
const SESSION_TIMEOUT: Duration = Duration::from_secs(120);

/// An answer is a few numbers or a sentence.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// The client's buffers; what is larger goes through them in pieces.
const BUFFER_BYTES: usize = 16 * 1024;

/// Which stream of which store this pod's is.
#[derive(Clone, Debug, clap::Args)]
pub struct Destination {
    /// The output store, as https://HOST:PORT
    #[arg(long = "store", required = false, requires_all = ["namespace", "job", "attempt"])]
    url: String,
    /// The Job's namespace
    #[arg(long, required = false, requires = "url")]
    namespace: String,
    /// The Job
    #[arg(long, required = false, requires = "url")]
    job: String,
    /// The Job's attempt that this pod is
    #[arg(long, required = false, requires = "url")]
    attempt: u32,
    /// The file with the token for the store
    #[arg(long, hide = true, default_value = path::STORE_TOKEN)]
    token: PathBuf,
    /// The file with the certificates that the store's own must come from
    #[arg(long, hide = true, default_value = path::STORE_CA)]
    ca: PathBuf,
}

impl Destination {
    /// One of the protocol's paths, for this pod's attempt.
    fn path(&self, of: impl Fn(&str, &str, u32) -> String) -> String {
        of(&self.namespace, &self.job, self.attempt)
    }
}

/// Why something is not in the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum No {
    #[error("the output store says that this attempt is over: {0}")]
    Fenced(String),
    #[error("the output store doesn't take this pod's output: {0}")]
    Forbidden(String),
    /// It holds so many bytes and no more.
    #[error("the output store has only {0} bytes")]
    Gap(u64),
    #[error("the output store holds something else than was sent: {0}")]
    Altered(String),
    #[error("the output store is full: {0}")]
    Full(String),
    #[error("the output store knows nothing of it: {0}")]
    Absent(String),
    #[error("the output store is not ready: {0}")]
    Busy(String),
    #[error("the output store does not understand: {0}")]
    Strange(String),
    #[error("no answer from the output store: {0}")]
    Unreachable(String),
}

/// A stream's place in the store.
#[derive(Debug)]
pub struct Store {
    destination: Destination,
    /// None before the first request and after one that brought no answer: then name, certificates and
    /// connection are looked at anew.
    client: Option<Client>,
}

#[derive(Debug)]
struct Client {
    agent: Agent,
    /// What the certificates' file held.
    certificates: Vec<u8>,
}

impl Store {
    pub fn new(destination: &Destination) -> Store {
        Store {
            destination: destination.clone(),
            client: None,
        }
    }

    /// Takes up the stream; answers how much of it the store has.
    pub fn open(&mut self, timeout: Duration) -> Result<Position, No> {
        let path = self.destination.path(protocol::attempt);
        self.call(&Method::PUT, &path, &[], timeout)
    }

    /// Appends at `offset`, of which the store said before that it has it all.
    pub fn append(&mut self, offset: u64, bytes: &[u8]) -> Result<Position, No> {
        debug_assert!(bytes.len() <= MAX_APPEND_BYTES);
        let output = self.destination.path(protocol::output);
        let path = format!("{output}?{OFFSET}={offset}&{ACKED}={offset}");
        self.call(&Method::POST, &path, bytes, CALL_TIMEOUT)
    }

    /// Appends to the transcript; at offset 0 it begins anew.
    pub fn transcript(
        &mut self,
        offset: u64,
        bytes: &[u8],
        timeout: Duration,
    ) -> Result<Position, No> {
        let transcript = self.destination.path(protocol::transcript);
        let path = format!("{transcript}?{OFFSET}={offset}");
        self.call(&Method::POST, &path, bytes, timeout)
    }

    /// The transcript that this attempt continues, and its length if that is known before its end.
    pub fn session(&mut self) -> Result<(impl Read + use<>, Option<u64>), No> {
        let path = self.destination.path(protocol::transcript);
        let asked = self.send(&Method::GET, &path, &[], SESSION_TIMEOUT);
        let response = asked.and_then(|mut response| match response.status() {
            StatusCode::OK => Ok(Ok(response)),
            status => Ok(Err(refusal(status, &whole(&mut response)?))),
        });
        let response = response.map_err(|error| {
            self.client = None;
            No::Unreachable(error)
        })??;
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let body = response.into_body().into_with_config();
        Ok((body.limit(MAX_TRANSCRIPT_BYTES + 1).reader(), length))
    }

    fn call(
        &mut self,
        method: &Method,
        path: &str,
        body: &[u8],
        timeout: Duration,
    ) -> Result<Position, No> {
        match self.exchange(method, path, body, timeout) {
            Ok((StatusCode::OK, answer)) => read(&answer),
            Ok((status, answer)) => Err(refusal(status, &answer)),
            Err(error) => {
                self.client = None;
                Err(No::Unreachable(error))
            }
        }
    }

    fn exchange(
        &mut self,
        method: &Method,
        path: &str,
        body: &[u8],
        timeout: Duration,
    ) -> Result<(StatusCode, Vec<u8>), String> {
        let mut response = self.send(method, path, body, timeout)?;
        Ok((response.status(), whole(&mut response)?))
    }

    fn send(
        &mut self,
        method: &Method,
        path: &str,
        body: &[u8],
        timeout: Duration,
    ) -> Result<Response<Body>, String> {
        let token = read_file(&self.destination.token)?;
        let token = String::from_utf8_lossy(&token);
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.destination.url))
            .header("authorization", format!("Bearer {}", token.trim()))
            .body(body)
            .map_err(|error| error.to_string())?;
        let agent = self.agent()?;
        let request = agent
            .configure_request(request)
            .timeout_global(Some(timeout))
            .build();
        agent.run(request).map_err(|error| error.to_string())
    }

    /// The client as of the certificates that are there now.
    fn agent(&mut self) -> Result<Agent, String> {
        let certificates = read_file(&self.destination.ca)?;
        if let Some(client) = &self.client
            && client.certificates == certificates
        {
            return Ok(client.agent.clone());
        }
        let agent = agent(&certificates)
            .map_err(|error| format!("{}: {error}", self.destination.ca.display()))?;
        self.client = Some(Client {
            agent: agent.clone(),
            certificates,
        });
        Ok(agent)
    }
}

fn whole(response: &mut Response<Body>) -> Result<Vec<u8>, String> {
    let answer = response.body_mut().with_config().limit(MAX_ANSWER_BYTES);
    answer.read_to_vec().map_err(|error| error.to_string())
}

fn read_file(path: &PathBuf) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("can't read {}: {error}", path.display()))
}

fn agent(certificates: &[u8]) -> Result<Agent, String> {
    let roots: Vec<Certificate<'static>> = parse_pem(certificates)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
            Ok(_) => None,
            Err(error) => Some(Err(error.to_string())),
        })
        .collect::<Result<_, _>>()?;
    if roots.is_empty() {
        return Err("it holds no certificate".to_owned());
    }
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::from(roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .https_only(true)
        // Whatever the environment says: the store is in the cluster.
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent(concat!("herd-runner/", env!("CARGO_PKG_VERSION")))
        .input_buffer_size(BUFFER_BYTES)
        .output_buffer_size(BUFFER_BYTES)
        .build();
    Ok(Agent::with_parts(
        config,
        DefaultConnector::default(),
        Remembering::default(),
    ))
}

fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<T, No> {
    serde_json::from_slice(answer).map_err(|error| No::Strange(format!("its answer is {error}")))
}

fn refusal(status: StatusCode, answer: &[u8]) -> No {
    // Something between us and the store may answer in its place, and not as the store does.
    let Ok(Refusal {
        reason,
        message,
        length,
    }) = serde_json::from_slice(answer)
    else {
        return No::Busy(format!("status {status}"));
    };
    match (reason, length) {
        (RefusalReason::Fenced, _) => No::Fenced(message),
        (RefusalReason::Forbidden, _) => No::Forbidden(message),
        (RefusalReason::Gap, Some(length)) => No::Gap(length),
        (RefusalReason::Altered, _) => No::Altered(message),
        (RefusalReason::Full, _) => No::Full(message),
        (RefusalReason::NotFound, _) => No::Absent(message),
        (RefusalReason::Retry | RefusalReason::Unauthorized, _) => No::Busy(message),
        (RefusalReason::BadRequest | RefusalReason::TooLarge | RefusalReason::Gap, _) => {
            No::Strange(message)
        }
    }
}
