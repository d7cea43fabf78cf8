//! `herdctl jobs pause`: stops agents so that their Jobs can go on later, and with `--wait` stays until
//! they are suspended.

use std::time::Duration;

use chrono::Utc;
use serde_json::{Value, json};

use super::{
    Session,
    ask::{Asked, ask},
    cluster::Cluster,
    error::CliError,
    exit::Exit,
    id::JobId,
    out::Out,
    resume,
    several::{self, Wait, Worst},
    style::Sign,
    time,
    view::{JobView, short},
};

/// Pause Jobs: stop their agents and keep their sessions
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  herdctl jobs pause 7f3c --wait
  herdctl jobs resume 7f3c --prompt 'Skip the flaky test'

The agent gets SIGTERM, and SIGKILL after its cancelGrace; its pod is removed, its session is kept. The
Job is then pending with reason Suspended, for as long as you like: a pause counts neither against its
timeout nor against maxAttempts. Files in the pod are lost. With --wait, the exit code is 0 once all are
suspended, 1 if one ended first, 124 if --timeout passes first, and 130 after Ctrl-C. @last works only for a
Job that you created with herdctl.")]
pub struct Pause {
    /// The Jobs: names, any prefixes of UUIDs, @last or @last:AGENT
    #[arg(value_name = "ID", required = true)]
    ids: Vec<JobId>,
    /// Wait until they are suspended
    #[arg(long)]
    wait: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = time::duration, requires = "wait")]
    timeout: Duration,
}

impl Pause {
    pub async fn run(self, session: &Session, out: &mut Out) -> Result<Exit, CliError> {
        let cluster = session.cluster().await?;
        let mut worst = Worst(Exit::Done);
        let mut asked = Vec::new();
        for job in several::named(&cluster, &self.ids, "pause", &mut worst, out).await {
            match pause(&cluster, job, out).await {
                Ok(job) => asked.extend(job),
                Err(error) => worst.add(&error, out),
            }
        }
        if self.wait {
            let wait = Wait {
                at_most: self.timeout,
                is_so: |job| job.is_final() || job.rests() || !job.is_to_pause(),
                tell,
                not_yet: "was not suspended in time; the request stays",
                left: "the pause stays requested",
            };
            wait.for_all(&cluster, &asked, &mut worst, out).await;
        }
        Ok(worst.0)
    }
}

/// Asks for a Job's suspension. The Job, if that is still to come.
async fn pause(
    cluster: &Cluster,
    job: JobView,
    out: &mut Out,
) -> Result<Option<JobView>, CliError> {
    let (job, words) = match ask(cluster, job, wanted).await? {
        Asked::Before(job) if job.rests() => {
            tell_suspended(&job, "is suspended already", out)?;
            return Ok(None);
        }
        Asked::Before(job) => (job, "was asked to pause before"),
        Asked::Now(job) => (job, "asked to pause"),
    };
    let arrow = out.style.sign(Sign::Arrow);
    out.line(&format!("{arrow} {} {words}", short(job.name())))?;
    out.flush()?;
    Ok(Some(job))
}

fn wanted(job: &JobView) -> Result<Option<Value>, CliError> {
    let id = short(job.name());
    let no = |why: &str| CliError::new(format!("{id} can't be paused: it {why}"));
    if job.is_being_deleted() {
        return Err(no("is being deleted"));
    }
    if job.is_final() {
        return Err(no(&format!("has ended ({})", job.in_passing(Utc::now())))
            .next(resume::after_the_end(job)));
    }
    if job.is_to_stop() {
        let later = resume::after_the_end(job);
        return Err(no("was asked to stop").next(format!("once it has ended, {later}")));
    }
    Ok((!job.is_to_pause()).then(|| json!({"suspend": true})))
}

/// How the waiting ended.
fn tell(job: &JobView, now: Option<&JobView>, out: &mut Out) -> Result<(), CliError> {
    let id = short(job.name());
    let Some(now) = now else {
        return Err(CliError::new(format!(
            "{id} has been deleted before it was suspended"
        )));
    };
    if now.is_final() {
        return Err(CliError::new(format!(
            "{id} ended before it was suspended: {}",
            now.outcome()
        ))
        .next(resume::after_the_end(now)));
    }
    if !now.is_to_pause() {
        return Err(CliError::new(format!(
            "{id} was resumed by somebody before it was suspended"
        )));
    }
    tell_suspended(now, "is suspended", out)
}

fn tell_suspended(job: &JobView, words: &str, out: &mut Out) -> Result<(), CliError> {
    let id = short(job.name());
    let parts = [format!("{id} {words}"), job.turns(), job.cost()];
    let text = out.style.dotted(parts.iter().map(String::as_str));
    out.line(&format!("{} {text}", job.sign(out.style)))?;
    out.say(&format!("continue: {} jobs resume {id}", out.program));
    Ok(())
}
