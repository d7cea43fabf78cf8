//! Lines as they are, of at least a level. An event that is long is several lines: it is taken whole or
//! left whole, by what the whole of it says.

use std::borrow::Cow;

use crate::cli::{
    error::CliError,
    event::{Head, Level},
    out::Out,
    render::parts::Parts,
};

/// Picks lines.
pub struct Sift {
    level: Level,
    parts: Parts,
    /// The lines of the event that is coming in.
    held: Vec<u8>,
}

impl Sift {
    pub fn new(level: Level) -> Self {
        Sift {
            level,
            parts: Parts::default(),
            held: Vec::new(),
        }
    }

    /// Passes a line on, or keeps it until its event is whole. True when something went out.
    pub fn pass(
        &mut self,
        head: Option<&Head>,
        line: &[u8],
        out: &mut Out,
    ) -> Result<bool, CliError> {
        let Some(head) = head.filter(|_| self.level > Level::Info) else {
            out.bytes(line)?;
            return Ok(true);
        };
        let event = self.parts.join(head, line);
        if matches!(event, Some(Cow::Borrowed(_))) || head.part == Some(1) {
            self.held.clear();
        }
        self.held.extend_from_slice(line);
        let Some(event) = event else {
            if !self.parts.is_joining() {
                self.held.clear();
            }
            return Ok(false);
        };
        let wanted = Head::of(&event).is_none_or(|head| head.level() >= self.level);
        if wanted {
            out.bytes(&self.held)?;
        }
        self.held.clear();
        Ok(wanted)
    }
}
