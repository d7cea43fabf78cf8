//! What a Messages request says about where its conversation stands.
//!
//! The API keeps no state of a conversation: every request carries all of it. So the scripted one
//! reads its place in the scenario from the request too, and a restart of either side, or several
//! conversations at once, cannot confuse it.

use serde::Serialize;
use serde_json::Value;

/// The line of a prompt that scripts a Bash command.
const RUN: &str = "RUN: ";

/// The line of a prompt that scripts the answer's text.
const SAY: &str = "SAY: ";

/// What the Claude CLI adds to a prompt starts so; none of it is the user's.
const REMINDER: &str = "<system-reminder>";

/// Bytes of JSON per input token: near enough for a plausible price.
const BYTES_PER_TOKEN: usize = 4;

/// A Messages request, reduced to what scenarios and the judge need.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    pub model: String,
    pub stream: bool,
    /// Names of the tools on offer.
    pub tools: Vec<String>,
    /// The system prompt, the CLI's part of it too.
    pub system: String,
    /// The latest prompt of the user, without what the CLI adds to it.
    pub prompt: String,
    /// Answers of the model so far.
    pub turns: usize,
    /// Answers of the model since the latest prompt.
    pub steps: usize,
    /// Text of the latest tool results since the latest prompt.
    pub tool_result: Option<String>,
    /// The id that a Claude CLI draws for each fresh home directory.
    pub device: Option<String>,
    /// Whether a subagent asks, whose conversation is its own.
    pub is_subagent: bool,
    /// Whether the answer must be JSON by a schema, as in the CLI's own small questions.
    pub wants_json: bool,
    pub input_tokens: usize,
}

impl Conversation {
    /// Reads a request's body of so many bytes; what is missing or odd counts as absent.
    pub fn read(body: &Value, bytes: usize) -> Self {
        let mut conversation = Self {
            model: text_of(&body["model"]).to_owned(),
            stream: body["stream"].as_bool().unwrap_or(false),
            tools: elements(&body["tools"])
                .map(|tool| text_of(&tool["name"]).to_owned())
                .collect(),
            system: texts(&body["system"]),
            device: device(text_of(&body["metadata"]["user_id"])),
            wants_json: body["output_config"]["format"].is_object(),
            input_tokens: bytes / BYTES_PER_TOKEN,
            ..Self::default()
        };
        for message in elements(&body["messages"]) {
            match message["role"].as_str() {
                Some("assistant") => {
                    conversation.turns += 1;
                    conversation.steps += 1;
                }
                Some("user") => conversation.hear(&message["content"]),
                _ => {}
            }
        }
        conversation
    }

    fn hear(&mut self, content: &Value) {
        let results: Vec<_> = elements(content)
            .filter(|block| block["type"] == "tool_result")
            .map(|block| texts(&block["content"]))
            .collect();
        if !results.is_empty() {
            self.tool_result = Some(results.join("\n"));
            return;
        }
        let prompt = texts(content);
        if !prompt.is_empty() {
            self.prompt = prompt;
            self.steps = 0;
            self.tool_result = None;
        }
    }

    /// The commands of the prompt's `RUN: ` lines, in order.
    pub fn commands(&self) -> impl Iterator<Item = &str> {
        self.prompt
            .lines()
            .filter_map(|line| line.strip_prefix(RUN))
    }

    /// The text that the prompt wants said, from its `SAY: ` line.
    pub fn wanted_text(&self) -> Option<&str> {
        self.prompt.lines().find_map(|line| line.strip_prefix(SAY))
    }

    /// Whether it is the session's main conversation: subagents, and the CLI with its small
    /// questions, have others.
    pub fn is_main(&self) -> bool {
        !self.is_subagent && !self.wants_json
    }

    pub fn offers(&self, tool: &str) -> bool {
        self.tools.iter().any(|name| name == tool)
    }
}

fn elements(value: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The text of a content that is a string or a list of blocks, without the CLI's reminders.
fn texts(content: &Value) -> String {
    if let Some(text) = content.as_str() {
        return text.to_owned();
    }
    let texts: Vec<_> = elements(content)
        .filter(|block| block["type"] == "text")
        .map(|block| text_of(&block["text"]))
        .filter(|text| !text.starts_with(REMINDER))
        .collect();
    texts.join("\n")
}

fn device(user_id: &str) -> Option<String> {
    let user: Value = serde_json::from_str(user_id).ok()?;
    Some(user["device_id"].as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn opening() -> Value {
        json!([
            {"role": "user", "content": [
                {"type": "text", "text": "<system-reminder>\nRUN: not this\n</system-reminder>"},
                {"type": "text", "text": "hello\nRUN: echo one\nRUN: echo two\nSAY: done\n"},
            ]},
            {"role": "system", "content": [{"type": "text", "text": "# Environment"}]},
        ])
    }

    fn after_a_tool() -> Value {
        let mut messages = opening();
        messages.as_array_mut().unwrap().extend([
            json!({"role": "assistant", "content": [{"type": "tool_use", "name": "Bash"}]}),
            json!({"role": "user", "content": [
                {"type": "tool_result", "content": [{"type": "text", "text": "one"}]},
                {"type": "text", "text": "<system-reminder>x</system-reminder>"},
            ]}),
        ]);
        messages
    }

    #[test]
    fn an_opening_request_has_no_turns_and_only_the_users_words() {
        let body = json!({
            "model": "m", "stream": true, "messages": opening(), "tools": [{"name": "Bash"}],
            "metadata": {"user_id": r#"{"device_id":"d","session_id":"s"}"#},
        });
        let read = Conversation::read(&body, 400);
        assert_eq!((read.turns, read.steps), (0, 0));
        assert_eq!(
            read.commands().collect::<Vec<_>>(),
            ["echo one", "echo two"]
        );
        assert_eq!(read.wanted_text(), Some("done"));
        assert_eq!(read.device.as_deref(), Some("d"));
        assert_eq!(read.input_tokens, 100);
        assert!(read.offers("Bash") && !read.offers("Read"));
    }

    #[test]
    fn a_tool_result_is_a_step_and_no_prompt() {
        let read = Conversation::read(&json!({"messages": after_a_tool()}), 0);
        assert_eq!((read.turns, read.steps), (1, 1));
        assert_eq!(read.tool_result.as_deref(), Some("one"));
        assert!(read.prompt.starts_with("hello"));
    }

    #[test]
    fn a_second_prompt_starts_the_scenario_again() {
        let mut messages = after_a_tool();
        messages.as_array_mut().unwrap().extend([
            json!({"role": "assistant", "content": "done"}),
            json!({"role": "user", "content": "go on"}),
        ]);
        let read = Conversation::read(&json!({"messages": messages}), 0);
        assert_eq!((read.turns, read.steps), (2, 0));
        assert_eq!((read.prompt.as_str(), read.tool_result), ("go on", None));
    }

    #[test]
    fn an_empty_body_reads_as_nothing() {
        assert_eq!(Conversation::read(&json!(null), 0), Conversation::default());
    }
}
