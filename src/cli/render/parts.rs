//! Joins events that were split because they are long.

use crate::cli::event::{Event, Head};

/// A line of the CLI has at most 16 MiB; with everything else an event is never near this.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The fragments of the event that is coming in.
#[derive(Debug, Default)]
pub struct Parts {
    held: String,
    /// The part that comes next, and the line of the CLI's that it is of.
    expected: Option<(u64, Option<u64>)>,
}

impl Parts {
    /// The event of this line, or of the parts that end with it; none while parts are missing. What can't
    /// be put together is left out: `jobs logs -o jsonl` has it.
    pub fn join(&mut self, head: &Head, line: &[u8]) -> Option<Event> {
        let event: Event = serde_json::from_slice(line).map(Event).ok()?;
        let (Some(part), Some(fragment)) = (head.part, event.0["fragment"].as_str()) else {
            return Some(event);
        };
        if part == 1 {
            self.held.clear();
        } else if self.expected != Some((part, head.line)) {
            return None;
        }
        self.held.push_str(fragment);
        self.expected = (self.held.len() <= MAX_BYTES).then_some((part + 1, head.line));
        if head.parts != Some(part) || self.expected.take().is_none() {
            return None;
        }
        let whole = std::mem::take(&mut self.held);
        serde_json::from_str(&whole).map(Event).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn join(parts: &mut Parts, part: u64, fragment: &str) -> Option<Value> {
        let line = json!({"type": "output", "timestamp": "2026-01-02T03:04:05.678Z", "seq": part,
            "line": 2, "part": part, "parts": 3, "fragment": fragment});
        let line = line.to_string();
        let head = Head::of(line.as_bytes()).unwrap();
        parts.join(&head, line.as_bytes()).map(|event| event.0)
    }

    #[test]
    fn fragments_become_the_event() {
        let mut parts = Parts::default();
        assert_eq!(join(&mut parts, 1, r#"{"content":"#), None);
        assert_eq!(join(&mut parts, 2, r#""a"#), None);
        assert_eq!(
            join(&mut parts, 3, r#"b"}"#),
            Some(json!({"content": "ab"}))
        );
    }

    #[test]
    fn an_event_whose_beginning_is_missing_is_left_out() {
        let mut parts = Parts::default();
        assert_eq!(join(&mut parts, 2, r#"{"content":"#), None);
        assert_eq!(join(&mut parts, 3, "1}"), None);
    }
}
