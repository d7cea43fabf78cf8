//! `herdctl jobs logs`: what an agent did, during the run and after.

use chrono::{DateTime, Utc};
use futures::stream;

use super::{
    Session,
    cluster::{CALL_TIMEOUT, Cluster},
    error::CliError,
    event::Level,
    exit::Exit,
    id::{self, JobId},
    name::Name,
    out::Out,
    play::{Form, Player, Stop},
    record::{Record, Wanted},
    render::Detail,
    time,
    view::{JobView, short},
};

/// Show what an agent did, during the run and after
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  herdctl jobs logs @last -f
  herdctl jobs logs 7f3c --level error
  herdctl jobs logs 7f3c -o jsonl | jq -r 'select(.type == \"output\").content'

--follow may begin while the Job is pending. It waits for parts of the cluster that are away,
goes on where it was, and ends with the Job's last line. Ctrl-C leaves the Job running.")]
pub struct Logs {
    /// The Job: any beginning of its name, @last or @last:AGENT
    id: JobId,
    /// Go on until the Job has ended
    #[arg(short, long)]
    follow: bool,
    /// Only lines that are at least so grave
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    level: Level,
    /// Only lines since then: 24h, 2024-01-15, 2024-01-15T10:30 (your own time), or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = time::since)]
    since: Option<DateTime<Utc>>,
    /// Only the last so many lines, before --level is applied
    #[arg(long, value_name = "LINES")]
    tail: Option<u64>,
    /// Show everything: thinking, standard error, results of tools in full
    #[arg(long, conflicts_with = "output")]
    full: bool,
    /// In which form
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Form,
}

impl Logs {
    pub async fn run(self, session: &Session, out: &mut Out) -> Result<Exit, CliError> {
        let cluster = session.cluster().await?;
        let (name, job) = find(&cluster, &self.id).await?;
        let wanted = Wanted {
            follow: self.follow,
            tail: self.tail,
            since: self.since,
        };
        let detail = Detail {
            level: self.level,
            full: self.full,
        };
        let record = Record {
            cluster: &cluster,
            job: &name,
        };
        let mut player = Player::new(&name, self.output, detail, wanted.is_all());
        match player
            .play(record.read(wanted), stream::pending(), out)
            .await?
        {
            Stop::Left => {
                out.say(&format!("{} goes on", short(&name)));
                return Ok(Exit::Left);
            }
            Stop::Complete(..) | Stop::End => {}
        }
        out.flush()?;
        self.tell_missing(&player, job.as_ref(), out)
    }

    /// Nothing shown is told, with its reason; fewer lines than the status counts is an error.
    fn tell_missing(
        &self,
        player: &Player,
        job: Option<&JobView>,
        out: &mut Out,
    ) -> Result<Exit, CliError> {
        let all = self.tail.is_none() && self.since.is_none();
        let sealed = job
            .and_then(JobView::output)
            .filter(|output| output.sealed.is_some());
        if let Some(output) = sealed.filter(|output| all && output.lines != player.seen) {
            return Err(CliError::new(format!(
                "{} lines came, and the Job's status counts {}",
                player.seen, output.lines
            ))
            .next(format!("{{program}} jobs verify {}", self.id)));
        }
        if player.seen == 0 {
            let state = job
                .map(|job| job.in_passing(Utc::now()))
                .unwrap_or_default();
            let asked = if all { "no output yet" } else { "no such line" };
            out.say(&out.words.dotted([asked, state.as_str()]));
        } else if player.shown == 0 {
            out.say(&format!(
                "none of the {} lines is of that level",
                player.seen
            ));
        } else if !self.follow && job.is_some_and(|job| !job.is_final()) {
            out.say(&format!(
                "it goes on; follow it with {} jobs logs -f {}",
                out.program, self.id
            ));
        }
        Ok(Exit::Done)
    }
}

/// The Job's name, and the Job unless it was deleted: its record stays readable by its name.
pub async fn find(cluster: &Cluster, id: &JobId) -> Result<(String, Option<JobView>), CliError> {
    let error = match id::find(cluster, id).await {
        Ok(job) => return Ok((job.name().to_owned(), Some(job))),
        Err(error) => error,
    };
    if let JobId::Named(text) = id
        && let Ok(name) = text.parse::<Name>()
    {
        let record = Record {
            cluster,
            job: name.as_str(),
        };
        if record.info(CALL_TIMEOUT).await.is_ok() {
            return Ok((text.clone(), None));
        }
    }
    Err(error)
}
