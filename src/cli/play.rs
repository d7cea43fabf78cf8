//! Plays a record to the person: as text or line by line as it is, to its end or as long as they stay.

use futures::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tokio::signal::unix::{SignalKind, signal};

use self::sift::Sift;
use super::{
    error::CliError,
    event::{Event, Head},
    lines::{Lines, Next},
    out::Out,
    record::{News, Reader},
    render::{Detail, Renderer, Whole},
    verify::hex,
    view::short,
};
use crate::api::reason::{ExitReason, Phase};

mod sift;

/// In which form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For people
    #[default]
    Text,
    /// The lines of output.jsonl, byte by byte
    Jsonl,
}

/// Why it stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The last line came: so the Job ended.
    Complete(Phase, Option<ExitReason>),
    /// No more lines now.
    End,
    /// The person pressed Ctrl-C.
    Left,
    /// Of the lines that came fewer are shown than were wanted, and there are lines before them. Only with
    /// [`Player::only`].
    TooFew,
}

/// The end of what was there at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    /// So many lines, as they are printed.
    pub lines: u64,
    /// Where they are too few, there may be more in lines of the record before the first that came.
    pub more_before: bool,
}

/// Shows lines, and counts them.
pub struct Player {
    job: String,
    lines: Lines,
    shows: Shows,
    /// Of all lines so far; none where they don't begin with the record's first.
    digest: Option<Sha256>,
    /// How many lines came, and how many of them were shown.
    pub seen: u64,
    pub shown: u64,
    /// Of what was there at first, only the end is printed.
    last: Option<Last>,
}

enum Shows {
    Text(Renderer),
    Lines(Sift),
}

impl Player {
    /// `whole`: the record is played from its first line.
    pub fn new(job: &str, form: Form, detail: Detail, whole: bool) -> Self {
        Player {
            job: job.to_owned(),
            lines: Lines::default(),
            shows: match form {
                Form::Text => Shows::Text(Renderer::new(job, detail)),
                Form::Jsonl => Shows::Lines(Sift::new(detail.level)),
            },
            digest: whole.then(Sha256::default),
            seen: 0,
            shown: 0,
            last: None,
        }
    }

    /// Prints only the end of what is there at first.
    #[must_use]
    pub fn only(self, last: Last) -> Self {
        Player {
            last: Some(last),
            ..self
        }
    }

    /// The record as far as it came; none where its beginning was not asked for.
    pub fn whole(&self) -> Option<Whole> {
        whole(self.seen, self.digest.as_ref())
    }

    /// Plays until the end, or until the person leaves. `stages` are words about the Job that come beside.
    pub async fn play(
        &mut self,
        reader: Reader<'_>,
        stages: impl Stream<Item = Stage>,
        out: &mut Out,
    ) -> Result<Stop, CliError> {
        let mut reader = match self.last {
            Some(last) => {
                out.hold(last.lines);
                reader.tell_now()
            }
            None => reader,
        };
        let stop = self.play_on(&mut reader, stages, out).await;
        if matches!(stop, Ok(Stop::Complete(..) | Stop::End)) && self.is_short(&reader, out) {
            out.forget();
            return Ok(Stop::TooFew);
        }
        out.release()?;
        stop
    }

    /// True where lines are still held back, and are too few.
    fn is_short(&self, reader: &Reader, out: &Out) -> bool {
        let short = |last: Last| last.more_before && out.held_lines() < last.lines;
        reader.is_late() && self.last.is_some_and(short)
    }

    async fn play_on(
        &mut self,
        reader: &mut Reader<'_>,
        stages: impl Stream<Item = Stage>,
        out: &mut Out,
    ) -> Result<Stop, CliError> {
        let mut stages = std::pin::pin!(stages.fuse());
        // Made once: what comes between two waits must not be lost.
        let mut left = signal(SignalKind::interrupt()).map_err(CliError::output)?;
        loop {
            let news = tokio::select! {
                news = reader.next() => news?,
                Some(stage) = stages.next() => {
                    stage.tell(out);
                    continue;
                }
                Some(()) = left.recv() => return Ok(Stop::Left),
            };
            match news {
                News::Bytes(bytes) => {
                    if let Some(stop) = self.feed(&bytes, out)? {
                        out.flush()?;
                        return Ok(stop);
                    }
                    out.flush()?;
                }
                News::Away(who) => out.warn(&format!(
                    "{who}: waiting for it; {} continues, and nothing of its output is lost",
                    short(&self.job)
                )),
                News::Back => out.say("  it answers again"),
                News::Now if self.is_short(reader, out) => return Ok(Stop::End),
                News::Now => {
                    self.last = None;
                    out.release()?;
                    out.flush()?;
                }
                News::End => return Ok(Stop::End),
            }
        }
    }

    fn feed(&mut self, bytes: &[u8], out: &mut Out) -> Result<Option<Stop>, CliError> {
        let mut stop = None;
        let Player {
            lines,
            shows,
            digest,
            seen,
            shown,
            ..
        } = self;
        lines.feed(bytes, |line| {
            *seen += 1;
            if let Some(digest) = digest {
                digest.update(line);
            }
            let head = Head::of(line);
            let is_last = head.as_ref().is_some_and(Head::is_complete);
            let all = if is_last {
                whole(*seen, digest.as_ref())
            } else {
                None
            };
            let was_shown = match (&head, &mut *shows) {
                (Some(head), Shows::Text(text)) => text.show(head, line, all.as_ref(), out)?,
                // What is no event is no text either; as a line of the file it is passed on.
                (None, Shows::Text(_)) => false,
                (head, Shows::Lines(sift)) => sift.pass(head.as_ref(), line, out)?,
            };
            *shown += u64::from(was_shown);
            if is_last {
                stop = Some(complete(line)?);
                return Ok(Next::Stop);
            }
            Ok(Next::GoOn)
        })?;
        Ok(stop)
    }
}

fn whole(lines: u64, digest: Option<&Sha256>) -> Option<Whole> {
    let sha256 = hex(digest?.clone());
    Some(Whole { lines, sha256 })
}

fn complete(line: &[u8]) -> Result<Stop, CliError> {
    let outcome = Event::of(line).and_then(|event| event.outcome());
    let (phase, exit_reason) = outcome.ok_or_else(|| {
        CliError::new("the last line of the output has an outcome that this herdctl does not know")
            .next("update herdctl to the version in the cluster")
    })?;
    Ok(Stop::Complete(phase, exit_reason))
}

/// A word about how far a Job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It has come to here.
    Entered(String),
    /// It was there for so long.
    Took(String),
    /// What keeps it there.
    Trouble(String),
}

impl Stage {
    fn tell(&self, out: &mut Out) {
        match self {
            Stage::Entered(stage) => out.say_more(stage),
            Stage::Took(span) => out.say_end(span),
            Stage::Trouble(message) => out.warn(message),
        }
    }
}
