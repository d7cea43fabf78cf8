//! `herdctl jobs show`: all that is known of one Job, with what to do next.

use super::{
    Session,
    cluster::{Cluster, Lookup},
    error::CliError,
    exit::Exit,
    id::{self, JobId},
    out::Out,
    record::{Record, STORE_PATIENCE},
};

mod attempts;
mod limits;
mod text;

/// Show one Job: how it goes, why it ended, what holds for it
#[derive(Debug, clap::Args)]
pub struct Show {
    /// The Job: its name, any beginning of its UUID, @last or @last:AGENT
    id: JobId,
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
        let job = id::find(&cluster, &self.id).await?;
        match (self.output, self.json) {
            (Some(Format::Json), _) | (None, true) => out.json(&job.0)?,
            (Some(Format::Yaml), _) => out.yaml(&job.0)?,
            (None, false) => {
                let record = Record {
                    cluster: &cluster,
                    job: job.name(),
                };
                let (info, agent) =
                    tokio::join!(record.info(STORE_PATIENCE), agent(&cluster, &job));
                let shown = text::Shown {
                    job: &job,
                    info,
                    agent: agent.as_ref(),
                };
                for line in shown.lines(out.style, out.program) {
                    out.line(&line)?;
                }
            }
        }
        Ok(Exit::Done)
    }
}

/// The Agent's spec that holds for the Job: as captured, or before the first attempt as it is now. None
/// where it can't be known; then only what the Job says itself is shown.
async fn agent(
    cluster: &Cluster,
    job: &super::view::JobView,
) -> Option<crate::api::agent::AgentSpec> {
    if let Some(captured) = job.captured_agent() {
        return Some(captured);
    }
    match cluster.agent(&job.agent()).await {
        Ok(Lookup::Found(agent)) => Some(agent.spec),
        Ok(Lookup::Absent | Lookup::Hidden) | Err(_) => None,
    }
}
