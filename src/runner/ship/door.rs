//! The socket at which `exec` asks for the spool.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::say;
use crate::runner::handover::refuse;

/// Everybody in the pod who sees the socket may connect, under whatever user; who sees it is decided by
/// the mounts.
const MODE: u32 = 0o666;

/// So many refusals are said; an agent may ask as often as it likes.
const REFUSALS_SAID: u32 = 10;

/// Where `exec` knocks.
#[derive(Debug)]
pub struct Door {
    path: PathBuf,
    /// None until the socket could be opened.
    listener: Option<UnixListener>,
    refusals: u32,
}

impl Door {
    pub fn at(path: &Path) -> Door {
        Door {
            path: path.to_owned(),
            listener: None,
            refusals: 0,
        }
    }

    /// Opens it, unless it is open.
    pub fn open(&mut self) {
        if self.listener.is_none() {
            match listen(&self.path) {
                Ok(listener) => self.listener = Some(listener),
                Err(error) => say(&format!(
                    "can't listen on {}: {error}; trying again",
                    self.path.display()
                )),
            }
        }
    }

    /// Takes away what a `ship` before this one opened: nobody answers there yet.
    pub fn keep_shut(&self) -> io::Result<()> {
        remove(&self.path)
    }

    /// The next one who waits there, if there is one.
    pub fn next(&self) -> Option<UnixStream> {
        let (connection, _) = self.listener.as_ref()?.accept().ok()?;
        Some(connection)
    }

    /// Says that the spool was handed over before.
    pub fn refuse(&mut self, connection: &UnixStream) {
        self.refusals = self.refusals.saturating_add(1);
        if self.refusals <= REFUSALS_SAID {
            say("refused: the spool was handed over before");
        }
        // Whoever doesn't hear it finds the connection ended.
        let _ = refuse(connection);
    }

    /// Where to wait for the next one; none while it isn't open.
    pub fn listener(&self) -> Option<BorrowedFd<'_>> {
        self.listener.as_ref().map(AsFd::as_fd)
    }
}

/// Opens the socket. One that is there already is of a `ship` before us: nobody else may write into
/// the folder.
fn listen(path: &Path) -> io::Result<UnixListener> {
    remove(path)?;
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
