//! One line of the CLI's stream, taken apart into what events name and what is left of it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::fields::Fields;
use crate::api::event::OWN_SUBTYPES;

/// A JSON object that the CLI wrote.
#[derive(Debug)]
pub struct CliLine<'a> {
    /// The CLI's `type`.
    pub kind: Option<Cow<'a, str>>,
    /// What no event names.
    pub rest: Fields<'a>,
    pub parent_tool_use_id: Option<&'a RawValue>,
    /// Taken out only where the first block is the model's text.
    pub message_id: Option<&'a RawValue>,
    /// The id of the model's message, of which each block may have a line of its own.
    pub model_message: Option<&'a RawValue>,
    /// The CLI's word for the error that a line tells of instead of the model's words.
    pub error_kind: Option<Cow<'a, str>>,
    /// The content blocks that have events, each with its place in the content.
    pub blocks: Vec<(usize, Block<'a>)>,
    /// How many blocks the content has.
    pub content_blocks: usize,
    /// The subtype of the system event that the line becomes if it has no block with an event.
    pub system_subtype: Cow<'a, str>,
}

/// A content block that has an event.
#[derive(Clone, Copy, Debug)]
pub enum Block<'a> {
    Text(&'a RawValue),
    ToolUse {
        name: &'a RawValue,
        id: &'a RawValue,
        input: &'a RawValue,
    },
    ToolResult {
        id: &'a RawValue,
        content: Option<&'a RawValue>,
        is_error: bool,
    },
}

impl<'a> CliLine<'a> {
    /// None where the line is no JSON object.
    pub fn parse(json: &'a str) -> Option<Self> {
        let mut rest = Fields::parse(json)?;
        let kind: Option<Cow<str>> = text(&rest, "type");
        let parent_tool_use_id = rest.take_string("parent_tool_use_id");
        let mut line = CliLine {
            system_subtype: kind
                .clone()
                .filter(|kind| !is_own(kind))
                .unwrap_or(Cow::Borrowed("unknown")),
            error_kind: text(&rest, "error"),
            kind,
            rest,
            parent_tool_use_id,
            message_id: None,
            model_message: None,
            blocks: Vec::new(),
            content_blocks: 0,
        };
        match line.kind.as_deref() {
            Some("assistant") => line.take_blocks(true),
            Some("user") => line.take_blocks(false),
            Some("system") => line.take_subtype(),
            Some("result") => line.system_subtype = Cow::Borrowed("result"),
            _ => {}
        }
        Some(line)
    }

    fn take_subtype(&mut self) {
        self.system_subtype = Cow::Borrowed("system");
        if let Some(subtype) = text(&self.rest, "subtype").filter(|subtype| !is_own(subtype)) {
            self.rest.take("subtype");
            self.system_subtype = subtype;
        }
    }

    fn take_blocks(&mut self, by_model: bool) {
        let Some(message) = self.rest.open("message") else {
            return;
        };
        self.model_message = message.string("id").filter(|_| by_model);
        let Some(content) = message.open_array("content") else {
            return;
        };
        self.content_blocks = content.len();
        for (at, node) in content.iter_mut().enumerate() {
            let Some(fields) = node.open() else {
                continue;
            };
            match Block::take(fields, by_model) {
                Some(block) => self.blocks.push((at, block)),
                None if by_model && self.content_blocks == 1 => {
                    // Thinking, an image: the system event is named after the block.
                    if let Some(kind) = text(fields, "type").filter(|kind| !is_own(kind)) {
                        self.system_subtype = kind;
                    }
                }
                None => {}
            }
        }
        let is_output =
            matches!(self.blocks.first(), Some((_, Block::Text(_)))) && self.error_kind.is_none();
        if is_output {
            self.message_id = message.take_string("id");
        }
    }

    /// True for words that the CLI wrote in the model's place.
    pub fn is_api_error(&self) -> bool {
        self.kind.as_deref() == Some("assistant") && self.error_kind.is_some()
    }
}

impl<'a> Block<'a> {
    /// Takes out what the block's event will name, if it has one. What stands in a user's line, text
    /// above all, is not the model's.
    fn take(fields: &mut Fields<'a>, by_model: bool) -> Option<Self> {
        match text(fields, "type")?.as_ref() {
            "text" if by_model => fields.take_string("text").map(Block::Text),
            "tool_use" if by_model => {
                let (name, id) = (fields.string("name")?, fields.string("id")?);
                let input = fields.take("input")?;
                fields.take("name");
                fields.take("id");
                Some(Block::ToolUse { name, id, input })
            }
            "tool_result" => {
                let id = fields.string("tool_use_id")?;
                fields.take("tool_use_id");
                let is_error = fields.get("is_error").unwrap_or(false);
                Some(Block::ToolResult {
                    id,
                    content: fields.take("content"),
                    is_error,
                })
            }
            _ => None,
        }
    }
}

/// A short string: what a longer one says is no name of the CLI's.
pub fn text<'a>(fields: &Fields<'a>, name: &str) -> Option<Cow<'a, str>> {
    const MAX_NAME: usize = 128;
    let raw = fields.string(name)?.get();
    let borrowed = raw.strip_prefix('"')?.strip_suffix('"')?;
    if borrowed.len() > MAX_NAME {
        None
    } else if borrowed.contains('\\') {
        serde_json::from_str(raw).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(borrowed))
    }
}

fn is_own(subtype: &str) -> bool {
    OWN_SUBTYPES.contains(&subtype)
}
