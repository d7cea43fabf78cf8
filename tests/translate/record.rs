//! Reads an `output.jsonl` as its readers will, checks what must hold for every record, and rebuilds the
//! CLI's lines from it. This is the inverse of the translator, written from the description of events
//! alone and on plain JSON values, so that the two can disagree.

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use herdctl::api::event::{MAX_BYTES, OWN_SUBTYPES};
use herdctl::api::verdict::{self, ProcessExit, StoppedBy, Verdict};
use herdctl::runner::translate::{Ended, RunIdentity, Translator};

/// A line of the CLI as its events tell it.
#[derive(Debug, PartialEq)]
pub enum Rebuilt {
    /// With what stood before it.
    Json(String, Value),
    Bytes(Vec<u8>),
}

/// What was made of a stream.
pub struct Record {
    pub output: Vec<u8>,
    /// The events, parts joined.
    pub events: Vec<Value>,
    pub verdict: Verdict,
}

pub fn moment() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_700_000_000_123).unwrap()
}

/// Translates chunks of a stream that ended well.
pub fn translate<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Record {
    let identity = RunIdentity {
        job: "a-job".into(),
        agent: "an-agent".into(),
        attempt: 1,
        ..RunIdentity::default()
    };
    let mut translator = Translator::new(identity);
    let mut output = Vec::new();
    translator.start(moment(), &mut output);
    for chunk in chunks {
        translator.stdout(chunk, moment(), &mut output);
    }
    let ended = Ended {
        exit: Some(ProcessExit::Code(0)),
        stopped_by: StoppedBy::Nobody,
        started_at: moment(),
        ended_at: moment(),
    };
    let verdict = translator.finish(ended, &mut output);
    let events = read(&output);
    Record {
        output,
        events,
        verdict,
    }
}

/// Reads events, checks each and the whole, joins the parts.
pub fn read(output: &[u8]) -> Vec<Value> {
    assert_eq!(output.last(), Some(&b'\n'));
    let lines: Vec<&[u8]> = output[..output.len() - 1]
        .split(|&byte| byte == b'\n')
        .collect();
    let mut joined: Vec<Value> = Vec::new();
    let mut fragments = String::new();
    for (seq, line) in (1..).zip(&lines) {
        assert!(
            line.len() <= MAX_BYTES,
            "event {seq} has {} bytes",
            line.len()
        );
        assert!(!line.contains(&b'\r'));
        let event: Value =
            serde_json::from_slice(line).unwrap_or_else(|error| panic!("event {seq}: {error}"));
        assert_eq!(event["seq"], json!(seq));
        let time = event["timestamp"].as_str().unwrap();
        let parsed: DateTime<Utc> = time.parse().unwrap();
        assert_eq!(parsed.to_rfc3339_opts(SecondsFormat::Millis, true), time);
        match event["fragment"].as_str() {
            None => joined.push(event),
            Some(fragment) => {
                fragments.push_str(fragment);
                if event["part"] == event["parts"] {
                    let whole: Value =
                        serde_json::from_str(&std::mem::take(&mut fragments)).unwrap();
                    assert_eq!(whole["type"], event["type"]);
                    joined.push(whole);
                }
            }
        }
    }
    assert_eq!(fragments, "");
    assert_eq!(joined[0]["type"], "start");
    check_verdict(output, &lines, joined.last().unwrap());
    joined
}

/// The verdict is last, no longer than a termination message, and vouches for all before it.
fn check_verdict(output: &[u8], lines: &[&[u8]], event: &Value) {
    assert_eq!(event["subtype"], "verdict");
    let verdict: Verdict = serde_json::from_value(event["data"].clone()).unwrap();
    assert!(verdict.to_message().len() <= verdict::MAX_BYTES);
    assert_eq!(
        verdict.to_message(),
        serde_json::to_string(&verdict).unwrap()
    );
    let before = &output[..output.len() - lines.last().unwrap().len() - 1];
    let sha256: String = Sha256::digest(before)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let segment = (
        verdict.segment.bytes,
        verdict.segment.lines,
        String::from(verdict.segment.sha256),
    );
    assert_eq!(
        segment,
        (before.len() as u64, lines.len() as u64 - 1, sha256)
    );
    assert_eq!(
        verdict.reason.place(),
        (verdict.phase, Some(verdict.exit_reason))
    );
}

/// The CLI's lines, in order.
pub fn rebuild(events: &[Value]) -> Vec<Rebuilt> {
    let mut lines: Vec<Rebuilt> = Vec::new();
    for event in events {
        let Some(line) = event["line"].as_u64() else {
            continue;
        };
        let is_new = line > lines.len() as u64;
        if event["subtype"] == "raw" {
            if is_new {
                lines.push(Rebuilt::Bytes(Vec::new()));
            }
            let Some(Rebuilt::Bytes(bytes)) = lines.last_mut() else {
                panic!("raw part of a JSON line")
            };
            bytes.extend(raw_bytes(&event["data"]));
        } else {
            if is_new {
                let noise = event["noise"].as_str().unwrap_or_default();
                lines.push(Rebuilt::Json(noise.to_owned(), event["data"].clone()));
            }
            let Some(Rebuilt::Json(_, json)) = lines.last_mut() else {
                panic!("event of a raw line")
            };
            put_back(event, json);
        }
        assert_eq!(
            lines.len() as u64,
            line,
            "lines come in order, without a gap"
        );
    }
    lines
}

fn raw_bytes(data: &Value) -> Vec<u8> {
    match data["text"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => BASE64_STANDARD
            .decode(data["base64"].as_str().unwrap())
            .unwrap(),
    }
}

fn put_back(event: &Value, json: &mut Value) {
    let put = |place: &mut Value, name: &str, field: &str| {
        if let Some(value) = event.get(field) {
            place
                .as_object_mut()
                .unwrap()
                .insert(name.into(), value.clone());
        }
    };
    put(json, "parent_tool_use_id", "parentToolUseId");
    let kind = event["type"].as_str().unwrap();
    if kind == "system" {
        let subtype = event["subtype"].as_str().unwrap();
        if json["type"] == "system"
            && json.get("subtype").is_none()
            && !OWN_SUBTYPES.contains(&subtype)
        {
            put(json, "subtype", "subtype");
        }
        return;
    }
    put(&mut json["message"], "id", "messageId");
    let block = event["block"].as_u64().unwrap_or(0) as usize;
    let block = &mut json["message"]["content"][block];
    let named: &[(&str, &str)] = match kind {
        "output" => &[("text", "content")],
        "error" => &[("text", "message")],
        "tool_use" => &[("name", "tool"), ("id", "toolUseId"), ("input", "input")],
        "tool_result" => &[("tool_use_id", "toolUseId"), ("content", "content")],
        other => panic!("a line became an event of type {other}"),
    };
    for (name, field) in named {
        put(block, name, field);
    }
}

/// Checks that a record tells of every line of a stream: the same JSON, or the same bytes.
pub fn assert_tells_of(events: &[Value], stream: &[u8]) {
    let mut lines: Vec<&[u8]> = stream.split(|&byte| byte == b'\n').collect();
    // What is behind the last newline is a line only if there is something.
    lines.pop_if(|last| last.is_empty());
    let rebuilt = rebuild(events);
    assert_eq!(rebuilt.len(), lines.len());
    for (rebuilt, line) in rebuilt.iter().zip(lines) {
        match rebuilt {
            Rebuilt::Bytes(bytes) => assert_eq!(bytes, line),
            Rebuilt::Json(noise, json) => {
                let written = line.strip_prefix(noise.as_bytes()).unwrap();
                assert_eq!(json, &serde_json::from_slice::<Value>(written).unwrap());
            }
        }
    }
}
