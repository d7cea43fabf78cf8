//! What the agent says, on its way from the CLI's streams into the spool: translated and written at
//! once, before anything else is read.

use std::fs::File;
use std::io::{self, Stdout, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use chrono::Utc;
use serde_json::Value;

use super::echo::Echo;
use super::fill::{Fill, Gauge};
use crate::api::verdict::Verdict;
use crate::runner::handover::{Heard, hear, tell_written};
use crate::runner::translate::{Ended, RunIdentity, Translator};

/// A buffer that one huge event made larger than this is given back.
const KEEP: usize = 256 * 1024;

/// The record of a run in the making. Every error is one of the spool, and the run's end: what could
/// not be written is lost, and a record with a hole proves nothing.
#[derive(Debug)]
pub struct Record {
    translator: Translator,
    spool: Spool,
    echo: Echo<Stdout>,
    events: Vec<u8>,
}

/// The spool as it was handed over.
#[derive(Debug)]
pub struct Spool {
    file: File,
    length: u64,
    gauge: Gauge,
    /// To `ship`, while it is there. A `ship` that comes after it hears of us from the file.
    ship: Option<Rc<UnixStream>>,
}

impl Spool {
    /// `limit` is what it may hold of what the store doesn't have, in bytes.
    pub fn new(file: File, ship: Rc<UnixStream>, limit: u64) -> Spool {
        Spool {
            file,
            length: 0,
            gauge: Gauge::new(limit),
            ship: Some(ship),
        }
    }

    fn write(&mut self, events: &[u8]) -> io::Result<()> {
        self.file.write_all(events)?;
        self.length += events.len() as u64;
        if let Some(ship) = &self.ship {
            tell_written(ship);
        }
        Ok(())
    }
}

impl Record {
    /// Begins the record with its `start` event.
    pub fn begin(identity: RunIdentity, spool: Spool) -> io::Result<Record> {
        let translator = Translator::new(identity);
        let echo = Echo::new(io::stdout());
        let mut record = Record {
            translator,
            spool,
            echo,
            events: Vec::new(),
        };
        record.translator.start(Utc::now(), &mut record.events);
        record.write()?;
        Ok(record)
    }

    pub fn stdout(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.translator.stdout(bytes, Utc::now(), &mut self.events);
        self.write()
    }

    pub fn stderr(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.translator.stderr(bytes, Utc::now(), &mut self.events);
        self.write()
    }

    /// Records something that the runner itself saw or did.
    pub fn note(&mut self, subtype: &str, data: Value) -> io::Result<()> {
        self.translator
            .note(subtype, data, Utc::now(), &mut self.events);
        self.write()
    }

    /// Records a sentence that a person should not miss.
    pub fn warn(&mut self, message: &str) -> io::Result<()> {
        self.translator.warn(message, Utc::now(), &mut self.events);
        self.write()
    }

    /// Tool calls without a result.
    pub fn open_tool_calls(&self) -> usize {
        self.translator.open_tool_calls()
    }

    /// Ends the record with its verdict.
    pub fn finish(mut self, ended: Ended) -> io::Result<Verdict> {
        let verdict = self.translator.finish(ended, &mut self.events);
        self.write()?;
        self.echo.finish();
        Ok(verdict)
    }

    /// How full the spool is, with the bytes that wait in it.
    pub fn fill(&mut self) -> (Fill, u64) {
        let spool = &mut self.spool;
        let waiting = spool.gauge.waiting(&spool.file, spool.length);
        (spool.gauge.fill(waiting), waiting)
    }

    /// Where to wait for a word from `ship`; none when it is gone.
    pub fn ship(&self) -> Option<BorrowedFd<'_>> {
        self.spool.ship.as_ref().map(|ship| ship.as_fd())
    }

    /// True when `ship` says that this attempt is over. Its absence says nothing.
    pub fn is_fenced(&mut self) -> bool {
        let Heard { fenced, ended, .. } = self
            .spool
            .ship
            .as_ref()
            .map_or_else(Heard::default, |ship| hear(ship));
        if ended {
            self.spool.ship = None;
        }
        fenced
    }

    /// Where to wait until more readable text can be written; none when none waits.
    pub fn wants_room(&self) -> Option<BorrowedFd<'_>> {
        self.echo.wants_room()
    }

    /// Lets readable text go on its way.
    pub fn echo(&mut self) {
        self.echo.flush();
    }

    /// There is no fsync: the file outlives us and our container in the page cache, and a node that
    /// dies takes the volume with it anyway.
    fn write(&mut self) -> io::Result<()> {
        self.spool.write(&self.events)?;
        self.events.clear();
        self.events.shrink_to(KEEP);
        self.echo.push(&self.translator.take_readable());
        self.echo.flush();
        Ok(())
    }
}
