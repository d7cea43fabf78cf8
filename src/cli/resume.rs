//! `herdctl jobs resume`: continues with an agent's session, of a suspended Job in that Job, of one that has
//! ended in a new Job.

use chrono::Utc;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{
    Session,
    ask::{Asked, ask},
    cluster::{Cluster, Lookup, plugin::Stdin},
    error::CliError,
    event::Head,
    exit::Exit,
    follow::{self, From},
    id::{self, JobId},
    lines::{Lines, Next},
    make::{self, Named},
    out::Out,
    prompt,
    record::{News, Record, STORE_PATIENCE, Wanted, answer::OutputError},
    run::{self, Format},
    view::{self, JobView, short},
};
use crate::api::{
    job::{JobSpec, ResumeFrom, ResumedFrom},
    reason::Reason,
};

/// What an agent is told that continues with a session of another Job: Claude Code's own words.
const GO_ON: &str = "Continue from where you left off.";

/// As many earlier Jobs of a session are asked what they cost: each is a request.
const MOST_LINKS: usize = 32;

/// Continue a Job's session: in the Job itself if it is paused, in a new Job if it has ended
#[derive(Debug, clap::Args)]
#[command(after_help = format!("Examples:
  herdctl jobs resume 7f3c
  herdctl jobs resume 7f3c --prompt 'Skip the flaky test' -f

A paused Job continues in a new pod. For a Job that has ended, a new Job is created: it has the same session,
and the model, timeout and outputSchema that the old one set itself; everything else comes from the Agent as
it is now, and turns and budget are counted from zero. You can resume an ended Job more than once: each new Job
works on its own copy of the session. The name of the Job that continues is printed. In both cases files in
the old pod are lost. With --follow, the exit code tells the Job's outcome. @last works only for a Job that
you created with herdctl.

{}", Exit::help()))]
pub struct Resume {
    /// The Job: its name, any prefix of its UUID, @last or @last:AGENT
    id: JobId,
    /// What to tell the agent: the text, @FILE, or - for standard input; to start the text with @, write @@.
    /// Default: a note to continue
    #[arg(short, long, value_name = "TEXT|@FILE|-", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// Show the output from here on as it arrives, until the Job ends
    #[arg(short, long, conflicts_with = "output")]
    follow: bool,
    /// What to print. Default: the name of the Job that continues
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

impl Resume {
    pub async fn run(self, session: &Session, out: &mut Out) -> Result<Exit, CliError> {
        // Before a login plugin can take it from standard input.
        let prompt = self.prompt.as_deref();
        let prompt = prompt
            .map(|text| prompt::read(text, "leave --prompt out to send a note to continue", out));
        let prompt = prompt.transpose()?;
        let stdin = prompt.as_ref().map_or(Stdin::Free, |prompt| prompt.stdin);
        let prompt = prompt.map(|prompt| prompt.text);
        let cluster = session.cluster_after(stdin).await?;
        let job = id::find_to_change(&cluster, &self.id, "resume").await?;
        let (job, from, note) = if job.is_final() {
            let note = continues(&cluster, &job).await;
            let job = in_a_new_job(&cluster, &job, prompt, out).await?;
            (job, From::TheStart, note)
        } else {
            let from = end_of_output(&cluster, &job).await;
            let wanted = |job: &JobView| wanted(job, prompt.as_deref());
            match ask(&cluster, job, wanted).await? {
                Asked::Now(job) => (job, from, "continues".to_owned()),
                Asked::Before(job) => (job, from, "was resumed before, and continues".to_owned()),
            }
        };
        if self.output.is_none() {
            out.say(&format!("{} {note}", short(job.name())));
        }
        if self.follow {
            return follow::follow(&cluster, &job, from, out).await;
        }
        run::print(self.output, &job.0, job.name(), out)?;
        out.flush()?;
        if self.output.is_none() {
            follow::say_steps(job.name(), out);
        }
        Ok(Exit::Done)
    }
}

/// Where the output of a suspended Job continues.
async fn end_of_output(cluster: &Cluster, job: &JobView) -> From {
    let record = Record {
        cluster,
        job: job.name(),
    };
    match record.info(STORE_PATIENCE).await {
        Ok(info) => From::Byte(info.bytes),
        Err(OutputError::NoRecord) => From::TheStart,
        Err(OutputError::Away { .. } | OutputError::Refused(_)) => From::Now,
    }
}

/// The one change that ends a suspension.
fn wanted(job: &JobView, prompt: Option<&str>) -> Result<Option<Value>, CliError> {
    let id = short(job.name());
    let no = |why: &str| CliError::new(format!("{id} can't be resumed: it {why}"));
    if job.is_being_deleted() {
        return Err(no("is being deleted"));
    }
    if job.is_final() {
        return Err(no("has just ended").next(after_the_end(job)));
    }
    if job.is_to_stop() {
        return Err(no("was asked to stop").next(format!(
            "wait for its end: {{program}} jobs cancel {id} --wait; then the same again"
        )));
    }
    if !job.is_to_pause() {
        if job.is_suspended() && prompt.is_none() {
            return Ok(None);
        }
        if job.is_suspended() {
            return Err(no("was resumed before, without this prompt"));
        }
        return Err(
            no(&format!("is not paused ({})", job.in_passing(Utc::now())))
                .next(format!("follow it: {{program}} jobs logs -f {id}"))
                .next(format!(
                    "pause it first: {{program}} jobs pause {id} --wait"
                )),
        );
    }
    // The API server takes or drops a prompt only once the last attempt has ended.
    let old_prompt = job.spec().is_some_and(|spec| spec.resume_prompt.is_some());
    if !job.is_suspended() && (prompt.is_some() || old_prompt) {
        return Err(no("is not suspended yet").next(format!(
            "wait until it is: {{program}} jobs pause {id} --wait; then the same again"
        )));
    }
    Ok(Some(json!({"suspend": false, "resumePrompt": prompt})))
}

/// The new Job that continues the session of one that has ended.
async fn in_a_new_job(
    cluster: &Cluster,
    job: &JobView,
    prompt: Option<String>,
    out: &mut Out,
) -> Result<JobView, CliError> {
    check_session(cluster, job).await?;
    let mut spec = JobSpec {
        agent: job.agent(),
        prompt: Some(prompt.unwrap_or_else(|| GO_ON.into())),
        model: job.field("/spec/model"),
        timeout: job.field("/spec/timeout"),
        output_schema: job.field("/spec/outputSchema"),
        resume: Some(ResumeFrom {
            job: job.name().to_owned(),
            across_agents: None,
        }),
        ..JobSpec::default()
    };
    let agent = make::check_agent(cluster, &spec, out).await?;
    if let Some(agent) = agent.filter(|agent| agent.uid() != job.field("/status/agent/uid")) {
        out.warn(&format!(
            "Agent {} was created again since {} ran: the session continues with the new Agent",
            agent.name_any(),
            short(job.name())
        ));
        let resume = spec.resume.get_or_insert_default();
        resume.across_agents = Some(true);
    }
    let new = Named::Minted.manifest(cluster, spec);
    Named::Minted.make(cluster, &new).await
}

/// Without a session there is nothing to go on with. A store that does not answer is no reason to refuse:
/// the new Job waits for it.
async fn check_session(cluster: &Cluster, job: &JobView) -> Result<(), CliError> {
    let Some(why) = why_no_session(cluster, job).await else {
        return Ok(());
    };
    let gone = matches!(cluster.agent(&job.agent()).await?, Lookup::Absent);
    let id = short(job.name());
    Err(
        CliError::new(format!("{id} can't be resumed: {why}")).next(if gone {
            once_applied(job, run_anew(job))
        } else {
            format!("start a new one: {}", run_anew(job))
        }),
    )
}

async fn why_no_session(cluster: &Cluster, job: &JobView) -> Option<&'static str> {
    if job.is_being_deleted() {
        return Some("it is being deleted");
    }
    if !has_session(job) {
        return Some("its agent never ran, so there is no session");
    }
    let record = Record {
        cluster,
        job: job.name(),
    };
    match record.info(STORE_PATIENCE).await {
        Err(OutputError::NoRecord) => Some("its output was deleted, and the session with it"),
        Ok(info) if info.job.is_null() => Some("its output was deleted, and the session with it"),
        Ok(_) if never_began(cluster, job).await => {
            Some("its agent ended before it began a session, so there is no session")
        }
        Ok(_) | Err(_) => None,
    }
}

/// The CLI was started, and ended before its first word: then it has written no transcript either. The status
/// does not know; the record does. What can't be read to its end says nothing.
pub async fn never_began(cluster: &Cluster, job: &JobView) -> bool {
    let inherited = job.field::<ResumedFrom>("/status/resumedFrom").is_some();
    let worked = job.field::<u64>("/status/progress/turns").unwrap_or(0) > 0;
    let whole = job
        .output()
        .is_some_and(|output| output.sealed.is_some() && output.missing.unwrap_or_default() == 0);
    if inherited || worked || !whole || !has_session(job) {
        return false;
    }
    let record = Record {
        cluster,
        job: job.name(),
    };
    let read = tokio::time::timeout(STORE_PATIENCE, begins_session(record)).await;
    matches!(read, Ok(Ok(false)))
}

/// The record has a line of the CLI's, which begins with one that names its session.
async fn begins_session(record: Record<'_>) -> Result<bool, CliError> {
    let mut reader = record.read(Wanted::default());
    let mut lines = Lines::default();
    loop {
        let bytes = match reader.next().await? {
            News::Bytes(bytes) => bytes,
            News::Away(_) | News::Back | News::Now => continue,
            News::End => return Ok(false),
        };
        let next = lines.feed(&bytes, |line| {
            let of_cli = Head::of(line).is_some_and(|head| head.line.is_some());
            Ok(if of_cli { Next::Stop } else { Next::GoOn })
        })?;
        if next == Next::Stop {
            return Ok(true);
        }
    }
}

/// An agent ran, under a session that has a name.
pub fn has_session(job: &JobView) -> bool {
    job.started().is_some() && !job.text("/status/sessionId").is_empty()
}

/// How to continue a Job that has ended, or is about to: what `jobs resume` takes, and no other.
pub fn after_the_end(job: &JobView) -> String {
    let resumable = has_session(job);
    let command = if resumable { go_on(job) } else { run_anew(job) };
    // It may have been applied since.
    if missed_agent(job) {
        return format!(
            "apply the Agent {} first if there is none (kubectl apply -f FILE), then: {command}",
            job.agent()
        );
    }
    let what = if resumable {
        "continue in a new Job"
    } else {
        "run it again"
    };
    format!("{what}: {command}")
}

/// It ended, or waits, because it has no Agent.
fn missed_agent(job: &JobView) -> bool {
    matches!(
        job.reason(),
        Some(Reason::AgentDeleted | Reason::AgentNotFound)
    )
}

/// What is refused as long as there is no such Agent.
pub fn once_applied(job: &JobView, command: String) -> String {
    format!(
        "there is no Agent {}: apply it first (kubectl apply -f FILE), then: {command}",
        job.agent()
    )
}

fn go_on(job: &JobView) -> String {
    format!("{{program}} jobs resume {}", short(job.name()))
}

fn run_anew(job: &JobView) -> String {
    format!("{{program}} run {} --prompt TEXT", job.agent())
}

/// `continues session 4be1 of 7f3c, $0.11 spent before`.
async fn continues(cluster: &Cluster, job: &JobView) -> String {
    let spent = spent(cluster, job).await;
    let spent = spent.map(|spent| format!(", {spent} spent before"));
    format!(
        "continues session {} of {}{}",
        job.text("/status/sessionId"),
        short(job.name()),
        spent.unwrap_or_default()
    )
}

/// What the Jobs cost that worked on this session, one after the other. One that is gone, or can't be read,
/// hides what was before it.
async fn spent(cluster: &Cluster, job: &JobView) -> Option<String> {
    let of = |job: &JobView| job.field::<f64>("/status/progress/costUSD");
    let before = |job: &JobView| job.field::<ResumedFrom>("/status/resumedFrom");
    let (mut dollars, mut earlier) = (of(job)?, before(job));
    for _ in 0..MOST_LINKS {
        let Some(pinned) = &earlier else { break };
        let found = cluster.job(&pinned.job).await.ok().flatten();
        let Some(found) = found.filter(|found| found.0.metadata.uid.as_ref() == Some(&pinned.uid))
        else {
            break;
        };
        dollars += of(&found).unwrap_or_default();
        earlier = before(&found);
    }
    let least = if earlier.is_some() { "at least " } else { "" };
    Some(format!("{least}{}", view::cost(dollars)))
}
