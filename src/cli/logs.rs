//! `herdctl jobs logs`: what an agent did, during the run and after.

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};

use super::{
    Session,
    cluster::Cluster,
    error::CliError,
    event::Level,
    exit::Exit,
    id::{self, JobId},
    name::Name,
    out::Out,
    play::{Form, Last, Player, Stop},
    record::{Record, STORE_PATIENCE, Wanted},
    render::{Detail, Whole},
    stages, time,
    view::{self, JobView, short},
};
use crate::api::record::Output;

/// Show what an agent did, during the run and after
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  herdctl jobs logs @last -f
  herdctl jobs logs 7f3c --level error
  herdctl jobs logs 7f3c -o jsonl | jq -r 'select(.type == \"output\").content'

--follow may start while the Job is pending. It waits for parts of the cluster that are away, continues
where it was, and ends with the Job's last line. Ctrl-C leaves the Job running.

The exit code tells whether the output could be read, not how the Job ended: also with --follow it is 0 for a
Job that failed, and 130 after Ctrl-C. jobs show tells the outcome, and so do the exit codes of run and
jobs resume with --follow.")]
pub struct Logs {
    /// The Job: its name, any prefix of its UUID, @last or @last:AGENT
    id: JobId,
    /// Continue until the Job has ended
    #[arg(short, long)]
    follow: bool,
    /// Minimum severity to show
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    level: Level,
    /// Show only lines since then: 24h, 2024-01-15, 2024-01-15T10:30 (your own time), or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = time::since)]
    since: Option<DateTime<Utc>>,
    /// Show only the last N lines of what would be shown
    #[arg(long, value_name = "N", value_parser = line_count, allow_negative_numbers = true)]
    tail: Option<u64>,
    /// Show everything: also thinking, standard error, and results of tools in full
    #[arg(long)]
    full: bool,
    /// How to print them
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Form,
}

impl Logs {
    pub async fn run(self, session: &Session, out: &mut Out) -> Result<Exit, CliError> {
        let cluster = session.cluster().await?;
        let (name, job) = find(&cluster, &self.id).await?;
        let record = Record {
            cluster: &cluster,
            job: &name,
        };
        let mut tail = self.first_lines();
        loop {
            let mut player = self.player(&name, tail.is_some());
            let troubles = match &job {
                Some(_) if self.follow => stages::troubles(&cluster, &name).left_stream(),
                _ => stream::pending().right_stream(),
            };
            let wanted = Wanted {
                follow: self.follow,
                tail,
                since: self.since,
            };
            match player.play(record.read(wanted), troubles, out).await? {
                Stop::TooFew => {
                    tail = tail.and_then(more_lines);
                    continue;
                }
                Stop::Left => {
                    out.say(&format!("{} continues", short(&name)));
                    return Ok(Exit::Left);
                }
                Stop::Complete(..) | Stop::End => {}
            }
            out.flush()?;
            return self.tell_missing(&player, job.as_ref(), out);
        }
    }

    fn player(&self, name: &str, more_before: bool) -> Player {
        let detail = Detail {
            level: self.level,
            full: self.full,
        };
        let whole = self.tail.is_none() && self.since.is_none();
        let player = Player::new(name, self.output, detail, whole);
        match self.tail {
            Some(lines) if !self.shows_every_line() && lines > 0 => {
                player.only(Last { lines, more_before })
            }
            _ => player,
        }
    }

    /// So many lines of the record are asked for first, to show the last few.
    fn first_lines(&self) -> Option<u64> {
        match self.tail {
            Some(lines) if self.shows_every_line() || lines == 0 => Some(lines),
            // All since then, since it can't be known how many lines that is.
            Some(_) if self.since.is_some() => None,
            Some(lines) => more_lines(lines),
            None => None,
        }
    }

    /// A line of the record is a line on the screen.
    fn shows_every_line(&self) -> bool {
        self.output == Form::Jsonl && self.level == Level::Info
    }

    /// Nothing shown is told, with its reason; other lines than the status vouches for are an error.
    fn tell_missing(
        &self,
        player: &Player,
        job: Option<&JobView>,
        out: &mut Out,
    ) -> Result<Exit, CliError> {
        let whole = player.whole();
        let sealed = job
            .and_then(JobView::output)
            .filter(|output| output.sealed.is_some());
        if let Some(what) = sealed.zip(whole.as_ref()).and_then(difference) {
            return Err(CliError::new(what).next(format!("{{program}} jobs verify {}", self.id)));
        }
        if player.seen == 0 {
            let state = job
                .map(|job| job.in_passing(Utc::now()))
                .unwrap_or_default();
            let asked = match whole {
                Some(_) => "no output yet",
                None => "no such line",
            };
            out.say(&out.words.dotted([asked, state.as_str()]));
        } else if player.shown == 0 && self.level > Level::Info {
            out.say(&format!(
                "none of the {} is of that level",
                view::lines(player.seen)
            ));
        } else if player.shown == 0 {
            let hint = if self.full { "" } else { "; --full shows all" };
            out.say(&format!(
                "nothing for people in {}{hint}",
                view::lines(player.seen)
            ));
        }
        if let Some(job) = job.filter(|job| !job.is_final() && !self.follow) {
            let (program, id) = (out.program, &self.id);
            out.say(&if job.is_suspended() && job.is_to_pause() {
                format!("it is suspended; continue it with {program} jobs resume {id}")
            } else {
                format!("it has not ended; follow it with {program} jobs logs -f {id}")
            });
        }
        Ok(Exit::Done)
    }
}

/// The lines of the record to ask for, where so many were not enough; none means all of them.
fn more_lines(lines: u64) -> Option<u64> {
    /// Beyond, counting backwards is no faster than reading from the start.
    const MANY: u64 = 100_000;
    /// The beginning and the end of a run have lines that are not for people.
    const HIDDEN: u64 = 50;
    let more = lines.saturating_mul(8).saturating_add(HIDDEN);
    (more <= MANY).then_some(more)
}

fn line_count(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "expected a number of lines, for example 20".to_owned())
}

/// What the lines that came have other than the status says.
fn difference((status, came): (Output, &Whole)) -> Option<String> {
    if status.lines != came.lines {
        return Some(format!(
            "{} came, and the Job's status counts {}",
            view::lines(came.lines),
            status.lines
        ));
    }
    let sha256 = status.sha256.filter(|sha256| *sha256 != came.sha256)?;
    Some(format!(
        "the digest of what came is {}, and the Job's status says {}",
        view::digest(&came.sha256),
        view::digest(&sha256)
    ))
}

/// The Job's name, and the Job unless it was deleted: its record stays readable by its name, also where
/// that is the beginning of another's.
pub async fn find(cluster: &Cluster, id: &JobId) -> Result<(String, Option<JobView>), CliError> {
    let JobId::Named(text) = id else {
        return id::find(cluster, id).await.map(with_name);
    };
    let Ok(name) = text.parse::<Name>() else {
        return id::beginning(cluster, text).await.map(with_name);
    };
    let error = match cluster.job(name.as_str()).await {
        Ok(Some(job)) => return Ok(with_name(job)),
        Ok(None) => None,
        Err(error) => Some(error),
    };
    let record = Record {
        cluster,
        job: name.as_str(),
    };
    if record.info(STORE_PATIENCE).await.is_ok() {
        return Ok((name.to_string(), None));
    }
    match error {
        Some(error) => Err(error),
        None => id::beginning(cluster, text).await.map(with_name),
    }
}

fn with_name(job: JobView) -> (String, Option<JobView>) {
    (job.name().to_owned(), Some(job))
}
