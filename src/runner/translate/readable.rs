//! What a person sees who looks at the pod's log: the agent's words, a line for each tool call, errors.
//! It is a comfort and no record; so it is cut short rather than held.

use super::cli_line::{Block, CliLine};
use super::decode::head;
use crate::api::text::{Clean, cut};

/// How much of one text is shown.
const MAX_TEXT: usize = 16 * 1024;

/// How much of a tool call's input is shown.
const MAX_INPUT: usize = 200;

/// Text that nobody took away yet is bounded by this.
const MAX_HELD: usize = 64 * 1024;

/// Collects readable text.
#[derive(Debug, Default)]
pub struct Readable {
    held: Clean,
    dropped: bool,
}

impl Readable {
    /// Adds what a block of the CLI's says to people.
    pub fn show(&mut self, line: &CliLine, block: &Block) {
        match *block {
            Block::Text(words) => {
                let words = head(words, MAX_TEXT).unwrap_or_default().text;
                self.add(if line.is_api_error() { "error: " } else { "" }, &words);
            }
            Block::ToolUse { name, input, .. } => {
                let name = head(name, MAX_INPUT).unwrap_or_default().text;
                let input = Clean::line(cut(input.get(), 2 * MAX_INPUT), MAX_INPUT);
                self.add("", &format!("[{name}] {input}"));
            }
            Block::ToolResult { .. } => {}
        }
    }

    /// Adds a paragraph.
    pub fn add(&mut self, label: &'static str, words: &str) {
        if self.held.len() + label.len() + words.len() > MAX_HELD {
            self.dropped = true;
            return;
        }
        self.held.push(&label.into());
        self.held.push(&Clean::lines(words, MAX_HELD));
        if !self.held.ends_with('\n') {
            self.held.push(&"\n".into());
        }
    }

    /// Takes what was added since the last time.
    pub fn take(&mut self) -> Clean {
        if std::mem::take(&mut self.dropped) {
            self.held.push(&"… more than can be shown here\n".into());
        }
        std::mem::take(&mut self.held)
    }
}
