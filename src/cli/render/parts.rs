//! Joins events that were split because they are long. What such an event is stands only in the whole:
//! the line of a part says its type and place, nothing else.

use std::borrow::Cow;

use serde::Deserialize;

use crate::cli::event::Head;

/// A line of the CLI has at most 16 MiB; with everything else an event is never near this.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The fragments of the event that is coming in.
#[derive(Debug, Default)]
pub struct Parts {
    held: String,
    /// The part that comes next, and the line of the CLI's that it is of.
    expected: Option<(u64, Option<u64>)>,
}

/// A piece of an event's JSON text.
#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow)]
    fragment: Option<Cow<'a, str>>,
}

impl Parts {
    /// The JSON text of this line's event, or of the one whose parts end with it, which has a head of its
    /// own; none while parts are missing. What can't be put together is left out: `jobs logs -o jsonl`
    /// has it.
    pub fn join<'a>(&mut self, head: &Head, line: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let fragment = match head.part {
            Some(_) => serde_json::from_slice::<Piece>(line).ok()?.fragment,
            None => None,
        };
        let (Some(part), Some(fragment)) = (head.part, fragment) else {
            // Parts follow each other: what was begun has no end.
            self.expected = None;
            return Some(Cow::Borrowed(line));
        };
        if part == 1 {
            self.held.clear();
        } else if self.expected != Some((part, head.line)) {
            return None;
        }
        self.held.push_str(&fragment);
        self.expected = (self.held.len() <= MAX_BYTES).then_some((part + 1, head.line));
        if head.parts != Some(part) || self.expected.take().is_none() {
            return None;
        }
        Some(Cow::Owned(std::mem::take(&mut self.held).into_bytes()))
    }

    /// More parts of an event are to come.
    pub fn is_joining(&self) -> bool {
        self.expected.is_some()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn join(parts: &mut Parts, part: u64, fragment: &str) -> Option<String> {
        let line = json!({"type": "output", "timestamp": "2026-01-02T03:04:05.678Z", "seq": part,
            "line": 2, "part": part, "parts": 3, "fragment": fragment});
        let line = line.to_string();
        let head = Head::of(line.as_bytes()).unwrap();
        let event = parts.join(&head, line.as_bytes())?;
        Some(String::from_utf8(event.into_owned()).unwrap())
    }

    #[test]
    fn fragments_become_the_event() {
        let mut parts = Parts::default();
        assert_eq!(join(&mut parts, 1, r#"{"content":"#), None);
        assert_eq!(join(&mut parts, 2, r#""a"#), None);
        assert!(parts.is_joining());
        assert_eq!(
            join(&mut parts, 3, r#"b"}"#).as_deref(),
            Some(r#"{"content":"ab"}"#)
        );
        assert!(!parts.is_joining());
    }

    #[test]
    fn an_event_whose_beginning_is_missing_is_left_out() {
        let mut parts = Parts::default();
        assert_eq!(join(&mut parts, 2, r#"{"content":"#), None);
        assert_eq!(join(&mut parts, 3, "1}"), None);
    }
}
