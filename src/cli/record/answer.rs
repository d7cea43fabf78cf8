//! What may stand between a reader and the record, told apart: the API server, the gateway behind it, the
//! store behind that. Each is a different person's to repair, and none of them stops the Job.

use std::{fmt, time::Duration};

use kube::core::Status;

use super::Record;
use crate::{
    api::text::Clean,
    cli::{
        cluster::explain::{explain, no_namespace, refused},
        error::CliError,
        view::short,
    },
};

/// Who answers on the way to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    ApiServer,
    Gateway,
    Store,
}

/// Why there are no bytes.
#[derive(Debug)]
pub enum OutputError {
    /// It passes, most likely.
    Away { part: Part, why: String },
    /// The store knows no record of this Job.
    NoRecord,
    /// It will be refused again.
    Refused(Box<CliError>),
}

impl OutputError {
    /// The connection failed.
    pub fn of(record: Record, error: &kube::Error) -> Self {
        match error {
            kube::Error::Auth(_) => {
                OutputError::Refused(Box::new(explain(&record.request(), error)))
            }
            error => OutputError::Away {
                part: Part::ApiServer,
                why: crate::cli::cluster::explain::deepest(error),
            },
        }
    }

    /// No answer within this time. Who of the three keeps silent can't be known; the API server proved to
    /// be there when the Job was looked up.
    pub fn silent(patience: Duration) -> Self {
        OutputError::Away {
            part: Part::Store,
            why: format!("no answer within {} s", patience.as_secs()),
        }
    }

    /// An answer that ended too early.
    pub fn cut() -> Self {
        OutputError::Away {
            part: Part::Gateway,
            why: "its answer ended before the record did".into(),
        }
    }

    /// An answer that no gateway of ours gives.
    pub fn strange(error: impl fmt::Display) -> Self {
        OutputError::Refused(Box::new(
            CliError::new("the output API answered something that is not a record").because(error),
        ))
    }

    /// An answer other than 200. The API server's own words and the gateway's are `Status` objects, of
    /// which only the gateway's name a joboutput; its proxy speaks plain text.
    pub fn refused(record: Record, code: u16, status: Option<Status>, words: &str) -> Self {
        let details = status.as_ref().and_then(|status| status.details.as_ref());
        let gateway = details.is_some_and(|details| details.kind == "joboutputs");
        let why = status.as_ref().map_or(words, |status| &status.message);
        let why = String::from(Clean::line(why, 512));
        match code {
            404 if gateway => OutputError::NoRecord,
            404 if details.is_some_and(|details| details.kind == "namespaces") => {
                OutputError::Refused(Box::new(no_namespace(&record.cluster.namespace)))
            }
            404 => OutputError::Refused(Box::new(no_output_api(record))),
            429 => OutputError::Away {
                part: Part::ApiServer,
                why,
            },
            500.. => {
                let part = match (gateway, status.is_some()) {
                    (true, _) => Part::Store,
                    (false, true) => Part::ApiServer,
                    (false, false) => Part::Gateway,
                };
                OutputError::Away { part, why }
            }
            _ => {
                let status = status.unwrap_or_else(|| Status::failure(&why, "").with_code(code));
                OutputError::Refused(Box::new(refused(&record.request(), &status)))
            }
        }
    }

    /// Who does not answer.
    pub fn who(&self) -> String {
        match self {
            OutputError::Away { part, why } => format!("{part} does not answer ({why})"),
            OutputError::NoRecord => "the output store knows no record of it".into(),
            OutputError::Refused(error) => match error.as_ref() {
                CliError::Told(complaint) => complaint.what.clone(),
                CliError::Closed => String::new(),
            },
        }
    }

    /// The same as the last word.
    pub fn tell(self, record: Record) -> CliError {
        let job = record.job;
        let id = short(job);
        match self {
            OutputError::Away { part, why } => {
                CliError::new(format!("can't read the output of {job}: {part} does not answer"))
                    .because(why)
                    .next(format!("the Job continues, and its output is kept; try again, or wait: {{program}} jobs logs -f {id}"))
            }
            OutputError::NoRecord => CliError::new(format!("there is no output of {job}"))
                .because("the output store knows no record of it")
                .next(format!("see why: {{program}} jobs show {id}")),
            OutputError::Refused(error) => *error,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::ApiServer => "the API server",
            Part::Gateway => "the output gateway",
            Part::Store => "the output store",
        })
    }
}

fn no_output_api(record: Record) -> CliError {
    CliError::new(format!(
        "the cluster at {} has no output API",
        record.cluster.server
    ))
    .because("output-v1.herdctl.dev is not served")
    .next("the Job continues; see what is installed: kubectl get apiservice output-v1.herdctl.dev")
}
