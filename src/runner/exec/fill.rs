//! How full the spool is: of what was written, `ship` takes away what the store has. No word from `ship`
//! is needed for that, so nothing depends on its being there: the hole that it punches into the file's
//! beginning can be seen through the descriptor that we write to.

use std::fs::File;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// From here on the agent is paused.
const HIGH_PERCENT: u64 = 80;

/// From here down it goes on.
const LOW_PERCENT: u64 = 60;

/// How far the spool's limit is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The store has most of it.
    Low,
    /// Nothing is to be done.
    Middle,
    /// The store doesn't keep up.
    High,
    /// The limit itself is reached.
    Brim,
}

/// Measures the spool.
#[derive(Debug)]
pub struct Gauge {
    /// In bytes.
    limit: u64,
    /// Where the file's data began the last time; it never moves back.
    begin: u64,
}

impl Gauge {
    pub fn new(limit: u64) -> Gauge {
        Gauge { limit, begin: 0 }
    }

    /// Bytes in the spool that the store doesn't have, or that are not yet taken away. Writes are
    /// appends, so it doesn't matter where the search leaves the descriptor's offset.
    pub fn waiting(&mut self, spool: &File, length: u64) -> u64 {
        match seek(spool, SeekFrom::Data(self.begin)) {
            Ok(begin) => self.begin = begin,
            // There is no data at all.
            Err(Errno::NXIO) => self.begin = length,
            Err(_) => {}
        }
        length.saturating_sub(self.begin)
    }

    pub fn fill(&self, waiting: u64) -> Fill {
        let at = |percent: u64| self.limit / 100 * percent;
        match waiting {
            waiting if waiting >= self.limit => Fill::Brim,
            waiting if waiting >= at(HIGH_PERCENT) => Fill::High,
            waiting if waiting > at(LOW_PERCENT) => Fill::Middle,
            _ => Fill::Low,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use rustix::fs::{FallocateFlags, fallocate};

    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn what_is_taken_away_no_longer_counts() {
        let named = tempfile::NamedTempFile::new().unwrap();
        let mut options = File::options();
        let mut spool = options.append(true).open(named.path()).unwrap();
        spool.write_all(&vec![b'x'; 10 * MIB as usize]).unwrap();
        let mut gauge = Gauge::new(10 * MIB);
        assert_eq!(gauge.waiting(&spool, 10 * MIB), 10 * MIB);
        let take_away = |to: u64| {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(named.as_file(), flags, 0, to).unwrap();
        };
        take_away(4 * MIB);
        assert_eq!(gauge.waiting(&spool, 10 * MIB), 6 * MIB);
        spool.write_all(b"more").unwrap();
        assert_eq!(gauge.waiting(&spool, 10 * MIB + 4), 6 * MIB + 4);
        take_away(11 * MIB);
        assert_eq!(gauge.waiting(&spool, 10 * MIB + 4), 0);
    }

    #[test]
    fn between_the_limits_nothing_changes() {
        let gauge = Gauge::new(1000);
        for (waiting, fill) in [
            (0, Fill::Low),
            (600, Fill::Low),
            (601, Fill::Middle),
            (799, Fill::Middle),
            (800, Fill::High),
            (1000, Fill::Brim),
        ] {
            assert_eq!(gauge.fill(waiting), fill, "{waiting}");
        }
    }
}
