//! `herdctl jobs show`: all that is known of one Job, with what to do next.

use self::text::Again;
use super::{
    Session,
    cluster::{Cluster, Lookup},
    error::CliError,
    exit::Exit,
    id::{self, JobId},
    out::Out,
    record::{Record, STORE_PATIENCE},
    resume,
    several::Worst,
    view::{self, JobView},
};

mod attempts;
mod limits;
mod text;

/// Show Jobs: status, outcome and effective settings
#[derive(Debug, clap::Args)]
pub struct Show {
    /// The Jobs: names, any prefixes of UUIDs, @last or @last:AGENT
    #[arg(value_name = "ID", required = true)]
    ids: Vec<JobId>,
    /// What to print. Default: text for people
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
    /// The same as -o json
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Json,
    Yaml,
}

impl Show {
    pub async fn run(self, session: &Session, out: &mut Out) -> Result<Exit, CliError> {
        let cluster = session.cluster().await?;
        let format = self.output.or(self.json.then_some(Format::Json));
        let (mut worst, mut jobs) = (Worst(Exit::Done), Vec::new());
        for (at, id) in self.ids.iter().enumerate() {
            match id::find(&cluster, id).await {
                Ok(job) if format.is_some() => jobs.push(job),
                Ok(job) => {
                    if at > 0 {
                        out.line("")?;
                    }
                    show(&cluster, &job, out).await?;
                }
                Err(error) if self.ids.len() == 1 => return Err(error),
                Err(error) => worst.add(&error, out),
            }
        }
        // One Job is one object, as kubectl has it.
        match (format, &jobs[..]) {
            (None, _) => {}
            (Some(format), [job]) if self.ids.len() == 1 => format.print(&job.0, out)?,
            (Some(format), jobs) => format.print(&view::as_list(jobs), out)?,
        }
        Ok(worst.0)
    }
}

impl Format {
    fn print(self, object: &impl serde::Serialize, out: &mut Out) -> Result<(), CliError> {
        match self {
            Format::Json => out.json(object),
            Format::Yaml => out.yaml(object),
        }
    }
}

async fn show(cluster: &Cluster, job: &JobView, out: &mut Out) -> Result<(), CliError> {
    let record = Record {
        cluster,
        job: job.name(),
    };
    let (info, agent, again) = tokio::join!(
        record.info(STORE_PATIENCE),
        agent(cluster, job),
        again(cluster, job)
    );
    let shown = text::Shown {
        job,
        info,
        agent: agent.as_ref(),
        again,
    };
    for line in shown.lines(out.style, out.program) {
        out.line(&line)?;
    }
    Ok(())
}

/// Whether and how the session of a Job that has ended can be continued.
async fn again(cluster: &Cluster, job: &JobView) -> Again {
    if !job.is_final() || !resume::has_session(job) {
        return Again::No;
    }
    let name = job.agent();
    let (agent, never_began) =
        tokio::join!(cluster.agent(&name), resume::never_began(cluster, job));
    match agent {
        _ if never_began => Again::No,
        Ok(Lookup::Absent) => Again::OnceApplied,
        Ok(Lookup::Found(_) | Lookup::Hidden) | Err(_) => Again::Now,
    }
}

/// The Agent's spec that holds for the Job: as captured, or before the first attempt as it is now. None
/// where it can't be known; then only what the Job says itself is shown.
async fn agent(cluster: &Cluster, job: &JobView) -> Option<crate::api::agent::AgentSpec> {
    if let Some(captured) = job.captured_agent() {
        return Some(captured);
    }
    match cluster.agent(&job.agent()).await {
        Ok(Lookup::Found(agent)) => Some(agent.spec),
        Ok(Lookup::Absent | Lookup::Hidden) | Err(_) => None,
    }
}
