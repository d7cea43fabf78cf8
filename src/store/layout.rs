//! Where things lie on the volume:
//!
//! ```text
//! <namespace>/namespace.json             whose UID the tree belongs to
//! <namespace>/jobs/<id>/job.json         see `document`
//! <namespace>/jobs/<id>/output.jsonl     the record's lines
//! <namespace>/jobs/<id>/session.jsonl    Claude's transcript
//! <namespace>/logs/<agent>/<id>.log      the lines as text, once the record is sealed
//! ```
//!
//! A name may come back with another UID. The old owner's tree, or record, then moves aside, to a name
//! with its UID behind a dot, which no name of a namespace or Job has. What is moved is found by its UID
//! alone.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::document::Document;
use super::gate::RecordKey;

pub const JOB: &str = "job.json";
pub const OUTPUT: &str = "output.jsonl";
pub const TRANSCRIPT: &str = "session.jsonl";
const NAMESPACE: &str = "namespace.json";
const JOBS: &str = "jobs";
const LOGS: &str = "logs";

/// The longest name and the longest UID that become part of a path.
const MAX_NAME: usize = 63;

/// The volume.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

/// What was done to make a record's folder, also where it could not be made in the end.
#[derive(Debug, Default)]
pub struct Claimed {
    /// Folders that got new names in them, which are still to be synced.
    pub changed: Vec<PathBuf>,
    /// What was set aside: from, to.
    pub moved: Vec<(PathBuf, PathBuf)>,
}

#[derive(Serialize, Deserialize)]
struct Owner {
    name: String,
    uid: String,
}

/// True for a DNS label: the only names that become part of a path.
pub fn is_label(name: &str) -> bool {
    let bytes = name.as_bytes();
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    !bytes.is_empty()
        && bytes.len() <= MAX_NAME
        && bytes.iter().all(inner)
        && bytes[0] != b'-'
        && bytes[bytes.len() - 1] != b'-'
}

fn is_uid(uid: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    !uid.is_empty() && uid.len() <= MAX_NAME && uid.bytes().all(inner)
}

/// True when no part of the key can lead out of its place.
pub fn is_safe(key: &RecordKey) -> bool {
    is_label(&key.namespace)
        && is_label(&key.job)
        && is_uid(&key.namespace_uid)
        && is_uid(&key.job_uid)
}

impl Layout {
    pub fn new(root: &Path) -> Layout {
        Layout {
            root: root.to_owned(),
        }
    }

    /// The record of this Job; without a UID, the newest of that name. The names must be safe.
    pub fn find(
        &self,
        namespace: &str,
        namespace_uid: &str,
        job: &str,
        job_uid: Option<&str>,
    ) -> io::Result<Option<(PathBuf, Document)>> {
        let Some(tree) = self.tree(namespace, namespace_uid)? else {
            return Ok(None);
        };
        let jobs = tree.join(JOBS);
        let by_uid = job_uid.map(|uid| jobs.join(format!("{job}.{uid}")));
        for folder in [Some(jobs.join(job)), by_uid].into_iter().flatten() {
            if let Some(document) = Document::read(&folder)?
                && job_uid.is_none_or(|uid| uid == document.uid)
            {
                return Ok(Some((folder, document)));
            }
        }
        Ok(None)
    }

    /// Makes the record's folder under its own name, and sets aside whatever another owner left there.
    /// What `claimed` tells holds after an error too: what was set aside stays there.
    pub fn claim(&self, key: &RecordKey, claimed: &mut Claimed) -> io::Result<PathBuf> {
        let tree = self.claim_tree(key, claimed)?;
        let jobs = tree.join(JOBS);
        make(&jobs, claimed)?;
        let folder = jobs.join(&key.job);
        if let Some(old) = Document::read(&folder)?
            && old.uid != key.job_uid
        {
            set_aside_log(&tree, &old, claimed)?;
            let aside = jobs.join(format!("{}.{}", key.job, old.uid));
            set_aside(&folder, &aside, claimed)?;
        }
        make(&folder, claimed)?;
        Ok(folder)
    }

    /// The folders of all records, also of those set aside.
    pub fn every(&self) -> io::Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        for tree in below(&self.root)? {
            if tree.join(NAMESPACE).exists() {
                folders.extend(below(&tree.join(JOBS))?);
            }
        }
        Ok(folders)
    }

    /// Where the readable log of the record that lies in `folder` belongs.
    pub fn log(folder: &Path, document: &Document) -> Option<PathBuf> {
        let tree = folder.parent()?.parent()?;
        let name = folder.file_name()?.to_str()?;
        is_label(&document.agent).then(|| {
            tree.join(LOGS)
                .join(&document.agent)
                .join(format!("{name}.log"))
        })
    }

    fn tree(&self, namespace: &str, uid: &str) -> io::Result<Option<PathBuf>> {
        let own = self.root.join(namespace);
        if owner(&own)?.is_some_and(|owner| owner == uid) {
            return Ok(Some(own));
        }
        let aside = self.root.join(format!("{namespace}.{uid}"));
        Ok(aside.exists().then_some(aside))
    }

    fn claim_tree(&self, key: &RecordKey, claimed: &mut Claimed) -> io::Result<PathBuf> {
        if let Some(tree) = self.tree(&key.namespace, &key.namespace_uid)? {
            return Ok(tree);
        }
        let tree = self.root.join(&key.namespace);
        if let Some(other) = owner(&tree)? {
            let aside = self.root.join(format!("{}.{other}", key.namespace));
            set_aside(&tree, &aside, claimed)?;
        }
        make(&tree, claimed)?;
        let owner = Owner {
            name: key.namespace.clone(),
            uid: key.namespace_uid.clone(),
        };
        // A tree without its owner's name is nobody's: this goes before all else that is in it.
        let draft = tree.join(format!("{NAMESPACE}.new"));
        fs::write(&draft, serde_json::to_vec_pretty(&owner)?)?;
        File::open(&draft)?.sync_all()?;
        fs::rename(&draft, tree.join(NAMESPACE))?;
        File::open(&tree)?.sync_all()?;
        Ok(tree)
    }
}

fn owner(tree: &Path) -> io::Result<Option<String>> {
    match fs::read(tree.join(NAMESPACE)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice::<Owner>(&bytes)?.uid)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn make(folder: &Path, claimed: &mut Claimed) -> io::Result<()> {
    match fs::create_dir(folder) {
        Ok(()) => claimed.changed.extend(folder.parent().map(Path::to_owned)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

fn set_aside(from: &Path, to: &Path, claimed: &mut Claimed) -> io::Result<()> {
    fs::rename(from, to)?;
    claimed.changed.extend(from.parent().map(Path::to_owned));
    claimed.moved.push((from.to_owned(), to.to_owned()));
    Ok(())
}

fn set_aside_log(tree: &Path, old: &Document, claimed: &mut Claimed) -> io::Result<()> {
    let jobs = tree.join(JOBS);
    let log = Layout::log(&jobs.join(&old.id), old);
    let aside = Layout::log(&jobs.join(format!("{}.{}", old.id, old.uid)), old);
    match (log, aside) {
        (Some(log), Some(aside)) if log.exists() => set_aside(&log, &aside, claimed),
        _ => Ok(()),
    }
}

/// The folders in a folder; none where there is no such folder.
fn below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_labels_become_paths() {
        for good in ["a", "job-1", "0", &"a".repeat(63)] {
            assert!(is_label(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a.b",
            "A",
            "-a",
            "a-",
            "é",
            "a\0",
            &"a".repeat(64),
        ] {
            assert!(!is_label(bad), "{bad}");
        }
        for bad in ["", "..", "a/b", "a.b", &"a".repeat(64)] {
            assert!(!is_uid(bad), "{bad}");
        }
    }
}
