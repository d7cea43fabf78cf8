//! `herdctl jobs result`: the agent's answer, whole.

use chrono::Utc;

use super::{
    Session,
    error::CliError,
    event::{Event, Head},
    exit::Exit,
    id::JobId,
    lines::{Lines, Next},
    logs,
    out::Out,
    record::{News, Record, Wanted},
    view::{JobView, short},
};
use crate::api::text::Clean;

/// The result line stands near the end: after it come a verdict and the store's closing lines.
const NEAR_END: u64 = 100;

/// Print an agent's answer: its last text, whole
#[derive(Debug, clap::Args)]
pub struct Answer {
    /// The Job: its name, any prefix of its UUID, @last or @last:AGENT
    id: JobId,
}

impl Answer {
    pub async fn run(self, session: &Session, out: &mut Out) -> Result<Exit, CliError> {
        let cluster = session.cluster().await?;
        let (name, job) = logs::find(&cluster, &self.id).await?;
        if let Some(job) = job.as_ref().filter(|job| !job.is_final()) {
            return Err(CliError::new(format!(
                "{} has no result yet: {}",
                short(&name),
                job.in_passing(Utc::now())
            ))
            .next(format!("follow it: {{program}} jobs logs -f {}", self.id)));
        }
        // The status keeps the beginning; mostly that is all, and then no store is needed.
        let kept = job.as_ref().and_then(JobView::result);
        if let Some(kept) = kept.as_ref().filter(|kept| !kept.truncated) {
            print(&kept.text, out)?;
            return Ok(Exit::Done);
        }
        let record = Record {
            cluster: &cluster,
            job: &name,
        };
        match (whole(record).await, kept) {
            (Ok(Some(answer)), _) => print(&answer, out)?,
            (Ok(None), Some(kept)) => print(&kept.text, out)?,
            (Ok(None), None) => return Err(none(&name, job.as_ref(), &self.id)),
            (Err(error), None) => return Err(error),
            (Err(error), Some(kept)) => {
                print(&kept.text, out)?;
                out.warn("this is only the beginning of the answer");
                return Err(error);
            }
        }
        Ok(Exit::Done)
    }
}

/// The answer as it stands in the record.
async fn whole(record: Record<'_>) -> Result<Option<String>, CliError> {
    let near_end = Wanted {
        tail: Some(NEAR_END),
        ..Wanted::default()
    };
    match last_result(record, near_end).await? {
        Some(answer) => Ok(Some(answer)),
        None => last_result(record, Wanted::default()).await,
    }
}

fn print(answer: &str, out: &mut Out) -> Result<(), CliError> {
    out.line(Clean::lines(answer, usize::MAX).trim_end())
}

fn none(name: &str, job: Option<&JobView>, id: &JobId) -> CliError {
    let state = job
        .map(|job| job.in_passing(Utc::now()))
        .unwrap_or_default();
    let error = CliError::new(format!("{} gave no answer: {state}", short(name)));
    let message = job
        .map(|job| job.text("/status/message"))
        .unwrap_or_default();
    error
        .because(message)
        .next(format!("see its output: {{program}} jobs logs {id}"))
}

/// What the last result line of these lines holds.
async fn last_result(record: Record<'_>, wanted: Wanted) -> Result<Option<String>, CliError> {
    let mut reader = record.read(wanted);
    let mut lines = Lines::default();
    let mut parts = super::render::parts::Parts::default();
    let mut found = None;
    loop {
        let bytes = match reader.next().await? {
            News::Bytes(bytes) => bytes,
            News::Away(_) | News::Back | News::Now => continue,
            News::End => return Ok(found),
        };
        lines.feed(&bytes, |line| {
            if let Some(event) = Head::of(line).and_then(|head| parts.join(&head, line))
                && let Some(head) = Head::of(&event)
                && head.subtype.as_deref() == Some("result")
                && head.line.is_some()
                && let Some(event) = Event::of(&event)
            {
                found = answer(&event).or(found.take());
            }
            Ok(Next::GoOn)
        })?;
    }
}

/// The answer that a result line carries: text, also where structured output was asked for. What stands
/// there after an error is the API's word, not the agent's.
fn answer(event: &Event) -> Option<String> {
    let error = event.0.pointer("/data/is_error")?.as_bool()?;
    let text = event.text("/data/result");
    (event.text("/subtype") == "result" && !error && !text.is_empty()).then(|| text.to_owned())
}
