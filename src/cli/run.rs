//! `herdctl run`: makes a Job, and with `--follow` stays until it has ended.

use std::{
    fs,
    io::{self, IsTerminal, Read},
};

use kube::ResourceExt;
use uuid::Uuid;

use super::{
    Session,
    cluster::{Cluster, Lookup, NotMade, Write},
    error::CliError,
    exit::Exit,
    id,
    name::{self, Name},
    out::Out,
    play::{Form, Player, Stop},
    record::{Record, Wanted},
    render::Detail,
    stages,
    view::{JobView, MINTED, short},
};
use crate::api::{
    agent::MAX_PROMPT_BYTES,
    duration::DurationText,
    job::{JOB_FINALIZER, Job, JobSpec},
};

/// Run an agent: make a Job, and tell its name
#[derive(Debug, clap::Args)]
#[command(after_help = format!("Examples:
  herdctl run reviewer -p 'Review the last commit' -f
  git diff | herdctl run reviewer -p - -f
  herdctl run reviewer -p @task.md --timeout 30m
  herdctl run reviewer --dry-run=client -o yaml > job.yaml

With --follow the exit code carries the Job's outcome. Ctrl-C leaves the Job running.

{}", Exit::help()))]
pub struct Run {
    /// The Agent
    agent: Name,
    /// What it is to do: the text, @FILE, or - for standard input. Default: the Agent's own prompt
    #[arg(short, long, value_name = "TEXT|@FILE|-", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// The model of this run. Default: the Agent's
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The longest time the run may take, for example 30m or 1h30m. Default: the Agent's
    #[arg(long, value_name = "DURATION", value_parser = timeout)]
    timeout: Option<DurationText>,
    /// The Job's name. Default: job- and a UUID
    #[arg(long, value_name = "NAME", value_parser = name::new_job)]
    name: Option<Name>,
    /// Show the output as it comes, and end with the Job
    #[arg(short, long, conflicts_with_all = ["dry_run", "output"])]
    follow: bool,
    /// Make nothing: client only writes the manifest, server also has the API server check it
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
enum Format {
    Name,
    Yaml,
    Json,
}

impl Run {
    pub async fn run(self, session: &Session, out: &mut Out) -> Result<Exit, CliError> {
        let cluster = session.cluster().await?;
        let job = self.manifest(&cluster, out)?;
        match self.dry_run {
            Some(DryRun::Client) => {
                self.print(&job, &job.name_any(), out)?;
                return Ok(Exit::Done);
            }
            Some(DryRun::Server) => {
                let checked = cluster.create(&job, Write::DryRun).await?;
                self.print(&checked.0, checked.name(), out)?;
                return Ok(Exit::Done);
            }
            None => {}
        }
        check_agent(&cluster, &job.spec).await?;
        let job = match cluster.create(&job, Write::Real).await {
            Err(NotMade::Open(error)) => self.look_for(&cluster, &job.name_any(), error).await?,
            made => made?,
        };
        if self.follow {
            return follow(&cluster, &job, out).await;
        }
        self.print(&job.0, job.name(), out)?;
        out.flush()?;
        if self.output.is_none() {
            let (program, id) = (out.program, short(job.name()));
            let steps = [
                format!("follow: {program} jobs logs -f {id}"),
                format!("stop: {program} jobs cancel {id}"),
            ];
            out.say(&out.words.dotted(steps.iter().map(String::as_str)));
        }
        Ok(Exit::Done)
    }

    fn manifest(&self, cluster: &Cluster, out: &mut Out) -> Result<Job, CliError> {
        let name = match &self.name {
            Some(name) => name.to_string(),
            None => format!("{MINTED}{}", Uuid::new_v4()),
        };
        let spec = JobSpec {
            agent: self.agent.to_string(),
            prompt: self
                .prompt
                .as_deref()
                .map(|text| prompt(text, out))
                .transpose()?,
            model: self.model.clone(),
            timeout: self.timeout.clone(),
            ..JobSpec::default()
        };
        let mut job = Job::new(&name, spec);
        job.metadata.namespace = Some(cluster.namespace.clone());
        // Saves the controller a request before the first attempt.
        job.metadata.finalizers = Some(vec![JOB_FINALIZER.into()]);
        Ok(job)
    }

    /// The Job whose making was not answered. A second one would be a second run, so nobody is told to try
    /// again as long as there may be a first.
    async fn look_for(
        &self,
        cluster: &Cluster,
        name: &str,
        error: CliError,
    ) -> Result<JobView, CliError> {
        match cluster.job(name).await {
            // Only a name that was minted for it tells that it is ours.
            Ok(Some(job)) if self.name.is_none() => Ok(job),
            Ok(None) => Err(error),
            Ok(Some(_)) | Err(_) => Err(error
                .leads_to(format!("it is not known whether Job {name} was made"))
                .next(format!(
                    "see before you try again: {{program}} jobs show {}",
                    short(name)
                ))),
        }
    }

    fn print(
        &self,
        job: &impl serde::Serialize,
        name: &str,
        out: &mut Out,
    ) -> Result<(), CliError> {
        match self.output {
            None => out.line(name),
            Some(Format::Name) => out.line(&format!("job.herdctl.dev/{name}")),
            Some(Format::Json) => out.json(job),
            Some(Format::Yaml) => out.yaml(job),
        }
    }
}

/// Plays the Job's output from its first line to its last, with what happens before on standard error.
async fn follow(cluster: &Cluster, job: &JobView, out: &mut Out) -> Result<Exit, CliError> {
    let name = job.name();
    let (program, id) = (out.program, short(name));
    let hints = [
        name.to_owned(),
        "Ctrl-C leaves it running".to_owned(),
        format!("stop: {program} jobs cancel {id}"),
    ];
    out.say(&out.words.dotted(hints.iter().map(String::as_str)));
    let record = Record { cluster, job: name };
    let reader = record.read(Wanted {
        follow: true,
        ..Wanted::default()
    });
    let mut player = Player::new(name, Form::Text, Detail::default(), true);
    let stages = stages::stages(cluster, name);
    match player.play(reader, stages, out).await? {
        Stop::Complete(phase, exit_reason) => {
            out.say(&format!("read again: {program} jobs logs {id}"));
            Ok(Exit::of_job(phase, exit_reason))
        }
        Stop::Left => {
            let steps = [
                format!("{id} goes on"),
                format!("follow: {program} jobs logs -f {id}"),
                format!("stop: {program} jobs cancel {id}"),
            ];
            out.say(&out.words.dotted(steps.iter().map(String::as_str)));
            Ok(Exit::Left)
        }
        Stop::End => ended_without_a_line(cluster, name).await,
    }
}

/// The record has ended, and its last line was not among what came: the status knows how.
async fn ended_without_a_line(cluster: &Cluster, name: &str) -> Result<Exit, CliError> {
    let job = cluster.job(name).await?;
    job.and_then(|job| job.exit()).ok_or_else(|| {
        CliError::new(format!("the output of {name} ended without its last line"))
            .next(format!("{{program}} jobs show {}", short(name)))
    })
}

/// A Job may come before its Agent; a person who types a name has mistyped it.
async fn check_agent(cluster: &Cluster, job: &JobSpec) -> Result<(), CliError> {
    let (name, namespace) = (&job.agent, &cluster.namespace);
    match cluster.agent(name).await? {
        Lookup::Found(agent) if agent.spec.prompt.is_none() && job.prompt.is_none() => {
            return Err(
                CliError::usage(format!("agent {name} has no prompt of its own"))
                    .next("say what it is to do: --prompt TEXT, --prompt @FILE or --prompt -"),
            );
        }
        Lookup::Found(_) | Lookup::Hidden => return Ok(()),
        Lookup::Absent => {}
    }
    cluster.check_namespace().await?;
    // Where the kind itself is missing, this says so.
    let names = cluster.agent_names().await?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let near = id::nearest(name, &names);
    let what = format!("no agent {name} in namespace {namespace}");
    let what = if near.is_empty() {
        what
    } else {
        format!("{what}; nearest: {}", near.join(", "))
    };
    Err(CliError::new(what).next("kubectl get agents shows all; another namespace: -n NAME"))
}

fn prompt(text: &str, out: &mut Out) -> Result<String, CliError> {
    let (prompt, whence) = match (text, text.strip_prefix('@')) {
        ("-", _) => (read_stdin(out)?, "from standard input".to_owned()),
        (_, Some(path)) => {
            let read = fs::read_to_string(path).map_err(|error| {
                CliError::new(format!("can't read the prompt from {path}"))
                    .because(error)
                    .exit(Exit::Usage)
            })?;
            (read, format!("in {path}"))
        }
        (text, None) => (text.to_owned(), "of --prompt".to_owned()),
    };
    if prompt.trim().is_empty() {
        return Err(CliError::usage(format!("the prompt {whence} is empty"))
            .next("leave --prompt out to use the Agent's own"));
    }
    if prompt.len() > MAX_PROMPT_BYTES as usize {
        return Err(CliError::usage(format!(
            "the prompt {whence} has {} bytes; at most {MAX_PROMPT_BYTES} are possible",
            prompt.len()
        ))
        .next("shorten it, or let the agent read the rest from a file"));
    }
    Ok(prompt)
}

fn read_stdin(out: &mut Out) -> Result<String, CliError> {
    let unreadable = || CliError::usage("can't read the prompt from standard input");
    if io::stdin().is_terminal() {
        out.say("type the prompt; Ctrl-D ends it");
    }
    let mut bytes = Vec::new();
    let mut stdin = io::stdin().lock();
    stdin
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable().because(error))?;
    String::from_utf8(bytes).map_err(|error| unreadable().because(error))
}

fn timeout(text: &str) -> Result<DurationText, String> {
    let duration = DurationText::from(text);
    duration.parse().map_err(|bad| bad.to_string())?;
    Ok(duration)
}
