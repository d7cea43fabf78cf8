//! Stays with a Job until it has ended: its output as it comes, what happens between on standard error, and
//! the exit code that its outcome has.

use super::{
    cluster::Cluster,
    error::CliError,
    exit::Exit,
    out::Out,
    play::{Form, Player, Stop},
    record::{Reader, Record, Wanted},
    render::Detail,
    stages,
    view::{JobView, short},
};

/// Where in the Job's output it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    TheStart,
    /// After so many bytes.
    Byte(u64),
    /// With the next line.
    Now,
}

impl From {
    fn read(self, record: Record<'_>) -> Reader<'_> {
        let wanted = Wanted {
            follow: true,
            ..Wanted::default()
        };
        match self {
            From::TheStart => record.read(wanted),
            From::Byte(place) => record.read(wanted).at(place),
            From::Now => record.read(Wanted {
                tail: Some(0),
                ..wanted
            }),
        }
    }
}

/// Plays the Job's output to its last line.
pub async fn follow(
    cluster: &Cluster,
    job: &JobView,
    from: From,
    out: &mut Out,
) -> Result<Exit, CliError> {
    let name = job.name();
    let (program, id) = (out.program, short(name));
    let hints = [
        name.to_owned(),
        "Ctrl-C leaves it running".to_owned(),
        format!("stop: {program} jobs cancel {id}"),
    ];
    out.say(&out.words.dotted(hints.iter().map(String::as_str)));
    let reader = from.read(Record { cluster, job: name });
    let whole = from == From::TheStart;
    let mut player = Player::new(name, Form::Text, Detail::default(), whole);
    let stages = stages::stages(cluster, name);
    match player.play(reader, stages, out).await? {
        Stop::Complete(phase, exit_reason) => {
            out.say(&format!("read again: {program} jobs logs {id}"));
            Ok(Exit::of_job(phase, exit_reason))
        }
        Stop::Left => {
            let goes_on = format!("{id} continues");
            out.say(&out.words.dotted([goes_on.as_str(), &steps(out, id)]));
            Ok(Exit::Left)
        }
        Stop::End | Stop::TooFew => ended_without_a_line(cluster, name).await,
    }
}

/// What one may do with a Job that continues.
pub fn say_steps(name: &str, out: &mut Out) {
    let steps = steps(out, short(name));
    out.say(&steps);
}

fn steps(out: &Out, id: &str) -> String {
    let program = out.program;
    let steps = [
        format!("follow: {program} jobs logs -f {id}"),
        format!("stop: {program} jobs cancel {id}"),
    ];
    out.words.dotted(steps.iter().map(String::as_str))
}

/// The record has ended, and its last line was not among what came: the status knows how.
async fn ended_without_a_line(cluster: &Cluster, name: &str) -> Result<Exit, CliError> {
    let job = cluster.job(name).await?;
    job.and_then(|job| job.exit()).ok_or_else(|| {
        CliError::new(format!("the output of {name} ended without its last line"))
            .next(format!("{{program}} jobs show {}", short(name)))
    })
}
