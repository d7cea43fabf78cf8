//! What a person reads when something did not work: what failed, why, and what to do next.

use std::{fmt, io};

use super::exit::Exit;
use crate::api::text::Clean;

/// Why a verb ends early.
#[derive(Clone, Debug)]
pub enum CliError {
    /// The reader of our output has seen enough: `herdctl jobs logs X | head`.
    Closed,
    Told(Box<Complaint>),
}

/// An error in words.
#[derive(Clone, Debug)]
pub struct Complaint {
    pub exit: Exit,
    /// What failed, in a sentence without its full stop.
    pub what: String,
    /// What the other side or a library said.
    pub because: Vec<String>,
    /// What the person may do; `{program}` stands for the name of this program.
    pub next: Vec<String>,
}

impl CliError {
    pub fn new(what: impl Into<String>) -> Self {
        CliError::Told(Box::new(Complaint {
            exit: Exit::Error,
            what: what.into(),
            because: Vec::new(),
            next: Vec::new(),
        }))
    }

    /// Arguments that make no sense together, found after clap was satisfied.
    pub fn usage(what: impl Into<String>) -> Self {
        CliError::new(what).exit(Exit::Usage)
    }

    /// Output that could not be written. A closed pipe is no error.
    pub fn output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return CliError::Closed;
        }
        CliError::new("failed to write the output").because(error)
    }

    /// An object that has no text form.
    pub fn unprintable(error: impl fmt::Display) -> Self {
        CliError::new("failed to print what the API server answered").because(error)
    }

    /// Adds whose words it was. They are a stranger's, and become one clean line.
    #[must_use]
    pub fn because(mut self, words: impl fmt::Display) -> Self {
        /// More is a proxy's HTML page, which does not help.
        const MAX_WORDS: usize = 1024;
        if let CliError::Told(complaint) = &mut self {
            let words = Clean::line(&words.to_string(), MAX_WORDS);
            if !words.is_empty() {
                complaint.because.push(words.into());
            }
        }
        self
    }

    /// The same as the cause of something that asks for other steps.
    #[must_use]
    pub fn leads_to(self, what: impl Into<String>) -> Self {
        match self {
            CliError::Closed => self,
            CliError::Told(mut complaint) => {
                let cause = std::mem::replace(&mut complaint.what, what.into());
                complaint.because.insert(0, cause);
                complaint.next.clear();
                CliError::Told(complaint)
            }
        }
    }

    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Self {
        if let CliError::Told(complaint) = &mut self {
            complaint.next.push(step.into());
        }
        self
    }

    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        if let CliError::Told(complaint) = &mut self {
            complaint.exit = exit;
        }
        self
    }

    pub fn exit_code(&self) -> Exit {
        match self {
            CliError::Closed => Exit::Done,
            CliError::Told(complaint) => complaint.exit,
        }
    }
}
