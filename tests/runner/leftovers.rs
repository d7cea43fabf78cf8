//! What the CLI leaves behind when it ends: all of it must be gone before there is a verdict.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::pod::{Pod, Start, Stream, wait_for};
use crate::process::{Exec, child_of};

/// Two processes that are nobody's children any more, in sessions of their own, deaf to TERM, with our
/// streams open; goes on when both run.
const DAEMONS: &str = "
daemon='trap \"\" TERM HUP; echo > $0; while :; do sleep 1; done'
(setsid sh -c \"$daemon\" one &)
(setsid sh -c \"setsid sh -c '$daemon' two &\" &)
(trap '' TERM HUP; setsid sleep 1000 &)
until [ -s one ]; do sleep 0.01; done
";

#[test]
fn a_grandchild_that_holds_standard_output_does_not_hold_up_the_end() {
    let pod = Pod::new();
    let ended = pod.exec(Start::First, "sleep 1000 & exit 2").end();
    assert!(ended.took < Duration::from_secs(5), "{:?}", ended.took);
    assert_eq!(pod.verdict()["exit"]["code"], 2);
}

#[test]
fn what_left_words_behind_before_it_was_killed_is_heard() {
    let pod = Pod::new();
    pod.exec(
        Start::First,
        "(echo late; echo > said; sleep 1000) & until [ -s said ]; do :; done",
    )
    .end();
    assert_eq!(pod.lines(Stream::Stdout), ["late"]);
}

/// A run whose termination log is a pipe, so that the runner stands still between its verdict and its
/// exit, and who else is there can be counted.
fn run_that_waits_with_its_verdict(pod: &Pod, start: Start, script: &str) -> Exec {
    let log = pod.path("termination.log");
    fs::remove_file(&log).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg("--mode=666")
            .arg(&log)
            .status()
            .unwrap()
            .success()
    );
    pod.exec(start, script)
}

fn wait_for_verdict(pod: &Pod) {
    let verdict = |event: &serde_json::Value| event["subtype"] == "verdict";
    wait_for("verdict", || {
        pod.events().last().is_some_and(verdict).then_some(())
    });
}

/// Reads the termination message, which lets the runner go on.
fn let_go(pod: &Pod) -> String {
    let mut message = String::new();
    File::open(pod.path("termination.log"))
        .unwrap()
        .read_to_string(&mut message)
        .unwrap();
    message
}

#[test]
fn nobody_is_left_when_the_verdict_is_written() {
    let pod = Pod::new();
    let exec = run_that_waits_with_its_verdict(&pod, Start::First, &format!("{DAEMONS} exit 3"));
    wait_for_verdict(&pod);
    assert_eq!(neighbours(&exec), Vec::<PathBuf>::new());
    assert_eq!(pod.verdict()["exit"]["code"], 3);
    assert!(let_go(&pod).contains("AgentCrashed"));
    exec.end();
}

/// Somebody who came into the container from outside, as `kubectl exec` does, and with so much memory
/// that dying takes a while.
fn visitor(exec: &Exec, user: &str) -> Child {
    let mut command = Command::new("nsenter");
    command.args([
        "--target",
        &exec.pid().as_raw_nonzero().to_string(),
        "--pid",
        "--",
    ]);
    command.args(["setpriv", "--reuid", user, "--clear-groups"]);
    command.args([
        "perl",
        "-e",
        "my $much = 'x' x 300_000_000; $0 = 'settled'; sleep 1000",
    ]);
    let visitor = command.spawn().unwrap();
    let settled =
        |pid: &u32| fs::read(format!("/proc/{pid}/comm")).is_ok_and(|name| name == b"settled\n");
    wait_for("visitor", || child_of(visitor.id()).filter(settled));
    visitor
}

const UNTIL_TOLD: &str = "until [ -s go ]; do sleep 0.01; done; exit 3";

#[test]
fn a_visitor_with_the_agents_rights_is_gone_too() {
    let pod = Pod::new();
    let exec = run_that_waits_with_its_verdict(&pod, Start::FirstUnprivileged, UNTIL_TOLD);
    let mut visitor = visitor(&exec, "1000");
    fs::write(pod.path("work/go"), "go").unwrap();
    wait_for_verdict(&pod);
    assert_eq!(neighbours(&exec), Vec::<PathBuf>::new());
    let_go(&pod);
    exec.end();
    visitor.wait().unwrap();
}

#[test]
fn an_administrator_who_visits_holds_nothing_up() {
    let pod = Pod::new();
    let exec = run_that_waits_with_its_verdict(&pod, Start::FirstUnprivileged, UNTIL_TOLD);
    let mut visitor = visitor(&exec, "0");
    fs::write(pod.path("work/go"), "go").unwrap();
    wait_for_verdict(&pod);
    assert_eq!(neighbours(&exec).len(), 1);
    let_go(&pod);
    assert_eq!(exec.end().code, Some(1));
    visitor.wait().unwrap();
}

/// What an administrator who visited left behind: as an orphan it is the runner's child.
#[test]
fn a_process_that_cannot_be_killed_leaves_no_verdict() {
    let pod = Pod::new();
    let exec = pod.exec(Start::FirstUnprivileged, UNTIL_TOLD);
    let target = exec.pid().as_raw_nonzero().to_string();
    let visit = ["--target", &target, "--pid", "--", "setsid", "--fork"];
    let mut command = Command::new("nsenter");
    command.args(visit).args(["sleep", "1000"]);
    assert!(command.status().unwrap().success());
    fs::write(pod.path("work/go"), "go").unwrap();
    let ended = exec.end();
    assert_eq!(ended.code, Some(76), "{ended:?}");
    assert!(
        pod.termination_message().contains("did not die"),
        "{}",
        pod.termination_message()
    );
    assert!(pod.notes("verdict").is_empty());
}

/// The living processes in the namespace of a runner, but for itself. One that died and whose parent is
/// outside may wait there for being reaped.
fn neighbours(exec: &Exec) -> Vec<PathBuf> {
    let runner = PathBuf::from(format!("/proc/{}", exec.pid().as_raw_nonzero()));
    let namespace = |process: &PathBuf| fs::read_link(process.join("ns/pid")).ok();
    let ours = namespace(&runner).unwrap();
    let processes = fs::read_dir("/proc")
        .unwrap()
        .map(|entry| entry.unwrap().path());
    processes
        .filter(|other| *other != runner && namespace(other).as_ref() == Some(&ours))
        .filter(|other| !is_dead(other))
        .collect()
}

fn is_dead(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:\tZ"))
}

#[test]
fn a_stop_takes_daemons_along() {
    let pod = Pod::new().with("cancelGrace", 1);
    let script = format!("trap '' TERM; {DAEMONS} echo > started; while :; do sleep 0.1; done");
    let exec = pod.exec(Start::First, &script);
    wait_for("start", || pod.written("started"));
    exec.signal(Signal::TERM);
    let ended = exec.end();
    assert!(ended.took < Duration::from_secs(4), "{:?}", ended.took);
    assert_eq!(pod.verdict()["stoppedBy"], "signal");
}

#[test]
fn orphans_that_end_are_reaped_while_the_cli_lives() {
    let pod = Pod::new();
    let script = "
        (sh -c 'echo $$ > orphan; exec sleep 0.2' &)
        until [ -s orphan ]; do sleep 0.01; done
        turns=0
        while [ -e /proc/$(cat orphan) ]; do
            turns=$((turns + 1)); [ $turns -lt 1000 ] || exit 9; sleep 0.01
        done
        exit 4";
    pod.exec(Start::First, script).end();
    assert_eq!(pod.verdict()["exit"]["code"], 4);
}

#[test]
fn two_hundred_daemons_are_gone_in_time() {
    let pod = Pod::new();
    let script = "for i in $(seq 200); do setsid sh -c 'trap \"\" TERM; sleep 1000' & done; exit 5";
    let ended = pod.exec(Start::First, script).end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(pod.verdict()["exit"]["code"], 5);
}

/// Where the runner is not PID 1 it must find its descendants, and leave everybody else alone.
#[test]
fn outside_of_a_namespace_only_descendants_are_killed() {
    let mut bystander = Command::new("sleep")
        .arg("1000")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pod = Pod::new();
    let script = format!("{DAEMONS} sleep 1000 & echo $! > child; exit 6");
    let ended = pod.exec(Start::Plain, &script).end();
    assert_eq!(pod.verdict()["exit"]["code"], 6);
    let child = pod.written("child").unwrap();
    assert!(
        !PathBuf::from(format!("/proc/{}", child.trim())).exists(),
        "{child} lives"
    );
    assert!(processes_in(&pod.path("work")).is_empty(), "{ended:?}");
    assert!(bystander.try_wait().unwrap().is_none());
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

/// The processes whose working directory is this one.
fn processes_in(folder: &std::path::Path) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc")
        .unwrap()
        .map(|entry| entry.unwrap().path());
    processes
        .filter(|process| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == folder))
        .collect()
}
