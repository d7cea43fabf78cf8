//! Cuts a stream of bytes into lines. A line is given only when its end has come: what was torn by a cut
//! connection is put together, and half of it is never shown.

use crate::{api::event, cli::error::CliError};

/// Nothing that may stand in a record is longer; beyond, it is no record, and would fill the memory.
const MAX_BYTES: usize = 4 * event::MAX_BYTES;

/// What came of the line that is not whole yet.
#[derive(Debug, Default)]
pub struct Lines {
    held: Vec<u8>,
}

impl Lines {
    /// Takes bytes as they come, and gives each whole line with its line feed. What is left of the bytes
    /// after `give` said stop is dropped.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        mut give: impl FnMut(&[u8]) -> Result<Next, CliError>,
    ) -> Result<Next, CliError> {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            let (line, rest) = bytes.split_at(end + 1);
            bytes = rest;
            let next = if self.held.is_empty() {
                give(line)?
            } else {
                self.held.extend_from_slice(line);
                let whole = std::mem::take(&mut self.held);
                give(&whole)?
            };
            if next == Next::Stop {
                return Ok(next);
            }
        }
        if self.held.len() + bytes.len() > MAX_BYTES {
            return Err(CliError::new(format!(
                "a line of the output is longer than {MAX_BYTES} bytes: this is not a record of herdctl's"
            )));
        }
        self.held.extend_from_slice(bytes);
        Ok(Next::GoOn)
    }
}

/// Whether more is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    GoOn,
    Stop,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_come() {
        let text = b"a\nbc\n\nd\n";
        for size in 1..=text.len() {
            let (mut lines, mut seen) = (Lines::default(), Vec::new());
            for piece in text.chunks(size) {
                let mut give = |line: &[u8]| {
                    seen.push(line.to_vec());
                    Ok(Next::GoOn)
                };
                lines.feed(piece, &mut give).unwrap();
            }
            assert_eq!(seen, [&b"a\n"[..], b"bc\n", b"\n", b"d\n"], "{size}");
        }
    }

    #[test]
    fn half_a_line_is_not_shown() {
        let give = |_: &[u8]| panic!("half a line");
        assert_eq!(Lines::default().feed(b"half", give).unwrap(), Next::GoOn);
    }

    #[test]
    fn what_follows_the_last_line_is_dropped() {
        let mut seen = 0;
        let give = |_: &[u8]| {
            seen += 1;
            Ok(Next::Stop)
        };
        assert_eq!(Lines::default().feed(b"a\nb\n", give).unwrap(), Next::Stop);
        assert_eq!(seen, 1);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; MAX_BYTES / 2];
        let feed = |lines: &mut Lines| lines.feed(&piece, |_| Ok(Next::GoOn));
        assert!(feed(&mut lines).is_ok() && feed(&mut lines).is_ok() && feed(&mut lines).is_err());
    }
}
