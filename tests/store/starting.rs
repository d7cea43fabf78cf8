//! A store that has much to read: it is alive all the while, and says what it does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::server::DEADLINE;

/// Between two looks at a process that changes by itself.
const PAUSE: Duration = Duration::from_millis(20);

/// A cluster that nobody ever reaches.
const NOWHERE: &str = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "nowhere",
    "clusters": [{"name": "nowhere", "cluster": {"server": "http://127.0.0.1:1"}}],
    "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere", "user": ""}}]}"#;

/// The store as it is shipped, ended on the way out.
struct Store {
    process: Child,
    probes: SocketAddr,
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Store {
    fn start(folder: &Path) -> Store {
        let kubeconfig = folder.join("kubeconfig");
        std::fs::write(&kubeconfig, NOWHERE).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let probes = free.local_addr().unwrap();
        drop(free);
        let mut command = Command::new(env!("CARGO_BIN_EXE_herd-operator"));
        command
            .args(["store", "--namespace", "herd", "--ca-config-map", "ca"])
            .args(["--listen", "127.0.0.1:0"])
            .args(["--probes", &probes.to_string()])
            .arg("--data")
            .arg(folder.join("data"))
            .env("KUBECONFIG", kubeconfig)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Store {
            process: command.spawn().unwrap(),
            probes,
        }
    }

    /// The whole answer to a probe, if there is one.
    fn probe(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.probes).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: store\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn until(&self, path: &str, wanted: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let answer = self.probe(path);
            if let Some(answer) = answer.filter(|answer| wanted(answer)) {
                return answer;
            }
            assert!(begun.elapsed() < DEADLINE, "waited in vain for {path}");
            std::thread::sleep(PAUSE);
        }
    }
}

#[test]
fn a_store_that_still_reads_its_volume_is_alive_and_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("data/ns/jobs/job");
    std::fs::create_dir_all(&record).unwrap();
    std::fs::write(folder.path().join("data/ns/namespace.json"), "{}").unwrap();
    // A document that takes as long to read as somebody wants.
    let document = record.join("job.json");
    let made = Command::new("mkfifo").arg(&document).status().unwrap();
    assert!(made.success());

    let store = Store::start(folder.path());
    store.until("/healthz", |answer| answer.starts_with("HTTP/1.1 200"));
    let reading = store.until("/readyz", |_| true);
    assert!(reading.starts_with("HTTP/1.1 503"), "{reading}");
    assert!(reading.contains("being read"), "{reading}");

    std::fs::write(&document, "").unwrap();
    store.until("/readyz", |answer| !answer.contains("being read"));
}
