//! A prompt as people give it: the text, a file, or standard input.

use std::{
    fs,
    io::{self, IsTerminal, Read},
};

use super::{error::CliError, exit::Exit, out::Out};
use crate::api::agent::MAX_PROMPT_BYTES;

/// The prompt that the argument means. `without`: what happens where --prompt is left out.
pub fn read(text: &str, without: &str, out: &mut Out) -> Result<String, CliError> {
    let (prompt, whence) = match (text, text.strip_prefix('@')) {
        ("-", _) => (read_stdin(out)?, "from standard input".to_owned()),
        (_, Some(itself)) if itself.starts_with('@') => {
            (itself.to_owned(), "of --prompt".to_owned())
        }
        (_, Some(path)) => {
            let read = fs::read_to_string(path).map_err(|error| {
                CliError::new(format!("can't read the prompt from the file {path:?}"))
                    .because(error)
                    .next("--prompt @FILE reads a file; a prompt that itself begins with @ is written with @@")
                    .exit(Exit::Usage)
            })?;
            (read, format!("in {path}"))
        }
        (text, None) => (text.to_owned(), "of --prompt".to_owned()),
    };
    if prompt.trim().is_empty() {
        return Err(CliError::usage(format!("the prompt {whence} is empty"))
            .next(format!("leave --prompt out {without}")));
    }
    if prompt.len() > MAX_PROMPT_BYTES as usize {
        return Err(CliError::usage(format!(
            "the prompt {whence} has {} bytes; at most {MAX_PROMPT_BYTES} are possible",
            prompt.len()
        ))
        .next("shorten it, or let the agent read the rest from a file"));
    }
    warn_of_command(&prompt, "the prompt", out);
    Ok(prompt)
}

/// Claude Code takes a prompt that begins with a slash for one of its own commands, if it has one of that
/// name: `/clear` or `/cost` then ends as a success that no model was asked for.
pub fn warn_of_command(prompt: &str, what: &str, out: &mut Out) {
    if prompt.starts_with('/') {
        out.warn(&format!(
            "{what} begins with /: Claude Code may run it as a command of its own instead of asking the \
             model; to send it as text, put a space before the /"
        ));
    }
}

fn read_stdin(out: &mut Out) -> Result<String, CliError> {
    let unreadable = || CliError::usage("can't read the prompt from standard input");
    if io::stdin().is_terminal() {
        out.say("type the prompt; Ctrl-D ends it");
    }
    let mut bytes = Vec::new();
    let mut stdin = io::stdin().lock();
    stdin
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable().because(error))?;
    String::from_utf8(bytes).map_err(|error| unreadable().because(error))
}
