//! What runs inside an agent's pod; see `herdctl::runner`.

use std::fmt::Display;
use std::io::{stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use herdctl::api::text::{Clean, LONGEST};
use herdctl::runner::translate::replay;
use herdctl::runner::{exec, install, ship};

/// Runs a coding agent in its pod. People don't start it: the pod of a herdctl Job does.
#[derive(Parser)]
#[command(version)]
struct Runner {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the Claude CLI as the agent's container does, and give a verdict
    Exec(exec::Options),
    /// Own the output spool, as the sidecar does, until the run is over
    Ship(ship::Options),
    /// Copy this program to a path from which other containers start it
    Install {
        /// The path, with the file's name
        destination: PathBuf,
        /// Also makes this folder, which then belongs to the user that this runs as
        #[arg(long, value_name = "PATH")]
        folder: Option<PathBuf>,
        /// Ends only when there is something at this path
        #[arg(long, value_name = "PATH")]
        wait_for: Option<PathBuf>,
    },
    /// Translate a recorded stream of the CLI (stream-json, on standard input) into events
    Translate(replay::Options),
}

fn main() -> ExitCode {
    match Runner::parse().command {
        Command::Exec(options) => ExitCode::from(exec::run(&options).code()),
        Command::Ship(options) => said("ship", ship::run(&options)),
        Command::Install {
            destination,
            folder,
            wait_for,
        } => {
            let installed = folder
                .map_or(Ok(()), |folder| install::make_folder(&folder))
                .and_then(|()| install::install(&destination));
            if let (Ok(()), Some(path)) = (&installed, wait_for) {
                install::wait_for(&path);
            }
            said("install", installed)
        }
        Command::Translate(options) => said(
            "translate",
            replay::run(&options, stdin().lock(), stdout().lock()),
        ),
    }
}

fn said<E: Display>(command: &str, result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let words = Clean::line(&error.to_string(), LONGEST);
            eprintln!("herd-runner {command}: {words}");
            ExitCode::FAILURE
        }
    }
}
