//! Faults that are put right again when they are dropped: the store out of reach, and its disk full.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;

use crate::{
    node,
    record::{
        call::{STORE_PORT, addresses},
        run::store,
        volume,
    },
    team::unique,
    wait::{RUN, until_true},
};

/// Runs a command in one of the node's namespaces; it must succeed.
fn on_node(kind: &str, command: &[&str]) {
    let flag = if kind == "mnt" { "mount" } else { kind };
    let enter = format!("--{flag}={}", node::namespace(kind).display());
    let status = Command::new("nsenter").arg(enter).args(command).status();
    assert!(status.unwrap().success(), "{command:?}");
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
        on_node("net", &["nft", &rules]);
        OutOfReach { table }
    }
}

impl Drop for OutOfReach {
    fn drop(&mut self) {
        on_node("net", &["nft", "delete", "table", "inet", &self.table]);
    }
}

/// A small disk under the store, with all that was on its volume. The store is started anew with it, and
/// without it, as only a new container sees a mount.
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// With so much room left. Returns when the store runs on it.
    pub async fn begin(free: u64) -> SmallDisk {
        let folder = volume::folder();
        // Stopped, it writes nothing while its files are copied.
        let stopped = store().await;
        assert!(stopped.signal(Signal::STOP));
        let kept = tempfile::tempdir().unwrap();
        copy(&folder, kept.path());
        let disk = SmallDisk { folder };
        let size = option(used(kept.path()) + free);
        on_node(
            "mnt",
            &["mount", "-t", "tmpfs", "-o", &size, "none", disk.path()],
        );
        disk.copy_on_node(kept.path(), &disk.folder);
        assert!(stopped.signal(Signal::KILL));
        until_true("the stopped store is gone", RUN, || async {
            let lives = stopped.lives();
            if lives {
                Err("it lives".to_owned())
            } else {
                Ok(())
            }
        })
        .await;
        store().await;
        disk
    }

    /// Makes room.
    pub fn grow(&self, size: u64) {
        let size = format!("remount,{}", option(size));
        on_node("mnt", &["mount", "-o", &size, self.path()]);
    }

    /// Brings all back to where it was. Returns when the store runs there.
    pub async fn end(self) {
        drop(self);
        store().await;
    }

    fn path(&self) -> &str {
        self.folder.to_str().unwrap()
    }

    fn copy_on_node(&self, from: &Path, to: &Path) {
        let from = format!("{}/.", from.display());
        on_node("mnt", &["cp", "-a", &from, to.to_str().unwrap()]);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let stores = node::operator("store");
        for store in &stores {
            store.signal(Signal::STOP);
        }
        // The mount is in the node's mount namespace alone: from outside its place is the old folder.
        let kept = tempfile::tempdir().unwrap();
        self.copy_on_node(&self.folder, kept.path());
        on_node("mnt", &["umount", "--lazy", self.path()]);
        copy(kept.path(), &self.folder);
        for store in &stores {
            store.signal(Signal::KILL);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let from = format!("{}/.", from.display());
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.unwrap().success());
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
