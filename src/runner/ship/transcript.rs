//! The session's transcript: the CLI's own file in the agent's home, kept in the store so that another
//! pod can resume the session. It is the agent's to write and no evidence of anything: nothing about it
//! may lead us out of the home, or hold the output back.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};

use super::say;
use super::store::{No, Store};
use crate::api::protocol::MAX_TRANSCRIPT_BYTES;
use crate::api::run::path;

/// How often it is looked at while output comes.
const EVERY: Duration = Duration::from_secs(3);

/// The same after an error.
const AFTER_ERROR: Duration = Duration::from_secs(30);

/// How long it may hold the output back; what is left is sent the next time.
const BUDGET: Duration = Duration::from_millis(500);

/// The same at the end of the run, when there is no next time.
const LAST_BUDGET: Duration = Duration::from_secs(5);

/// So much before the end of what was sent is kept, to see whether the file was rewritten.
const TAIL_BYTES: usize = 4096;

/// Where the transcript is.
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// The session; its transcript is kept with the output
    #[arg(long, value_parser = session_id)]
    session_id: Option<String>,
    /// The agent's home
    #[arg(long, hide = true, default_value = path::HOME)]
    home: PathBuf,
}

/// It becomes part of a path.
fn session_id(text: &str) -> Result<String, &'static str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    match text.chars().all(is_plain) && !text.is_empty() {
        true => Ok(text.to_owned()),
        false => Err("a session's id has letters, digits and hyphens only"),
    }
}

/// Why the transcript was not sent.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Store(#[from] No),
    #[error("{0}")]
    File(#[from] io::Error),
    #[error("it is no regular file")]
    NoFile,
    #[error("it is larger than {} MiB", MAX_TRANSCRIPT_BYTES >> 20)]
    TooLarge,
    #[error("the store has {0} bytes of it, which is not what was sent")]
    Apart(u64),
}

/// The transcript on its way.
#[derive(Debug)]
pub struct Transcript {
    /// The home, and the file beneath it; none without a session.
    place: Option<(PathBuf, PathBuf)>,
    sent: Option<Sent>,
    next: Instant,
    said: Option<String>,
}

/// What the store has, as far as this `ship` knows.
#[derive(Debug)]
struct Sent {
    length: u64,
    inode: u64,
    /// The bytes before `length`.
    tail: Vec<u8>,
}

impl Transcript {
    pub fn new(place: &Place) -> Transcript {
        let beneath = |session: &String| {
            let file = beneath_home(Path::new(path::WORKSPACE), session);
            (place.home.clone(), file)
        };
        Transcript {
            place: place.session_id.as_ref().map(beneath),
            sent: None,
            next: Instant::now(),
            said: None,
        }
    }

    /// Sends what is new, if it is time to.
    pub fn keep_up(&mut self, store: &mut Store, buffer: &mut [u8]) {
        if Instant::now() >= self.next {
            self.send(store, buffer, BUDGET);
        }
    }

    /// Sends all that is left; the agent's processes are gone.
    pub fn finish(&mut self, store: &mut Store, buffer: &mut [u8]) {
        self.send(store, buffer, LAST_BUDGET);
    }

    fn send(&mut self, store: &mut Store, buffer: &mut [u8], budget: Duration) {
        let result = self.try_send(store, buffer, Instant::now() + budget);
        let pause = if result.is_ok() { EVERY } else { AFTER_ERROR };
        self.next = Instant::now() + pause;
        let Err(trouble) = result else { return };
        // Nobody knows how much of it arrived.
        self.sent = None;
        let sentence = format!("the session's transcript is not kept: {trouble}");
        if self.said.as_ref() != Some(&sentence) {
            say(&sentence);
            self.said = Some(sentence);
        }
    }

    fn try_send(
        &mut self,
        store: &mut Store,
        buffer: &mut [u8],
        until: Instant,
    ) -> Result<(), Trouble> {
        let Some(file) = self.open()? else {
            return Ok(());
        };
        let (length, inode) = (file.metadata()?.len(), file.metadata()?.ino());
        let mut offset = match &self.sent {
            Some(sent) if sent.is_begin_of(&file, length, inode) => sent.length,
            _ => 0,
        };
        while offset < length {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let wanted = buffer.len().min((length - offset) as usize);
            let count = file.read_at(&mut buffer[..wanted], offset)?;
            if count == 0 {
                break;
            }
            let stored = store.transcript(offset, &buffer[..count], left)?.length;
            offset += count as u64;
            if stored != offset {
                return Err(Trouble::Apart(stored));
            }
            let tail = buffer[count.saturating_sub(TAIL_BYTES)..count].to_vec();
            self.sent = Some(Sent {
                length: offset,
                inode,
                tail,
            });
        }
        Ok(())
    }

    /// None while there is no such file.
    fn open(&self) -> Result<Option<File>, Trouble> {
        let Some((home, beneath)) = &self.place else {
            return Ok(None);
        };
        let file = match open_beneath(home, beneath) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        match metadata.len() {
            _ if !metadata.is_file() => Err(Trouble::NoFile),
            length if length > MAX_TRANSCRIPT_BYTES => Err(Trouble::TooLarge),
            _ => Ok(Some(file)),
        }
    }
}

impl Sent {
    /// True when the file still begins with what was sent, as far as its end tells.
    fn is_begin_of(&self, file: &File, length: u64, inode: u64) -> bool {
        let mut tail = vec![0; self.tail.len()];
        let begin = self.length - self.tail.len() as u64;
        inode == self.inode
            && length >= self.length
            && file.read_exact_at(&mut tail, begin).is_ok()
            && tail == self.tail
    }
}

/// Where the CLI keeps a session's transcript: beneath the home, in a folder named after the working
/// directory.
fn beneath_home(workspace: &Path, session: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let slug: String = workspace.to_string_lossy().chars().map(plain).collect();
    Path::new(".claude/projects")
        .join(slug)
        .join(format!("{session}.jsonl"))
}

/// Follows no link: the agent could lead one to whatever we can read.
fn open_beneath(home: &Path, beneath: &Path) -> io::Result<File> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let home = openat(CWD, home, folder, Mode::empty())?;
    // To open a FIFO would wait for its writer.
    let reading = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    Ok(openat2(&home, beneath, reading, Mode::empty(), resolve)?.into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_path_is_the_clis() {
        assert_eq!(
            beneath_home(Path::new("/workspace"), "5f0c"),
            Path::new(".claude/projects/-workspace/5f0c.jsonl")
        );
    }

    #[test]
    fn a_session_is_no_path() {
        for bad in ["", "..", "a/b", "a.b", "a\0"] {
            assert!(session_id(bad).is_err(), "{bad:?}");
        }
        assert!(session_id("5f0c1a2b-0000-4000-8000-000000000000").is_ok());
    }

    #[test]
    fn no_link_is_followed_wherever_it_stands() {
        let home = tempfile::tempdir().unwrap();
        let (outside, inside) = (home.path().join("other"), home.path().join("home"));
        fs::create_dir_all(inside.join("real")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "secret").unwrap();
        fs::write(inside.join("real/file"), "mine").unwrap();
        symlink(&outside, inside.join("folder")).unwrap();
        symlink(outside.join("file"), inside.join("link")).unwrap();
        symlink("real/file", inside.join("relative")).unwrap();
        for bad in ["folder/file", "link", "relative", "../other/file"] {
            assert!(open_beneath(&inside, Path::new(bad)).is_err(), "{bad}");
        }
        assert!(open_beneath(&inside, Path::new("real/file")).is_ok());
    }
}
