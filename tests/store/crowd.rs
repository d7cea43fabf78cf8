//! Many at once.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use chrono::Utc;
use herdctl::api::protocol::MAX_APPEND_BYTES;
use herdctl::https::Limits;
use herdctl::store::records::Records;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::lines::{closing, line};
use crate::server::{DEADLINE, Door, LIMITS, Server, key};

/// Says to this test program that it is the store to be measured, and where.
const FOLDER: &str = "HERD_MEASURED_STORE";

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_streams_are_each_whole() {
    const STREAMS: u64 = 500;
    const APPENDS: u64 = 10;
    let server = Arc::new(Server::start().await);
    let mut all = JoinSet::new();
    for number in 0..STREAMS {
        let server = Arc::clone(&server);
        all.spawn(async move {
            let job = format!("job-{number}");
            let mut ship = server.connect().await;
            ship.take_up(&job, 1).await.length();
            let (mut at, mut sent) = (0, String::new());
            for seq in 1..=APPENDS {
                let line = line(number * APPENDS + seq);
                sent.push_str(&line);
                at = ship.append(&job, 1, (at, at), line).await.length();
                assert_eq!(at, sent.len() as u64);
            }
            let sealed = server
                .records
                .seal(&key("ns", &job), closing())
                .await
                .unwrap();
            assert_eq!(sealed.lines, APPENDS + 1);
            let file = server.read(&format!("ns/jobs/{job}/output.jsonl"));
            assert!(file.starts_with(sent.as_bytes()));
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
    assert_eq!(server.records.known(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_of_one_stream_at_the_same_time_lose_nothing() {
    let server = Arc::new(Server::start().await);
    let whole: Vec<u8> = (0..40u64).flat_map(|seq| line(seq).into_bytes()).collect();
    let mut all = JoinSet::new();
    for start in (0..whole.len()).step_by(100) {
        let server = Arc::clone(&server);
        let whole = whole.clone();
        all.spawn(async move {
            let mut ship = server.connect().await;
            let body = whole[start..].to_vec();
            while ship
                .append("job", 1, (start as u64, 0), body.clone())
                .await
                .status
                != 200
            {}
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
    assert_eq!(server.read("ns/jobs/job/output.jsonl"), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_who_say_nothing_cost_little_and_stop_nobody() {
    const SILENT: usize = 10_000;
    let store = Apart::start().await;
    let mut ship = store.door.connect().await;
    let mut at = ship.append("job", 1, (0, 0), line(1)).await.length();
    let before = store.memory("VmRSS");
    let mut silent = Vec::new();
    for number in 0..SILENT {
        let connected = timeout(DEADLINE, TcpStream::connect(store.door.address));
        silent.push(connected.await.unwrap().unwrap());
        if number % 1000 == 0 {
            at = ship.append("job", 1, (at, at), line(2)).await.length();
            let mut new = store.door.connect().await;
            let job = format!("job-{number}");
            new.append(&job, 1, (0, 0), line(1)).await.length();
        }
    }
    let grown = store.memory("VmHWM") - before;
    assert!(grown < 48 * 1024, "{grown} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_at_once_take_bounded_memory() {
    let store = Arc::new(Apart::start().await);
    let body = bytes::Bytes::from(vec![b'x'; MAX_APPEND_BYTES]);
    let mut all = JoinSet::new();
    for number in 0..400 {
        let (store, body) = (Arc::clone(&store), body.clone());
        all.spawn(async move {
            let mut ship = store.door.connect().await;
            let job = format!("job-{number}");
            ship.append(&job, 1, (0, 0), body).await.length()
        });
    }
    while let Some(length) = all.join_next().await {
        assert_eq!(length.unwrap(), MAX_APPEND_BYTES as u64);
    }
    let most = store.memory("VmHWM");
    // The bodies alone would be 100 MiB.
    assert!(most < 90 * 1024, "{most} KiB");
}

/// A store in a process of its own, whose memory is its alone.
struct Apart {
    process: Child,
    door: Door,
    _folder: tempfile::TempDir,
}

impl Apart {
    async fn start() -> Apart {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        let test = "crowd::the_store_that_is_measured";
        command.args(["--exact", test, "--ignored", "--nocapture"]);
        command.env(FOLDER, folder.path()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        let door = said.lines().find_map(|line| Door::read(&line.unwrap()));
        Apart {
            process,
            door: door.unwrap(),
            _folder: folder,
        }
    }

    /// In KiB.
    fn memory(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let words = line.unwrap().trim_start_matches(':').trim();
        words.trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Says where it is found, and serves until it is killed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the tests that measure it"]
async fn the_store_that_is_measured() {
    let folder = std::env::var_os(FOLDER).expect("a folder to work in");
    let (told, news) = mpsc::channel(1000);
    let records = Records::open(folder.as_ref(), told, Utc::now).unwrap();
    let limits = Limits {
        connections: 1000,
        ..LIMITS
    };
    let mut server = Server::with(records, news, folder.as_ref(), limits).await;
    println!("\n{}", server.door);
    while server.news.recv().await.is_some() {}
}
