//! Lines that no CLI should write, one by one.

use serde_json::{Value, json};

use herdctl::api::event::OWN_SUBTYPES;
use herdctl::runner::translate::Translator;

use super::record::{Rebuilt, Record, assert_tells_of, moment, rebuild, translate};

/// Translates one stream and checks that nothing of it is lost.
fn record_of(stream: &[u8]) -> Record {
    let record = translate([stream]);
    assert_tells_of(&record.events, stream);
    record
}

fn is_raw(stream: &[u8]) -> bool {
    matches!(rebuild(&record_of(stream).events)[..], [Rebuilt::Bytes(_)])
}

/// A good end, for runs that must succeed whatever came before.
const RESULT: &str =
    r#"{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"fine"}"#;

#[test]
fn what_is_no_json_object_is_raw() {
    for line in [
        "",
        " ",
        "All done.",
        "[]",
        "1",
        "null",
        "\"text\"",
        "{",
        "{}}",
        "{\"a\":1,}",
        "\0\0",
        "{\"a\":\"\0\"}",
    ] {
        assert!(is_raw(format!("{line}\n").as_bytes()), "{line:?}");
    }
    assert!(is_raw(b"\xff\xfe{}\n"));
    assert!(is_raw(b"{\"a\":\"\xff\"}\n"));
}

#[test]
fn what_readers_do_not_agree_on_is_raw() {
    for line in [
        r#"{"type":"a","type":"b"}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":1e400}"#,
        "{\"a\":\r1}",
    ] {
        assert!(is_raw(line.as_bytes()), "{line}");
    }
}

#[test]
fn numbers_escapes_and_order_stay_as_they_were_written() {
    let line = r#"{"type":"x","b":-0,"a":0.1000,"big":123456789012345678901234567890,"e":"\u00e9\/","d":{"k":1,"k":2}}"#;
    let record = record_of(line.as_bytes());
    assert!(
        String::from_utf8(record.output)
            .unwrap()
            .contains(&line[1..])
    );
}

#[test]
fn a_carriage_return_at_the_end_of_a_line_is_blank() {
    let record = record_of(format!("{{\"type\":\"x\"}}\r\n{RESULT}\r\n").as_bytes());
    assert_eq!(
        rebuild(&record.events)[0],
        Rebuilt::Json(String::new(), json!({"type": "x"}))
    );
    assert_eq!(record.verdict.reason.to_string(), "Completed");
}

#[test]
fn what_a_line_holds_for_a_terminal_before_its_json_changes_nothing_and_is_kept() {
    let words = json!({"type": "assistant", "message": {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}});
    for noise in [
        "\u{feff}",
        "\0\0\r",
        "\u{1b}[2J\u{1b}[3J\u{1b}[H",
        "\u{1b}]0;a title\u{7}",
    ] {
        let record = record_of(format!("{noise}{words}\n{noise}{RESULT}\r\n").as_bytes());
        assert_eq!(record.verdict.reason.to_string(), "Completed", "{noise:?}");
        let kinds: Vec<_> = record.events.iter().map(|event| &event["type"]).collect();
        assert_eq!(kinds, ["start", "output", "output", "system", "system"]);
        let told = |at: usize| record.events[at]["noise"].as_str();
        assert_eq!(
            [told(1), told(2), told(3)],
            [Some(noise), None, Some(noise)]
        );
    }
}

#[test]
fn a_result_that_something_else_surrounds_does_not_count() {
    for line in [
        // As a title or in colour: the CLI's own sequence follows what an agent put there.
        format!("\u{1b}]0;\u{7}{RESULT}\u{7}"),
        format!("\u{1b}]0;{RESULT}\u{1b}\\"),
        format!("\u{1b}[31m{RESULT}\u{1b}[39m"),
        format!("{RESULT}\u{1b}[0m"),
        // A text, or half a sequence, is no noise.
        format!("Warning: {RESULT}"),
        format!("\u{1b}[2{RESULT}"),
        format!("{RESULT}{RESULT}"),
        format!("\u{9b}2J{RESULT}"),
    ] {
        assert!(is_raw(line.as_bytes()), "{line:?}");
        let verdict = record_of(line.as_bytes()).verdict;
        assert_eq!(verdict.result, None, "{line:?}");
    }
}

#[test]
fn a_last_line_without_newline_counts_if_it_is_whole() {
    assert_eq!(
        record_of(RESULT.as_bytes()).verdict.reason.to_string(),
        "Completed"
    );
    let torn = &RESULT.as_bytes()[..RESULT.len() - 1];
    assert!(is_raw(torn));
    assert_eq!(record_of(torn).verdict.reason.to_string(), "AgentCrashed");
}

#[test]
fn a_very_deep_line_is_raw() {
    for depth in [101, 127, 128, 100_000] {
        let deep = format!(
            "{{\"type\":\"x\",\"d\":{}{}}}",
            "[".repeat(depth),
            "]".repeat(depth)
        );
        assert!(is_raw(deep.as_bytes()), "{depth}");
        let objects = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        assert!(is_raw(objects.as_bytes()), "{depth}");
    }
    let deep = format!(
        "{{\"type\":\"x\",\"d\":{}{}}}",
        "[".repeat(99),
        "]".repeat(99)
    );
    assert!(!is_raw(deep.as_bytes()));
}

#[test]
fn a_result_counts_also_where_it_is_kept_raw() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for odd in [r#""half a pair \ud83d""#, "1e999", &deep] {
        let line = format!("{},\"odd\":{odd}}}\n", &RESULT[..RESULT.len() - 1]);
        assert!(is_raw(line.as_bytes()));
        assert_eq!(
            record_of(line.as_bytes()).verdict.reason.to_string(),
            "Completed",
            "{odd}"
        );
    }
}

#[test]
fn a_large_event_comes_in_parts() {
    let text = "häh \"\\\n\u{1f600}".repeat(100_000);
    let line = json!({"type": "assistant", "message": {"id": "m", "content": [{"type": "text", "text": text}]}, "uuid": "u"});
    let stream = format!("{line}\n{RESULT}\n");
    let record = record_of(stream.as_bytes());
    assert_eq!(record.events[1]["content"], Value::String(text));
    assert!(record.output.split(|&byte| byte == b'\n').count() > 8);
}

#[test]
fn lines_of_ten_megabytes_are_kept() {
    let long = "x".repeat(10 << 20);
    let json = format!(
        "{{\"type\":\"user\",\"message\":{{\"content\":[{{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":\"{long}\"}}]}}}}"
    );
    let record = record_of(format!("{json}\n{RESULT}\n").as_bytes());
    assert_eq!(
        record.events[1]["content"].as_str().map(str::len),
        Some(long.len())
    );
    let record = record_of(format!("{long}\n{RESULT}\n").as_bytes());
    assert_eq!(record.verdict.reason.to_string(), "Completed");
}

#[test]
fn a_line_longer_than_is_held_passes_in_raw_parts() {
    let mut stream = vec![b'y'; (16 << 20) + 1];
    stream.extend(b"\n");
    stream.extend(RESULT.as_bytes());
    let record = translate(stream.chunks(100_000));
    assert_tells_of(&record.events, &stream);
    assert_eq!(record.verdict.reason.to_string(), "Completed");
    let parts: Vec<&Value> = record
        .events
        .iter()
        .filter(|event| event["line"] == 1)
        .collect();
    assert_eq!(parts.last().unwrap()["parts"], json!(parts.len()));
}

#[test]
fn several_blocks_of_one_line_are_events_of_their_own() {
    let line = json!({"type": "assistant", "message": {"id": "m", "content": [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "a", "citations": null},
        {"type": "tool_use", "id": "t", "name": "Read", "input": {"file_path": "/f"}},
        {"type": "text", "text": 1},
        7,
    ]}, "parent_tool_use_id": null, "type2": "x"});
    let record = record_of(line.to_string().as_bytes());
    let events = &record.events[1..3];
    assert_eq!(
        (&events[0]["type"], &events[0]["block"]),
        (&json!("output"), &json!(1))
    );
    assert_eq!(
        (&events[1]["type"], &events[1]["block"]),
        (&json!("tool_use"), &json!(2))
    );
    assert_eq!(events[1]["file"], "/f");
    assert!(events[1].get("data").is_none());
}

#[test]
fn no_line_of_the_cli_passes_for_the_runners_own() {
    for own in OWN_SUBTYPES
        .into_iter()
        .filter(|&own| own != "system" && own != "unknown")
    {
        let system = json!({"type": "system", "subtype": own, "x": 1});
        let thinking = json!({"type": "assistant", "message": {"content": [{"type": own}]}});
        let other = json!({"type": own, "x": 1});
        for (line, subtype) in [
            (system, "system"),
            (thinking, "assistant"),
            (other, "unknown"),
        ] {
            let record = record_of(line.to_string().as_bytes());
            let event = &record.events[1];
            let is_result = line["type"] == "result";
            assert_eq!(
                event["subtype"],
                if is_result { "result" } else { subtype },
                "{line}"
            );
            assert_eq!(event["line"], 1);
        }
    }
}

#[test]
fn calls_are_open_until_their_result() {
    let call = |id: &str| {
        json!({"type": "assistant", "message": {"content": [{"type": "tool_use", "id": id, "name": "Bash", "input": {}}]}}).to_string() + "\n"
    };
    let result = |id: &str| {
        json!({"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": id, "content": ""}]}}).to_string() + "\n"
    };
    let mut translator = Translator::new(Default::default());
    let mut open_after = |line: String| {
        translator.stdout(line.as_bytes(), moment(), &mut Vec::new());
        translator.open_tool_calls()
    };
    assert_eq!(open_after(call("a")), 1);
    assert_eq!(open_after(call("b")), 2);
    assert_eq!(open_after(result("a")), 1);
    assert_eq!(open_after(result("unknown")), 1);
    assert_eq!(
        open_after(RESULT.to_owned() + "\n"),
        0,
        "a turn that is over leaves no call open"
    );
}

#[test]
fn the_readable_log_shows_words_and_calls_and_nothing_a_terminal_obeys() {
    let mut translator = Translator::new(Default::default());
    let lines = [
        json!({"type": "assistant", "message": {"content": [{"type": "text", "text": "Hi\u{1b}]52;c;eA==\u{7}\nthere"}]}}),
        json!({"type": "assistant", "message": {"content": [{"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": "ls"}}]}}),
        json!({"type": "stream_event", "event": {}}),
    ];
    for line in lines {
        translator.stdout(format!("{line}\n").as_bytes(), moment(), &mut Vec::new());
    }
    assert_eq!(
        translator.take_readable(),
        "Hi]52;c;eA==\nthere\n[Bash] {\"command\":\"ls\"}\n"
    );
    assert_eq!(translator.take_readable(), "");
    let long = json!({"type": "assistant", "message": {"content": [{"type": "text", "text": "x".repeat(1 << 20)}]}});
    for _ in 0..100 {
        translator.stdout(format!("{long}\n").as_bytes(), moment(), &mut Vec::new());
    }
    assert!(translator.take_readable().len() < 100_000);
}
