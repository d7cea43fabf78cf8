//! `herdctl jobs cancel`: asks for the end of Jobs, and with `--wait` stays until they have ended.

use std::time::Duration;

use chrono::Utc;
use serde_json::json;

use super::{
    Session,
    ask::{Asked, ask},
    cluster::{Cluster, Selection},
    error::CliError,
    exit::Exit,
    id::JobId,
    name::{self, Name},
    out::Out,
    resume,
    several::{self, Wait, Worst},
    style::Sign,
    time,
    view::{JobView, short},
};
use crate::api::reason::Phase;

/// Cancel Jobs: stop their agents and keep their output
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("which").required(true).args(["ids", "agent"]),
    after_help = "Examples:
  herdctl jobs cancel 7f3c --wait
  herdctl jobs cancel --agent reviewer --yes

The agent gets SIGTERM, and SIGKILL after its cancelGrace. A Job that has ended is not changed; this is not
an error. With --wait, the exit code is 0 once all Jobs have ended, in any way, 124 if --timeout passes
first, and 130 after Ctrl-C. To stop a Job only for a while: herdctl jobs pause. @last works only for a Job
that you created with herdctl."
)]
pub struct Cancel {
    /// The Jobs: names, any prefixes of UUIDs, @last or @last:AGENT
    #[arg(value_name = "ID")]
    ids: Vec<JobId>,
    /// All pending and running Jobs of this Agent
    #[arg(long, value_name = "NAME", value_parser = name::agent)]
    agent: Option<Name>,
    /// Wait until they have ended
    #[arg(long)]
    wait: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = time::duration, requires = "wait")]
    timeout: Duration,
    /// Do not ask for confirmation when --agent matches several Jobs
    #[arg(short, long)]
    yes: bool,
}

impl Cancel {
    pub async fn run(self, session: &Session, out: &mut Out) -> Result<Exit, CliError> {
        let cluster = session.cluster().await?;
        let mut worst = Worst(Exit::Done);
        let jobs = match &self.agent {
            Some(agent) => self.of_agent(&cluster, agent, out).await?,
            None => several::named(&cluster, &self.ids, "cancel", &mut worst, out).await,
        };
        let mut asked = Vec::new();
        for job in jobs {
            match stop(&cluster, job, out).await {
                Ok(job) => asked.extend(job),
                Err(error) => worst.add(&error, out),
            }
        }
        if self.wait {
            let wait = Wait {
                at_most: self.timeout,
                is_so: JobView::is_final,
                tell: tell_end,
                not_yet: "did not end in time; the request stays",
                left: "the request to stop stays",
            };
            wait.for_all(&cluster, &asked, &mut worst, out).await;
        }
        Ok(worst.0)
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
async fn stop(cluster: &Cluster, job: JobView, out: &mut Out) -> Result<Option<JobView>, CliError> {
    let asked = ask(cluster, job, |job| {
        let wanted = !job.is_final() && !job.is_to_stop();
        Ok(wanted.then(|| json!({"cancel": true})))
    })
    .await?;
    let (job, words) = match asked {
        Asked::Before(job) if job.is_final() => {
            let text = format!("had ended before: {}", end(&job, out));
            out.line(&format!(
                "{} {} {text}",
                job.sign(out.style),
                short(job.name())
            ))?;
            return Ok(None);
        }
        Asked::Before(job) => (job, "was asked to stop before"),
        Asked::Now(job) => (job, "asked to stop"),
    };
    let arrow = out.style.sign(Sign::Arrow);
    out.line(&format!("{arrow} {} {words}", short(job.name())))?;
    out.flush()?;
    Ok(Some(job))
}

fn tell_end(job: &JobView, now: Option<&JobView>, out: &mut Out) -> Result<(), CliError> {
    let id = short(job.name());
    let Some(now) = now else {
        return out.line(&format!("{id} has been deleted"));
    };
    out.line(&format!("{} {id} {}", now.sign(out.style), end(now, out)))?;
    if now.phase() == Some(Phase::Cancelled) && resume::has_session(now) {
        out.say(&resume::after_the_end(now).replace("{program}", out.program));
    }
    Ok(())
}

/// `cancelled · 6 turns · $0.11`.
fn end(job: &JobView, out: &Out) -> String {
    let parts = [job.outcome(), job.turns(), job.cost()];
    out.style.dotted(parts.iter().map(String::as_str))
}
