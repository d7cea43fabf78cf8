//! The command line for people: one file a verb. Flags become types at the edge, `Out` alone prints, and
//! the exit code is one of a closed set that the help tells.

use std::{env, ffi::OsString, path::Path, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use self::{
    cluster::{Cluster, connect::Connection, plugin::Stdin, warnings::Warnings},
    error::CliError,
    exit::Exit,
    out::Out,
    style::ColorChoice,
};

mod ask;
mod cancel;
mod cells;
mod cluster;
mod created;
mod doctor;
mod error;
mod event;
pub mod exit;
mod follow;
mod id;
mod lines;
mod list;
mod logs;
mod make;
mod name;
mod out;
mod pause;
mod play;
mod prompt;
mod record;
mod render;
mod result;
mod resume;
mod run;
mod several;
mod show;
mod slips;
mod stages;
mod style;
mod table;
mod time;
mod verify;
mod view;

/// The file name under which kubectl finds us.
const PLUGIN: &str = "kubectl-herd";

/// Run coding agents on Kubernetes, and see what they did
#[derive(Debug, Parser)]
#[command(name = "herdctl", version, after_help = Exit::help(), arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    connection: Connection,
    /// When to use colour; auto: on a terminal, unless NO_COLOR is set or TERM is dumb
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    /// List, follow, stop, resume and verify Jobs
    #[command(subcommand, visible_alias = "job", arg_required_else_help = true)]
    Jobs(Jobs),
    Doctor(doctor::Doctor),
}

#[derive(Debug, Subcommand)]
enum Jobs {
    #[command(visible_alias = "ls")]
    List(list::List),
    Show(show::Show),
    Logs(logs::Logs),
    Cancel(cancel::Cancel),
    Pause(pause::Pause),
    Resume(resume::Resume),
    Result(result::Answer),
    Verify(verify::Verify),
}

/// What every verb may need.
struct Session {
    connection: Connection,
    warnings: Warnings,
}

impl Session {
    async fn cluster(&self) -> Result<Cluster, CliError> {
        self.connection.open(Stdin::Free, &self.warnings).await
    }

    /// For a verb that has read a prompt already, perhaps from standard input.
    async fn cluster_after(&self, stdin: Stdin) -> Result<Cluster, CliError> {
        self.connection.open(stdin, &self.warnings).await
    }

    /// Only what the configuration says: nobody is asked, and no login is needed.
    fn cluster_unasked(&self) -> Result<Cluster, CliError> {
        self.connection.look(&self.warnings)
    }
}

/// The whole program: arguments in, exit code out.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().collect();
    let program = called_as(arguments.first());
    let arguments = match parse(program, arguments) {
        Ok(arguments) => arguments,
        // clap's own exit: 0 for help and version, 2 for what makes no sense.
        Err(error) => error.exit(),
    };
    let mut out = Out::new(program, arguments.color);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments, &mut out)),
        Err(error) => Err(CliError::new("failed to start").because(error)),
    };
    let done = done.and_then(|exit| out.flush().map(|()| exit));
    let exit = done.unwrap_or_else(|error| {
        out.complain(&error);
        error.exit_code()
    });
    exit.into()
}

async fn run(arguments: Arguments, out: &mut Out) -> Result<Exit, CliError> {
    let session = Session {
        connection: arguments.connection,
        warnings: out.warnings.clone(),
    };
    match arguments.command {
        Command::Run(run) => run.run(&session, out).await,
        Command::Doctor(doctor) => doctor.run(&session, out).await,
        Command::Jobs(Jobs::List(list)) => list.run(&session, out).await,
        Command::Jobs(Jobs::Show(show)) => show.run(&session, out).await,
        Command::Jobs(Jobs::Logs(logs)) => logs.run(&session, out).await,
        Command::Jobs(Jobs::Cancel(cancel)) => cancel.run(&session, out).await,
        Command::Jobs(Jobs::Pause(pause)) => pause.run(&session, out).await,
        Command::Jobs(Jobs::Resume(resume)) => resume.run(&session, out).await,
        Command::Jobs(Jobs::Result(result)) => result.run(&session, out).await,
        Command::Jobs(Jobs::Verify(verify)) => verify.run(&session, out).await,
    }
}

/// `kubectl herd`, when kubectl called us as its plugin.
fn called_as(path: Option<&OsString>) -> &'static str {
    let file = path.map(Path::new).and_then(Path::file_name);
    match file {
        Some(file) if file.to_string_lossy().starts_with(PLUGIN) => "kubectl herd",
        _ => "herdctl",
    }
}

fn parse(program: &'static str, arguments: Vec<OsString>) -> Result<Arguments, clap::Error> {
    let mut command = named(Arguments::command(), program);
    let mut matches = command
        .try_get_matches_from_mut(&arguments)
        .map_err(|error| slips::with_hint(&mut command, error, program, &arguments))?;
    Arguments::from_arg_matches_mut(&mut matches)
}

/// The command under the name by which it was called.
fn named(command: clap::Command, program: &'static str) -> clap::Command {
    in_examples(command.bin_name(program).display_name(program), program)
}

/// The examples of the command and all its verbs, under that name.
fn in_examples(command: clap::Command, program: &'static str) -> clap::Command {
    let help = command.get_after_help().map(ToString::to_string);
    let names: Vec<String> = command
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    let command = match help {
        Some(help) => command.after_help(help.replace("herdctl", program)),
        None => command,
    };
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |verb| in_examples(verb, program))
    })
}
