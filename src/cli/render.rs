//! A record as a person reads it: one line for what the agent said or did, in the terminal's time, with
//! nothing in it that a terminal would obey.

use chrono::{DateTime, Utc};
use serde_json::Value;

use self::{
    attempt::Attempt,
    calls::{Calls, gist},
    parts::Parts,
    warning::warning,
};
use super::{
    cells,
    error::CliError,
    event::{Event, Head, Level},
    out::Out,
    style::{Colour, Sign},
    time, view,
};
use crate::api::{event::PROMPT, text::Clean};

mod attempt;
mod calls;
mod last;
pub mod parts;
mod prompt;
mod warning;

/// So many columns are kept free behind a tool call, for what becomes of it.
const ROOM: usize = 24;
/// A gist is no longer, where the width is not known.
const MAX_GIST: usize = 200;
/// Columns of the clock and the blank after it.
const CLOCK: usize = 9;

/// How much is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Detail {
    pub level: Level,
    /// Also what only a debugger of agents wants: thinking, raw lines, results in full.
    pub full: bool,
}

/// Renders lines one after the other.
pub struct Renderer {
    job: String,
    detail: Detail,
    calls: Calls,
    parts: Parts,
    attempt: Attempt,
    /// The message of the last error that was shown.
    last_error: String,
}

/// What a reader of a whole record has in hands when its last line has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    pub lines: u64,
    /// Of all bytes, in hex: the one that the Job's status names.
    pub sha256: String,
}

impl Renderer {
    pub fn new(job: &str, detail: Detail) -> Self {
        Renderer {
            job: job.to_owned(),
            detail,
            calls: Calls::default(),
            parts: Parts::default(),
            attempt: Attempt::default(),
            last_error: String::new(),
        }
    }

    /// Shows a line; `whole` is the record up to here, where it came from its start. True when it was
    /// shown.
    pub fn show(
        &mut self,
        head: &Head,
        line: &[u8],
        whole: Option<&Whole>,
        out: &mut Out,
    ) -> Result<bool, CliError> {
        let Some(text) = self.parts.join(head, line) else {
            return Ok(false);
        };
        // The head of an event in parts stands in the whole.
        let (Some(head), Some(event)) = (Head::of(&text), Event::of(&text)) else {
            return Ok(false);
        };
        let ended = self.attempt.next(&head, &event, out.style);
        let ended = ended.filter(|_| self.detail.level == Level::Info);
        if let Some((at, how)) = &ended {
            self.rule(*at, how, out)?;
        }
        Ok(self.event(&head, &event, whole, out)? || ended.is_some())
    }

    fn event(
        &mut self,
        head: &Head,
        event: &Event,
        whole: Option<&Whole>,
        out: &mut Out,
    ) -> Result<bool, CliError> {
        if head.level() < self.detail.level {
            // What it was about must be known when its result is an error.
            if head.kind == "tool_use" {
                self.calls.open(event, head.timestamp);
            }
            return Ok(false);
        }
        match head.kind.as_ref() {
            "start" => self.start(head, event, out),
            "output" => self.words(head, event, out),
            "tool_use" => self.tool_use(head, event, out),
            "tool_result" => self.tool_result(head, event, out),
            "error" => self.error(head, event, out),
            "complete" => {
                out.line(&last::line(&self.job, event, whole, out.style))?;
                Ok(true)
            }
            _ => self.system(head, event, out),
        }
    }

    /// Attempts after the first are set apart by a rule, and what continues with another Job's session.
    fn start(&self, head: &Head, event: &Event, out: &mut Out) -> Result<bool, CliError> {
        let attempt = event.count("/attempt").unwrap_or(1);
        let spent = event.number("/costBeforeUSD");
        if attempt == 1 && spent.is_none() && !self.detail.full {
            return Ok(false);
        }
        let spent = spent.map(|spent| format!("its session had cost {}", view::cost(spent)));
        let words = [format!("attempt {attempt}"), spent.unwrap_or_default()];
        let words = out.style.dotted(words.iter().map(String::as_str));
        self.rule(head.timestamp, &words, out)?;
        Ok(true)
    }

    fn rule(&self, at: Moment, words: &str, out: &mut Out) -> Result<(), CliError> {
        let rule = out.style.sign(Sign::Rule);
        let text = format!("{rule} {words} {rule}");
        let text = out.style.paint(Colour::Dim, &text);
        out.line(&format!("{} {text}", clock(at, out)))
    }

    fn words(&self, head: &Head, event: &Event, out: &mut Out) -> Result<bool, CliError> {
        let sign = out.style.sign(Sign::Words).to_owned();
        self.paragraph(head, event, &sign, event.text("/content"), None, out)
    }

    fn tool_use(&mut self, head: &Head, event: &Event, out: &mut Out) -> Result<bool, CliError> {
        let room = room(out);
        let tool = Clean::line(event.text("/tool"), MAX_GIST);
        let gist = out.style.fit(
            &gist(event),
            Some(room.saturating_sub(cells::width(&tool) + 2)),
        );
        let tool = out.style.paint(Colour::Bold, &tool);
        let sign = out.style.paint(Colour::Cyan, out.style.sign(Sign::Tool));
        let text = format!(
            "{} {}{sign} {tool}  {gist}",
            clock(head.timestamp, out),
            indent(event)
        );
        let id = self.calls.open(event, head.timestamp);
        out.begin(text.trim_end(), id)?;
        if self.detail.full {
            self.unfold(&event.0["input"].to_string(), out)?;
        }
        Ok(true)
    }

    /// What became of a call: behind the call, where that is still the last line, else with its name.
    fn tool_result(&mut self, head: &Head, event: &Event, out: &mut Out) -> Result<bool, CliError> {
        let call = self.calls.close(event);
        let content = event.content();
        let style = out.style;
        let (mark, size) = if head.is_error {
            let words = style.fit(&content, Some(MAX_GIST));
            let mark = style.paint(Colour::Red, style.sign(Sign::Failed));
            (mark, style.paint(Colour::Red, &words))
        } else {
            let mark = style.paint(Colour::Green, style.sign(Sign::Done));
            (mark, count_lines(&content))
        };
        let took = call
            .as_ref()
            .map(|call| time::span(head.timestamp - call.at));
        let told = format!("{}  {size}", took.unwrap_or_default());
        let goes_on = match &call {
            Some(call) => out.go_on(format!("  {mark} {told}").trim_end(), call.id)?,
            None => false,
        };
        if !goes_on {
            let what = match &call {
                Some(call) => format!("{}  {}", call.tool, call.gist),
                None => Clean::line(event.text("/tool"), MAX_GIST).into(),
            };
            let what = style.fit(what.trim_end(), Some(room(out).min(MAX_GIST / 2)));
            let start = format!("{} {}{mark}", clock(head.timestamp, out), indent(event));
            out.line(format!("{start} {what}  {told}").trim_end())?;
        }
        if self.detail.full {
            self.unfold(&content, out)?;
        }
        Ok(true)
    }

    fn error(&mut self, head: &Head, event: &Event, out: &mut Out) -> Result<bool, CliError> {
        let sign = out.style.paint(Colour::Red, out.style.sign(Sign::Failed));
        // The end of a run quotes the error that led to it, which stands right above.
        let quoted = format!(" (“{}”)", self.last_error);
        let message = event.text("/message").replacen(&quoted, "", 1);
        event.text("/message").clone_into(&mut self.last_error);
        let code = event.text("/code");
        let text = if code.is_empty() {
            message
        } else {
            format!("{code}: {message}")
        };
        self.paragraph(head, event, &sign, &text, Some(Colour::Red), out)
    }

    fn system(&self, head: &Head, event: &Event, out: &mut Out) -> Result<bool, CliError> {
        if head.is_own(PROMPT) {
            return self.prompt(head, event, out);
        }
        let subtype = head.subtype.as_deref().unwrap_or_default();
        if let Some(warning) = warning(subtype, event) {
            let sign = out.style.paint(Colour::Yellow, out.style.sign(Sign::Again));
            return self.paragraph(head, event, &sign, &warning, Some(Colour::Yellow), out);
        }
        if !self.detail.full {
            return Ok(false);
        }
        let text = match subtype {
            "stderr" | "raw" => event.text("/data/text").to_owned(),
            "thinking" => event.thinking(),
            _ => event
                .0
                .get("data")
                .map(Value::to_string)
                .unwrap_or_default(),
        };
        let text = format!("{subtype} {text}");
        let sign = out.style.sign(Sign::Dot).to_owned();
        self.paragraph(head, event, &sign, text.trim_end(), Some(Colour::Dim), out)
    }

    /// What the agent was told.
    fn prompt(&self, head: &Head, event: &Event, out: &mut Out) -> Result<bool, CliError> {
        let text = event.text("/data/text");
        let shown = if self.detail.full {
            text.to_owned()
        } else {
            prompt::head(text)
        };
        let sign = out.style.paint(Colour::Cyan, out.style.sign(Sign::Told));
        self.paragraph(head, event, &sign, &shown, None, out)
    }

    /// A text of several lines, all but the first set in.
    fn paragraph(
        &self,
        head: &Head,
        event: &Event,
        sign: &str,
        text: &str,
        colour: Option<Colour>,
        out: &mut Out,
    ) -> Result<bool, CliError> {
        let clean = Clean::lines(text, usize::MAX);
        let indent = indent(event);
        let mut prefix = format!("{} {indent}{sign} ", clock(head.timestamp, out));
        for line in clean.trim_end().lines() {
            let line = match colour {
                Some(colour) => out.style.paint(colour, line),
                None => line.to_owned(),
            };
            out.line(format!("{prefix}{line}").trim_end())?;
            prefix = format!("{:CLOCK$}{indent}  ", "");
        }
        Ok(!clean.trim_end().is_empty())
    }

    /// All of a text, set in.
    fn unfold(&self, text: &str, out: &mut Out) -> Result<(), CliError> {
        let clean = Clean::lines(text, usize::MAX);
        for line in clean.lines() {
            let line = format!("{:CLOCK$}  {line}", "");
            out.line(&out.style.paint(Colour::Dim, line.trim_end()))?;
        }
        Ok(())
    }
}

/// What a call may take, so that what becomes of it stands on the same line.
fn room(out: &Out) -> usize {
    match out.style.size {
        Some((columns, _)) => columns.saturating_sub(CLOCK + ROOM),
        None => MAX_GIST,
    }
}

fn clock(at: Moment, out: &Out) -> String {
    out.style.paint(Colour::Dim, &time::clock(at))
}

fn count_lines(text: &str) -> String {
    match text.lines().count() {
        0 => String::new(),
        lines => view::lines(lines as u64),
    }
}

/// What a subagent does stands a little to the right.
fn indent(event: &Event) -> &'static str {
    if event.text("/parentToolUseId").is_empty() {
        ""
    } else {
        "  "
    }
}

/// When a call was made.
type Moment = DateTime<Utc>;
