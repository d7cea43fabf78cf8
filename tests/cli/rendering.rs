//! What a person reads of a run, from streams of the real CLI.

use std::{env, fs, path::Path};

use herdctl::api::verdict::{StoppedBy, Verdict};
use serde_json::json;

use crate::{
    cluster::{Cluster, minted},
    golden,
    program::Ran,
    record::{close, segment, status_of, translate, translate_attempt, whole},
};

/// A finished Job with the record of this capture.
fn finished(capture: &str) -> (Cluster, Vec<u8>) {
    let cluster = Cluster::start();
    let (segment, verdict) = segment(capture);
    let bytes = close(segment, &verdict);
    let name = minted("7f3c0a1b");
    cluster.job(&name, 60, status_of(&bytes, &verdict));
    cluster.record(&name, &bytes, true);
    (cluster, bytes)
}

async fn logs(capture: &str, more: &[&str]) -> Ran {
    let (cluster, _) = finished(capture);
    let arguments = [&["jobs", "logs", "7f3c"], more].concat();
    cluster.program.run(&arguments).await.exits(0)
}

#[tokio::test]
async fn runs_of_the_real_cli_are_readable() {
    for capture in [
        "success",
        "subagent",
        "err529_then_ok",
        "max_turns_2",
        "sigterm_bash",
        "write_dontAsk",
        "schema_always_invalid",
        "thinking",
        "err401_maxretries0",
    ] {
        let ran = logs(capture, &[]).await;
        golden::agrees(&format!("tests/cli/golden/logs-{capture}.txt"), &ran.stdout);
        assert_eq!(ran.stderr, "", "{capture}");
    }
}

#[tokio::test]
async fn full_hides_nothing() {
    let ran = logs("thinking", &["--full"]).await;
    ran.prints(&[
        "· thinking let me think",
        "· init {",
        "· result {",
        "· verdict {",
    ]);
    let ran = logs("max_turns_2", &["--full"]).await;
    ran.prints(&[
        "{\"content\":\"data\\n\",\"file_path\":",
        "           1\tdata\n",
    ]);
}

#[tokio::test]
async fn without_utf8_and_with_a_dumb_terminal_signs_are_ascii() {
    let (cluster, _) = finished("success");
    for (name, value) in [("LANG", "C"), ("TERM", "dumb")] {
        let mut command = cluster.program.command(&["jobs", "logs", "7f3c"]);
        let ran = crate::program::finish(command.env(name, value).spawn().unwrap())
            .await
            .exits(0);
        assert!(ran.stdout.is_ascii(), "{}", ran.stdout);
        golden::agrees("tests/cli/golden/logs-success-ascii.txt", &ran.stdout);
    }
}

#[tokio::test]
async fn colour_is_for_terminals_or_on_demand() {
    let (cluster, _) = finished("max_turns_2");
    let coloured = cluster
        .program
        .run(&["jobs", "logs", "7f3c", "--color", "always"])
        .await
        .exits(0);
    assert!(coloured.stdout.contains("\x1b[31m"), "{}", coloured.stdout);
    let plain = cluster
        .program
        .run(&["jobs", "logs", "7f3c"])
        .await
        .exits(0);
    assert!(!plain.stdout.contains('\x1b'));
}

#[tokio::test]
async fn jsonl_is_the_file_byte_by_byte() {
    for capture in ["success", "subagent"] {
        let (cluster, bytes) = finished(capture);
        let ran = cluster
            .program
            .run(&["jobs", "logs", "7f3c", "-o", "jsonl"])
            .await
            .exits(0);
        assert_eq!(ran.stdout.as_bytes(), bytes, "{capture}");
    }
}

/// An assistant's line with what a hostile agent would like a terminal to do.
fn hostile() -> Vec<u8> {
    let text = "\u{1b}]52;c;aGk=\u{7}\u{1b}[2J\u{202e}evil\r\nnext";
    let line = json!({"type": "assistant", "message": {"id": "m", "content": [{"type": "text", "text": text}]}});
    format!("{line}\n").into_bytes()
}

#[tokio::test]
async fn control_bytes_are_harmless_in_text_and_untouched_in_jsonl() {
    let cluster = Cluster::start();
    let (segment, verdict) = translate(&hostile(), 0);
    let bytes = close(segment, &verdict);
    cluster.job(
        "j",
        60,
        json!({"phase": "running", "message": "\u{1b}[2Jx"}),
    );
    cluster.record("j", &bytes, true);
    let text = cluster
        .program
        .run(&["jobs", "logs", "j"])
        .await
        .exits(0)
        .prints(&["]52;c;aGk=[2Jevil", "next"]);
    let harmless = |c: char| c == '\n' || !(c.is_control() || c == '\u{202e}');
    assert!(text.stdout.chars().all(harmless), "{:?}", text.stdout);
    let shown = cluster.program.run(&["jobs", "show", "j"]).await.exits(0);
    assert!(shown.stdout.chars().all(harmless), "{:?}", shown.stdout);
    let jsonl = cluster
        .program
        .run(&["jobs", "logs", "j", "-o", "jsonl"])
        .await
        .exits(0);
    assert_eq!(jsonl.stdout.as_bytes(), bytes);
}

#[tokio::test]
async fn an_event_in_parts_is_shown_as_one() {
    let long = "word ".repeat(100_000);
    let line = json!({"type": "assistant", "message": {"id": "m", "content": [{"type": "text", "text": long}]}});
    let (segment, verdict) = translate(format!("{line}\n").as_bytes(), 0);
    assert!(
        segment.windows(8).any(|window| window == b"\"parts\":"),
        "it was to be split"
    );
    let cluster = Cluster::start();
    cluster.job("j", 60, json!({"phase": "running"}));
    cluster.record("j", &close(segment, &verdict), true);
    let ran = cluster.program.run(&["jobs", "logs", "j"]).await.exits(0);
    assert!(ran.stdout.contains(long.trim_end()));
}

/// Two calls with long results, of which the second is an error; and a line that was never finished.
fn long_results() -> (Cluster, Vec<String>) {
    let mut stream = String::new();
    for (id, command, is_error) in [("a", "make good", false), ("b", "make bad", true)] {
        let call =
            json!({"type": "tool_use", "id": id, "name": "Bash", "input": {"command": command}});
        let result = json!({"type": "tool_result", "tool_use_id": id, "is_error": is_error, "content": "word ".repeat(100_000)});
        for (kind, block) in [("assistant", call), ("user", result)] {
            let line = json!({"type": kind, "message": {"id": "m", "content": [block]}});
            stream.push_str(&format!("{line}\n"));
        }
    }
    let (segment, _) = translate(stream.as_bytes(), 0);
    let bytes = String::from_utf8(segment).unwrap();
    let parts = |bytes: &str| -> Vec<String> {
        let lines = bytes.split_inclusive('\n');
        lines
            .filter(|line| line.contains("\"part\":"))
            .map(str::to_owned)
            .collect()
    };
    let failed = parts(&bytes[bytes.find("make bad").unwrap()..]);
    assert!(
        failed.len() > 1 && parts(&bytes).len() > failed.len(),
        "they were to be split"
    );
    let cluster = Cluster::start();
    cluster.job("j", 60, json!({"phase": "running"}));
    // A pod that died in the middle of an event, and the next attempt.
    let record = [&bytes, &parts(&bytes)[0], &bytes]
        .map(String::as_str)
        .concat();
    cluster.record("j", record.as_bytes(), false);
    (cluster, failed)
}

#[tokio::test]
async fn an_event_in_parts_is_as_grave_as_the_whole_of_it() {
    let (cluster, failed) = long_results();
    let all = cluster.program.run(&["jobs", "logs", "j"]).await.exits(0);
    let bad = |text: &str| {
        text.lines()
            .filter(|line| line.contains("make bad") && line.contains("✖"))
            .count()
    };
    assert_eq!(bad(&all.stdout), 2, "{}", all.stdout);
    all.prints(&["make good  ✔"]);
    let errors = cluster
        .program
        .run(&["jobs", "logs", "j", "--level", "error"])
        .await
        .exits(0);
    assert_eq!(bad(&errors.stdout), 2, "{}", errors.stdout);
    assert!(!errors.stdout.contains("make good"), "{}", errors.stdout);
    let lines = cluster
        .program
        .run(&["jobs", "logs", "j", "--level", "error", "-o", "jsonl"])
        .await
        .exits(0);
    let shown: Vec<&str> = lines
        .stdout
        .split_inclusive('\n')
        .filter(|line| line.contains("tool_result"))
        .collect();
    assert_eq!(shown, [&failed[..], &failed].concat());
}

#[tokio::test]
async fn a_level_shows_what_is_at_least_so_grave() {
    let errors = logs("schema_always_invalid", &["--level", "error"]).await;
    assert!(!errors.stdout.contains('⚙'), "{}", errors.stdout);
    errors.prints(&["StructuredOutput", "InvalidOutput", "failed error"]);
    let warnings = logs("err529_then_ok", &["--level", "warning"]).await;
    warnings.prints(&["the API answered 529 overloaded: retry 1 of 10 in 0.5s"]);
    let none = logs("success", &["--level", "error"])
        .await
        .says(&["none of the 9 lines is of that level"]);
    assert_eq!(none.stdout, "");
}

/// Lines of which every seventh is something to read; the others are not for people.
fn sparse(lines: usize) -> Vec<String> {
    let line = |seq: usize| {
        let time = "2026-01-02T12:05:02.000Z";
        match seq % 7 {
            0 => {
                json!({"type": "output", "timestamp": time, "seq": seq, "content": format!("word {seq}")})
            }
            _ => json!({"type": "system", "timestamp": time, "seq": seq, "subtype": "hidden"}),
        }
    };
    (1..=lines).map(|seq| format!("{}\n", line(seq))).collect()
}

#[tokio::test]
async fn a_tail_counts_the_lines_that_are_shown() {
    let all = logs("subagent", &[]).await.stdout;
    let all: Vec<&str> = all.lines().collect();
    for lines in 1..=all.len() + 1 {
        let ran = logs("subagent", &["--tail", &lines.to_string()]).await;
        let shown: Vec<&str> = ran.stdout.lines().collect();
        let wanted = &all[all.len().saturating_sub(lines)..];
        assert_eq!(shown.len(), wanted.len(), "{lines}: {shown:#?}");
        // The last one says more to who has all.
        let before = shown.len() - 1;
        assert_eq!(shown[..before], wanted[..before], "{lines}");
    }
    let errors = logs("max_turns_2", &["--level", "error", "--tail", "2"]).await;
    assert_eq!(errors.stdout.lines().count(), 2, "{errors:#?}");
    errors.prints(&["MaxTurns: ", "failed error MaxTurns"]);
}

#[tokio::test]
async fn a_tail_is_looked_for_as_far_back_as_it_takes() {
    let cluster = Cluster::start();
    cluster.job("j", 60, json!({"phase": "running"}));
    // Far more lines are hidden behind the last words than are asked for at once.
    let mut lines = sparse(700);
    lines.extend((0..3_000).map(|_| sparse(1).remove(0)));
    cluster.record("j", lines.concat().as_bytes(), false);
    for (tail, first) in [("1", "word 700"), ("3", "word 686"), ("200", "word 7")] {
        let ran = cluster
            .program
            .run(&["jobs", "logs", "j", "--tail", tail])
            .await
            .exits(0);
        let shown: Vec<&str> = ran.stdout.lines().collect();
        assert!(shown[0].ends_with(first), "{tail}: {}", shown[0]);
        assert_eq!(
            shown.len(),
            tail.parse::<usize>().unwrap().min(100),
            "{tail}"
        );
    }
    let since = [
        "jobs",
        "logs",
        "j",
        "--tail",
        "2",
        "--since",
        "2026-01-02T12:00",
    ];
    let ran = cluster.program.run(&since).await.exits(0);
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:#?}");
    let ran = cluster
        .program
        .run(&["jobs", "logs", "j", "--tail", "many"])
        .await
        .exits(2);
    ran.says(&["expected a number of lines, for example 20"]);
}

#[tokio::test]
async fn a_tail_since_a_time_is_looked_for_no_further_back() {
    for tail in ["1", "2", "20"] {
        let ran = logs(
            "success",
            &["--tail", tail, "--since", "2026-01-02T12:04:34"],
        )
        .await;
        let lines = tail.parse::<usize>().unwrap().min(2);
        assert_eq!(ran.stdout.lines().count(), lines, "{tail}: {ran:#?}");
    }
}

#[tokio::test]
async fn a_followed_tail_shows_the_last_lines_and_then_what_comes() {
    let cluster = Cluster::start();
    cluster.job("j", 60, json!({"phase": "running"}));
    let lines = sparse(700);
    cluster.record("j", lines.concat().as_bytes(), false);
    let mut logs = cluster
        .program
        .start(&["jobs", "logs", "j", "-f", "--tail", "2"]);
    for word in ["word 693", "word 700"] {
        let line = logs.line().await;
        assert!(line.trim_end().ends_with(word), "{line}");
    }
    for line in &lines[..14] {
        cluster.append("j", line.as_bytes(), false);
    }
    for word in ["word 7", "word 14"] {
        let line = logs.line().await;
        assert!(line.trim_end().ends_with(word), "{line}");
    }
    let (segment, verdict) = segment("success");
    cluster.append("j", &close(segment, &verdict), true);
    logs.rest()
        .await
        .exits(0)
        .prints(&["I will run a command.", "completed success"]);
}

#[tokio::test]
async fn tail_and_since_begin_later() {
    let (cluster, bytes) = finished("success");
    let ran = cluster
        .program
        .run(&["jobs", "logs", "7f3c", "--tail", "2", "-o", "jsonl"])
        .await
        .exits(0);
    assert_eq!(ran.stdout.lines().count(), 2);
    assert!(bytes.ends_with(ran.stdout.as_bytes()));
    let since = [
        "jobs",
        "logs",
        "7f3c",
        "-o",
        "jsonl",
        "--since",
        "2026-01-02T13:04:34",
    ];
    let mut command = cluster.program.command(&since);
    // A date without a zone is the terminal's own: an hour east of Greenwich.
    let ran = crate::program::finish(command.env("TZ", "<+01>-1").spawn().unwrap())
        .await
        .exits(0);
    assert!(
        ran.stdout
            .starts_with(r#"{"type":"output","timestamp":"2026-01-02T12:04:34.500Z""#),
        "{}",
        ran.stdout
    );
}

#[tokio::test]
async fn times_are_the_terminals_own() {
    let (cluster, _) = finished("success");
    let mut command = cluster.program.command(&["jobs", "logs", "7f3c"]);
    let ran = crate::program::finish(command.env("TZ", "<+02>-2").spawn().unwrap())
        .await
        .exits(0);
    assert!(ran.stdout.starts_with("14:04:32 "), "{}", ran.stdout);
}

#[tokio::test]
async fn fewer_lines_than_the_status_counts_are_an_error() {
    let (cluster, bytes) = finished("success");
    let cut = bytes.len() / 2;
    cluster.record(&minted("7f3c0a1b"), &bytes[..cut], true);
    let ran = cluster
        .program
        .run(&["jobs", "logs", "7f3c"])
        .await
        .exits(1);
    ran.says(&["lines came, and the Job's status counts 9", "jobs verify"]);
}

#[tokio::test]
async fn no_output_says_why_there_is_none() {
    let cluster = Cluster::start();
    cluster.job("j", 42, json!({"phase": "pending", "reason": "ImagePull"}));
    let ran = cluster.program.run(&["jobs", "logs", "j"]).await.exits(0);
    ran.says(&["no output yet · pending for 4", "follow it with"]);
}

#[tokio::test]
async fn lines_that_are_not_for_people_are_counted_and_the_follow_is_named() {
    let cluster = Cluster::start();
    let (segment, _) = segment("success");
    // What is there in the first seconds of every run.
    let begun: Vec<u8> = segment
        .split_inclusive(|&byte| byte == b'\n')
        .take(2)
        .flatten()
        .copied()
        .collect();
    cluster.job("j", 3, json!({"phase": "running"}));
    cluster.record("j", &begun, false);
    let ran = cluster.program.run(&["jobs", "logs", "j"]).await.exits(0);
    assert!(!ran.stderr.contains("level"), "{ran:#?}");
    ran.says(&[
        "nothing for people in 2 lines; --full shows all\n",
        "it has not ended; follow it with herdctl jobs logs -f j\n",
    ]);
    for form in [&["--full"][..], &["--full", "-o", "text"], &["-o", "jsonl"]] {
        let arguments = [&["jobs", "logs", "j"][..], form].concat();
        let ran = cluster.program.run(&arguments).await.exits(0);
        assert_eq!(
            ran.stderr,
            "it has not ended; follow it with herdctl jobs logs -f j\n"
        );
        assert_eq!(ran.stdout.lines().count(), 2, "{ran:#?}");
    }
}

#[tokio::test]
async fn the_digest_that_is_told_is_the_whole_files() {
    let (cluster, bytes) = finished("success");
    let digest = &crate::record::hex(&bytes)[..12];
    for arguments in [
        &["logs", "7f3c"][..],
        &["logs", "7f3c", "-f"],
        &["show", "7f3c"],
    ] {
        let ran = cluster
            .program
            .run(&[&["jobs"], arguments].concat())
            .await
            .exits(0);
        ran.prints(&[&format!("sealed {digest}")]);
    }
    // Whoever has only the end has no digest to tell.
    for from in [["--tail", "2"], ["--since", "2026-01-02T12:04:34"]] {
        let ran = logs("success", &from).await;
        assert!(ran.stdout.ends_with(" · sealed\n"), "{}", ran.stdout);
    }
}

#[tokio::test]
async fn a_torn_line_is_counted_too() {
    let cluster = Cluster::start();
    let (mut segment, verdict) = segment("success");
    segment.extend_from_slice(b"{\"torn\n");
    let bytes = close(segment, &verdict);
    cluster.job("j", 60, status_of(&bytes, &verdict));
    cluster.record("j", &bytes, true);
    let ran = cluster.program.run(&["jobs", "logs", "j"]).await.exits(0);
    let digest = &crate::record::hex(&bytes)[..12];
    ran.prints(&[&format!(" · 10 lines, sealed {digest}\n")]);
}

#[tokio::test]
async fn other_bytes_than_the_status_vouches_for_are_an_error() {
    let (cluster, bytes) = finished("success");
    let altered = String::from_utf8(bytes)
        .unwrap()
        .replace("All done.", "All gone.");
    cluster.record(&minted("7f3c0a1b"), altered.as_bytes(), true);
    for form in ["text", "jsonl"] {
        let ran = cluster
            .program
            .run(&["jobs", "logs", "7f3c", "-o", form])
            .await
            .exits(1);
        ran.prints(&["All gone."]).says(&[
            "error: the digest of what came is ",
            "and the Job's status says ",
            "jobs verify 7f3c",
        ]);
    }
}

#[tokio::test]
async fn output_of_a_deleted_job_is_found_by_its_name() {
    let cluster = Cluster::start();
    cluster.record("gone", &whole("success"), true);
    cluster
        .program
        .run(&["jobs", "logs", "gone"])
        .await
        .exits(0)
        .prints(&["All done."]);
}

#[tokio::test]
async fn a_reader_who_leaves_ends_it_quietly() {
    let cluster = Cluster::start();
    let (segment, _) = segment("success");
    cluster.job("j", 60, json!({"phase": "running"}));
    cluster.record("j", &segment, false);
    let mut logs = cluster
        .program
        .start(&["jobs", "logs", "j", "-f", "-o", "jsonl"]);
    logs.line().await;
    let closing = logs.close();
    let more = async {
        // Whatever comes next finds the pipe closed.
        loop {
            cluster.append("j", b"{\"type\":\"output\"}\n", false);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let status = tokio::select! {
        status = closing => status,
        () = more => unreachable!(),
    };
    assert_eq!(status.code(), Some(0));
}

/// A capture as the stream of this attempt.
fn attempt(number: u32, capture: &str, code: i32, stopped_by: StoppedBy) -> (Vec<u8>, Verdict) {
    let file = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap())
        .join(format!("tests/captures/{capture}.jsonl"));
    let prompt = match number {
        1 => "Count the sheep,\nthen sleep.",
        2 => "You were paused and go on now.",
        _ => LONG_PROMPT,
    };
    let stream = fs::read(file).unwrap();
    translate_attempt(number, &stream, code, stopped_by, Some(prompt))
}

/// With more lines than are shown, and what no terminal may see.
const LONG_PROMPT: &str =
    "You were interrupted.\u{1b}[2J\n\n2\n3\n4\n5\n6\n7\n8\n9\n10\nthe end of a long prompt";

/// Three attempts: one was paused, one lost its pod in the middle of a line, the last came to its end.
fn three_attempts() -> Cluster {
    let (mut record, _) = attempt(1, "sigterm_bash", 143, StoppedBy::Signal);
    let (lost, _) = attempt(2, "subagent", 0, StoppedBy::Nobody);
    record.extend_from_slice(&lost[..lost.len() / 2]);
    record.push(b'\n');
    let (last, verdict) = attempt(3, "success", 0, StoppedBy::Nobody);
    // Its session is known to have cost something before.
    let last = String::from_utf8(last).unwrap();
    let last = last.replacen(r#""attempt":3"#, r#""attempt":3,"costBeforeUSD":0.11"#, 1);
    record.extend_from_slice(last.as_bytes());
    let cluster = Cluster::start();
    let bytes = close(record, &verdict);
    cluster.job("j", 60, status_of(&bytes, &verdict));
    cluster.record("j", &bytes, true);
    cluster
}

#[tokio::test]
async fn where_an_attempt_ends_and_the_next_begins_is_shown() {
    let cluster = three_attempts();
    let ran = cluster.program.run(&["jobs", "logs", "j"]).await.exits(0);
    golden::agrees("tests/cli/golden/logs-attempts.txt", &ran.stdout);
    assert!(!ran.stdout.contains("the end of a long prompt"));
    let full = cluster
        .program
        .run(&["jobs", "logs", "j", "--full"])
        .await
        .exits(0);
    full.prints(&[
        "❯ Count the sheep,\n",
        "         the end of a long prompt\n",
    ]);
    // That the first was stopped is no failure of the Job.
    let errors = cluster
        .program
        .run(&["jobs", "logs", "j", "--level", "error"])
        .await
        .exits(0);
    assert!(
        !errors.stdout.contains("AgentCrashed") && !errors.stdout.contains("attempt"),
        "{}",
        errors.stdout
    );
}

/// Who stopped the agent is not the agent's to say: the record's last line says it, as the status does.
#[tokio::test]
async fn a_run_that_was_stopped_is_not_called_a_crash() {
    let (record, verdict) = attempt(1, "sigterm_bash", 143, StoppedBy::Signal);
    let cluster = Cluster::start();
    let mut bytes = String::from_utf8(close(record, &verdict)).unwrap();
    for (was, is) in [
        (r#""status":"failed""#, r#""status":"cancelled""#),
        (
            r#""exitReason":"error","reason":"Stopped""#,
            r#""exitReason":"manual_cancel","reason":"Cancelled""#,
        ),
    ] {
        let at = bytes.rfind(was).unwrap_or_else(|| panic!("{was}: {bytes}"));
        bytes.replace_range(at..at + was.len(), is);
    }
    cluster.job("j", 60, status_of(bytes.as_bytes(), &verdict));
    cluster.record("j", bytes.as_bytes(), true);
    for level in ["info", "error"] {
        let ran = cluster
            .program
            .run(&["jobs", "logs", "j", "--level", level])
            .await
            .exits(0);
        assert!(
            !ran.stdout.contains("Crashed") && !ran.stdout.contains("new Job"),
            "{}",
            ran.stdout
        );
        let last = ran.stdout.lines().last().unwrap();
        assert!(last.contains("j cancelled"), "{last}");
    }
}
