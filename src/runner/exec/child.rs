//! Starts the CLI and holds our ends of its three streams.
//!
//! Its output comes over socketpairs, not pipes: whoever runs as the agent can open
//! `/proc/PID/fd/1` of a pipe and write a `result` line of its own into the stream; of a socket it
//! can't. All our ends are non-blocking, so that nothing the child does can make us wait, and it runs
//! under a filter of system calls, so that it can't make us worse in other ways.

mod before_exec;
mod filter;

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, getpid, kill_process_group};

/// What to start, and where.
#[derive(Clone, Debug)]
pub struct Program<'a> {
    /// A path, or a name to look for in PATH.
    pub name: &'a Path,
    pub arguments: &'a [String],
    pub workspace: &'a Path,
    pub prompt: &'a str,
}

/// Why the CLI did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "the image has no `{}` on its PATH: use an image that has the Claude CLI installed",
        .0.display()
    )]
    NoProgram(PathBuf),
    #[error(
        "the image has `{}`, but not what that is run by, a script's interpreter or a program's loader (as for a program made for glibc in an image with musl): use an image in which `{} --version` works",
        .0.display(), .0.display()
    )]
    NoLoader(PathBuf),
    #[error("the working directory {} can't be used: {source}", path.display())]
    Workspace { path: PathBuf, source: io::Error },
    #[error("can't start `{}`: {source}", program.display())]
    Start { program: PathBuf, source: io::Error },
}

/// The running CLI. It is reaped by [`super::processes::reap`] and by nobody else.
#[derive(Debug)]
pub struct Child {
    pub pid: Pid,
    pub prompt: Prompt,
    pub stdout: Stream,
    pub stderr: Stream,
}

impl Child {
    pub fn start(program: &Program<'_>) -> Result<Child, StartError> {
        // Else a folder that is missing would look like a program that is.
        fs::metadata(program.workspace).map_err(|source| StartError::Workspace {
            path: program.workspace.to_owned(),
            source,
        })?;
        spawn(program).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound if is_there(program.name) => {
                StartError::NoLoader(program.name.to_owned())
            }
            io::ErrorKind::NotFound => StartError::NoProgram(program.name.to_owned()),
            _ => StartError::Start {
                program: program.name.to_owned(),
                source,
            },
        })
    }

    /// Sends a signal to the CLI's process group.
    pub fn signal_group(&self, signal: Signal) {
        // It fails when the group is gone, which is what the signal was for.
        let _ = kill_process_group(self.pid, signal);
    }
}

/// As execvp(3) looks for it.
pub(super) fn is_there(program: &Path) -> bool {
    if program.components().count() > 1 {
        return program.exists();
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| folder.join(program).exists())
}

fn spawn(program: &Program<'_>) -> io::Result<Child> {
    let (stdout, child_stdout) = socket_pair()?;
    let (stderr, child_stderr) = socket_pair()?;
    let mut command = Command::new(program.name);
    command
        .args(program.arguments)
        .current_dir(program.workspace)
        .stdin(Stdio::piped())
        .stdout(child_stdout)
        .stderr(child_stderr)
        .process_group(0);
    let filter = filter::protecting(getpid()).map_err(io::Error::other)?;
    before_exec::set_up(&mut command, filter);
    let mut child = command.spawn()?;
    // The command holds the child's ends: while it lives there is no end of file.
    drop(command);
    let pid = Pid::from_child(&child);
    let prompt = Prompt {
        pipe: child
            .stdin
            .take()
            .map(OwnedFd::from)
            .map(non_blocking)
            .transpose()?
            .map(File::from),
        rest: program.prompt.as_bytes().to_vec(),
        written: 0,
    };
    let stdout = Stream {
        socket: Some(non_blocking(stdout)?.into()),
    };
    let stderr = Stream {
        socket: Some(non_blocking(stderr)?.into()),
    };
    Ok(Child {
        pid,
        prompt,
        stdout,
        stderr,
    })
}

/// Our end and the child's. The child's own end blocks, as every program expects of its output.
fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

fn non_blocking(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    fcntl_setfl(&descriptor, fcntl_getfl(&descriptor)? | OFlags::NONBLOCK)?;
    Ok(descriptor)
}

/// The prompt on its way to the CLI's standard input.
#[derive(Debug)]
pub struct Prompt {
    pipe: Option<File>,
    rest: Vec<u8>,
    written: usize,
}

impl Prompt {
    /// Where to wait for room; none when all is written.
    pub fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Writes what fits, and closes the pipe after the last byte or when the reader is gone.
    pub fn feed(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        while self.written < self.rest.len() {
            match pipe.write(&self.rest[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        self.pipe = None;
        self.rest = Vec::new();
        self.written = 0;
    }
}

/// Our end of an output stream.
#[derive(Debug)]
pub struct Stream {
    socket: Option<File>,
}

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// So many bytes.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// Nothing ever again: every holder of the other end closed it.
    End,
}

impl Stream {
    /// Where to wait for bytes; none after the end.
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// Takes what is there, as far as the buffer goes.
    pub fn read(&mut self, buffer: &mut [u8]) -> Chunk {
        let Some(socket) = &mut self.socket else {
            return Chunk::End;
        };
        loop {
            match socket.read(buffer) {
                Ok(count) if count > 0 => return Chunk::Bytes(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Chunk::Nothing,
                Ok(_) | Err(_) => {
                    self.socket = None;
                    return Chunk::End;
                }
            }
        }
    }
}
