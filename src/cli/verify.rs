//! `herdctl jobs verify`: recomputes what was promised of a record, from the bytes that a reader gets.

pub use self::check::hex;
use self::check::{Check, Finding, Known};
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
    after_help = "Checks the whole file against the Job's status, all lines before the last against the last,
each attempt against its verdict, and that no line's number is missing. The exit code is 1 if anything
differs, or if the output is not sealed yet."
)]
pub struct Verify {
    /// The Job: its name, any prefix of its UUID, @last or @last:AGENT
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
        let report = check.finish(match job {
            Some(_) => Known::of(status.as_ref()),
            None => Known::Gone,
        });
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
            return Err(unsealed(&name, job.as_ref()));
        }
        let size = [view::lines(report.lines), view::bytes(report.bytes)];
        out.say(&format!(
            "{} is as it was recorded: {}",
            short(&name),
            size.join(", ")
        ));
        Ok(Exit::Done)
    }
}

/// What came agrees, and its last line is not there.
fn unsealed(name: &str, job: Option<&JobView>) -> CliError {
    let id = short(name);
    let agrees = "what is there agrees, and more may be missing";
    let Some(job) = job else {
        return CliError::new(format!(
            "the output of {id} was not sealed before its Job was deleted: {agrees}"
        ));
    };
    let state = job.in_passing(chrono::Utc::now());
    CliError::new(format!(
        "the output of {id} is not sealed yet ({state}): {agrees}"
    ))
    .next(format!(
        "wait for the last line, then try again: {{program}} jobs logs -f {id}"
    ))
}

async fn read(record: Record<'_>, check: &mut Check) -> Result<(), CliError> {
    let mut reader = record.read(Wanted::default());
    let mut lines = Lines::default();
    loop {
        let bytes = match reader.next().await? {
            News::Bytes(bytes) => bytes,
            News::Away(_) | News::Back | News::Now => continue,
            News::End => return Ok(()),
        };
        check.bytes(&bytes);
        lines.feed(&bytes, |line| {
            check.line(line);
            Ok(Next::GoOn)
        })?;
    }
}
