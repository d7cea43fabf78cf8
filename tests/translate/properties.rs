//! Any bytes in: valid events out, from which the lines can be rebuilt, the same for every way to cut
//! the stream, and never a panic.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::record::{assert_tells_of, translate};

/// Lines of real runs, to be changed a little.
static REAL_LINES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap()).join("tests/captures");
    let mut lines: Vec<Vec<u8>> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .flat_map(|path| {
            fs::read(path)
                .unwrap()
                .split(|&byte| byte == b'\n')
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        })
        .collect();
    lines.sort();
    lines
});

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        name().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            object(inner)
        ]
    })
}

fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    vec((name(), value), 0..6).prop_map(|members| members.into_iter().collect::<Map<_, _>>().into())
}

/// The words that the translator looks for, and some that it should not mind.
fn name() -> impl Strategy<Value = String> {
    let known = [
        "type",
        "subtype",
        "message",
        "content",
        "id",
        "text",
        "name",
        "input",
        "tool_use_id",
        "is_error",
        "error",
        "parent_tool_use_id",
        "assistant",
        "user",
        "system",
        "result",
        "tool_use",
        "tool_result",
        "thinking",
        "init",
        "raw",
        "verdict",
        "errors",
        "usage",
        "num_turns",
        "success",
        "file_path",
        "command",
        "line",
        "data",
        "seq",
        "$serde_json::private::RawValue",
    ];
    prop_oneof![9 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".*"]
}

/// A line of about the CLI's shape in which anything may be something else.
fn cli_like() -> impl Strategy<Value = Value> {
    let kind = prop::sample::select(vec!["assistant", "user", "system", "result"]);
    let block_kind = prop::sample::select(vec!["text", "tool_use", "tool_result", "thinking"]);
    let block = (block_kind, any_json(), ".*", any_json(), object(any_json())).prop_map(|(kind, content, text, id, more)| {
        let mut block = json!({"type": kind, "content": content, "text": text, "name": text, "input": content});
        block["id"] = id.clone();
        block["tool_use_id"] = if text.len() % 2 == 0 { json!("t") } else { id };
        block.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        block
    });
    (kind, vec(block, 0..4), object(any_json()), any::<bool>()).prop_map(|(kind, blocks, more, has_more)| {
        let mut line = json!({"type": kind, "message": {"id": "m", "content": blocks}, "subtype": "success"});
        if has_more {
            line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        }
        line
    })
}

/// What programs write for terminals, whole and cut off.
const NOISE: [&str; 6] = [
    "\u{feff}",
    "\0",
    "\u{1b}[2J",
    "\u{1b}]0;t\u{7}",
    "\u{1b}[",
    "\r",
];

fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let real = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        any::<u8>(),
        any::<bool>(),
    )
        .prop_map(|(line, at, byte, changed)| {
            let mut line = line.get(&REAL_LINES).clone();
            if changed && !line.is_empty() {
                let at = at.index(line.len());
                line[at] = byte;
            }
            line
        });
    prop_oneof![
        2 => vec(any::<u8>(), 0..200),
        1 => ".*".prop_map(String::into_bytes),
        2 => any_json().prop_map(|json| json.to_string().into_bytes()),
        4 => cli_like().prop_map(|json| json.to_string().into_bytes()),
        2 => real,
        1 => (vec(prop::sample::select(NOISE.to_vec()), 1..4), cli_like())
            .prop_map(|(noise, json)| format!("{}{json}", noise.concat()).into_bytes()),
        1 => (0..90_000usize).prop_map(|length| "ö\u{1}".repeat(length / 2).into_bytes()),
    ]
}

/// A stream that a failing test shows as text.
#[derive(Clone)]
struct Stream(Vec<u8>);

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

fn any_stream() -> impl Strategy<Value = Stream> {
    (vec(any_line(), 0..8), any::<bool>()).prop_map(|(lines, ends_with_newline)| {
        let mut stream = lines.join(&b'\n');
        if ends_with_newline {
            stream.push(b'\n');
        }
        Stream(stream)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_become_valid_events_that_tell_all(Stream(stream) in any_stream()) {
        let record = translate([stream.as_slice()]);
        assert_tells_of(&record.events, &stream);
    }

    #[test]
    fn it_does_not_matter_how_the_bytes_arrive(Stream(stream) in any_stream(), cuts in vec(any::<prop::sample::Index>(), 0..20)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]);
        prop_assert_eq!(translate(chunks).output, translate([stream.as_slice()]).output);
    }
}
