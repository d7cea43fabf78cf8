//! What a verdict needs to know of a stream that is not kept: the last result, the last words, the sums.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::cli_line::{Block, CliLine, text};
use super::decode::head;
use super::fields::Fields;
use crate::api::text::Clean;
use crate::api::verdict::{MAX_TEXT_BYTES, ResultLine, Text};
use crate::plan::outcome::turns_of;

/// Bounds of what is remembered.
const MAX_ERROR: usize = 512;
const MAX_STDERR: usize = 1024;
const MAX_OPEN_TOOLS: usize = 1024;
const MAX_ID: usize = 256;
const MAX_USAGE: usize = 16;

/// The tool that the CLI offers when structured output was asked for.
const STRUCTURED_OUTPUT: &str = "StructuredOutput";

/// The sum of a run so far.
#[derive(Debug, Default)]
pub struct Facts {
    pub result: Option<ResultLine>,
    turns: Turns,
    pub cost_usd: Option<f64>,
    pub usage: BTreeMap<Clean, u64>,
    pub session_id: Option<Clean>,
    pub text: Option<Text>,
    /// The end of standard error.
    pub stderr: String,
    wants_structured: bool,
    error_kind: Option<Clean>,
    /// Names of the tools that run, by the JSON of their call's id.
    open_tools: HashMap<String, Clean>,
}

/// Those that result lines counted, and the messages of the model since: a CLI that is stopped counts none.
#[derive(Debug, Default)]
struct Turns {
    told: u64,
    since: u64,
    /// The message that came last, by the JSON of its id: it is repeated for each of its blocks.
    message: Option<String>,
}

impl Facts {
    pub fn turns(&self) -> u64 {
        self.turns.told.saturating_add(self.turns.since)
    }

    pub fn observe(&mut self, line: &CliLine) {
        self.message(line);
        match line.kind.as_deref() {
            Some("assistant") if line.is_api_error() => {
                self.error_kind = line.error_kind.as_deref().map(word);
            }
            Some("system") if line.system_subtype == "init" => self.init(&line.rest),
            Some("result") => self.result(&line.rest),
            _ => {}
        }
        for (_, block) in &line.blocks {
            self.block(line, block);
        }
    }

    pub fn stderr(&mut self, line: &[u8]) {
        self.stderr.push_str(&String::from_utf8_lossy(line));
        self.stderr.push('\n');
        if let Some(excess) = self.stderr.len().checked_sub(MAX_STDERR) {
            self.stderr.drain(..self.stderr.ceil_char_boundary(excess));
        }
    }

    /// The tool that a call without a result runs.
    pub fn open_tool(&self, id: &RawValue) -> Option<&str> {
        self.open_tools.get(id.get()).map(Clean::as_str)
    }

    pub fn open_tools(&self) -> usize {
        self.open_tools.len()
    }

    fn message(&mut self, line: &CliLine) {
        let Some(id) = line.model_message.filter(|id| id.get().len() <= MAX_ID) else {
            return;
        };
        let is_new = self.turns.message.as_deref() != Some(id.get());
        if is_new && line.parent_tool_use_id.is_none() {
            self.turns.since = self.turns.since.saturating_add(1);
            self.turns.message = Some(id.get().to_owned());
        }
    }

    fn block(&mut self, line: &CliLine, block: &Block) {
        match *block {
            Block::Text(words) if line.parent_tool_use_id.is_none() && !line.is_api_error() => {
                self.text = head(words, MAX_TEXT_BYTES);
            }
            Block::Text(_) => {}
            Block::ToolUse { name, id, .. } => {
                if id.get().len() <= MAX_ID && self.open_tools.len() < MAX_OPEN_TOOLS {
                    let name = head(name, MAX_ID).unwrap_or_default().text;
                    self.open_tools.insert(id.get().to_owned(), name);
                }
            }
            Block::ToolResult { id, .. } => {
                self.open_tools.remove(id.get());
            }
        }
    }

    fn init(&mut self, init: &Fields) {
        let tools: Vec<Cow<str>> = init.get("tools").unwrap_or_default();
        self.wants_structured = tools.iter().any(|tool| tool == STRUCTURED_OUTPUT);
        self.session_id = name(init, "session_id").or(self.session_id.take());
    }

    fn result(&mut self, line: &Fields) {
        let subtype = name(line, "subtype").unwrap_or_default();
        let is_error = line.get("is_error").unwrap_or(subtype != "success");
        let answer = line.raw("result");
        let has_output = line
            .raw("structured_output")
            .is_some_and(|output| output.get() != "null");
        if let (false, Some(words)) = (
            is_error,
            answer.and_then(|answer| head(answer, MAX_TEXT_BYTES)),
        ) {
            // A slash command ends with an empty result after it spoke.
            if !words.text.is_empty() {
                self.text = Some(words);
            }
        }
        let turns = turns_of(&subtype, line.get("num_turns").unwrap_or(0));
        self.turns = Turns {
            told: self.turns.told.saturating_add(turns),
            ..Turns::default()
        };
        self.result = Some(ResultLine {
            error: errors(line).or_else(|| {
                answer
                    .filter(|_| is_error)
                    .and_then(|answer| head(answer, MAX_ERROR))
                    .map(|text| text.text)
            }),
            error_kind: name(line, "api_error_type")
                .or(self.error_kind.take())
                .filter(|_| is_error),
            output_missing: self.wants_structured && !is_error && !has_output,
            subtype,
            is_error,
            terminal_reason: name(line, "terminal_reason"),
            stop_reason: name(line, "stop_reason"),
            api_error_status: line.get("api_error_status"),
            denied: line
                .get::<Vec<IgnoredAny>>("permission_denials")
                .map_or(0, |denied| denied.len() as u64),
        });
        self.cost_usd = line.get("total_cost_usd").or(self.cost_usd);
        self.usage = usage(line);
        self.session_id = name(line, "session_id").or(self.session_id.take());
        // The turn is over, and with it every call that was cut short.
        self.open_tools.clear();
    }
}

fn name(fields: &Fields, field: &str) -> Option<Clean> {
    text(fields, field).as_deref().map(word)
}

/// A word of the CLI's, such as a reason.
pub fn word(text: &str) -> Clean {
    Clean::line(text, MAX_ID)
}

fn errors(line: &Fields) -> Option<Clean> {
    let errors: Vec<&RawValue> = line.get("errors")?;
    let texts: Vec<Clean> = errors
        .into_iter()
        .take(8)
        .filter_map(|error| head(error, MAX_ERROR))
        .map(|text| text.text)
        .collect();
    let joined = texts.join("; ");
    (!joined.is_empty()).then(|| Clean::lines(&joined, MAX_ERROR))
}

/// The counts at the top of the API's usage; what is nested in it details them.
fn usage(line: &Fields) -> BTreeMap<Clean, u64> {
    let all: BTreeMap<Cow<str>, &RawValue> = line.get("usage").unwrap_or_default();
    all.into_iter()
        .filter_map(|(name, count)| Some((word(&name), serde_json::from_str(count.get()).ok()?)))
        .take(MAX_USAGE)
        .collect()
}
