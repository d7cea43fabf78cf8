//! A Messages API that plays scripted scenarios to the real Claude CLI, for tests and demos
//! without a key. README.md lists the scenarios and says how agent processes are counted.

mod connection;
mod control;
mod conversation;
mod failure;
mod gate;
mod judge;
mod messages;
mod notebook;
mod performance;
mod scenario;
mod script;
mod visit;
mod wire;

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use chrono::{SecondsFormat, Utc};
use clap::Parser;
use herdctl::process;
use tokio::signal::unix::{SignalKind, signal};

use crate::connection::{Door, Peer};
use crate::gate::Gate;
use crate::judge::Judge;
use crate::notebook::Notebook;

/// The real API takes 32 MB.
const BODY_LIMIT: usize = 32 << 20;

/// A Messages API that plays scripted scenarios
#[derive(Parser)]
struct Arguments {
    /// Address to listen on
    #[arg(long, default_value = "[::]:8080")]
    listen: SocketAddr,
}

/// What all requests share.
pub struct App {
    judge: Mutex<Judge>,
    notebook: Mutex<Notebook>,
    gate: Gate,
    started: i64,
    ids: AtomicU64,
}

impl App {
    fn new() -> Self {
        Self {
            judge: Mutex::default(),
            notebook: Mutex::default(),
            gate: Gate::default(),
            started: Utc::now().timestamp_micros(),
            ids: AtomicU64::default(),
        }
    }

    fn judge(&self) -> MutexGuard<'_, Judge> {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notebook(&self) -> MutexGuard<'_, Notebook> {
        self.notebook.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An id that no other message has, not even one from before a restart.
    fn unique_id(&self) -> String {
        let count = self.ids.fetch_add(1, Ordering::Relaxed);
        format!("{:x}{count:06x}", self.started)
    }

    fn log(&self, line: fmt::Arguments<'_>) {
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        // Whoever reads the log may be gone; the API plays on.
        let _ = writeln!(io::stdout(), "{now} {line}");
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let Arguments { listen } = Arguments::parse();
    let app = Arc::new(App::new());
    let listener = process::listen(listen).await?;
    app.log(format_args!("listening on {}", listener.local_addr()?));
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let door = Door {
        listener,
        app: Arc::clone(&app),
        next: AtomicU64::default(),
    };
    let service = routes(app).into_make_service_with_connect_info::<Peer>();
    // Ends at once, not gracefully: many scenarios would never come to an end.
    tokio::select! {
        served = axum::serve(door, service) => served,
        _ = terminated.recv() => Ok(()),
        _ = interrupted.recv() => Ok(()),
    }
}

fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/messages", post(messages::create))
        .route("/v1/messages/count_tokens", post(messages::count_tokens))
        .route("/control/agents", get(control::agents))
        .route("/control/request", get(control::request))
        .route("/control/release", post(control::release))
        .route("/healthz", get(|| async { "ok\n" }))
        // The CLI opens its connection with this one.
        .route("/api/hello", get(|| async { "" }))
        .fallback(messages::missing)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(app)
}
