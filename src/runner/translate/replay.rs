//! `herd-runner translate`: a recorded stream through the code that runs live.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use chrono::Utc;

use super::{Ended, RunIdentity, Translator};
use crate::api::verdict::{ProcessExit, StoppedBy};

const CHUNK_BYTES: usize = 64 * 1024;

/// A buffer that one large event made larger is given back.
const KEPT_BYTES: usize = 256 * 1024;

/// What is known of the run beside its stream.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How the CLI ended: its exit code, or minus the number of the signal that ended it
    #[arg(long, value_name = "CODE|-SIGNAL", default_value = "0", allow_hyphen_values = true, value_parser = exit)]
    exit: ProcessExit,
    /// What the CLI wrote to its standard error
    #[arg(long, value_name = "FILE")]
    stderr: Option<PathBuf>,
    /// Where to write the verdict, which also is the last event
    #[arg(long, value_name = "FILE")]
    verdict: Option<PathBuf>,
}

/// Translates a stream, and writes the verdict where it was asked for.
pub fn run(options: &Options, mut stream: impl Read, mut events: impl Write) -> io::Result<()> {
    let started_at = Utc::now();
    let mut translator = Translator::new(RunIdentity {
        job: "recorded".into(),
        agent: "recorded".into(),
        attempt: 1,
        ..RunIdentity::default()
    });
    let mut out = Vec::new();
    translator.start(started_at, &mut out);
    drain(&mut stream, |bytes| {
        translator.stdout(bytes, Utc::now(), &mut out);
        pass_on(&mut translator, &mut out, &mut events)
    })?;
    if let Some(path) = &options.stderr {
        drain(&mut open(path)?, |bytes| {
            translator.stderr(bytes, Utc::now(), &mut out);
            pass_on(&mut translator, &mut out, &mut events)
        })?;
    }
    let ended = Ended {
        exit: Some(options.exit),
        stopped_by: StoppedBy::Nobody,
        started_at,
        ended_at: Utc::now(),
    };
    let verdict = translator.finish(ended, &mut out);
    pass_on(&mut translator, &mut out, &mut events)?;
    events.flush()?;
    match &options.verdict {
        Some(path) => fs::write(path, verdict.to_message() + "\n").map_err(|error| at(path, error)),
        None => Ok(()),
    }
}

fn drain(source: &mut impl Read, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match source.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => take(&chunk[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn pass_on(
    translator: &mut Translator,
    out: &mut Vec<u8>,
    events: &mut impl Write,
) -> io::Result<()> {
    // Nobody looks at a recorded run's log.
    translator.take_readable();
    events.write_all(out)?;
    out.clear();
    out.shrink_to(KEPT_BYTES);
    Ok(())
}

fn exit(words: &str) -> Result<ProcessExit, String> {
    match words.trim().parse() {
        Ok(code @ 0..=255) => Ok(ProcessExit::Code(code)),
        Ok(signal @ -64..=-1) => Ok(ProcessExit::Signal(-signal)),
        _ => Err("give an exit code from 0 to 255, or minus a signal's number, such as -9".into()),
    }
}

fn open(path: &Path) -> io::Result<fs::File> {
    fs::File::open(path).map_err(|error| at(path, error))
}

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
