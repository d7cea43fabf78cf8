//! The spool as it is read for the store: from where the store is, to the end that there is now. What the
//! store has is taken out of the file, in large steps, so that the spool holds only what is on its way.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
use rustix::io::Errno;

use super::spool::{Spool, TAIL_BYTES, last_verdict};

/// Taken away at once: whole blocks of every file system.
const STEP: u64 = 1024 * 1024;

/// The attempt's segment in the spool.
#[derive(Debug)]
pub struct Segment {
    file: File,
    /// The first bytes that were taken away.
    released: u64,
}

impl Segment {
    pub fn open(spool: &Spool) -> io::Result<Segment> {
        let file = spool.open()?;
        Ok(Segment { file, released: 0 })
    }

    /// True when everything from this position on is here. The store may be before what was taken away
    /// if it lost what it had, and beyond the end if the node did.
    pub fn reaches(&self, position: u64) -> io::Result<bool> {
        let length = self.file.metadata()?.len();
        match seek(&self.file, SeekFrom::Data(position)) {
            Ok(data) => Ok(data == position),
            Err(Errno::NXIO) => Ok(position == length),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads at a position; less than the buffer only at the end.
    pub fn read(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        while count < buffer.len() {
            match self
                .file
                .read_at(&mut buffer[count..], position + count as u64)
            {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    /// How many bytes there are now from a position on, at most so many, and whether the verdict is their end.
    pub fn ahead(&self, position: u64, at_most: usize) -> io::Result<(usize, bool)> {
        let rest = self.file.metadata()?.len().saturating_sub(position);
        let count = usize::try_from(rest).map_or(at_most, |rest| rest.min(at_most));
        let is_rest = count > 0 && count as u64 == rest;
        Ok((count, is_rest && self.has_verdict()?))
    }

    /// True once the verdict is written, and nothing comes after it.
    pub fn has_verdict(&self) -> io::Result<bool> {
        Ok(last_verdict(&self.file)?.is_some())
    }

    /// Takes away what the store has, but for the end that says how the record ended.
    pub fn release(&mut self, acknowledged: u64) -> io::Result<()> {
        let needless = acknowledged.saturating_sub(TAIL_BYTES) / STEP * STEP;
        if needless > self.released {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // A file system that can't do it never will, and one error about that is enough.
            self.released = u64::MAX;
            fallocate(&self.file, flags, 0, needless)?;
            self.released = needless;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn segment(bytes: usize) -> (tempfile::TempDir, File, Segment) {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::in_folder(folder.path());
        let mut writer = spool.create().unwrap();
        writer.write_all(&vec![b'x'; bytes]).unwrap();
        let segment = Segment::open(&spool).unwrap();
        (folder, writer, segment)
    }

    #[test]
    fn what_the_store_has_is_taken_away_and_the_rest_stays() {
        let (_folder, writer, mut segment) = segment(3_000_000);
        let size = || std::os::unix::fs::MetadataExt::blocks(&writer.metadata().unwrap()) * 512;
        segment.release(STEP + TAIL_BYTES - 1).unwrap();
        assert!(size() >= 3_000_000, "{}", size());
        segment.release(3_000_000).unwrap();
        assert!(size() < 3_000_000 - STEP, "{}", size());
        assert_eq!(writer.metadata().unwrap().len(), 3_000_000);
        let mut rest = vec![0; 2_000_000];
        assert_eq!(segment.read(2 * STEP, &mut rest).unwrap(), 902_848);
        assert!(rest[..902_848].iter().all(|byte| *byte == b'x'));
    }

    #[test]
    fn as_much_is_ahead_as_there_is_and_as_fits() {
        let (_folder, mut writer, segment) = segment(10);
        for (position, ahead) in [(0, 8), (4, 6), (10, 0), (11, 0)] {
            assert_eq!(segment.ahead(position, 8).unwrap(), (ahead, false));
        }
        writer.write_all(b"x").unwrap();
        assert_eq!(segment.ahead(10, 8).unwrap(), (1, false));
    }

    #[test]
    fn a_store_that_lost_what_it_had_is_not_given_zeros() {
        let (_folder, _writer, mut segment) = segment(3_000_000);
        segment.release(3_000_000).unwrap();
        assert!(!segment.reaches(0).unwrap());
        assert!(!segment.reaches(STEP).unwrap());
        assert!(segment.reaches(2 * STEP).unwrap());
        assert!(segment.reaches(2_999_999).unwrap());
        assert!(segment.reaches(3_000_000).unwrap());
        assert!(!segment.reaches(3_000_001).unwrap());
    }
}
