//! The stream as lines: each becomes its events, is shown in the log and counted for the verdict.

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::cli_line::{Block, CliLine};
use super::decode::head;
use super::facts::{Facts, word};
use super::fields::{Fields, is_plain};
use super::lines::{PART_BYTES, Piece, parts};
use super::noise::before_json;
use super::readable::Readable;
use super::writer::Writer;
use super::{Ended, RunIdentity};
use crate::api::event::{Body, Place};
use crate::api::reason::{ExitReason, Reason};
use crate::api::text::Clean;
use crate::api::verdict::{ResultLine, Segment, Verdict};
use crate::plan::outcome::{RunFacts, Setup, of_result, of_run};

/// An outcome is told in a sentence or two.
const MAX_MESSAGE: usize = 1024;

/// A longer command of a shell stands in the input alone.
const MAX_COMMAND: usize = 8 * 1024;

/// All but the bytes that wait for the end of their line.
#[derive(Debug, Default)]
pub struct Stream {
    identity: RunIdentity,
    writer: Writer,
    pub facts: Facts,
    pub readable: Readable,
    /// Lines of standard output so far.
    lines: u64,
}

/// The `data` of bytes that are no JSON.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum RawData<'a> {
    Text(&'a str),
    Base64(String),
}

impl Stream {
    pub fn new(identity: RunIdentity) -> Self {
        Stream {
            identity,
            ..Stream::default()
        }
    }

    pub fn start(&mut self, now: DateTime<Utc>, out: &mut Vec<u8>) {
        let RunIdentity {
            job,
            agent,
            attempt,
            session_id,
            model,
            cost_before_usd,
            ..
        } = &self.identity;
        let body = Body::Start {
            message: &format!("attempt {attempt} of Job {job} starts agent {agent}"),
            job,
            agent,
            attempt: *attempt,
            session_id: session_id.as_deref(),
            model: model.as_deref(),
            cost_before_usd: *cost_before_usd,
        };
        self.writer
            .write(now, Place::default(), body, None::<()>, out);
    }

    pub fn note(
        &mut self,
        subtype: &str,
        data: impl Serialize,
        now: DateTime<Utc>,
        out: &mut Vec<u8>,
    ) {
        self.writer.write(
            now,
            Place::default(),
            Body::System { subtype },
            Some(data),
            out,
        );
    }

    pub fn stdout(&mut self, piece: Piece, now: DateTime<Utc>, out: &mut Vec<u8>) {
        match piece {
            Piece::Line(bytes) => {
                self.lines += 1;
                self.line(bytes, now, out);
            }
            Piece::Part { bytes, part, last } => {
                self.lines += u64::from(part == 1);
                let place = Place {
                    line: Some(self.lines),
                    ..part_place(part, last)
                };
                self.raw("raw", place, bytes, now, out);
            }
        }
    }

    pub fn stderr(&mut self, piece: Piece, now: DateTime<Utc>, out: &mut Vec<u8>) {
        let (bytes, place) = match piece {
            Piece::Line(bytes) => (bytes, Place::default()),
            Piece::Part { bytes, part, last } => (bytes, part_place(part, last)),
        };
        self.facts.stderr(bytes);
        self.readable
            .add("stderr: ", &String::from_utf8_lossy(bytes));
        self.raw("stderr", place, bytes, now, out);
    }

    fn line(&mut self, bytes: &[u8], now: DateTime<Utc>, out: &mut Vec<u8>) {
        let text = str::from_utf8(bytes).unwrap_or_default();
        let (noise, json) = text.split_at(before_json(text));
        let line = CliLine::parse(json);
        match &line {
            Some(line) if is_plain(json) => self.events(line, noise, now, out),
            _ => self.raw_line(bytes, now, out),
        }
        if let Some(line) = line {
            self.facts.observe(&line);
        }
    }

    fn raw_line(&mut self, bytes: &[u8], now: DateTime<Utc>, out: &mut Vec<u8>) {
        let place = Place {
            line: Some(self.lines),
            ..Place::default()
        };
        if bytes.len() <= PART_BYTES {
            return self.raw("raw", place, bytes, now, out);
        }
        let total = parts(bytes, PART_BYTES).count() as u64;
        for (part, bytes) in (1..).zip(parts(bytes, PART_BYTES)) {
            let place = Place {
                part: Some(part),
                parts: Some(total),
                ..place
            };
            self.raw("raw", place, bytes, now, out);
        }
    }

    fn raw(
        &mut self,
        subtype: &str,
        place: Place,
        bytes: &[u8],
        now: DateTime<Utc>,
        out: &mut Vec<u8>,
    ) {
        let data = str::from_utf8(bytes).map_or_else(
            |_| RawData::Base64(BASE64_STANDARD.encode(bytes)),
            RawData::Text,
        );
        self.writer
            .write(now, place, Body::System { subtype }, Some(data), out);
    }

    /// The events of one line; the first carries what none of them names.
    fn events(&mut self, line: &CliLine, noise: &str, now: DateTime<Utc>, out: &mut Vec<u8>) {
        let place = Place {
            line: Some(self.lines),
            noise: Some(noise).filter(|noise| !noise.is_empty()),
            parent_tool_use_id: line.parent_tool_use_id,
            ..Place::default()
        };
        if line.blocks.is_empty() {
            let body = Body::System {
                subtype: &line.system_subtype,
            };
            return self.writer.write(now, place, body, Some(&line.rest), out);
        }
        let mut noise = place.noise;
        let mut rest = Some(&line.rest);
        let mut message_id = line.message_id;
        for (at, block) in &line.blocks {
            let place = Place {
                block: (line.content_blocks > 1).then_some(*at),
                noise: noise.take(),
                ..place
            };
            self.readable.show(line, block);
            let body = body(
                &self.facts,
                self.identity.setup(),
                line,
                block,
                message_id.take(),
            );
            self.writer.write(now, place, body, rest.take(), out);
        }
    }

    pub fn finish(&mut self, ended: Ended, out: &mut Vec<u8>) -> Verdict {
        let facts = std::mem::take(&mut self.facts);
        let turns = facts.turns();
        let outcome = of_run(&RunFacts {
            result: facts.result.as_ref(),
            exit: ended.exit,
            stopped_by: ended.stopped_by,
            stderr: &facts.stderr,
            setup: self.identity.setup(),
        });
        let mut verdict = Verdict {
            phase: outcome.phase(),
            exit_reason: outcome.exit_reason().unwrap_or(ExitReason::Error),
            reason: outcome.reason,
            message: Clean::line(&outcome.message, MAX_MESSAGE),
            result: facts.result,
            exit: ended.exit,
            stopped_by: ended.stopped_by,
            turns,
            cost_usd: facts.cost_usd,
            cost_before_usd: self.identity.cost_before_usd,
            usage: facts.usage,
            session_id: self
                .identity
                .session_id
                .as_deref()
                .map(word)
                .or(facts.session_id),
            started_at: Some(ended.started_at),
            ended_at: Some(ended.ended_at),
            segment: Segment::default(),
            text: facts.text,
            stderr: Some(Clean::lines(&facts.stderr, facts.stderr.len()))
                .filter(|stderr| !stderr.is_empty()),
        };
        self.complain(&verdict, out);
        verdict.segment = self.writer.segment();
        // The event says what the termination message says, to the byte.
        let message = RawValue::from_string(verdict.to_message());
        self.note("verdict", message.unwrap_or_default(), ended.ended_at, out);
        verdict
    }

    /// Says why the run was no success, where the runner knows. What others did to it, as a cancel or the
    /// kernel, has another name in the Job's status, and the store says it.
    fn complain(&mut self, verdict: &Verdict, out: &mut Vec<u8>) {
        if verdict.reason == Reason::Completed || verdict.was_stopped() {
            return;
        }
        self.readable.add("error: ", &verdict.message);
        if let (true, Ok(message)) = (
            verdict.is_the_runners_alone(),
            to_raw_value(&verdict.message),
        ) {
            let body = Body::Error {
                message: &message,
                code: Some(verdict.reason),
                detail: None,
            };
            let at = verdict.ended_at.unwrap_or_default();
            self.writer
                .write(at, Place::default(), body, None::<()>, out);
        }
    }
}

/// What a block's event is about. A message's id goes to the first of its events.
fn body<'a>(
    facts: &'a Facts,
    setup: Setup<'_>,
    line: &'a CliLine,
    block: &Block<'a>,
    message_id: Option<&'a RawValue>,
) -> Body<'a> {
    match *block {
        Block::Text(message) if line.is_api_error() => Body::Error {
            message,
            code: Some(of_result(&api_error(line, message), setup)),
            detail: line.error_kind.as_deref(),
        },
        Block::Text(content) => Body::Output {
            message_id,
            content,
        },
        Block::ToolUse { name, id, input } => tool_use(name, id, input),
        Block::ToolResult {
            id,
            content,
            is_error,
        } => Body::ToolResult {
            tool: facts.open_tool(id),
            tool_use_id: id,
            is_error,
            content,
        },
    }
}

fn part_place(part: u64, last: bool) -> Place<'static> {
    Place {
        part: Some(part),
        parts: last.then_some(part),
        ..Place::default()
    }
}

fn tool_use<'a>(tool: &'a RawValue, tool_use_id: &'a RawValue, input: &'a RawValue) -> Body<'a> {
    let fields = Fields::parse(input.get()).unwrap_or_default();
    let file = ["file_path", "notebook_path", "path"]
        .iter()
        .find_map(|name| fields.string(name));
    let command = fields
        .string("command")
        .filter(|command| command.get().len() <= MAX_COMMAND);
    Body::ToolUse {
        tool,
        tool_use_id,
        file,
        command,
        input,
    }
}

/// What the CLI's own words for an API error would be as a result.
fn api_error(line: &CliLine, message: &RawValue) -> ResultLine {
    ResultLine {
        subtype: "success".into(),
        is_error: true,
        error: head(message, 512).map(|text| text.text),
        api_error_status: line.rest.get("api_error_status"),
        error_kind: line.error_kind.as_deref().map(word),
        ..ResultLine::default()
    }
}
