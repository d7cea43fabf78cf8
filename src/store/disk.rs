//! The system calls on which the promise rests, behind a trait: so that tests can make a disk that is
//! full, or one that loses what it took.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{fdatasync, fsync, syncfs};

/// What a record's bytes go through. An error of a write is told to whoever sent the bytes; an error of
/// a sync means that nobody knows what is on the disk.
pub trait Disk: Send + 'static {
    /// Writes all of the bytes, or leaves any part of them behind with the error.
    fn write(&mut self, file: &File, bytes: &[u8], at: u64) -> io::Result<()>;
    /// The contents of a file that has grown.
    fn sync_file(&mut self, file: &File) -> io::Result<()>;
    /// The names in a folder.
    fn sync_folder(&mut self, folder: &File) -> io::Result<()>;
    /// Everything on the volume that this folder lies on.
    fn sync_volume(&mut self, folder: &File) -> io::Result<()>;
}

/// The kernel's. `syncfs` tells of errors since Linux 5.8.
#[derive(Clone, Copy, Debug)]
pub struct Volume;

impl Disk for Volume {
    fn write(&mut self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        file.write_all_at(bytes, at)
    }

    fn sync_file(&mut self, file: &File) -> io::Result<()> {
        Ok(fdatasync(file)?)
    }

    fn sync_folder(&mut self, folder: &File) -> io::Result<()> {
        Ok(fsync(folder)?)
    }

    fn sync_volume(&mut self, folder: &File) -> io::Result<()> {
        Ok(syncfs(folder)?)
    }
}
