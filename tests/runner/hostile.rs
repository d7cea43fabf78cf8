//! An agent that turns against its runner. It runs as a user without rights, as the runner does.

use std::collections::BTreeSet;

use crate::pod::{Pod, Start, Stream};

/// Runs an agent's script to its end and gives its standard output.
fn attack(script: &str) -> (Pod, Vec<String>) {
    let pod = Pod::new();
    let ended = pod.exec(Start::FirstUnprivileged, script).end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let lines = pod.lines(Stream::Stdout);
    (pod, lines)
}

#[test]
fn the_runners_descriptors_memory_and_environment_are_closed_to_the_agent() {
    let (_pod, lines) = attack(
        "id -u
         for way in fd/ fd/3 environ mem maps cwd/; do
             ls /proc/1/$way >/dev/null 2>&1 && { cat /proc/1/$way >/dev/null 2>&1 || [ -d /proc/1/$way ]; } \
                 && echo \"$way is open\"
         done
         ls /proc/$$/fd/ >/dev/null && echo 'my own are open'",
    );
    assert_eq!(lines, ["1000", "my own are open"]);
}

#[test]
fn a_line_cannot_be_put_into_the_stream_through_proc() {
    let (pod, lines) =
        attack("sh -c 'echo forged > /proc/'$$'/fd/1' 2>why && echo 'forging worked'; cat why");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        !pod.events()
            .iter()
            .any(|event| event.to_string().contains("\"forged\""))
    );
}

#[test]
fn a_stop_from_inside_is_recorded_and_not_obeyed() {
    let (pod, lines) = attack("kill -TERM 1; kill -INT 1; sleep 0.2; echo still here; exit 5");
    assert_eq!(lines, ["still here"]);
    let notes = pod.notes("signal");
    let names: BTreeSet<_> = notes
        .iter()
        .map(|note| note["signal"].as_str().unwrap())
        .collect();
    assert_eq!(names, BTreeSet::from(["SIGINT", "SIGTERM"]));
    assert!(
        notes
            .iter()
            .all(|note| note["obeyed"] == false && note["fromPid"].as_u64() > Some(1))
    );
    let verdict = pod.verdict();
    assert_eq!(
        (&verdict["stoppedBy"], &verdict["exit"]["code"]),
        (&"nobody".into(), &5.into())
    );
}

/// rt_sigqueueinfo(2) lets a process choose the sender that the receiver sees: here nobody, as for a
/// signal of the kubelet's.
#[test]
fn a_stop_with_a_forged_sender_is_not_obeyed() {
    let (pod, lines) = attack(
        "perl -e 'my $info = pack(\"iiix4ii\", 15, 0, -1, 0, 0) . \"\\0\" x 104;
                  print syscall(129, 1, 15, $info) == 0 ? \"sent\\n\" : \"refused: $!\\n\"'
         sleep 0.2; echo still here; exit 5",
    );
    assert_eq!(lines, ["sent", "still here"]);
    assert_eq!(pod.notes("signal")[0]["obeyed"], false);
    assert_eq!(pod.verdict()["stoppedBy"], "nobody");
}

/// Real-time signals: of the others the kernel keeps one until it is read.
#[test]
fn a_hail_of_signals_fills_no_record_and_ends_no_run() {
    let (pod, lines) = attack("perl -e 'kill 40, 1 for 1..3000'; echo still here; exit 5");
    assert_eq!(lines, ["still here"]);
    let notes = pod.notes("signal");
    assert_eq!(notes.len(), 16);
    assert!(notes[15]["last"].is_string(), "{notes:?}");
    assert_eq!(pod.verdict()["stoppedBy"], "nobody");
}

#[test]
fn no_signal_from_inside_kills_or_stops_the_runner() {
    let (pod, lines) = attack(
        "for signal in KILL STOP SEGV BUS ABRT ILL FPE PIPE ALRM USR1 HUP XCPU XFSZ TSTP; do
             kill -$signal 1
         done; sleep 0.2; echo still here; exit 5",
    );
    assert_eq!(lines, ["still here"]);
    assert_eq!(pod.verdict()["exit"]["code"], 5);
}

#[test]
fn the_spool_is_not_handed_over_a_second_time() {
    let (_pod, lines) = attack(
        "\"$POD/herd/herd-runner\" exec --inputs \"$POD/run.json\" --socket \"$POD/herd/ship.sock\" \
             --termination-log mine --program /bin/true 2>/dev/null
         echo $?; cat mine",
    );
    assert_eq!(lines[0], "75");
    assert!(lines[1].contains("was handed over before"), "{lines:?}");
}

/// With no descriptor to spare the runner can hardly do anything, but never what the agent would like.
#[test]
fn a_runner_without_descriptors_calls_nothing_a_success() {
    let pod = Pod::new().with("timeout", 2);
    let script = "prlimit --pid 1 --nofile=0:0 || echo 'not allowed'; echo > started; sleep 1000";
    let ended = pod.exec(Start::FirstUnprivileged, script).end();
    assert!(pod.written("started").is_some());
    assert_ne!(ended.code, Some(0), "{ended:?}");
    let verdict = pod.events().pop().unwrap();
    if verdict["subtype"] == "verdict" {
        assert_eq!(verdict["data"]["stoppedBy"], "timeout");
    }
}
