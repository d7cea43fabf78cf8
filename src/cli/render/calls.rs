//! Tool calls that wait for their result, so that the two become one line.

use std::collections::VecDeque;

use serde_json::Value;

use super::{MAX_GIST, Moment};
use crate::{api::text::Clean, cli::event::Event};

/// More open calls than any agent has; a stranger's stream must not fill the memory.
const MAX_OPEN: usize = 1_000;

/// Fields of a call's input that say best what it is about, the best first.
const TELLING: [&str; 10] = [
    "command",
    "file_path",
    "notebook_path",
    "path",
    "pattern",
    "query",
    "url",
    "description",
    "prompt",
    "subject",
];

/// A call without a result.
#[derive(Debug)]
pub struct Call {
    /// Counts calls; the line on which it stands is known by it.
    pub id: u64,
    pub tool: Clean,
    pub gist: Clean,
    pub at: Moment,
    tool_use: String,
}

/// The open calls, the oldest first.
#[derive(Debug, Default)]
pub struct Calls {
    open: VecDeque<Call>,
    count: u64,
}

impl Calls {
    /// Remembers a call, and gives its number.
    pub fn open(&mut self, event: &Event, at: Moment) -> u64 {
        if self.open.len() == MAX_OPEN {
            self.open.pop_front();
        }
        self.count += 1;
        self.open.push_back(Call {
            id: self.count,
            tool: Clean::line(event.text("/tool"), MAX_GIST),
            gist: Clean::line(&gist(event), MAX_GIST),
            at,
            tool_use: event.text("/toolUseId").to_owned(),
        });
        self.count
    }

    /// The call that this is the result of.
    pub fn close(&mut self, result: &Event) -> Option<Call> {
        let id = result.text("/toolUseId");
        let at = self.open.iter().position(|call| call.tool_use == id)?;
        self.open.remove(at)
    }
}

/// What a call is about, in a line.
pub fn gist(event: &Event) -> Clean {
    let input = &event.0["input"];
    let telling = TELLING
        .into_iter()
        .find_map(|field| input.get(field).and_then(Value::as_str));
    match (telling, input) {
        (Some(text), _) => Clean::line(text, usize::MAX),
        (None, Value::Object(fields)) if fields.is_empty() => Clean::default(),
        (None, Value::Null) => Clean::default(),
        (None, input) => Clean::line(&input.to_string(), usize::MAX),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_is_told_by_its_most_telling_field() {
        let gist = |input: Value| gist(&Event(json!({ "input": input })));
        assert_eq!(
            gist(json!({"description": "list", "command": "ls\n-l"})),
            "ls -l"
        );
        assert_eq!(gist(json!({"file_path": "/a"})), "/a");
        assert_eq!(gist(json!({"a": 2, "b": 3})), r#"{"a":2,"b":3}"#);
        assert_eq!(gist(json!({})), "");
    }

    #[test]
    fn calls_without_results_are_bounded() {
        let mut calls = Calls::default();
        let call = |id: usize| Event(json!({"tool": "Bash", "toolUseId": id.to_string()}));
        for id in 0..=MAX_OPEN {
            calls.open(&call(id), Moment::default());
        }
        assert!(calls.close(&call(0)).is_none());
        assert_eq!(calls.close(&call(1)).map(|call| call.id), Some(2));
        assert!(calls.close(&call(1)).is_none());
    }
}
