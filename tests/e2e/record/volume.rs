//! The store's volume as the node has it: the truth that all else is compared with.

use std::{fs, path::PathBuf};

use crate::{
    cluster, node,
    wait::{RUN, until_true},
};

/// The claim of the store's StatefulSet, as its volume's folder is named after it.
const CLAIM: &str = "_data-herd-store-0";

/// The folder of the whole volume, as the node sees it.
pub fn folder() -> PathBuf {
    node::path(&place())
}

/// Where it is: the same path on the node and on the machine under it, which does not see what is mounted
/// there.
pub fn place() -> PathBuf {
    let volumes = cluster::state().join("volumes");
    let mut found: Vec<PathBuf> = fs::read_dir(&volumes)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(CLAIM))
        .collect();
    assert_eq!(found.len(), 1, "volumes of the store: {found:?}");
    found.remove(0)
}

/// The folder of a Job's record.
pub fn record(namespace: &str, job: &str) -> PathBuf {
    folder().join(namespace).join("jobs").join(job)
}

/// The output of a Job so far; nothing when there is no file yet.
pub fn output(namespace: &str, job: &str) -> Vec<u8> {
    fs::read(record(namespace, job).join("output.jsonl")).unwrap_or_default()
}

/// Waits until the output on the volume has more bytes than these, and says how many.
pub async fn grows(namespace: &str, job: &str, beyond: u64) -> u64 {
    let path = record(namespace, job).join("output.jsonl");
    let length = || fs::metadata(&path).map_or(0, |metadata| metadata.len());
    until_true("the record grows", RUN, || async {
        let length = length();
        if length > beyond {
            Ok(())
        } else {
            Err(format!("{} has {length} bytes", path.display()))
        }
    })
    .await;
    length()
}

/// Waits until the output on the volume has this text in it.
pub async fn tells(namespace: &str, job: &str, text: &str) {
    until_true("the record tells of it", RUN, || async {
        let output = output(namespace, job);
        if String::from_utf8_lossy(&output).contains(text) {
            Ok(())
        } else {
            Err(format!("no {text:?} in {} bytes", output.len()))
        }
    })
    .await;
}
