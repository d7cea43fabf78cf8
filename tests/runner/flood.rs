//! Much output, a log that nobody reads, a spool that is full.

use std::fs;
use std::io::Read;
use std::process::Command;

use rustix::process::Signal;

use crate::pod::{Pod, Start, Stream, wait_for};

/// Lines on each stream: more than 10 MB, written as fast as they are taken.
const LINES: usize = 75_000;

#[test]
fn both_streams_of_a_flood_are_recorded_whole() {
    let pod = Pod::new();
    let line = "x".repeat(70);
    let flood = format!("seq -f '{line} %.0f' {LINES}");
    pod.exec(
        Start::First,
        &format!("{flood} & {flood} >&2; wait; exit 1"),
    )
    .end();
    let expected: Vec<String> = (1..=LINES)
        .map(|number| format!("{line} {number}"))
        .collect();
    assert!(
        pod.lines(Stream::Stdout) == expected,
        "standard output has holes"
    );
    assert!(
        pod.lines(Stream::Stderr) == expected,
        "standard error has holes"
    );
}

#[test]
fn a_line_of_ten_megabytes_passes_and_the_next_one_too() {
    let pod = Pod::new();
    pod.exec(
        Start::First,
        "head -c 10000000 /dev/zero | tr '\\0' a; echo; echo next",
    )
    .end();
    let text = pod.lines(Stream::Stdout).concat();
    assert_eq!(text.len(), 10_000_004);
    assert!(text.ends_with("aaanext"));
}

/// The runner's own standard output is a pipe that nobody reads here, and soon full.
#[test]
fn a_log_that_nobody_reads_stalls_nothing() {
    let pod = Pod::new();
    let (mut reader, writer) = std::io::pipe().unwrap();
    pod.exec_to(Start::First, "seq 50000 >&2; exit 8", writer.into())
        .end();
    assert_eq!(pod.verdict()["exit"]["code"], 8);
    assert_eq!(pod.lines(Stream::Stderr).len(), 50_000);
    let mut kept = Vec::new();
    reader.read_to_end(&mut kept).unwrap();
    assert!(
        (32 * 1024..128 * 1024).contains(&kept.len()),
        "{} bytes",
        kept.len()
    );
}

/// `ship` runs where the spool's folder is a file system of 64 KiB.
#[test]
fn a_spool_that_is_full_ends_the_run_with_74_and_no_verdict() {
    let mut pod = Pod::without_ship();
    let spool = pod.path("spool");
    let ship = pod.ship_command();
    let mut command = Command::new("unshare");
    let mount = "mount -t tmpfs -o size=64k none \"$0\" && exec \"$@\"";
    command
        .args(["--mount", "sh", "-c", mount])
        .arg(&spool)
        .arg(ship.get_program());
    command
        .args(ship.get_args())
        .stderr(std::process::Stdio::piped());
    pod.start_ship_as(command);
    let ended = pod
        .exec(Start::First, "echo > started; seq 100000; sleep 1000")
        .end();
    assert_eq!(ended.code, Some(74), "{ended:?}");
    let message = pod.termination_message();
    assert!(message.contains("No space left on device"), "{message}");
    let (code, said) = pod.ship_left();
    assert_eq!(code, Some(0));
    assert!(said.contains("without a verdict"), "{said}");
}

/// The agent may lower our limits (until it is kept from it): the signal that comes with a file that
/// grew too large must not kill PID 1 or, worse, be taken for the agent's end.
#[test]
fn a_limit_on_our_files_ends_the_run_with_74_and_no_verdict() {
    let pod = Pod::new();
    let exec = pod.exec(
        Start::First,
        "until [ -s go ]; do sleep 0.01; done; seq 100000; sleep 1000",
    );
    let pid = exec.pid().as_raw_nonzero().to_string();
    wait_for("start event", || (!pod.events().is_empty()).then_some(()));
    let limited = Command::new("prlimit")
        .args(["--pid", &pid, "--fsize=8192:8192"])
        .status();
    assert!(limited.unwrap().success());
    fs::write(pod.path("work/go"), "go").unwrap();
    assert_eq!(exec.end().code, Some(74));
    let size = fs::metadata(pod.path("spool/output.jsonl")).unwrap().len();
    assert_eq!(size, 8192);
}

#[test]
fn a_runner_that_is_stopped_and_continued_goes_on() {
    let pod = Pod::new();
    let exec = pod.exec(
        Start::First,
        "for i in $(seq 20); do echo $i; sleep 0.02; done; exit 3",
    );
    wait_for("first line", || {
        (!pod.lines(Stream::Stdout).is_empty()).then_some(())
    });
    exec.signal(Signal::STOP);
    exec.signal(Signal::CONT);
    exec.end();
    assert_eq!(pod.lines(Stream::Stdout).len(), 20);
    assert_eq!(pod.verdict()["stoppedBy"], "nobody");
}
