//! `herdctl jobs show`: all that is known of one Job, with what to do next.

use super::{
    Session,
    cluster::{Cluster, Lookup},
    error::CliError,
    exit::Exit,
    id::{self, JobId},
    out::Out,
    record::{Record, STORE_PATIENCE},
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
    let (info, agent) = tokio::join!(record.info(STORE_PATIENCE), agent(cluster, job));
    let shown = text::Shown {
        job,
        info,
        agent: agent.as_ref(),
    };
    for line in shown.lines(out.style, out.program) {
        out.line(&line)?;
    }
    Ok(())
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
