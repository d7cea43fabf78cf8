//! A record's event as a line or more of text for people, in the log that is kept beside the record.
//! Whatever a terminal would obey is taken out: an agent's words are a stranger's.

use serde_json::Value;

use crate::api::{event, text::Clean};

/// Of a tool call's input and of its result.
const MAX_SHOWN: usize = 400;

/// The text of an event, with its line ends; none when it says nothing to people.
pub fn line(event: &Value) -> Option<String> {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let kind = text("type");
    let told = kind == "system" && text("subtype") == event::PROMPT && event["line"].is_null();
    let sign = match kind {
        "start" => '▶',
        "output" => ' ',
        "tool_use" => '→',
        "tool_result" => '←',
        "error" => '✗',
        "complete" => '■',
        "system" if told => '»',
        _ => return None,
    };
    let said = match kind {
        _ if event["fragment"].is_string() => in_parts(event)?,
        "start" => format!(
            "attempt {} of {}: {}",
            event["attempt"],
            text("job"),
            text("message")
        ),
        "output" => text("content").to_owned(),
        "tool_use" => call(event),
        "tool_result" => short(&event["content"]),
        "error" => text("message").to_owned(),
        "system" => event["data"]["text"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        _ => outcome(event),
    };
    let said = Clean::lines(said.trim_end(), usize::MAX);
    if said.is_empty() {
        return None;
    }
    let time = Clean::line(text("timestamp"), MAX_SHOWN);
    Some(format!("{time} {sign} {said}\n"))
}

/// What was too long for one line of the record. It is not put together for this log: an agent may say
/// 16 MiB at once, and as many agents as there are would have them held in memory.
fn in_parts(event: &Value) -> Option<String> {
    let parts = &event["parts"];
    let said = format!("(too long for this log: in output.jsonl in {parts} parts)");
    (event["part"] == 1).then_some(said)
}

fn call(event: &Value) -> String {
    let tool = event["tool"].as_str().unwrap_or_default();
    let about = [&event["command"], &event["file"]]
        .into_iter()
        .find(|value| value.is_string())
        .unwrap_or(&event["input"]);
    format!("{}: {}", Clean::line(tool, MAX_SHOWN), short(about))
}

/// A result's content is a text, or blocks of which some are texts.
fn short(value: &Value) -> String {
    match value {
        Value::String(text) => Clean::line(text, MAX_SHOWN).into(),
        Value::Array(blocks) => {
            let texts: Vec<&str> = blocks
                .iter()
                .filter_map(|block| block["text"].as_str())
                .collect();
            Clean::line(&texts.join(" "), MAX_SHOWN).into()
        }
        Value::Null => String::new(),
        other => Clean::line(&other.to_string(), MAX_SHOWN).into(),
    }
}

fn outcome(event: &Value) -> String {
    let words = ["status", "exitReason", "reason"].map(|name| event[name].as_str());
    let words: Vec<&str> = words.into_iter().flatten().collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_event_that_speaks_to_people_is_a_line() {
        let at = "2026-11-23T07:23:51.802Z";
        let shown = |mut event: Value| {
            event["timestamp"] = at.into();
            line(&event).map(|line| line.replace(at, "T"))
        };
        assert_eq!(
            shown(json!({"type": "output", "content": "one\ntwo\n"})).as_deref(),
            Some("T   one\ntwo\n")
        );
        assert_eq!(
            shown(json!({"type": "tool_use", "tool": "Bash", "command": "ls", "input": {"command": "ls"}})).as_deref(),
            Some("T → Bash: ls\n")
        );
        assert_eq!(
            shown(json!({"type": "tool_result", "content": [{"type": "text", "text": "a\nb"}]}))
                .as_deref(),
            Some("T ← a b\n")
        );
        assert_eq!(
            shown(json!({"type": "complete", "status": "failed", "exitReason": "error", "reason": "OOMKilled"})).as_deref(),
            Some("T ■ failed, error, OOMKilled\n")
        );
        assert_eq!(shown(json!({"type": "system", "subtype": "init"})), None);
        let told = json!({"type": "system", "subtype": "prompt", "data": {"text": "do it\nwell"}});
        assert_eq!(shown(told.clone()).as_deref(), Some("T » do it\nwell\n"));
        let mut claimed = told;
        claimed["line"] = 3.into();
        assert_eq!(shown(claimed), None);
    }

    #[test]
    fn of_an_event_in_parts_is_said_once_where_it_is() {
        let part = |kind: &str, part: u64| {
            let event =
                json!({"type": kind, "timestamp": "T", "part": part, "parts": 3, "fragment": "{"});
            line(&event)
        };
        let said = "(too long for this log: in output.jsonl in 3 parts)\n";
        assert_eq!(part("output", 1), Some(format!("T   {said}")));
        assert_eq!(part("tool_use", 1), Some(format!("T → {said}")));
        assert_eq!(part("tool_result", 1), Some(format!("T ← {said}")));
        assert_eq!(part("error", 1), Some(format!("T ✗ {said}")));
        assert_eq!(part("output", 2), None);
        assert_eq!(part("system", 1), None);
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_in_it() {
        let event = json!({
            "type": "output", "timestamp": "\u{1b}[1m", "content": "a\u{1b}]0;x\u{7}\rb\u{202e}",
        });
        assert_eq!(line(&event).as_deref(), Some("[1m   a]0;xb\n"));
    }
}
