//! Plays a record to the person: as text or line by line as it is, to its end or as long as he stays.

use futures::{Stream, StreamExt};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    error::CliError,
    event::{Event, Head, Level},
    lines::{Lines, Next},
    out::Out,
    record::{News, Reader},
    render::{Detail, Renderer},
    view::short,
};
use crate::api::reason::{ExitReason, Phase};

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
}

/// Shows lines, and counts them.
pub struct Player {
    job: String,
    level: Level,
    lines: Lines,
    /// None: lines go out as they are.
    renderer: Option<Renderer>,
    /// How many lines came, and how many of them were shown.
    pub seen: u64,
    pub shown: u64,
}

impl Player {
    /// `whole`: the record is played from its first line.
    pub fn new(job: &str, form: Form, detail: Detail, whole: bool) -> Self {
        Player {
            job: job.to_owned(),
            level: detail.level,
            lines: Lines::default(),
            renderer: (form == Form::Text).then(|| Renderer::new(job, detail, whole)),
            seen: 0,
            shown: 0,
        }
    }

    /// Plays until the end, or until the person leaves. `stages` are words about the Job that come beside.
    pub async fn play(
        &mut self,
        mut reader: Reader<'_>,
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
                    "{who}: waiting for it; {} goes on, and nothing of its output is lost",
                    short(&self.job)
                )),
                News::Back => out.say("  it answers again"),
                News::End => return Ok(Stop::End),
            }
        }
    }

    fn feed(&mut self, bytes: &[u8], out: &mut Out) -> Result<Option<Stop>, CliError> {
        let mut stop = None;
        let (renderer, level) = (&mut self.renderer, self.level);
        let (seen, shown) = (&mut self.seen, &mut self.shown);
        self.lines.feed(bytes, |line| {
            *seen += 1;
            let head = Head::of(line);
            let was_shown = match (&head, renderer.as_mut()) {
                (Some(head), Some(renderer)) => renderer.show(head, line, out)?,
                // What is no event is no text either; as a line of the file it is passed on.
                (None, Some(_)) => false,
                (head, None) => {
                    let wanted = head.as_ref().is_none_or(|head| head.level() >= level);
                    if wanted {
                        out.bytes(line)?;
                    }
                    wanted
                }
            };
            *shown += u64::from(was_shown);
            if head.is_some_and(|head| head.is_complete()) {
                stop = Some(complete(line)?);
                return Ok(Next::Stop);
            }
            Ok(Next::GoOn)
        })?;
        Ok(stop)
    }
}

fn complete(line: &[u8]) -> Result<Stop, CliError> {
    let event: Option<Event> = serde_json::from_slice(line).map(Event).ok();
    let outcome = event.and_then(|event| event.outcome());
    let (phase, exit_reason) = outcome.ok_or_else(|| {
        CliError::new(
            "the last line of the output tells an outcome that this program does not know",
        )
        .next("update herdctl to the version of the cluster's")
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
