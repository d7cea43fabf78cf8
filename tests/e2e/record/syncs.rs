//! Promise: acknowledged means synced, and an error from a sync ends the store. Watched from outside, by
//! the system calls of the store.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use herdctl::api::reason::{ExitReason, Reason};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    record::run::{Run, store},
    status::assert_ended,
    team::Team,
    wait::{RUN, SOON, until_true},
};

/// Fewer would mean that the wrong process was watched.
const ACKNOWLEDGED: usize = 20;

/// strace, attached to the store.
struct Trace {
    strace: Child,
    file: tempfile::NamedTempFile,
}

impl Trace {
    async fn begin(options: &[&str]) -> Trace {
        let store = store().await;
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-q", "-s", "16", "-o"]);
        command.arg(file.path()).args(options);
        command.args(["-p", &store.pid.to_string()]);
        let strace = command.stderr(Stdio::null()).spawn();
        let trace = Trace {
            strace: strace.expect("strace is on the PATH"),
            file,
        };
        until_true("the store is traced", SOON, || async {
            let status = fs::read_to_string(format!("/proc/{}/status", store.pid)).unwrap();
            if status
                .lines()
                .any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
            {
                Ok(())
            } else {
                Err(status)
            }
        })
        .await;
        trace
    }

    fn end(&mut self) -> String {
        let pid = Pid::from_raw(self.strace.id().cast_signed()).unwrap();
        // It lets go of the store when it is told to end, and not when it is killed.
        let _ = kill_process(pid, Signal::TERM);
        self.strace.wait().unwrap();
        fs::read_to_string(self.file.path()).unwrap()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.end();
    }
}

#[tokio::test]
async fn no_acknowledgement_leaves_the_store_before_a_sync_that_follows_its_write() {
    let team = Team::alone().await;
    let calls =
        "accept4,read,recvfrom,write,writev,pwrite64,sendto,sendmsg,fsync,fdatasync,syncfs,close";
    let mut trace = Trace::begin(&["-e", &format!("trace={calls}")]).await;
    let run = Run::start(&team, "slow-25").await;
    let sealed = run.sealed().await;
    sealed.assert_blocks(25, 0);
    let acknowledged = Watcher::default().watch(&trace.end());
    assert!(
        acknowledged >= ACKNOWLEDGED,
        "only {acknowledged} answers after a write"
    );
}

/// One system call that ended, in the order of their ends; what began before is known by `begun`.
struct Call<'a> {
    name: &'a str,
    /// The path or the socket of its first argument.
    file: &'a str,
    arguments: &'a str,
    result: i64,
}

/// Follows what is written and not synced, and what is said to clients meanwhile.
#[derive(Default)]
struct Watcher<'a> {
    /// Sockets of accepted connections.
    clients: HashSet<&'a str>,
    /// Of these, the kubelet's, which asks for the probes in plain text.
    probes: HashSet<&'a str>,
    /// Files of records that were written to since their last sync.
    unsynced: HashSet<&'a str>,
    /// By thread: the unfinished call, and for a sync the files that were unsynced as it began.
    begun: HashMap<&'a str, (&'a str, HashSet<&'a str>)>,
    written: bool,
    acknowledged: usize,
}

impl<'a> Watcher<'a> {
    /// The number of answers that followed a write.
    fn watch(mut self, trace: &'a str) -> usize {
        for line in trace.lines() {
            let Some((thread, call)) = line.split_once(' ') else {
                continue;
            };
            let call = call.trim_start();
            if let Some(begin) = call.strip_suffix("<unfinished ...>") {
                self.begin(begin);
                self.begun.insert(thread, (begin, self.unsynced.clone()));
            } else if call.starts_with("<... ") {
                if let Some((begin, unsynced)) = self.begun.remove(thread) {
                    let end = call.split_once("resumed>").map_or("", |(_, end)| end);
                    self.end(begin, end, &unsynced);
                }
            } else if call.contains('(') {
                self.begin(call);
                let unsynced = self.unsynced.clone();
                self.end(call, call, &unsynced);
            }
        }
        self.acknowledged
    }

    /// A write counts from its beginning, and so does what is said.
    fn begin(&mut self, text: &'a str) {
        let call = parse(text, text);
        if !call.name.contains("write") && !call.name.starts_with("send") {
            return;
        }
        if is_record(call.file) {
            self.unsynced.insert(call.file);
            self.written = true;
        } else if self.clients.contains(call.file) && !self.probes.contains(call.file) {
            assert!(
                self.unsynced.is_empty(),
                "{text} was said with {:?} not synced",
                self.unsynced
            );
            self.acknowledged += usize::from(std::mem::take(&mut self.written));
        }
    }

    /// A sync counts from its end, and for what was written before its beginning.
    fn end(&mut self, begin: &'a str, end: &'a str, unsynced: &HashSet<&'a str>) {
        let call = parse(begin, end);
        match call.name {
            "accept4" if call.result >= 0 => {
                let socket = end
                    .rsplit_once("= ")
                    .map_or("", |(_, socket)| bracketed(socket));
                self.clients.insert(socket);
            }
            "read" | "recvfrom"
                if call.arguments.contains("\"GET /") || end.contains("\"GET /") =>
            {
                self.probes.insert(call.file);
            }
            "close" => {
                self.clients.remove(call.file);
                self.probes.remove(call.file);
            }
            "syncfs" if call.result == 0 => {
                self.unsynced.retain(|file| !unsynced.contains(file));
            }
            "fsync" | "fdatasync" if call.result == 0 && unsynced.contains(call.file) => {
                self.unsynced.remove(call.file);
            }
            _ => {}
        }
    }
}

fn parse<'a>(begin: &'a str, end: &'a str) -> Call<'a> {
    let (name, arguments) = begin.split_once('(').unwrap_or((begin, ""));
    let result = end.rsplit_once("= ").map_or("", |(_, result)| result);
    let number: String = result
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '-')
        .collect();
    Call {
        name,
        file: bracketed(
            arguments
                .split_once(", ")
                .map_or(arguments, |(first, _)| first),
        ),
        arguments,
        result: number.parse().unwrap_or(-1),
    }
}

/// Of `5</data/file>` what is in the brackets.
fn bracketed(text: &str) -> &str {
    text.split_once('<')
        .and_then(|(_, rest)| rest.rsplit_once('>'))
        .map_or("", |(inner, _)| inner)
}

fn is_record(file: &str) -> bool {
    Path::new(file)
        .file_name()
        .is_some_and(|name| name == "output.jsonl" || name == "session.jsonl")
}

#[tokio::test]
async fn a_sync_that_fails_ends_the_store_and_loses_nothing() {
    let team = Team::alone().await;
    let run = Run::start(&team, "slow-20").await;
    run.tells("block 3 of 20").await;
    let before = store().await;
    let failing = "inject=fsync,fdatasync,syncfs:error=EIO:when=1";
    let trace = Trace::begin(&["-e", "trace=fsync,fdatasync,syncfs", "-e", failing]).await;
    until_true("the store has ended", RUN, || async {
        if before.lives() {
            Err("it lives".to_owned())
        } else {
            Ok(())
        }
    })
    .await;
    drop(trace);
    let sealed = run.sealed().await;
    assert_ended(&sealed.job, ExitReason::Success, Reason::Completed);
    sealed.assert_intact();
    sealed.assert_blocks(20, 0);
}

/// A write to a record and an answer to its client, with what comes between.
fn trace_of(between: &str) -> String {
    format!(
        "7 accept4(9<socket:[1]>, {{sa_family=AF_INET}}, [128 => 16], SOCK_CLOEXEC) = 12<socket:[2]>\n\
         8 write(14</data/team-a/jobs/a/output.jsonl>, \"{{\", 99 <unfinished ...>\n\
         7 epoll_wait(3<anon_inode:[eventpoll]>, [], 1024, 0) = 0\n\
         8 <... write resumed>)              = 99\n\
         {between}\
         7 writev(12<socket:[2]>, [{{iov_base=\"\", iov_len=9}}], 1) = 9\n"
    )
}

#[test]
fn an_answer_after_a_sync_is_counted() {
    let sync = "8 syncfs(5</data> <unfinished ...>\n8 <... syncfs resumed>)            = 0\n";
    assert_eq!(Watcher::default().watch(&trace_of(sync)), 1);
    let sync = "8 fdatasync(14</data/team-a/jobs/a/output.jsonl>) = 0\n";
    assert_eq!(Watcher::default().watch(&trace_of(sync)), 1);
}

#[test]
fn an_answer_without_a_sync_is_seen() {
    for between in [
        "",
        "8 syncfs(5</data>) = -1 EIO (Input/output error)\n",
        "8 syncfs(5</data> <unfinished ...>\n",
        "8 fdatasync(15</data/team-a/jobs/b/output.jsonl>) = 0\n",
    ] {
        let trace = trace_of(between);
        let watched = std::panic::catch_unwind(|| Watcher::default().watch(&trace));
        assert!(watched.is_err(), "{between}");
    }
}
