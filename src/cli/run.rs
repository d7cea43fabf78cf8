//! `herdctl run`: makes a Job, and with `--follow` stays until it has ended.

use kube::ResourceExt;

use super::{
    Session,
    cluster::{Cluster, Write, plugin::Stdin},
    error::CliError,
    exit::Exit,
    follow,
    make::{self, Named},
    name::{self, Name},
    out::Out,
    prompt::{self, Prompt},
    time,
};
use crate::api::{
    duration::DurationText,
    job::{Job, JobSpec},
};

/// Whether the Agent has a prompt of its own is not known before the cluster is asked.
const GIVE_ONE: &str = "give one: --prompt TEXT, --prompt @FILE or --prompt -";

/// Create a Job that runs an agent, and print its name
#[derive(Debug, clap::Args)]
#[command(after_help = format!("Examples:
  herdctl run reviewer -p 'Review the last commit' -f
  git diff | herdctl run reviewer -p - -f
  herdctl run reviewer -p @task.md --timeout 30m
  herdctl run reviewer -p '@@team: review the last commit'
  herdctl run reviewer --dry-run=client -o yaml > job.yaml

With --follow, the exit code tells the Job's outcome. Ctrl-C leaves the Job running. A prompt that begins
with / may be run as a command of Claude Code instead; put a space before the / to send it as text.

{}", Exit::help()))]
pub struct Run {
    /// The Agent
    #[arg(value_parser = name::agent)]
    agent: Name,
    /// What the agent is to do: the text, @FILE, or - for standard input; to start the text with @, write @@.
    /// Default: the Agent's own prompt
    #[arg(short, long, value_name = "TEXT|@FILE|-", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// The model to use. Default: the Agent's
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// How long the run may take, for example 30m or 1h30m. Default: the Agent's
    #[arg(long, value_name = "DURATION", value_parser = timeout)]
    timeout: Option<DurationText>,
    /// The Job's name. Default: job- and a UUID
    #[arg(long, value_name = "NAME", value_parser = name::new_job)]
    name: Option<Name>,
    /// Show the output as it arrives, until the Job ends
    #[arg(short, long, conflicts_with_all = ["dry_run", "output"])]
    follow: bool,
    /// Create nothing: client only prints what would be created, server also has the API server check it
    #[arg(long, value_name = "WHERE", require_equals = true)]
    dry_run: Option<DryRun>,
    /// What to print. Default: the name
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum DryRun {
    Client,
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Name,
    Yaml,
    Json,
}

impl Run {
    pub async fn run(self, session: &Session, out: &mut Out) -> Result<Exit, CliError> {
        // Before a login plugin can take it from standard input.
        let prompt = self.prompt.as_deref();
        let prompt = prompt.map(|text| prompt::read(text, GIVE_ONE, out));
        let prompt = prompt.transpose()?;
        let stdin = prompt.as_ref().map_or(Stdin::Free, |prompt| prompt.stdin);
        let cluster = match self.dry_run {
            Some(DryRun::Client) => session.cluster_unasked()?,
            _ => session.cluster_after(stdin).await?,
        };
        let job = self.manifest(&cluster, prompt);
        match self.dry_run {
            Some(DryRun::Client) => {
                print_dry(self.output, &job, &job.name_any(), "dry run", out)?;
                return Ok(Exit::Done);
            }
            Some(DryRun::Server) => {
                make::check_agent(&cluster, &job.spec, out).await?;
                let checked = cluster.create(&job, Write::DryRun).await?;
                let name = checked.name();
                print_dry(self.output, &checked.0, name, "server dry run", out)?;
                return Ok(Exit::Done);
            }
            None => {}
        }
        make::check_agent(&cluster, &job.spec, out).await?;
        let job = self.named().make(&cluster, &job).await?;
        if self.follow {
            return follow::follow(&cluster, &job, follow::From::TheStart, out).await;
        }
        print(self.output, &job.0, job.name(), out)?;
        out.flush()?;
        if self.output.is_none() {
            follow::say_steps(job.name(), out);
        }
        Ok(Exit::Done)
    }

    fn manifest(&self, cluster: &Cluster, prompt: Option<Prompt>) -> Job {
        let spec = JobSpec {
            agent: self.agent.to_string(),
            prompt: prompt.map(|prompt| prompt.text),
            model: self.model.clone(),
            timeout: self.timeout.clone(),
            ..JobSpec::default()
        };
        self.named().manifest(cluster, spec)
    }

    fn named(&self) -> Named {
        match &self.name {
            Some(name) => Named::Chosen(name.to_string()),
            None => Named::Minted,
        }
    }
}

/// Prints a Job that would have been created: its name alone would pass for that of a real one.
fn print_dry(
    format: Option<Format>,
    job: &impl serde::Serialize,
    name: &str,
    how: &str,
    out: &mut Out,
) -> Result<(), CliError> {
    match format {
        None => out.line(&format!("job.herdctl.dev/{name} created ({how})")),
        format => print(format, job, name, out),
    }
}

/// Prints a Job that was created or changed.
pub fn print(
    format: Option<Format>,
    job: &impl serde::Serialize,
    name: &str,
    out: &mut Out,
) -> Result<(), CliError> {
    match format {
        None => out.line(name),
        Some(Format::Name) => out.line(&format!("job.herdctl.dev/{name}")),
        Some(Format::Json) => out.json(job),
        Some(Format::Yaml) => out.yaml(job),
    }
}

fn timeout(text: &str) -> Result<DurationText, String> {
    time::not_zero(text)?;
    let duration = DurationText::from(text);
    duration.parse().map_err(|bad| bad.to_string())?;
    Ok(duration)
}
