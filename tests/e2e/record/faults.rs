//! Faults that are put right again: the store out of reach, its disk full, the API server gone.

use std::{
    env, fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;

use crate::{
    cluster,
    node::{self, Process},
    record::{
        call::{STORE_PORT, addresses},
        run::store,
        volume,
    },
    team::unique,
    wait::{RUN, until_true},
};

/// Runs a command in the node's network, or with its mounts and processes; the words of a failure.
fn on_node(entered: &[&str], command: &[&str]) -> Result<(), String> {
    let enter = entered.iter().map(|kind| {
        let flag = if *kind == "mnt" { "mount" } else { kind };
        format!("--{flag}={}", node::namespace(kind).display())
    });
    let mut entering = Command::new("nsenter");
    let status = entering.args(enter).args(command).status();
    if status.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(format!("{command:?} failed"))
}

const NETWORK: &[&str] = &["net"];
/// `umount` looks for itself among the processes.
const MOUNTS: &[&str] = &["mnt", "pid"];

/// Says what could not be put right: a second panic would end all tests.
fn put_right(done: Result<(), String>) {
    if let Err(error) = done {
        eprintln!("a fault stays: {error}");
    }
}

/// Kills the API server and starts it again after so many seconds. Returns when it is ready.
pub async fn restart_api_server(away: u32) {
    let script =
        Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("deploy/local/restart-apiserver");
    let restarted = tokio::process::Command::new(script)
        .arg(away.to_string())
        .env("NAME", cluster::name())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&restarted.stderr);
    assert!(restarted.status.success(), "{said}");
}

/// No packet reaches the store, in connections that there are as well as new ones. It runs, and knows
/// nothing of it.
pub struct OutOfReach {
    /// The firewall's table with our rule.
    table: String,
}

impl OutOfReach {
    /// For everybody.
    pub async fn begin() -> OutOfReach {
        OutOfReach::cut("").await
    }

    /// For one pod alone.
    pub async fn of(pod: IpAddr) -> OutOfReach {
        OutOfReach::cut(&format!("ip saddr {pod}")).await
    }

    async fn cut(whose: &str) -> OutOfReach {
        let table = unique("herd").replace('-', "_");
        let store = addresses("store").await[0];
        let rules = format!(
            "table inet {table} {{
               chain cut {{
                 type filter hook forward priority -10;
                 {whose} ip daddr {store} tcp dport {STORE_PORT} drop
               }}
             }}"
        );
        on_node(NETWORK, &["nft", &rules]).unwrap();
        OutOfReach { table }
    }
}

impl Drop for OutOfReach {
    fn drop(&mut self) {
        put_right(on_node(
            NETWORK,
            &["nft", "delete", "table", "inet", &self.table],
        ));
    }
}

/// A small disk under the store, with all that was on its volume. The store is started anew with it, and
/// without it, as only a new container sees a mount.
pub struct SmallDisk {
    place: PathBuf,
}

impl SmallDisk {
    /// With so much room left. Returns when the store runs on it.
    pub async fn begin(free: u64) -> SmallDisk {
        // Stopped, it writes nothing while its files are copied.
        let stopped = store().await;
        assert!(stopped.signal(Signal::STOP));
        let disk = SmallDisk {
            place: volume::place(),
        };
        let kept = tempfile::tempdir().unwrap();
        copy(&disk.place, kept.path()).unwrap();
        let size = option(used(kept.path()) + free);
        on_node(
            MOUNTS,
            &["mount", "-t", "tmpfs", "-o", &size, "none", disk.path()],
        )
        .unwrap();
        copy(kept.path(), &volume::folder()).unwrap();
        assert!(stopped.signal(Signal::KILL));
        next_store(&[stopped]).await;
        disk
    }

    /// Makes room.
    pub fn grow(&self, size: u64) {
        let size = format!("remount,{}", option(size));
        on_node(MOUNTS, &["mount", "-o", &size, self.path()]).unwrap();
    }

    /// Brings all back to where it was. Returns when the store runs there.
    pub async fn end(self) {
        let before = node::operator("store");
        drop(self);
        next_store(&before).await;
    }

    fn path(&self) -> &str {
        self.place.to_str().unwrap()
    }

    /// From the mount, which the node alone sees, to what is below it.
    fn take_back(&self) -> Result<(), String> {
        copy(&volume::folder(), &self.place)?;
        on_node(MOUNTS, &["umount", "--lazy", self.path()])
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let stores = node::operator("store");
        for store in &stores {
            store.signal(Signal::STOP);
        }
        put_right(self.take_back());
        for store in &stores {
            store.signal(Signal::KILL);
        }
    }
}

/// Returns when these, which were killed, are gone and another store runs.
async fn next_store(killed: &[Process]) {
    until_true("the killed store is gone", RUN, || async {
        let left: Vec<_> = killed.iter().filter(|store| store.lives()).collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
    store().await;
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let from = format!("{}/.", from.display());
    let status = Command::new("cp").arg("-a").arg(&from).arg(to).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!("{from} can't be copied to {}", to.display())),
    }
}

fn option(size: u64) -> String {
    format!("size={size}")
}

/// Bytes of all files in a folder, each in whole pages.
fn used(folder: &Path) -> u64 {
    const PAGE: u64 = 4096;
    let mut sum = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        sum += if metadata.is_dir() {
            used(&entry.path())
        } else {
            metadata.len().next_multiple_of(PAGE)
        };
    }
    sum
}
