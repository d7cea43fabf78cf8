//! PID 1 of the agent's container: starts the CLI, records all that it says, ends it when its time is
//! over, and says at last how it went.
//!
//! `start` comes before the agent's first process, `watch` is the loop while there are any (what it
//! does, `life` decides), the last word comes after them. That order makes the verdict believable:
//! first nobody is left who could still do something, then the streams are read to their ends, then the
//! verdict is written, then we exit, when it has landed in the store.

mod arguments;
mod child;
mod echo;
mod fill;
mod lacks;
mod landing;
mod life;
mod processes;
mod record;
mod session;
mod start;
mod termination;
mod watch;

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use serde_json::json;

use self::child::{Child, Program};
use self::life::Limits;
use self::processes::Reach;
use self::record::{Record, Spool};
use self::session::Begin;
use self::start::Refusal;
use self::termination::Guard;
use self::watch::{Failure, Finish, Watch};
use super::signals::Signals;
use super::translate::{Ended, RunIdentity};
use crate::api::event;
use crate::api::reason::Phase;
use crate::api::run::{BASE_URL, KEYS, RunInputs, path};
use crate::api::runner_exit::RunnerExit;
use crate::api::text::{Clean, LONGEST};
use crate::api::verdict::{StoppedBy, Verdict};
use crate::plan::outcome::{BaseUrl, Key};

/// What the spool may hold of what the store doesn't have yet: what its volume may (see `plan::pod`),
/// less what comes after the agent was paused.
const SPOOL_LIMIT: u64 = 896 * 1024 * 1024;

/// Where things are: in a pod at the paths of [`path`], and elsewhere only in tests, which is why the
/// flags are hidden.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The file with the run's inputs
    #[arg(long, hide = true, default_value_os_t = PathBuf::from(path::INPUTS_DIR).join(path::INPUTS_FILE))]
    inputs: PathBuf,
    /// The socket of `ship`
    #[arg(long, hide = true, default_value = path::SOCKET)]
    socket: PathBuf,
    /// Where the kubelet finds the termination message
    #[arg(long, hide = true, default_value = path::TERMINATION_LOG)]
    termination_log: PathBuf,
    /// The CLI's working directory
    #[arg(long, hide = true, default_value = path::WORKSPACE)]
    workspace: PathBuf,
    /// The CLI: a path, or a name to look for in PATH
    #[arg(long, hide = true, default_value = "claude")]
    program: PathBuf,
    /// The agent's home
    #[arg(long, hide = true, default_value = path::HOME)]
    home: PathBuf,
    /// So many bytes may wait for the store in the spool
    #[arg(long, hide = true, default_value_t = SPOOL_LIMIT)]
    spool_limit: u64,
}

/// Runs the agent to its end.
pub fn run(options: &Options) -> RunnerExit {
    let (run, ties) = match prepare(options) {
        Ok(prepared) => prepared,
        Err(refusal) => {
            return LastWord::Failure(refusal.exit(), refusal.to_string()).say(options);
        }
    };
    match run.into_verdict(options, &ties.signals) {
        Ok(verdict) => {
            let stopped = verdict.stopped_by == StoppedBy::Signal;
            let exit = LastWord::Verdict(Box::new(verdict)).say(options);
            if !stopped {
                ties.wait_for_landing(&options.socket);
            }
            exit
        }
        Err(failure) => LastWord::Failure(failure.exit(), failure.to_string()).say(options),
    }
}

fn prepare(options: &Options) -> Result<(Run, Ties), Refusal> {
    // From here on nobody but root can open our memory or our descriptors, whoever they run as.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(io::Error::from)?;
    let reach = Reach::claim()?;
    let signals = Signals::block(reach == Reach::Namespace)?;
    let inputs = start::inputs(&options.inputs)?;
    let (file, connection) = start::take_spool(&options.socket, &signals)?;
    let ties = Ties {
        connection: Rc::new(connection),
        _spool: file.try_clone()?,
        signals,
    };
    let spool = Spool::new(file, Rc::clone(&ties.connection), options.spool_limit);
    Ok((
        Run {
            inputs,
            spool,
            reach,
            clock: Clock::start(),
        },
        ties,
    ))
}

/// What is held to the last. The end of the connection, or of the spool's lock, tells `ship` that we are gone.
struct Ties {
    connection: Rc<UnixStream>,
    /// A `ship` that comes later finds us by it, and stays.
    _spool: File,
    signals: Signals,
}

impl Ties {
    /// Not for a run that was stopped from outside: its pod is going, and nothing is started there any more.
    fn wait_for_landing(self, socket: &Path) {
        landing::wait_for(&self.connection, socket, &self.signals, || {
            say("the run is over; its output waits for ship, which is being started again");
        });
    }
}

/// A run that has its spool and nothing else yet.
struct Run {
    inputs: RunInputs,
    spool: Spool,
    reach: Reach,
    clock: Clock,
}

impl Run {
    fn into_verdict(self, options: &Options, signals: &Signals) -> Result<Verdict, Failure> {
        let clock = self.clock;
        let begin = Begin::of(&self.inputs, &options.workspace, &options.home);
        let mut record =
            Record::begin(identity(&self.inputs, &begin), self.spool).map_err(Failure::Spool)?;
        if let Some(prompt) = begin.prompt(&self.inputs) {
            let told = json!({ "text": prompt });
            record.note(event::PROMPT, told).map_err(Failure::Spool)?;
        }
        for lack in lacks::of_run(&self.inputs) {
            record.warn(&lack).map_err(Failure::Spool)?;
        }
        let started = start(&self.inputs, &begin, options);
        let finish = match started {
            Ok(child) => {
                let limits = limits(&self.inputs);
                let log = Guard::new(&options.termination_log);
                Watch::new(child, &mut record, limits, clock, signals, self.reach, log)
                    .into_finish()?
            }
            Err((by, why)) => {
                record
                    .stderr(format!("{why}\n").as_bytes())
                    .map_err(Failure::Spool)?;
                Finish { by, exit: None }
            }
        };
        let ended = Ended {
            exit: finish.exit,
            stopped_by: finish.by,
            started_at: clock.started_at,
            ended_at: clock.now(),
        };
        record.finish(ended).map_err(Failure::Spool)
    }
}

/// Starts the CLI; else who is to blame, and why.
fn start(
    inputs: &RunInputs,
    begin: &Begin<'_>,
    options: &Options,
) -> Result<Child, (StoppedBy, String)> {
    if let Begin::Impossible(why) = begin {
        return Err((StoppedBy::NoSession, why.clone()));
    }
    let goes_on = matches!(begin, Begin::GoOn { .. });
    let program = Program {
        name: &options.program,
        arguments: &arguments::of_run(inputs, goes_on),
        workspace: &options.workspace,
        prompt: begin.prompt(inputs).unwrap_or_default(),
    };
    Child::start(&program).map_err(|error| (StoppedBy::Nobody, error.to_string()))
}

fn identity(inputs: &RunInputs, begin: &Begin<'_>) -> RunIdentity {
    RunIdentity {
        job: inputs.job.clone(),
        agent: inputs.agent.clone(),
        attempt: inputs.attempt,
        session_id: Some(inputs.session_id.clone()),
        model: inputs.model.clone(),
        model_of: inputs.model_of,
        // The CLI reads it there too.
        base_url: env::var(BASE_URL)
            .ok()
            .map(|url| BaseUrl::new(&url, inputs.base_url_from.as_deref())),
        key: Key {
            from: inputs.key_from,
            empty: KEYS
                .iter()
                .all(|name| env::var_os(name).is_none_or(|it| it.is_empty())),
        },
        cost_before_usd: match begin {
            Begin::GoOn { cost_usd, .. } => *cost_usd,
            Begin::Anew | Begin::Impossible(_) => None,
        },
    }
}

fn limits(inputs: &RunInputs) -> Limits {
    Limits {
        timeout: inputs.timeout,
        stall: inputs.stall_timeout,
        grace: inputs.cancel_grace,
    }
}

/// The time since the hand-over. Read from the monotonic clock, so that a run has the length that it
/// had, whoever sets the node's clock meanwhile.
#[derive(Clone, Copy, Debug)]
struct Clock {
    started_at: DateTime<Utc>,
    start: Instant,
}

impl Clock {
    fn start() -> Clock {
        Clock {
            started_at: Utc::now(),
            start: Instant::now(),
        }
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn now(&self) -> DateTime<Utc> {
        self.started_at + TimeDelta::from_std(self.elapsed()).unwrap_or(TimeDelta::MAX)
    }
}

/// A log that nobody takes changes nothing about how the run ended.
fn say(sentence: &str) {
    let sentence = Clean::line(sentence, LONGEST);
    let _ = writeln!(io::stderr(), "herd-runner: {sentence}");
}

/// What the termination message tells, and how we exit.
enum LastWord {
    Verdict(Box<Verdict>),
    /// There is no verdict; the sentence is for whoever describes the pod.
    Failure(RunnerExit, String),
}

impl LastWord {
    /// Writes over whatever the agent wrote into the termination log.
    fn say(self, options: &Options) -> RunnerExit {
        let (exit, message) = match self {
            LastWord::Verdict(verdict) => {
                let exit = match verdict.phase {
                    Phase::Completed => RunnerExit::Succeeded,
                    _ => RunnerExit::Unsuccessful,
                };
                (exit, termination::of_verdict(&verdict))
            }
            LastWord::Failure(exit, sentence) => {
                say(&sentence);
                (exit, sentence)
            }
        };
        let Err(error) = termination::write(&options.termination_log, &message) else {
            return exit;
        };
        say(&format!(
            "can't write {}: {error}",
            options.termination_log.display()
        ));
        match exit {
            // These two vouch for the message.
            RunnerExit::Succeeded | RunnerExit::Unsuccessful => RunnerExit::SpoolFailed,
            RunnerExit::SpoolFailed
            | RunnerExit::StartRefused
            | RunnerExit::AgentImmortal
            | RunnerExit::InputsUnreadable => exit,
        }
    }
}
