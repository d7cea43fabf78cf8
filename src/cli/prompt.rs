//! A prompt as people give it: the text, a file, or standard input.

use std::{
    fs,
    io::{self, IsTerminal, Read},
};

use super::{cluster::plugin::Stdin, error::CliError, exit::Exit, out::Out};
use crate::api::agent::MAX_PROMPT_BYTES;

/// The prompt that the argument means. `instead`: what to do that makes sense, where it is empty.
pub fn read(text: &str, instead: &str, out: &mut Out) -> Result<Prompt, CliError> {
    let (bytes, whence, stdin) = match (text, text.strip_prefix('@')) {
        ("-", _) => (
            read_stdin(out)?,
            "from standard input".to_owned(),
            Stdin::Taken,
        ),
        (_, Some(itself)) if itself.starts_with('@') => (
            itself.as_bytes().to_vec(),
            "of --prompt".to_owned(),
            Stdin::Free,
        ),
        (_, Some(path)) => {
            let read = fs::read(path).map_err(|error| {
                CliError::new(format!("can't read the prompt from the file {path:?}"))
                    .because(error)
                    .next("--prompt @FILE reads a file; a prompt that itself begins with @ is written with @@")
                    .exit(Exit::Usage)
            })?;
            (read, format!("in {path}"), Stdin::Free)
        }
        (text, None) => (
            text.as_bytes().to_vec(),
            "of --prompt".to_owned(),
            Stdin::Free,
        ),
    };
    let prompt = String::from_utf8(bytes).map_err(|error| no_text(&whence, error.as_bytes()))?;
    if prompt.trim().is_empty() {
        return Err(CliError::usage(format!("the prompt {whence} is empty")).next(instead));
    }
    if prompt.len() > MAX_PROMPT_BYTES as usize {
        return Err(CliError::usage(format!(
            "the prompt {whence} has {} bytes; at most {MAX_PROMPT_BYTES} are possible",
            prompt.len()
        ))
        .next("shorten it, or let the agent read the rest from a file"));
    }
    warn_of_command(&prompt, "the prompt", out);
    Ok(Prompt {
        text: prompt,
        stdin,
    })
}

/// A prompt, and what is left of standard input after it.
pub struct Prompt {
    pub text: String,
    pub stdin: Stdin,
}

/// Bytes that are no text, with the place of the first.
fn no_text(whence: &str, bytes: &[u8]) -> CliError {
    let good = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let offset = good.len();
    let byte = bytes.get(offset).copied().unwrap_or_default();
    let line = good.matches('\n').count() + 1;
    CliError::usage(format!(
        "the prompt {whence} is not UTF-8: the byte 0x{byte:02x} at offset {offset}, in line {line}"
    ))
    .next("convert it, for example from Latin-1: iconv -f LATIN1 -t UTF-8; or let the agent read the file itself")
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

fn read_stdin(out: &mut Out) -> Result<Vec<u8>, CliError> {
    if io::stdin().is_terminal() {
        out.say("type the prompt; Ctrl-D ends it");
    }
    let mut bytes = Vec::new();
    let mut stdin = io::stdin().lock();
    stdin.read_to_end(&mut bytes).map_err(|error| {
        CliError::usage("can't read the prompt from standard input").because(error)
    })?;
    Ok(bytes)
}
