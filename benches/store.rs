//! What the store costs: how fast many synced streams are, beside one file that is written and synced on
//! the same disk in the same run, and the store's memory.
//!
//! `cargo bench --bench store`; `FOLDER=…` measures on another disk than that of the temporary files. The
//! store is a process of its own, with the protocol over TLS as it ships; its clients share the machine.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here has nothing to measure"
)]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::Utc;
use herdctl::https::Limits;
use herdctl::store::records::Records;
use server::{Door, LIMITS, Server};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

#[path = "../tests/store/server.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod server;

/// Says to this program that it is the store, and where.
const STORE: &str = "HERD_BENCH_STORE";

/// Each row is measured for so long.
const ROW: Duration = Duration::from_secs(10);

/// A line of an agent that works; and what a shipper sends that has to catch up.
const BODIES: [(&str, usize); 2] = [("lines of 0.5 kB", 1), ("bodies of 256 KiB", 512)];

const STREAMS: [usize; 3] = [1, 50, 500];

#[tokio::main]
async fn main() {
    if let Some(folder) = std::env::var_os(STORE) {
        return serve(Path::new(&folder)).await;
    }
    let parent = std::env::var_os("FOLDER").map_or_else(std::env::temp_dir, PathBuf::from);
    println!(
        "| what is synced | streams | acknowledged | ratio | an append, p50 / p99 | store, most memory |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for (name, lines) in BODIES {
        let body = Bytes::from(line().repeat(lines));
        let alone = sequential(&parent, &body);
        println!(
            "| {name}, one file, written and synced one by one | | {} | | | |",
            rate(alone)
        );
        for streams in STREAMS {
            let row = measure(&parent, streams, &body).await;
            println!(
                "| {name} | {streams} | {} | {:.2} | {} / {} | {:.1} MiB |",
                rate(row.bytes_a_second),
                row.bytes_a_second / alone,
                milliseconds(row.median),
                milliseconds(row.late),
                row.memory as f64 / 1024.0,
            );
        }
    }
}

struct Row {
    bytes_a_second: f64,
    median: Duration,
    late: Duration,
    /// In KiB.
    memory: u64,
}

fn rate(bytes_a_second: f64) -> String {
    format!("{:.1} MB/s", bytes_a_second / 1e6)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// An event of 512 bytes.
fn line() -> String {
    let head = r#"{"type":"output","timestamp":"2026-11-23T07:23:51.802Z","seq":1,"line":1,"messageId":"msg_85f733c353fe49828ce6","content":""#;
    let tail = r#"","data":{"message":{"usage":{"input_tokens":100,"output_tokens":1}}}}"#;
    let words = "word ".repeat(103);
    let room = 512 - head.len() - tail.len() - 1;
    format!("{head}{}{tail}\n", &words[..room])
}

/// Bytes a second of one writer who syncs each body.
fn sequential(parent: &Path, body: &[u8]) -> f64 {
    let folder = tempfile::tempdir_in(parent).unwrap();
    let mut file = File::create(folder.path().join("file")).unwrap();
    let began = Instant::now();
    let mut written = 0;
    while began.elapsed() < ROW {
        file.write_all(body).unwrap();
        file.sync_data().unwrap();
        written += body.len();
    }
    written as f64 / began.elapsed().as_secs_f64()
}

/// Each stream sends its next body when the one before is acknowledged.
async fn measure(parent: &Path, streams: usize, body: &Bytes) -> Row {
    let store = Store::start(parent);
    let mut clients = Vec::new();
    for number in 0..streams {
        let job = format!("job-{number}");
        let mut client = store.door.connect().await;
        client.take_up(&job, 1).await.length();
        clients.push((client, job));
    }
    let began = Instant::now();
    let mut all = JoinSet::new();
    for (mut client, job) in clients {
        let body = body.clone();
        all.spawn(async move {
            let (mut at, mut times) = (0, Vec::new());
            while began.elapsed() < ROW {
                let sent = Instant::now();
                at = client
                    .append(&job, 1, (at, at), body.clone())
                    .await
                    .length();
                times.push(sent.elapsed());
            }
            (at, times)
        });
    }
    let (mut bytes, mut times) = (0, Vec::new());
    while let Some(done) = all.join_next().await {
        let (at, mut some) = done.unwrap();
        bytes += at;
        times.append(&mut some);
    }
    let took = began.elapsed().as_secs_f64();
    times.sort_unstable();
    Row {
        bytes_a_second: bytes as f64 / took,
        median: times[times.len() / 2],
        late: times[times.len() * 99 / 100],
        memory: store.memory(),
    }
}

/// The process that is measured.
struct Store {
    process: Child,
    door: Door,
    _folder: tempfile::TempDir,
}

impl Store {
    fn start(parent: &Path) -> Store {
        let folder = tempfile::tempdir_in(parent).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(STORE, folder.path()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        let door = said.lines().find_map(|line| Door::read(&line.unwrap()));
        Store {
            process,
            door: door.expect("a store that starts"),
            _folder: folder,
        }
    }

    fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).unwrap();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        most.unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn serve(folder: &Path) {
    let (told, news) = mpsc::channel(1000);
    let records = Records::open(folder, told, Utc::now).unwrap();
    let limits = Limits {
        connections: 2000,
        ..LIMITS
    };
    let mut server = Server::with(records, news, folder, limits).await;
    println!("{}", server.door);
    while server.news.recv().await.is_some() {}
}
