//! The one object that prints. Data goes to standard output, words to standard error; a reader who closes
//! the pipe has seen enough, and ends the program quietly.

use std::io::{self, BufRead, IsTerminal, Write};

use serde::Serialize;

use self::held::Held;
use super::{
    cluster::warnings::Warnings,
    error::CliError,
    style::{ColorChoice, Colour, Sign, Style},
};
use crate::api::{json, text::Clean};

mod held;

/// Both streams, with what each can show.
pub struct Out {
    stdout: Box<dyn Write>,
    stderr: Box<dyn Write>,
    /// Of standard output.
    pub style: Style,
    /// Of standard error.
    pub words: Style,
    /// By which name this program was called: `herdctl`, or `kubectl herd`.
    pub program: &'static str,
    /// What the API server warns of; printed with the next words, and at the end.
    pub warnings: Warnings,
    open_line: OpenLine,
    /// Where data goes as long as it is not to be printed.
    held: Option<Held>,
}

/// A line that more may be added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OpenLine {
    None,
    /// Counts the lines that were begun, so that only the last can be gone on with.
    Data(u64),
    Words,
}

impl Out {
    pub fn new(program: &'static str, color: ColorChoice) -> Self {
        Out {
            // Not std's line buffer: a record of a million lines is not a million writes.
            stdout: Box::new(io::BufWriter::new(io::stdout())),
            stderr: Box::new(io::stderr()),
            style: Style::of(&io::stdout(), color),
            words: Style::of(&io::stderr(), color),
            program,
            warnings: Warnings::default(),
            open_line: OpenLine::None,
            held: None,
        }
    }

    /// Where data goes.
    fn data(&mut self) -> &mut dyn Write {
        match &mut self.held {
            Some(held) => held,
            None => &mut self.stdout,
        }
    }

    /// From now on data is held back, of which only the last lines will be printed.
    pub fn hold(&mut self, lines: u64) {
        self.held = Some(Held::new(lines));
    }

    /// How many lines would have been printed since [`Out::hold`].
    pub fn held_lines(&self) -> u64 {
        self.held.as_ref().map_or(0, Held::count)
    }

    /// Prints the last lines of what was held back; what comes from now on is printed at once.
    pub fn release(&mut self) -> Result<(), CliError> {
        let held = self.held.take().map(Held::into_bytes).unwrap_or_default();
        self.stdout.write_all(&held).map_err(CliError::output)
    }

    /// Forgets what was held back.
    pub fn forget(&mut self) {
        if self.held.take().is_some() && matches!(self.open_line, OpenLine::Data(_)) {
            self.open_line = OpenLine::None;
        }
    }

    /// A line of data.
    pub fn line(&mut self, text: &str) -> Result<(), CliError> {
        self.close_line()?;
        writeln!(self.data(), "{text}").map_err(CliError::output)
    }

    /// Data as it is.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.close_line()?;
        self.data().write_all(bytes).map_err(CliError::output)
    }

    /// A line of data whose end comes later, if nothing comes between; see [`Out::go_on`].
    pub fn begin(&mut self, text: &str, id: u64) -> Result<(), CliError> {
        self.close_line()?;
        self.open_line = OpenLine::Data(id);
        write!(self.data(), "{text}").map_err(CliError::output)
    }

    /// Ends the line that was begun under this id. False when something else has been printed since.
    pub fn go_on(&mut self, text: &str, id: u64) -> Result<bool, CliError> {
        if self.open_line != OpenLine::Data(id) {
            return Ok(false);
        }
        self.open_line = OpenLine::None;
        writeln!(self.data(), "{text}").map_err(CliError::output)?;
        Ok(true)
    }

    /// What was printed until now is to be seen now.
    pub fn flush(&mut self) -> Result<(), CliError> {
        self.stdout.flush().map_err(CliError::output)?;
        for warning in self.warnings.take() {
            self.warn(warning.as_str());
        }
        Ok(())
    }

    /// A line for the person, not for the next program. That it can't be written is no reason to stop.
    pub fn say(&mut self, text: &str) {
        let _ = self.close_line().and_then(|()| self.flush());
        let _ = writeln!(self.stderr, "{text}");
    }

    /// Adds to a line of words: `a · b · c`, while a terminal looks on; elsewhere each is a line.
    pub fn say_more(&mut self, text: &str) {
        if !self.words.terminal {
            return self.say(text);
        }
        let joint = match self.open_line {
            OpenLine::Words => format!(" {} ", self.words.sign(Sign::Dot)),
            OpenLine::Data(_) | OpenLine::None => String::new(),
        };
        if joint.is_empty() {
            let _ = self.close_line().and_then(|()| self.flush());
        }
        let _ = write!(self.stderr, "{joint}{text}");
        let _ = self.stderr.flush();
        self.open_line = OpenLine::Words;
    }

    /// Adds to the last word, if it still stands there at the end of a terminal's line.
    pub fn say_end(&mut self, text: &str) {
        if self.open_line == OpenLine::Words {
            let _ = write!(self.stderr, " {text}");
            let _ = self.stderr.flush();
        }
    }

    /// Something that the person should know and that stops nothing.
    pub fn warn(&mut self, text: &str) {
        let line = format!("{} {text}", self.words.sign(Sign::Warning));
        self.say(&self.words.paint(Colour::Yellow, &line));
    }

    /// What went wrong.
    pub fn complain(&mut self, error: &CliError) {
        let CliError::Told(complaint) = error else {
            return;
        };
        let label = self.words.paint(Colour::Red, "error:");
        // A name or a path in it is somebody's word too. What failed may list candidates, one a line.
        let clean = |words: &str| Clean::line(words, usize::MAX);
        let what = Clean::lines(&complaint.what, usize::MAX);
        self.say(&format!("{label} {what}"));
        for cause in &complaint.because {
            self.say(&format!("  because: {}", clean(cause)));
        }
        for step in &complaint.next {
            let step = step.replace("{program}", self.program);
            self.say(&format!("  next: {}", clean(&step)));
        }
    }

    /// Somebody sits there who reads a question and can answer.
    pub fn can_ask(&self) -> bool {
        self.words.terminal && io::stdin().is_terminal()
    }

    /// Asks for a yes. Only where somebody sits at a terminal.
    pub fn confirm(&mut self, question: &str) -> Result<bool, CliError> {
        self.flush()?;
        let _ = write!(self.stderr, "{question} [y/N] ");
        let _ = self.stderr.flush();
        let mut answer = String::new();
        io::stdin()
            .lock()
            .read_line(&mut answer)
            .map_err(CliError::output)?;
        Ok(matches!(
            answer.trim().to_ascii_lowercase().as_str(),
            "y" | "yes"
        ))
    }

    /// An object as JSON, for people and programs.
    pub fn json(&mut self, object: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(object).map_err(CliError::unprintable)?;
        self.line(&json::plain(&text))
    }

    /// An object as JSON on one line, for streams of them.
    pub fn json_line(&mut self, object: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string(object).map_err(CliError::unprintable)?;
        self.line(&json::plain(&text))
    }

    pub fn yaml(&mut self, object: &impl Serialize) -> Result<(), CliError> {
        let text = serde_saphyr::to_string(object).map_err(CliError::unprintable)?;
        self.bytes(text.as_bytes())
    }

    fn close_line(&mut self) -> Result<(), CliError> {
        match std::mem::replace(&mut self.open_line, OpenLine::None) {
            OpenLine::None => Ok(()),
            OpenLine::Data(_) => writeln!(self.data()).map_err(CliError::output),
            OpenLine::Words => {
                let _ = writeln!(self.stderr);
                Ok(())
            }
        }
    }
}
