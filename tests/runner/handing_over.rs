//! `ship` and its one hand-over, also when it is killed, restarted or told to leave.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;

use rustix::process::{Pid, Signal, kill_process};

use crate::pod::{Pod, Start, Stream, wait_for};
use crate::shipping::assert_all_arrived;
use crate::store::Store;

/// Runs until the test lets it go.
const UNTIL_TOLD: &str = "echo > started; until [ -s go ]; do sleep 0.01; done; echo done; exit 3";

fn wait_until_started(pod: &Pod) {
    wait_for("start of the agent", || pod.written("started"));
}

fn let_go(pod: &Pod) {
    fs::write(pod.path("work/go"), "go").unwrap();
}

#[test]
fn ship_leaves_when_the_run_is_over() {
    let mut pod = Pod::new();
    pod.exec(Start::First, "exit 1").end();
    let (code, said) = pod.ship_left();
    assert_eq!(code, Some(0));
    assert!(
        said.contains("with a verdict: failed (AgentCrashed)"),
        "{said}"
    );
}

#[test]
fn a_second_start_of_the_container_is_refused() {
    let pod = Pod::new();
    let first = pod.exec(Start::First, UNTIL_TOLD);
    wait_until_started(&pod);
    let second = pod.exec_program(Start::First, "/bin/true".as_ref()).end();
    assert_eq!(second.code, Some(75), "{second:?}");
    assert!(
        second.stderr.contains("was handed over before"),
        "{second:?}"
    );
    let_go(&pod);
    first.end();
    assert_eq!(pod.lines(Stream::Stdout), ["done"]);
    assert_eq!(pod.verdict()["exit"]["code"], 3);
}

#[test]
fn a_ship_that_was_killed_comes_back_and_refuses_too() {
    let mut pod = Pod::new();
    let first = pod.exec(Start::First, UNTIL_TOLD);
    wait_until_started(&pod);
    pod.ship().kill().unwrap();
    pod.ship().wait().unwrap();
    pod.start_ship();
    let second = pod.exec_program(Start::First, "/bin/true".as_ref()).end();
    assert_eq!(second.code, Some(75), "{second:?}");
    assert!(
        pod.ship().try_wait().unwrap().is_none(),
        "ship left before the run was over"
    );
    let_go(&pod);
    first.end();
    assert_eq!(pod.verdict()["exit"]["code"], 3);
    let (code, said) = pod.ship_left();
    assert_eq!(code, Some(0));
    assert!(
        said.contains("with a verdict: failed (AgentCrashed)"),
        "{said}"
    );
}

#[test]
fn a_run_needs_no_ship_after_the_hand_over_and_ends_when_there_is_one_again() {
    let store = Store::new();
    let mut pod = Pod::shipping_to(&store).started();
    let mut exec = pod.exec(Start::First, UNTIL_TOLD);
    wait_until_started(&pod);
    pod.kill_ship();
    let_go(&pod);
    pod.until_over();
    assert!(exec.runs(), "it left its output behind");
    pod.start_ship();
    assert_eq!(exec.end().code, Some(1));
    assert_eq!(pod.lines(Stream::Stdout), ["done"]);
    assert_eq!(pod.ship_left().0, Some(0));
    assert_all_arrived(&pod, &store);
}

#[test]
fn a_ship_that_is_killed_before_the_output_has_landed_is_waited_for() {
    let mut store = Store::away();
    let mut pod = Pod::shipping_to(&store).started();
    let mut exec = pod.exec(Start::First, "echo done");
    pod.until_over();
    pod.kill_ship();
    assert!(exec.runs(), "it left before its output had landed");
    pod.start_ship();
    store.come();
    exec.end();
    assert_eq!(pod.ship_left().0, Some(0));
    assert_all_arrived(&pod, &store);
}

#[test]
fn a_run_that_is_stopped_waits_for_no_ship() {
    let mut pod = Pod::new();
    let exec = pod.exec(Start::First, UNTIL_TOLD);
    wait_until_started(&pod);
    pod.kill_ship();
    let_go(&pod);
    pod.until_over();
    exec.signal(Signal::TERM);
    assert_eq!(exec.end().code, Some(1));
}

#[test]
fn a_ship_that_comes_back_after_the_run_leaves() {
    let mut pod = Pod::new();
    pod.exec(Start::First, "exit 1").end();
    pod.ship_left();
    pod.start_ship();
    assert_eq!(pod.ship_left().0, Some(0));
}

#[test]
fn ship_leaves_when_the_runner_is_killed_from_outside() {
    let mut pod = Pod::new();
    let exec = pod.exec(Start::First, UNTIL_TOLD);
    wait_until_started(&pod);
    exec.signal(Signal::KILL);
    let (code, said) = pod.ship_left();
    assert_eq!(code, Some(0));
    assert!(said.contains("without a verdict"), "{said}");
    assert_ne!(exec.end().code, Some(0));
}

#[test]
fn ship_leaves_when_it_is_told_to() {
    let mut pod = Pod::new();
    let ship = Pid::from_child(pod.ship());
    kill_process(ship, Signal::TERM).unwrap();
    let (code, said) = pod.ship_left();
    assert_eq!(code, Some(0));
    assert!(said.contains("leaving after SIGTERM"), "{said}");
}

#[test]
fn ship_waits_for_a_folder_that_it_can_listen_in() {
    let mut pod = Pod::without_ship();
    fs::rename(pod.path("herd"), pod.path("later")).unwrap();
    let mut command = std::process::Command::new(pod.path("later/herd-runner"));
    command
        .args(pod.ship_command().get_args())
        .stderr(std::process::Stdio::piped());
    let mut ship = command.spawn().unwrap();
    let mut said = String::new();
    BufReader::new(ship.stderr.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    assert!(said.contains("can't listen on"), "{said}");
    fs::rename(pod.path("later"), pod.path("herd")).unwrap();
    wait_for("socket", || pod.socket().exists().then_some(()));
    ship.kill().unwrap();
    ship.wait().unwrap();
    pod.start_ship();
    assert_eq!(pod.exec(Start::First, "exit 1").end().code, Some(1));
}

#[test]
fn everybody_may_connect_and_nobody_else_may_read_the_spool() {
    let pod = Pod::new();
    pod.exec(Start::First, "exit 1").end();
    let mode = |name: &str| fs::metadata(pod.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("spool/output.jsonl"), 0o600);
    assert_eq!(mode("herd/ship.sock"), 0o666);
    assert_eq!(mode("herd/herd-runner"), 0o555);
}
