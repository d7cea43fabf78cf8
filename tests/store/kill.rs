//! The store killed in the middle, again and again: nothing that was acknowledged is lost, doubled or torn.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use herdctl::store::records::Records;
use tokio::sync::mpsc;

use crate::lines::{closing, line};
use crate::server::{key, shipper};

const ROUNDS: u64 = 50;
const STREAMS: u64 = 8;
/// Says to this test program that it is the store to be killed, and where.
const FOLDER: &str = "HERD_KILLED_STORE";

/// The bytes of a stream: line after line.
fn bytes(stream: u64, from: u64, length: usize) -> Vec<u8> {
    let line = line(1000 + stream);
    let skip = (from % line.len() as u64) as usize;
    let mut bytes = line.repeat(length / line.len() + 2).into_bytes();
    bytes.drain(..skip);
    bytes.truncate(length);
    bytes
}

/// The process that is killed: takes up all streams, feeds them, and says on its output what was
/// acknowledged, as soon as it was. Some it seals.
#[test]
#[ignore = "run by the test that kills it"]
fn the_store_that_is_killed() {
    let folder = std::env::var(FOLDER).expect("a folder to work in");
    let (news, _heard) = mpsc::channel(1);
    let records = Records::open(Path::new(&folder), news, Utc::now).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let feeds = (0..STREAMS).map(|stream| {
            let records = std::sync::Arc::clone(&records);
            tokio::spawn(async move {
                let ship = shipper(&format!("job-{stream}"), 1);
                let mut at = records.take_up(ship.clone()).await.unwrap().length;
                say(stream, at);
                for step in 1.. {
                    let length = (stream * 331 + step * 97) as usize % 700;
                    let body = Bytes::from(bytes(stream, at, length));
                    at = records
                        .append(ship.clone(), at, at, body)
                        .await
                        .unwrap()
                        .length;
                    say(stream, at);
                    if step % 40 == 0 {
                        let name = format!("sealed-{stream}-{at}");
                        let said = Bytes::from(bytes(0, 0, 500));
                        records.append(shipper(&name, 1), 0, 0, said).await.unwrap();
                        records.seal(&key("ns", &name), closing()).await.unwrap();
                    }
                }
            })
        });
        for feed in feeds.collect::<Vec<_>>() {
            feed.await.unwrap();
        }
    });
}

fn say(stream: u64, length: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "acked {stream} {length}").unwrap();
    out.flush().unwrap();
}

/// Kills on the way out, too.
struct Store(Child);

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(folder: &Path) -> Store {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "kill::the_store_that_is_killed",
        "--ignored",
        "--nocapture",
    ]);
    command.env(FOLDER, folder).stdout(Stdio::piped());
    Store(command.spawn().unwrap())
}

#[test]
fn a_killed_store_loses_nothing_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut acked: HashMap<u64, u64> = HashMap::new();
    for round in 0..ROUNDS {
        let mut store = start(folder.path());
        let output = BufReader::new(store.0.stdout.take().unwrap());
        let mut pid = Some(store.0.id());
        let mut seen = 0;
        for said in output.lines() {
            let Ok(said) = said else { break };
            let Some(at) = said.find("acked ") else {
                continue;
            };
            let mut words = said[at..]
                .split(' ')
                .skip(1)
                .map(|word| word.parse::<u64>());
            let (Some(Ok(stream)), Some(Ok(length))) = (words.next(), words.next()) else {
                continue;
            };
            let before = acked.insert(stream, length).unwrap_or(0);
            assert!(
                length >= before,
                "stream {stream} went back from {before} to {length}"
            );
            seen += 1;
            // Everywhere from the first open to the middle of a thousand rounds.
            if seen > round * 13
                && let Some(pid) = pid.take()
            {
                std::thread::sleep(Duration::from_micros(round * 211 % 3000));
                let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            }
        }
        drop(store);
        check(folder.path(), &acked);
    }
    assert_eq!(acked.len() as u64, STREAMS);
    assert!(acked.values().all(|length| *length > 1_000), "{acked:?}");
    check_sealed(folder.path());
}

fn check(folder: &Path, acked: &HashMap<u64, u64>) {
    for (stream, length) in acked {
        let file =
            std::fs::read(folder.join(format!("ns/jobs/job-{stream}/output.jsonl"))).unwrap();
        assert!(
            file.len() as u64 >= *length,
            "stream {stream}: {} of {length}",
            file.len()
        );
        assert!(
            file == bytes(*stream, 0, file.len()),
            "stream {stream} is not what was sent"
        );
    }
}

/// After one more start each seal is whole, or not begun.
fn check_sealed(folder: &Path) {
    let (news, _heard) = mpsc::channel(1);
    let records = Records::open(folder, news, Utc::now).unwrap();
    let known = records.known();
    let mut sealed = 0;
    for entry in std::fs::read_dir(folder.join("ns/jobs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let open = known.iter().any(|key| key.job == name);
        let Ok(file) = std::fs::read(folder.join(format!("ns/jobs/{name}/output.jsonl"))) else {
            continue;
        };
        let completes = String::from_utf8(file)
            .unwrap()
            .matches("\"type\":\"complete\"")
            .count();
        let begun = folder.join(format!("ns/jobs/{name}/job.json")).exists();
        assert_eq!(completes, usize::from(begun && !open), "{name}");
        sealed += completes;
    }
    assert!(sealed > 0);
}
