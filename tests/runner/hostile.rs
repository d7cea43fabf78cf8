//! An agent that turns against its runner. It runs as a user without rights, as the runner does.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::pod::{Pod, Start, Stream, wait_for};
use crate::process::Exec;

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

/// Calls by number, on x86-64 also by those of the x32 architecture.
const CALL: &str = r#"
sub try { my ($name, $number, @with) = @_; $! = 0; syscall($number, @with); print "$name: $!\n" }
"#;

/// Runs a Perl script as the agent that ends with 5, and gives what it said.
fn attack_in_perl(script: &str) -> (Pod, Vec<String>) {
    attack(&format!(
        "cat > calls <<'END'\n{CALL}{script}\nEND\nperl calls; exit 5"
    ))
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_runners_limits_and_priority_are_out_of_reach() {
    let (pod, lines) = attack_in_perl(
        r#"my ($limit, $old, $zero) = (pack("QQ", 1, 1), "\0" x 16, "\0" x 64);
           for my $abi (0, 0x40000000) {
               try("prlimit", $abi | 302, 1, 7, $limit, 0);
               try("sched_setparam", $abi | 142, 1, $zero);
               try("sched_setscheduler", $abi | 144, 1, 3, $zero);
               try("sched_setaffinity", $abi | 203, 1, 8, "\1" . "\0" x 7);
               try("sched_setattr", $abi | 314, 1, $zero, 0);
               try("setpriority", $abi | 141, 0, 1, 19);
               try("setpriority of the group", $abi | 141, 1, 1, 19);
               try("setpriority of the user", $abi | 141, 2, 1000, 19);
               try("setpriority of me", $abi | 141, 2, 0, 19);
               try("ioprio_set", $abi | 251, 1, 1, 3 << 13);
               try("ioprio_set of the group", $abi | 251, 2, 1, 3 << 13);
               try("ioprio_set of the user", $abi | 251, 3, 0, 3 << 13);
           }
           try("reading a limit", 302, 1, 7, 0, $old);
           try("a pid with an upper half", 141, 0, 1 | 1 << 32, 19);"#,
    );
    let (last, refused) = lines.split_last().unwrap();
    let (reading, refused) = refused.split_last().unwrap();
    assert_eq!(refused.len(), 24, "{lines:?}");
    for line in refused.iter().chain([last]) {
        assert!(line.ends_with(": Operation not permitted"), "{lines:?}");
    }
    assert_eq!(reading, "reading a limit: ", "{lines:?}");
    assert_eq!(pod.verdict()["exit"]["code"], 5);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn no_signal_reaches_the_runner_from_its_agent() {
    let (pod, lines) = attack_in_perl(
        r#"my $info = pack("iiix4ii", 15, 0, -1, 0, 0) . "\0" x 104;
           open(my $runner, "<", "/proc/1/stat"); opendir(my $folder, "/proc/1");
           for my $abi (0, 0x40000000) {
               try("kill", $abi | 62, 1, 15);
               try("tkill", $abi | 200, 1, 15);
               try("tgkill", $abi | 234, 1, 1, 15);
               try("tgkill of a thread", $abi | 234, 2, 1, 15);
               try("rt_sigqueueinfo", $abi | 129, 1, 15, $info);
               try("rt_tgsigqueueinfo", $abi | 297, 1, 1, 15, $info);
               try("pidfd_open", $abi | 434, 1, 0);
               try("pidfd_send_signal", $abi | 424, fileno($folder) || fileno($runner), 15, 0, 0);
               try("setpgid", $abi | 109, 0, 1);
               try("F_SETSIG", $abi | 72, 0, 10, 15);
           }
           try("rt_sigqueueinfo of x32", 0x40000000 | 524, 1, 15, $info);
           try("rt_tgsigqueueinfo of x32", 0x40000000 | 536, 1, 1, 15, $info);"#,
    );
    assert_eq!(lines.len(), 22, "{lines:?}");
    for line in &lines {
        assert!(line.ends_with(": Operation not permitted"), "{lines:?}");
    }
    assert!(pod.notes("signal").is_empty());
    assert_eq!(pod.verdict()["stoppedBy"], "nobody");
}

/// The same calls have other numbers for 32-bit programs, so those may make none at all. Where the kernel
/// does not know such programs, they do not start.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_32_bit_program_gets_no_call_through() {
    // exit(7): mov eax, 1; mov ebx, 7; int 0x80. Before it, the headers of a program with one segment.
    const PROGRAM: &str = r#"
        my $code = "\xb8\1\0\0\0\xbb\7\0\0\0\xcd\x80"; my $base = 0x08048000; my $size = 84 + length $code;
        print "\x7fELF\1\1\1", "\0" x 9, pack("SSLLLLLS6", 2, 3, 1, $base + 84, 52, 0, 0, 52, 32, 1, 0, 0, 0),
            pack("L8", 1, 0, $base, $base, $size, $size, 5, 4096), $code"#;
    let pod = Pod::new();
    let made = Command::new("perl").args(["-e", PROGRAM]).output().unwrap();
    let program = pod.path("work/program");
    fs::write(&program, made.stdout).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let plain = Command::new(&program).status();
    assert!(plain.is_err() || plain.is_ok_and(|status| status.code() == Some(7)));
    pod.exec(Start::FirstUnprivileged, "./program; echo $?; exit 5")
        .end();
    let lines = pod.lines(Stream::Stdout);
    // 128 + SIGSYS, or what a shell says of a program that it can't start.
    assert!(lines == ["159"] || lines == ["126"], "{lines:?}");
}

/// Everything else goes on as usual: a shell's job control, a signal to a child, one's own limits.
#[test]
fn what_an_agent_does_with_its_own_processes_is_allowed() {
    let (pod, lines) = attack(
        "ulimit -n 100 && ulimit -n
         nice -n 5 true && ionice -c 3 true && taskset -c 0 true && chrt --idle 0 true && echo calm
         sleep 1000 & kill $! && wait $!; echo $?
         timeout 0.1 sleep 1000; echo $?
         sleep 1000 & kill -TERM -1; wait $!; echo $?; exit 5",
    );
    assert_eq!(lines, ["100", "calm", "143", "124", "143"]);
    assert!(pod.notes("signal").is_empty());
}

/// A filter of an unprivileged process comes only without new privileges, and so do other users' rights.
#[test]
fn a_setuid_program_gives_the_agent_no_rights() {
    let pod = Pod::new();
    let tool = pod.path("work/tool");
    fs::copy("/usr/bin/id", &tool).unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o4755)).unwrap();
    pod.exec(Start::FirstWithSetuid, "./tool -u; exit 5").end();
    assert_eq!(pod.lines(Stream::Stdout), ["1000"]);
}

/// Runs a script in the runner's namespace under no filter, as `kubectl exec` does.
fn visit(exec: &Exec, script: &str) {
    let target = exec.pid().as_raw_nonzero().to_string();
    let mut command = Command::new("nsenter");
    command.args(["--target", &target, "--pid", "--"]);
    command.args([
        "setpriv",
        "--reuid",
        "1000",
        "--regid",
        "1000",
        "--clear-groups",
    ]);
    let status = command.args(["sh", "-c", script]).status().unwrap();
    assert!(status.success(), "{script}");
}

/// A run that a visitor came to; it ends with 5 afterwards.
fn visited(script: &str) -> Pod {
    let pod = Pod::new();
    let until_told = "echo > started; until [ -s go ]; do sleep 0.01; done; exit 5";
    let exec = pod.exec(Start::FirstUnprivileged, until_told);
    wait_for("start", || pod.written("started"));
    visit(&exec, script);
    fs::write(pod.path("work/go"), "go").unwrap();
    exec.end();
    pod
}

#[test]
fn a_stop_from_inside_is_recorded_and_not_obeyed() {
    let pod = visited("kill -TERM 1; kill -INT 1");
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
    let pod = visited(
        "perl -e 'my $info = pack(\"iiix4ii\", 15, 0, -1, 0, 0) . \"\\0\" x 104;
                  exit(syscall(129, 1, 15, $info) == 0 ? 0 : 1)'",
    );
    assert_eq!(pod.notes("signal")[0]["obeyed"], false);
    assert_eq!(pod.verdict()["stoppedBy"], "nobody");
}

/// Real-time signals: of the others the kernel keeps one until it is read.
#[test]
fn a_hail_of_signals_fills_no_record_and_ends_no_run() {
    let pod = visited("perl -e 'kill 40, 1 for 1..3000'");
    let notes = pod.notes("signal");
    assert_eq!(notes.len(), 16);
    assert!(notes[15]["last"].is_string(), "{notes:?}");
    assert_eq!(pod.verdict()["stoppedBy"], "nobody");
}

#[test]
fn no_signal_from_inside_kills_or_stops_the_runner() {
    let pod = visited(
        "for signal in KILL STOP SEGV BUS ABRT ILL FPE PIPE ALRM USR1 HUP XCPU XFSZ TSTP; do
             kill -$signal 1
         done",
    );
    assert_eq!(pod.verdict()["exit"]["code"], 5);
}

#[test]
fn the_termination_log_does_not_fill_the_nodes_disk() {
    let pod = Pod::new();
    let script = "log=\"$POD/termination.log\"; i=0; \
                  head -c 8388608 /dev/zero > \"$log\"; \
                  while [ -s \"$log\" ] && [ $i -lt 200 ]; do sleep 0.1; i=$((i + 1)); done; \
                  [ -s \"$log\" ] && echo full >&2; exit 1";
    pod.exec(Start::First, script).end();
    let spool = fs::read_to_string(pod.path("spool/output.jsonl")).unwrap();
    assert!(!spool.contains("\"full\""), "{spool}");
    let words = "into the container's termination log, which was emptied";
    assert_eq!(spool.matches(words).count(), 1, "{spool}");
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

/// With no descriptor to spare the runner can hardly do anything, but never what somebody would like.
#[test]
fn a_runner_without_descriptors_calls_nothing_a_success() {
    let pod = Pod::new().with("timeout", 2);
    let exec = pod.exec(Start::FirstUnprivileged, "echo > started; sleep 1000");
    wait_for("start", || pod.written("started"));
    visit(&exec, "prlimit --pid 1 --nofile=0:0");
    let ended = exec.end();
    assert_ne!(ended.code, Some(0), "{ended:?}");
    let verdict = pod.events().pop().unwrap();
    if verdict["subtype"] == "verdict" {
        assert_eq!(verdict["data"]["stoppedBy"], "timeout");
    }
}
