//! `herdctl jobs cancel`: asks for the end of Jobs, and with `--wait` stays until they have ended.

use std::time::Duration;

use chrono::Utc;
use tokio::time::{Instant, timeout_at};

use super::{
    Session,
    cluster::{Cluster, Selection},
    error::CliError,
    exit::Exit,
    id::{self, JobId},
    name::Name,
    out::Out,
    stages,
    style::Sign,
    time,
    view::{JobView, short},
};

/// Stop Jobs; their output stays
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("which").required(true).args(["ids", "agent"]),
    after_help = "Examples:
  herdctl jobs cancel 7f3c --wait
  herdctl jobs cancel --agent reviewer --yes

The agent gets SIGTERM, and SIGKILL after its cancelGrace. A Job that has ended stays as it is, and
counts as stopped. With --wait the exit code is 0 once all have ended, however, and 124 if --timeout
passes before."
)]
pub struct Cancel {
    /// The Jobs: any beginning of a name, @last or @last:AGENT
    #[arg(value_name = "ID")]
    ids: Vec<JobId>,
    /// All pending and running Jobs of this Agent
    #[arg(long, value_name = "NAME")]
    agent: Option<Name>,
    /// Stay until they have ended
    #[arg(long)]
    wait: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = time::duration, requires = "wait")]
    timeout: Duration,
    /// Do not ask when --agent means several Jobs
    #[arg(short, long)]
    yes: bool,
}

impl Cancel {
    pub async fn run(self, session: &Session, out: &mut Out) -> Result<Exit, CliError> {
        let cluster = session.cluster().await?;
        let (jobs, mut worst) = match &self.agent {
            Some(agent) => (self.of_agent(&cluster, agent, out).await?, Exit::Done),
            None => self.named(&cluster, out).await?,
        };
        let mut asked = Vec::new();
        for job in jobs {
            match ask(&cluster, job, out).await {
                Ok(job) => asked.extend(job),
                Err(error) => {
                    out.complain(&error);
                    worst = error.exit_code();
                }
            }
        }
        if !self.wait {
            return Ok(worst);
        }
        let until = Instant::now() + self.timeout;
        for job in asked {
            match timeout_at(until, stages::ended(&cluster, job.name())).await {
                Ok(Ok(end)) => tell_end(&job, end, out)?,
                Ok(Err(error)) => {
                    out.complain(&error);
                    worst = error.exit_code();
                }
                Err(_) => {
                    out.warn(&format!(
                        "{} has not ended within {}; it is still asked to",
                        short(job.name()),
                        time::span(chrono::TimeDelta::from_std(self.timeout).unwrap_or_default())
                    ));
                    worst = if worst == Exit::Done {
                        Exit::GaveUp
                    } else {
                        worst
                    };
                }
            }
        }
        Ok(worst)
    }

    /// The Jobs that were named. What is not found is told at once, and the others are stopped.
    async fn named(
        &self,
        cluster: &Cluster,
        out: &mut Out,
    ) -> Result<(Vec<JobView>, Exit), CliError> {
        let mut jobs: Vec<JobView> = Vec::new();
        let mut worst = Exit::Done;
        for id in &self.ids {
            match id::find(cluster, id).await {
                Ok(job) if jobs.iter().all(|known| known.name() != job.name()) => jobs.push(job),
                Ok(_) => {}
                // One id: its error is the error.
                Err(error) if self.ids.len() == 1 => return Err(error),
                Err(error) => {
                    out.complain(&error);
                    worst = error.exit_code();
                }
            }
        }
        Ok((jobs, worst))
    }

    async fn of_agent(
        &self,
        cluster: &Cluster,
        agent: &Name,
        out: &mut Out,
    ) -> Result<Vec<JobView>, CliError> {
        let selection = Selection {
            fields: Some(format!("spec.agent={agent}")),
            ..Selection::default()
        };
        let mut jobs = cluster.list(&selection).await?;
        jobs.retain(|job| !job.is_final());
        if jobs.is_empty() {
            cluster.check_namespace().await?;
            out.say(&format!(
                "no Job of agent {agent} is pending or running in namespace {}",
                cluster.namespace
            ));
        }
        if jobs.len() > 1 && !self.yes {
            self.confirm(&jobs, agent, out)?;
        }
        Ok(jobs)
    }

    fn confirm(&self, jobs: &[JobView], agent: &Name, out: &mut Out) -> Result<(), CliError> {
        for job in jobs {
            out.say(&format!(
                "  {}  {}",
                short(job.name()),
                job.in_passing(Utc::now())
            ));
        }
        let question = format!("stop these {} Jobs of agent {agent}?", jobs.len());
        if !out.can_ask() {
            return Err(CliError::usage(format!(
                "this would stop {} Jobs of agent {agent}",
                jobs.len()
            ))
            .next("add --yes if that is meant"));
        }
        if out.confirm(&question)? {
            return Ok(());
        }
        Err(CliError::new("nothing was stopped"))
    }
}

/// Asks for a Job's end. The Job, if it had not ended before.
async fn ask(cluster: &Cluster, job: JobView, out: &mut Out) -> Result<Option<JobView>, CliError> {
    if job.is_final() {
        tell_end(&job, Some(job.clone()), out)?;
        return Ok(None);
    }
    let job = cluster.cancel(&job).await?;
    let words = format!(
        "{} {} asked to stop",
        out.style.sign(Sign::Arrow),
        short(job.name())
    );
    out.line(&words)?;
    out.flush()?;
    Ok(Some(job))
}

fn tell_end(job: &JobView, end: Option<JobView>, out: &mut Out) -> Result<(), CliError> {
    let id = short(job.name());
    let Some(end) = end else {
        return out.line(&format!("{id} has been deleted"));
    };
    let words = format!(
        "{id} {} {}",
        end.phase_word(),
        end.text("/status/exitReason")
    );
    let parts = [words, end.turns(), end.cost()];
    let text = out.style.dotted(parts.iter().map(String::as_str));
    out.line(&format!("{} {text}", end.sign(out.style)))?;
    out.flush()
}
