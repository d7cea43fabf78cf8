use super::*;
use crate::api::{text::Clean, verdict};

const TIME: &str = r#""timestamp":"2026-01-02T03:04:05.678Z""#;

/// A record of one attempt, as runner and store write it.
fn record() -> Vec<String> {
    let mut lines = vec![
        format!(
            r#"{{"type":"start",{TIME},"seq":1,"message":"m","job":"j","agent":"a","attempt":1}}"#
        ),
        format!(r#"{{"type":"output",{TIME},"seq":2,"line":1,"content":"hello"}}"#),
    ];
    lines.push(verdict_line(&lines, 3));
    close(lines, 4)
}

fn verdict_line(segment: &[String], seq: u64) -> String {
    let text = text(segment);
    let told = verdict::Segment {
        bytes: text.len() as u64,
        lines: segment.len() as u64,
        sha256: Clean::line(&hex(Sha256::new_with_prefix(&text)), 64),
    };
    let told = serde_json::to_string(&told).unwrap();
    format!(
        r#"{{"type":"system",{TIME},"seq":{seq},"subtype":"verdict","data":{{"segment":{told}}}}}"#
    )
}

fn close(mut lines: Vec<String>, seq: u64) -> Vec<String> {
    let digest = hex(Sha256::new_with_prefix(text(&lines)));
    lines.push(format!(
        r#"{{"type":"complete",{TIME},"seq":{seq},"status":"completed","exitReason":"success","sha256":"{digest}"}}"#
    ));
    lines
}

fn text(lines: &[String]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|line| [line.as_str(), "\n"])
        .collect::<String>()
        .into_bytes()
}

fn status(bytes: &[u8]) -> Output {
    Output {
        path: "p".into(),
        bytes: bytes.len() as u64,
        lines: bytes.iter().filter(|&&byte| byte == b'\n').count() as u64,
        missing: None,
        sha256: Some(hex(Sha256::new_with_prefix(bytes))),
        sealed: Some(chrono::DateTime::default()),
    }
}

fn check(bytes: &[u8], status: Option<&Output>) -> Report {
    check_against(bytes, status.map_or(Known::Gone, Known::Told))
}

fn check_against(bytes: &[u8], known: Known) -> Report {
    let mut check = Check::default();
    check.bytes(bytes);
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        if line.ends_with(b"\n") {
            check.line(line);
        }
    }
    check.finish(known)
}

fn differences(report: &Report) -> Vec<String> {
    let different = report
        .findings
        .iter()
        .filter(|finding| finding.is_difference());
    different.map(ToString::to_string).collect()
}

#[test]
fn a_record_as_it_was_written_agrees_everywhere() {
    let bytes = text(&record());
    let report = check(&bytes, Some(&status(&bytes)));
    assert_eq!(differences(&report), [""; 0]);
    let agree = report
        .findings
        .iter()
        .filter(|finding| matches!(finding, Finding::Agrees(_)));
    assert_eq!((agree.count(), report.sealed, report.lines), (3, true, 4));
}

#[test]
fn one_changed_letter_shows_in_every_digest() {
    let bytes = text(&record());
    let status = status(&bytes);
    let changed = String::from_utf8(bytes).unwrap().replace("hello", "hallo");
    let told = differences(&check(changed.as_bytes(), Some(&status))).join("\n");
    for part in [
        "attempt 1 (up to line 3)",
        "the 3 lines before the last",
        "the whole file: sha256",
    ] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn a_line_that_is_gone_is_told_by_its_number() {
    let mut lines = record();
    lines.remove(1);
    let told = differences(&check(&text(&lines), None)).join("\n");
    assert!(
        told.contains("line 2: number 3 of attempt 1, where 2 must come"),
        "{told}"
    );
}

#[test]
fn what_comes_after_the_last_line_shows() {
    let mut lines = record();
    lines.push(lines[1].clone());
    let told = differences(&check(&text(&lines), None)).join("\n");
    assert!(
        told.contains("line 5 follows the line that must be the last"),
        "{told}"
    );
}

#[test]
fn lines_between_verdict_and_end_show() {
    let mut lines = record();
    lines.pop();
    lines.push(format!(
        r#"{{"type":"output",{TIME},"seq":4,"line":2,"content":"more"}}"#
    ));
    let told = differences(&check(&text(&close(lines, 5)), None));
    assert_eq!(told, ["line 4: attempt 1 continues after its verdict"]);
}

#[test]
fn a_lost_attempt_with_half_a_line_is_no_difference() {
    let start = |attempt| {
        format!(
            r#"{{"type":"start",{TIME},"seq":1,"message":"m","job":"j","agent":"a","attempt":{attempt}}}"#
        )
    };
    let first = vec![start(1), r#"{"type":"outp"#.to_owned()];
    let mut second = vec![start(2)];
    second.push(verdict_line(&second, 2));
    let lines = close([first, second].concat(), 3);
    let bytes = text(&lines);
    let report = check(&bytes, Some(&status(&bytes)));
    assert_eq!(differences(&report), [""; 0]);
    let unknown = report
        .findings
        .iter()
        .filter(|finding| matches!(finding, Finding::Unknown(_)));
    assert_eq!(unknown.count(), 2, "{report:?}");
}

#[test]
fn a_job_that_never_ran_has_only_the_stores_words() {
    let error =
        format!(r#"{{"type":"error",{TIME},"seq":1,"message":"no node","code":"StartTimedOut"}}"#);
    let bytes = text(&close(vec![error], 2));
    assert_eq!(differences(&check(&bytes, Some(&status(&bytes)))), [""; 0]);
}

#[test]
fn what_never_arrived_is_a_difference() {
    let bytes = text(&record());
    let lost = Output {
        missing: Some(7),
        ..status(&bytes)
    };
    assert_eq!(
        differences(&check(&bytes, Some(&lost))),
        ["7 bytes that the runner recorded never reached the store"]
    );
}

#[test]
fn a_record_that_was_cut_short_shows() {
    let bytes = text(&record());
    let cut = &bytes[..bytes.len() - 10];
    let told = differences(&check(cut, Some(&status(&bytes)))).join("\n");
    for part in [
        "no whole line",
        "its last line is missing",
        "bytes, the Job's status says",
    ] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn a_verdict_that_the_agent_claims_proves_nothing() {
    let mut lines = record();
    lines.truncate(2);
    let forged = verdict_line(&lines, 3).replace(r#""seq":3"#, r#""seq":3,"line":2"#);
    lines.push(forged);
    let report = check(&text(&close(lines, 4)), None);
    let ended = "attempt 1: it ended without a verdict, which would have its digest";
    assert!(
        report.findings.contains(&Finding::Unknown(ended.into())),
        "{report:?}"
    );
}

#[test]
fn a_record_that_still_grows_is_not_said_to_have_ended() {
    let mut lines = record();
    lines.truncate(2);
    let bytes = text(&lines);
    let unsealed = Output {
        sealed: None,
        sha256: None,
        ..status(&bytes)
    };
    for known in [Known::of(None), Known::of(Some(&unsealed))] {
        let told: Vec<String> = check_against(&bytes, known)
            .findings
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            told,
            [
                "attempt 1: it has no verdict yet, which would have its digest",
                "the whole file: the Job's status does not have its digest yet"
            ]
        );
    }
    let told = format!("{:?}", check_against(&bytes, Known::Gone).findings);
    assert!(told.contains("ended without a verdict"), "{told}");
    assert!(told.contains("its Job was deleted"), "{told}");
}
