//! The session's transcript between the agent's home and the store, so that another pod can resume the
//! session: it is restored before the agent starts, and what the CLI appends then is sent. It is the agent's
//! to write and no evidence of anything: nothing about it may hold the output back.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::say;
use super::store::{No, Store};
use crate::api::run::path;
use crate::runner::session;

/// How often it is looked at.
pub const EVERY: Duration = Duration::from_secs(1);

/// The same after an error. A node may die soon after a store is back, and then the session goes on from here.
const AFTER_ERROR: Duration = Duration::from_secs(2);

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
    /// The session goes on: its transcript is restored before the agent starts
    #[arg(long, requires_all = ["session_id", "url"])]
    pub resume: bool,
    /// The agent's home
    #[arg(long, hide = true, default_value = path::HOME)]
    home: PathBuf,
    /// The agent's working directory
    #[arg(long, hide = true, default_value = path::WORKSPACE)]
    workspace: PathBuf,
}

/// It becomes part of a path.
fn session_id(text: &str) -> Result<String, &'static str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    match text.chars().all(is_plain) && !text.is_empty() {
        true => Ok(text.to_owned()),
        false => Err("a session's id has letters, digits and hyphens only"),
    }
}

/// Why the transcript was not sent, or not restored.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("{0}")]
    Store(#[from] No),
    #[error("{0}")]
    File(#[from] session::Trouble),
    #[error("it can't be written into the agent's home: {0}")]
    Write(io::Error),
    #[error("it broke off on its way: {0}")]
    Broken(io::Error),
    #[error("the store has {0} bytes of it, which is not what was sent")]
    Apart(u64),
}

impl Trouble {
    /// True when the same may succeed later.
    fn passes(&self) -> bool {
        matches!(
            self,
            Trouble::Store(No::Busy(_) | No::Full(_) | No::Unreachable(_))
        )
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::File(error.into())
    }
}

/// The transcript on its way.
#[derive(Debug)]
pub struct Transcript {
    /// None without a session.
    file: Option<session::Transcript>,
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
        let file =
            |session: &String| session::Transcript::of(session, &place.workspace, &place.home);
        Transcript {
            file: place.session_id.as_ref().map(file),
            sent: None,
            next: Instant::now(),
            said: None,
        }
    }

    /// Brings what the store has of the session into the agent's home; how many bytes. What was begun of it
    /// before is done anew. A line that was torn is left away: the CLI would write on behind it.
    pub fn restore(&mut self, store: &mut Store, buffer: &mut [u8]) -> Result<u64, Trouble> {
        let Some(transcript) = &self.file else {
            return Ok(0);
        };
        let (mut from, expected) = store.session()?;
        let mut file = transcript.create().map_err(Trouble::Write)?;
        let (mut length, mut whole) = (0, 0);
        loop {
            let count = from.read(buffer).map_err(Trouble::Broken)?;
            if count == 0 {
                break;
            }
            let piece = &buffer[..count];
            file.write_all(piece).map_err(Trouble::Write)?;
            if let Some(newline) = piece.iter().rposition(|byte| *byte == b'\n') {
                whole = length + newline as u64 + 1;
            }
            length += count as u64;
        }
        if expected.is_some_and(|expected| expected != length) {
            return Err(Trouble::Broken(io::ErrorKind::UnexpectedEof.into()));
        }
        file.set_len(whole).map_err(Trouble::Write)?;
        // What the store has of a torn line goes with the next append, which cuts at its offset.
        self.sent = Some(Sent::of(&file, whole)?);
        Ok(whole)
    }

    /// Sends what is new, if it is time to.
    pub fn keep_up(&mut self, store: &mut Store, buffer: &mut [u8]) {
        if Instant::now() >= self.next {
            // Said already; its time comes again.
            let _ = self.send(store, buffer, BUDGET);
        }
    }

    /// When it is to be looked at again; none without a session.
    pub fn next_look(&self) -> Option<Instant> {
        self.file.as_ref().map(|_| self.next)
    }

    /// Sends all that is left; the agent's processes are gone. What turns out not to fit what the store has is
    /// sent anew at once. False when the store could not take it now.
    pub fn finish(&mut self, store: &mut Store, buffer: &mut [u8]) -> bool {
        let trouble = match self.send(store, buffer, LAST_BUDGET) {
            Err(trouble) if !trouble.passes() => self.send(store, buffer, LAST_BUDGET),
            result => result,
        };
        !trouble.is_err_and(|trouble| trouble.passes())
    }

    fn send(
        &mut self,
        store: &mut Store,
        buffer: &mut [u8],
        budget: Duration,
    ) -> Result<(), Trouble> {
        let result = self.try_send(store, buffer, Instant::now() + budget);
        let pause = if result.is_ok() { EVERY } else { AFTER_ERROR };
        self.next = Instant::now() + pause;
        let Err(trouble) = result else { return Ok(()) };
        if !trouble.passes() {
            // Nobody knows what the store has now.
            self.sent = None;
        }
        let sentence = format!("the session's transcript is not kept: {trouble}");
        if self.said.as_ref() != Some(&sentence) {
            say(&sentence);
            self.said = Some(sentence);
        }
        Err(trouble)
    }

    fn try_send(
        &mut self,
        store: &mut Store,
        buffer: &mut [u8],
        until: Instant,
    ) -> Result<(), Trouble> {
        let Some(transcript) = &self.file else {
            return Ok(());
        };
        let Some(file) = transcript.open()? else {
            return Ok(());
        };
        let length = file.metadata()?.len();
        let mut offset = match &self.sent {
            Some(sent) if sent.is_begin_of(&file)? => sent.length,
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
                inode: file.metadata()?.ino(),
                tail,
            });
        }
        Ok(())
    }
}

impl Sent {
    /// That all of a file is in the store.
    fn of(file: &File, length: u64) -> io::Result<Sent> {
        let count = length.min(TAIL_BYTES as u64);
        let mut tail = vec![0; count as usize];
        file.read_exact_at(&mut tail, length - count)?;
        Ok(Sent {
            length,
            inode: file.metadata()?.ino(),
            tail,
        })
    }

    /// True when the file still begins with what was sent, as far as its end tells.
    fn is_begin_of(&self, file: &File) -> io::Result<bool> {
        let metadata = file.metadata()?;
        let mut tail = vec![0; self.tail.len()];
        let begin = self.length - self.tail.len() as u64;
        Ok(metadata.ino() == self.inode
            && metadata.len() >= self.length
            && file.read_exact_at(&mut tail, begin).is_ok()
            && tail == self.tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_no_path() {
        for bad in ["", "..", "a/b", "a.b", "a\0"] {
            assert!(session_id(bad).is_err(), "{bad:?}");
        }
        assert!(session_id("5f0c1a2b-0000-4000-8000-000000000000").is_ok());
    }
}
