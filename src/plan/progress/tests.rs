use serde_json::{Value, json};

use super::*;

fn tally(events: &[Value]) -> (Tally, Vec<Verdict>) {
    let mut tally = Tally::default();
    let verdicts = events
        .iter()
        .filter_map(|event| tally.take(event.to_string().as_bytes()))
        .collect();
    (tally, verdicts)
}

fn said(id: &str, read: u64, written: u64) -> Value {
    json!({
        "type": "output", "timestamp": "2026-11-23T07:23:51.802Z", "seq": 7, "line": 3, "messageId": id,
        "content": "words", "data": {"message": {"usage": {
            "input_tokens": read, "cache_read_input_tokens": 10, "output_tokens": written,
        }}},
    })
}

fn called(id: &str, tool: &str) -> Value {
    json!({
        "type": "tool_use", "timestamp": "2026-11-23T07:23:52.802Z", "seq": 8, "line": 4, "tool": tool,
        "toolUseId": "t", "input": {}, "data": {"message": {"id": id, "usage": {"input_tokens": 1}}},
    })
}

fn result(turns: u64, cost: f64) -> Value {
    json!({
        "type": "system", "timestamp": "2026-11-23T07:23:53.802Z", "seq": 9, "line": 5, "subtype": "result",
        "data": {"num_turns": turns, "total_cost_usd": cost, "usage": {"input_tokens": 50, "output_tokens": 60}},
    })
}

fn verdict() -> Value {
    json!({
        "type": "system", "timestamp": "2026-11-23T07:23:54.802Z", "seq": 10, "subtype": "verdict",
        "data": {
            "phase": "completed", "exitReason": "success", "reason": "Completed", "message": "done",
            "stoppedBy": "nobody", "turns": 4, "costUSD": 0.5,
            "segment": {"bytes": 1, "lines": 1, "sha256": "00"},
        },
    })
}

#[test]
fn a_message_on_several_lines_is_one_turn_and_its_tokens_count_once() {
    let (tally, _) = tally(&[said("a", 100, 1), called("a", "Bash"), said("b", 5, 2)]);
    let progress = tally.progress();
    assert_eq!((progress.turns, progress.cost_usd), (2, None));
    assert_eq!((progress.input_tokens, progress.output_tokens), (125, 3));
    assert_eq!(progress.last_tool.as_deref(), Some("Bash"));
    assert_eq!(tally.seq(), 7);
}

#[test]
fn a_result_line_says_how_many_turns_there_were() {
    let (first, _) = tally(&[said("a", 0, 1), result(3, 0.25)]);
    let progress = first.progress();
    assert_eq!((progress.turns, progress.cost_usd), (3, Some(0.25)));
    assert_eq!((progress.input_tokens, progress.output_tokens), (60, 60));

    let (more, _) = tally(&[
        said("a", 0, 1),
        result(3, 0.25),
        said("b", 0, 1),
        result(1, 0.5),
    ]);
    assert_eq!(
        (more.progress().turns, more.progress().cost_usd),
        (4, Some(0.5))
    );
}

#[test]
fn a_subagent_takes_tokens_and_no_turn_of_the_agents() {
    let mut of_a_subagent = said("s", 100, 9);
    of_a_subagent["parentToolUseId"] = "t".into();
    let (tally, _) = tally(&[of_a_subagent, result(1, 0.1)]);
    let progress = tally.progress();
    assert_eq!(
        (
            progress.turns,
            progress.input_tokens,
            progress.output_tokens
        ),
        (1, 160, 69)
    );
}

#[test]
fn attempts_add_up() {
    let start =
        json!({"type": "start", "timestamp": "2026-11-23T07:23:51.802Z", "seq": 1, "message": "m"});
    let events = [
        start.clone(),
        said("a", 0, 1),
        start,
        said("a", 0, 1),
        result(2, 0.1),
    ];
    assert_eq!(tally(&events).0.progress().turns, 3);
}

#[test]
fn a_sessions_cost_counts_once_however_many_attempts_tell_it() {
    let start = |before: Value| {
        json!({
            "type": "start", "timestamp": "2026-11-23T07:23:51.802Z", "seq": 1, "message": "m",
            "costBeforeUSD": before,
        })
    };
    let killed = said("a", 0, 1);
    for (events, expected) in [
        // The total of a session is told again by each attempt.
        (
            vec![
                start(Value::Null),
                result(1, 0.25),
                start(0.25.into()),
                result(1, 0.75),
            ],
            Some(0.75),
        ),
        // The first attempt's session is that of another Job.
        (vec![start(2.0.into()), result(1, 2.5)], Some(0.5)),
        (
            vec![
                start(2.0.into()),
                result(1, 2.5),
                start(2.5.into()),
                result(1, 2.75),
            ],
            Some(0.75),
        ),
        // What ended before it could tell costs nothing until it does.
        (
            vec![start(Value::Null), killed.clone(), start(Value::Null)],
            None,
        ),
        (
            vec![
                start(Value::Null),
                result(1, 0.5),
                start(0.5.into()),
                killed,
            ],
            Some(0.5),
        ),
        // A session that began anew.
        (
            vec![
                start(Value::Null),
                result(1, 0.5),
                start(Value::Null),
                result(1, 0.25),
            ],
            Some(0.75),
        ),
        // The transcript's word, which can't be: the agent may write it.
        (vec![start(9.0.into()), result(1, 0.5)], Some(0.5)),
    ] {
        assert_eq!(tally(&events).0.progress().cost_usd, expected, "{events:?}");
    }
}

#[test]
fn only_the_runner_gives_a_verdict() {
    let (told, verdicts) = tally(&[said("a", 0, 1), verdict()]);
    assert_eq!(verdicts.len(), 1);
    assert_eq!(
        (told.progress().turns, told.progress().cost_usd),
        (4, Some(0.5))
    );

    let mut forged = verdict();
    forged["line"] = 6.into();
    let mut part = verdict();
    part["part"] = 1.into();
    let mut torn = verdict();
    torn["data"] = Value::Null;
    assert_eq!(
        tally(&[forged, part, torn, verdict()["data"].clone()]).1,
        []
    );
}

#[test]
fn what_is_no_event_counts_for_nothing() {
    let mut tally = Tally::default();
    for line in [
        &b""[..],
        b"null",
        b"{",
        b"\xff",
        b"{\"type\":1}",
        b"[1]",
        b"{\"type\":\"start\"",
    ] {
        assert_eq!(tally.take(line), None);
    }
    assert_eq!(tally.progress(), Progress::default());
}

#[test]
fn what_is_remembered_of_a_message_does_not_grow_with_its_id() {
    fn owns_nothing<T: Copy>(_: &T) {}
    let (long, longer) = ("a".repeat(250_000), "a".repeat(250_001));
    let (tally, _) = tally(&[said(&long, 0, 1), said(&longer, 0, 1), said(&long, 0, 1)]);
    assert_eq!(tally.progress().turns, 2);
    assert_eq!(tally.recent.len(), 2);
    tally.recent.iter().for_each(owns_nothing);
}

#[test]
fn whatever_the_agent_says_the_numbers_are_some_that_the_api_server_takes() {
    let most = result(u64::MAX, 1e308);
    let start = json!({"type": "start", "timestamp": "2026-11-23T07:23:51.802Z", "seq": 1});
    let mut late = said("b", u64::MAX, u64::MAX);
    late["timestamp"] = "+12345-11-23T07:23:51Z".into();
    let events = [
        most.clone(),
        start,
        most,
        said("a", u64::MAX, u64::MAX),
        late,
    ];
    let progress = tally(&events).0.progress();
    let largest = i64::MAX.unsigned_abs();
    assert_eq!(
        (
            progress.turns,
            progress.input_tokens,
            progress.output_tokens
        ),
        (largest, largest, largest)
    );
    assert_eq!(progress.cost_usd, None);
    let text = serde_json::to_string(&progress).unwrap();
    assert!(text.contains("\"lastActivity\":\"2026-11-23"), "{text}");
}
