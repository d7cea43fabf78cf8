//! Messages as the API puts them on the wire: server-sent events, or one JSON object.

use serde_json::{Value, json};

use crate::script::{Block, Ending};

/// Bytes of text or JSON in one delta, about what the real API sends at a time under load.
const DELTA: usize = 4 << 10;

/// Bytes of text per output token.
const BYTES_PER_TOKEN: usize = 4;

/// What a message says of itself.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Without prefix, and unlike any other message's, across restarts too.
    pub id: String,
    /// The model that was asked for: the CLI looks the price up by it.
    pub model: String,
    pub input_tokens: usize,
}

impl Envelope {
    fn message(&self, content: &[Value], stop_reason: Option<&str>, output_tokens: usize) -> Value {
        json!({
            "id": format!("msg_{}", self.id),
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": null,
            "usage": {
                "input_tokens": self.input_tokens,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": output_tokens,
                "service_tier": "standard",
            },
        })
    }

    /// A whole message, for a request without `stream`.
    pub fn whole(&self, blocks: &[Block], ending: Ending) -> Value {
        let content: Vec<_> = (0..)
            .zip(blocks)
            .map(|(n, block)| self.content(n, block))
            .collect();
        let tokens = blocks.iter().map(tokens).sum();
        self.message(&content, Some(stop_reason(ending)), tokens)
    }

    fn content(&self, index: usize, block: &Block) -> Value {
        match block {
            Block::Text(text) => json!({"type": "text", "text": text}),
            Block::Tool { name, input } => json!({
                "type": "tool_use",
                "id": format!("toolu_{}_{index}", self.id),
                "name": name,
                "input": input,
            }),
        }
    }

    /// The event that opens a streamed message.
    pub fn start(&self) -> String {
        frame(&json!({"type": "message_start", "message": self.message(&[], None, 1)}))
    }

    /// The events of one content block.
    pub fn block(&self, index: usize, block: &Block) -> String {
        let mut opening = self.content(index, block);
        let (text, delta, field) = match block {
            Block::Text(text) => {
                opening["text"] = json!("");
                (text.clone(), "text_delta", "text")
            }
            Block::Tool { input, .. } => {
                opening["input"] = json!({});
                (input.to_string(), "input_json_delta", "partial_json")
            }
        };
        let mut frames = frame(
            &json!({"type": "content_block_start", "index": index, "content_block": opening}),
        );
        for piece in pieces(&text) {
            frames += &frame(&json!({
                "type": "content_block_delta",
                "index": index,
                "delta": {"type": delta, field: piece},
            }));
        }
        frames + &frame(&json!({"type": "content_block_stop", "index": index}))
    }

    /// The events that close a streamed message.
    pub fn end(ending: Ending, output_tokens: usize) -> String {
        let delta = json!({
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason(ending), "stop_sequence": null},
            "usage": {"output_tokens": output_tokens},
        });
        frame(&delta) + &frame(&json!({"type": "message_stop"}))
    }
}

fn stop_reason(ending: Ending) -> &'static str {
    match ending {
        Ending::EndTurn | Ending::Cut => "end_turn",
        Ending::ToolUse => "tool_use",
        Ending::MaxTokens => "max_tokens",
        Ending::Refusal => "refusal",
    }
}

/// The event that keeps an idle stream alive.
pub fn ping() -> String {
    frame(&json!({"type": "ping"}))
}

/// A plausible count of a block's output tokens.
pub fn tokens(block: &Block) -> usize {
    let bytes = match block {
        Block::Text(text) => text.len(),
        Block::Tool { input, .. } => input.to_string().len(),
    };
    bytes / BYTES_PER_TOKEN + 1
}

fn frame(event: &Value) -> String {
    let name = event["type"].as_str().unwrap_or_default();
    format!("event: {name}\ndata: {event}\n\n")
}

fn pieces(mut text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    while !text.is_empty() {
        let (piece, rest) = text.split_at(text.floor_char_boundary(DELTA));
        pieces.push(piece);
        text = rest;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope {
        Envelope {
            id: "1".to_owned(),
            model: "m".to_owned(),
            input_tokens: 7,
        }
    }

    fn events(frames: &str) -> Vec<Value> {
        let data = frames
            .lines()
            .filter_map(|line| line.strip_prefix("data: "));
        data.map(|json| serde_json::from_str(json).unwrap())
            .collect()
    }

    #[test]
    fn the_deltas_of_a_long_text_add_up_to_it() {
        let text = "é\n".repeat(DELTA);
        let events = events(&envelope().block(3, &Block::Text(text.clone())));
        let deltas = events
            .iter()
            .filter_map(|event| event["delta"]["text"].as_str());
        assert_eq!(deltas.collect::<String>(), text);
        assert!(events.len() > 4);
        assert!(events.iter().all(|event| event["index"] == 3));
    }

    #[test]
    fn the_deltas_of_a_tool_call_add_up_to_its_input() {
        let input = json!({"command": "echo 'a'\nb"});
        let block = Block::Tool {
            name: "Bash",
            input: input.clone(),
        };
        let events = events(&envelope().block(0, &block));
        let deltas = events
            .iter()
            .filter_map(|event| event["delta"]["partial_json"].as_str());
        let joined: String = deltas.collect();
        assert_eq!(serde_json::from_str::<Value>(&joined).unwrap(), input);
        assert_eq!(events[0]["content_block"]["input"], json!({}));
    }

    #[test]
    fn a_stream_opens_and_closes_as_the_real_one_does() {
        let frames = envelope().start() + &Envelope::end(Ending::EndTurn, 9);
        let names: Vec<_> = events(&frames)
            .iter()
            .map(|event| event["type"].clone())
            .collect();
        assert_eq!(names, ["message_start", "message_delta", "message_stop"]);
        assert!(frames.starts_with("event: message_start\ndata: {"));
    }

    #[test]
    fn a_whole_message_has_content_stop_reason_and_usage() {
        let whole = envelope().whole(&[Block::Text("four".to_owned())], Ending::EndTurn);
        assert_eq!(whole["content"][0]["text"], "four");
        assert_eq!(whole["stop_reason"], "end_turn");
        assert_eq!(whole["usage"]["output_tokens"], 2);
        assert_eq!(whole["usage"]["input_tokens"], 7);
    }
}
