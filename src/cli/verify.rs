//! `herdctl jobs verify`: recomputes what was promised of a record, from the bytes that a reader gets.

pub use self::check::hex;
use self::check::{Check, Finding};
use super::{
    Session,
    error::CliError,
    exit::Exit,
    id::JobId,
    lines::{Lines, Next},
    logs,
    out::Out,
    record::{News, Record, Wanted},
    style::{Colour, Sign},
    view::{self, JobView, short},
};

mod check;
mod segment;

/// Recompute every digest of a Job's output
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Checked are: the whole file against the Job's status, all lines before the last against
the last, each attempt against its verdict, and that no line's number is missing. Exit code 1 where
anything differs, or where it can't be known yet."
)]
pub struct Verify {
    /// The Job: its name, any beginning of its UUID, @last or @last:AGENT
    id: JobId,
}

impl Verify {
    pub async fn run(self, session: &Session, out: &mut Out) -> Result<Exit, CliError> {
        let cluster = session.cluster().await?;
        let (name, job) = logs::find(&cluster, &self.id).await?;
        let record = Record {
            cluster: &cluster,
            job: &name,
        };
        let mut check = Check::default();
        read(record, &mut check).await?;
        let status = job.as_ref().and_then(JobView::output);
        let report = check.finish(status.as_ref());
        let mut bad = false;
        for finding in &report.findings {
            bad |= finding.is_difference();
            let line = finding.to_string();
            match finding {
                Finding::Agrees(_) => {
                    let sign = out.style.paint(Colour::Green, out.style.sign(Sign::Done));
                    out.line(&format!("{sign} {line}"))?;
                }
                Finding::Differs(_) => {
                    let sign = out.style.paint(Colour::Red, out.style.sign(Sign::Failed));
                    out.line(&format!("{sign} {line}"))?;
                }
                Finding::Unknown(_) => {
                    out.line(&format!("{} {line}", out.style.sign(Sign::Dot)))?;
                }
            }
        }
        out.flush()?;
        if bad {
            return Err(CliError::new(format!(
                "the output of {} is not what was recorded",
                short(&name)
            )));
        }
        if !report.sealed {
            return Err(CliError::new(format!(
                "the output of {} is not sealed yet: what came agrees, what is still to come is not known",
                short(&name)
            ))
            .next(format!("wait for its end: {{program}} jobs logs -f {}", self.id)));
        }
        let size = [format!("{} lines", report.lines), view::bytes(report.bytes)];
        out.say(&format!(
            "{} is as it was recorded: {}",
            short(&name),
            size.join(", ")
        ));
        Ok(Exit::Done)
    }
}

async fn read(record: Record<'_>, check: &mut Check) -> Result<(), CliError> {
    let mut reader = record.read(Wanted::default());
    let mut lines = Lines::default();
    loop {
        let bytes = match reader.next().await? {
            News::Bytes(bytes) => bytes,
            News::Away(_) | News::Back => continue,
            News::End => return Ok(()),
        };
        check.bytes(&bytes);
        lines.feed(&bytes, |line| {
            check.line(line);
            Ok(Next::GoOn)
        })?;
    }
}
