//! A pod without a cluster: `ship` and `exec` as processes, with the folders and the socket between
//! them. `exec` is PID 1 of a PID namespace of its own unless a test says otherwise, and the agent is a
//! shell script that misbehaves in some way.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Exec;
use crate::store::Store;

/// Nothing in these tests takes as long on a machine that works.
pub const DEADLINE: Duration = Duration::from_secs(60);

const RUNNER: &str = env!("CARGO_BIN_EXE_herd-runner");

/// Who the agent's container runs as when a test is about rights.
const USER: &str = "1000";

/// Waits until the condition gives something.
#[track_caller]
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < until, "no {what} within {DEADLINE:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// How `exec` is started.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// As PID 1 of a namespace.
    First,
    /// The same, as a user without rights.
    FirstUnprivileged,
    /// The same, where programs may give more rights than their caller has.
    FirstWithSetuid,
    /// As any process.
    Plain,
}

pub struct Pod {
    folder: TempDir,
    inputs: Value,
    environment: Vec<(&'static str, OsString)>,
    /// More arguments of `ship` and of `exec`.
    ship_arguments: Vec<OsString>,
    exec_arguments: Vec<OsString>,
    ship: Option<Child>,
}

impl Pod {
    /// With `ship` running, and time enough for everything.
    pub fn new() -> Pod {
        let mut pod = Pod::without_ship();
        pod.start_ship();
        pod
    }

    pub fn without_ship() -> Pod {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let inputs = json!({
            "job": "job-1", "agent": "unruly", "attempt": 1, "prompt": "misbehave",
            "sessionId": "5f0c1a2b-0000-4000-8000-000000000000",
            "timeout": 50, "stallTimeout": 50, "cancelGrace": 40,
        });
        let pod = Pod {
            folder,
            inputs,
            environment: Vec::new(),
            ship_arguments: Vec::new(),
            exec_arguments: Vec::new(),
            ship: None,
        };
        for name in ["herd", "spool", "work"] {
            fs::create_dir(pod.path(name)).unwrap();
        }
        fs::set_permissions(pod.path("work"), fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(pod.path("termination.log"), "").unwrap();
        fs::set_permissions(
            pod.path("termination.log"),
            fs::Permissions::from_mode(0o666),
        )
        .unwrap();
        // A user without rights can't reach the build's own folder.
        let installed = Command::new(RUNNER)
            .arg("install")
            .arg(pod.runner())
            .status()
            .unwrap();
        assert!(installed.success());
        pod
    }

    /// Changes an input of the run, for example its timeout in seconds.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Pod {
        self.inputs[field] = value.into();
        self
    }

    /// With a `ship` that is yet to be started, and brings the output to this store.
    pub fn shipping_to(store: &Store) -> Pod {
        Pod::without_ship().ship_argument_list(store.arguments())
    }

    fn ship_argument_list(mut self, arguments: Vec<OsString>) -> Pod {
        self.ship_arguments.extend(arguments);
        self
    }

    /// `ship` keeps the transcript of this session, in the agent's home.
    pub fn keeping_transcript(mut self, session: &str) -> Pod {
        fs::create_dir_all(self.path("home/.claude/projects/-workspace")).unwrap();
        let home = self.path("home");
        self.ship_arguments
            .extend(["--session-id".into(), session.into()]);
        self.ship_arguments.extend(["--home".into(), home.into()]);
        self
    }

    /// The session goes on here.
    pub fn resuming(mut self) -> Pod {
        self.ship_arguments.push("--resume".into());
        self.ship_arguments.push("--workspace".into());
        self.ship_arguments.push(self.path("work").into());
        self.exec_arguments.push("--home".into());
        self.exec_arguments.push(self.path("home").into());
        self
    }

    /// Starts `ship` as well.
    pub fn started(mut self) -> Pod {
        self.start_ship();
        self
    }

    /// One more argument of `exec`, with its value.
    pub fn exec_argument(mut self, name: &str, value: impl Into<OsString>) -> Pod {
        self.exec_arguments.extend([name.into(), value.into()]);
        self
    }

    /// Kills `ship` as the kernel does for memory.
    pub fn kill_ship(&mut self) {
        let mut ship = self.ship.take().unwrap();
        ship.kill().unwrap();
        ship.wait().unwrap();
    }

    /// Gives the agent an environment variable.
    pub fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Pod {
        self.environment.push((name, value.into()));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn socket(&self) -> PathBuf {
        self.path("herd/ship.sock")
    }

    pub fn runner(&self) -> PathBuf {
        self.path("herd/herd-runner")
    }

    pub fn ship_command(&self) -> Command {
        let mut command = Command::new(self.runner());
        command.arg("ship").arg("--socket").arg(self.socket());
        command
            .arg("--spool")
            .arg(self.path("spool"))
            .args(&self.ship_arguments)
            .stderr(Stdio::piped());
        command
    }

    pub fn start_ship(&mut self) {
        let command = self.ship_command();
        self.start_ship_as(command);
    }

    pub fn start_ship_as(&mut self, mut command: Command) {
        let _ = fs::remove_file(self.socket());
        self.ship = Some(command.spawn().unwrap());
        wait_for("socket", || self.socket().exists().then_some(()));
    }

    /// Starts `ship` where something keeps it from opening its socket.
    pub fn start_ship_alone(&mut self) {
        self.ship = Some(self.ship_command().spawn().unwrap());
    }

    /// Until `ship` lets the agent start, as the kubelet waits for it.
    pub fn await_ship(&self) -> Child {
        let mut command = Command::new(RUNNER);
        command.arg("install").arg(self.runner());
        command.arg("--wait-for").arg(self.socket());
        command.spawn().unwrap()
    }

    pub fn ship(&mut self) -> &mut Child {
        self.ship.as_mut().unwrap()
    }

    /// Waits for `ship` to leave; its exit code, and what it said.
    pub fn ship_left(&mut self) -> (Option<i32>, String) {
        let mut ship = self.ship.take().unwrap();
        let status = wait_for("end of ship", || ship.try_wait().unwrap());
        let mut said = String::new();
        ship.stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        (status.code(), said)
    }

    /// Starts `exec` with a script as its agent.
    pub fn exec(&self, start: Start, script: &str) -> Exec {
        self.exec_program(start, &self.agent(script))
    }

    /// The same, with its standard output going somewhere else.
    pub fn exec_to(&self, start: Start, script: &str, stdout: Stdio) -> Exec {
        let mut command = self.exec_command(start, &self.agent(script));
        command.stdout(stdout);
        Exec::spawn(command, start)
    }

    fn agent(&self, script: &str) -> PathBuf {
        let agent = self.path("agent");
        fs::write(&agent, format!("#!/bin/sh\n{script}")).unwrap();
        fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
        agent
    }

    /// Starts `exec` with any program as its agent.
    pub fn exec_program(&self, start: Start, program: &Path) -> Exec {
        Exec::spawn(self.exec_command(start, program), start)
    }

    fn exec_command(&self, start: Start, program: &Path) -> Command {
        fs::write(self.path("run.json"), self.inputs.to_string()).unwrap();
        let mut command = match start {
            Start::Plain => Command::new(self.runner()),
            Start::First | Start::FirstUnprivileged | Start::FirstWithSetuid => {
                // As a container starts it, also where the tests run in a shell's background.
                let mut command = Command::new("env");
                command.args(["--default-signal", "unshare"]);
                command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
                if start != Start::First {
                    command.args([
                        "setpriv",
                        "--reuid",
                        USER,
                        "--regid",
                        USER,
                        "--clear-groups",
                    ]);
                }
                if start == Start::FirstUnprivileged {
                    command.args([
                        "--no-new-privs",
                        "--bounding-set",
                        "-all",
                        "--inh-caps",
                        "-all",
                    ]);
                }
                command.arg(self.runner());
                command
            }
        };
        command
            .arg("exec")
            .arg("--inputs")
            .arg(self.path("run.json"));
        command.arg("--socket").arg(self.socket());
        command
            .arg("--termination-log")
            .arg(self.path("termination.log"));
        command
            .arg("--workspace")
            .arg(self.path("work"))
            .arg("--program")
            .arg(program)
            .args(&self.exec_arguments);
        command.env("POD", self.folder.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What the script wrote to a file of its working directory.
    pub fn written(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path("work").join(name))
            .ok()
            .filter(|text| !text.is_empty())
    }

    /// The record so far: its whole lines.
    pub fn events(&self) -> Vec<Value> {
        let spool = fs::read(self.path("spool/output.jsonl")).unwrap_or_default();
        let whole = spool
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        // What the store has is taken out of the file and reads as zeros.
        let begin = spool.iter().position(|byte| *byte != 0).unwrap_or(0);
        let begin = match begin {
            0 => 0,
            taken => {
                taken
                    + spool[taken..]
                        .iter()
                        .position(|byte| *byte == b'\n')
                        .unwrap_or(0)
            }
        };
        let lines = spool[begin..whole]
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    /// The last event, which must be the verdict.
    #[track_caller]
    pub fn verdict(&self) -> Value {
        let last = self.events().pop().expect("an empty record");
        assert_eq!(
            (&last["type"], &last["subtype"]),
            (&json!("system"), &json!("verdict"))
        );
        last["data"].clone()
    }

    /// The runner's own events of a subtype.
    pub fn notes(&self, subtype: &str) -> Vec<Value> {
        let mut events = self.events();
        events.retain(|event| event["type"] == "system" && event["subtype"] == subtype);
        events.iter().map(|event| event["data"].clone()).collect()
    }

    /// The lines of a stream that are no JSON: all that a script says.
    pub fn lines(&self, stream: Stream) -> Vec<String> {
        let subtype = match stream {
            Stream::Stdout => "raw",
            Stream::Stderr => "stderr",
        };
        let notes = self.notes(subtype);
        notes
            .iter()
            .map(|data| data["text"].as_str().unwrap_or("?").to_owned())
            .collect()
    }

    /// Waits for the run's last word; `exec` may stay until the record has landed. Says how long that took.
    pub fn until_over(&self) -> Duration {
        let since = Instant::now();
        let message = || fs::read_to_string(self.path("termination.log")).ok();
        wait_for("last word", || {
            message().filter(|it| it.contains("\"phase\""))
        });
        since.elapsed()
    }

    pub fn termination_message(&self) -> String {
        fs::read_to_string(self.path("termination.log")).unwrap()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        if let Some(mut ship) = self.ship.take() {
            let _ = ship.kill();
            let _ = ship.wait();
        }
    }
}

#[derive(Clone, Copy)]
pub enum Stream {
    Stdout,
    Stderr,
}
