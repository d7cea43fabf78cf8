//! Runs the built program with an environment of the test's own.

use std::{
    fs,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStderr, ChildStdout, Command},
    time::timeout,
};

/// No run of a test takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program and its kubeconfig.
pub struct Program {
    home: TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    pub fn new(server: &str, namespace: &str) -> Self {
        let program = Program {
            home: TempDir::new().unwrap(),
        };
        let cluster = serde_json::json!({"server": server});
        program.write_kubeconfig(&cluster, namespace);
        program
    }

    /// A kubeconfig of one context; its text is JSON, which is YAML.
    pub fn write_kubeconfig(&self, cluster: &serde_json::Value, namespace: &str) {
        let config = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": "dev", "user": {}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "dev", "namespace": namespace}}],
        });
        fs::write(self.kubeconfig(), config.to_string()).unwrap();
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("config")
    }

    pub fn home(&self) -> &std::path::Path {
        self.home.path()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        // Ctrl-C as a terminal's program knows it, also where the tests run in a shell's background.
        let mut command = Command::new("env");
        command
            .args(["--default-signal=INT", env!("CARGO_BIN_EXE_herdctl")])
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.kubeconfig())
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub async fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments).spawn().unwrap()).await
    }

    /// With this on its standard input.
    pub async fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).await.unwrap();
        finish(child).await
    }

    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut child = self.command(arguments).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Running {
            child,
            stdout,
            stderr,
            told: String::new(),
        }
    }
}

/// Waits for the end of a program that was started.
pub async fn finish(child: Child) -> Ran {
    let output = timeout(PATIENCE, child.wait_with_output()).await;
    let output = output.expect("herdctl did not end").unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A program that continues.
pub struct Running {
    pub child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    /// What it said on standard error so far.
    told: String,
}

impl Running {
    /// Its next line.
    pub async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.stdout.read_line(&mut line)).await;
        read.expect("no line came").unwrap();
        line
    }

    /// Waits until it has said this on standard error.
    pub async fn tells(&mut self, words: &str) {
        while !self.told.contains(words) {
            let read = timeout(PATIENCE, self.stderr.read_line(&mut self.told)).await;
            let read = read.unwrap_or_else(|_| panic!("{words:?} was not told: {:?}", self.told));
            assert!(
                read.unwrap() > 0,
                "it ended without {words:?}: {:?}",
                self.told
            );
        }
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&self) {
        let pid = rustix::process::Pid::from_raw(self.child.id().unwrap() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    }

    /// Closes the pipe to which it writes.
    pub async fn close(self) -> ExitStatus {
        let Running {
            mut child, stdout, ..
        } = self;
        drop(stdout);
        timeout(PATIENCE, child.wait())
            .await
            .expect("herdctl did not end")
            .unwrap()
    }

    /// The rest of its output, and its end.
    pub async fn rest(mut self) -> Ran {
        let mut rest = String::new();
        let read = timeout(PATIENCE, self.stdout.read_to_string(&mut rest)).await;
        read.expect("herdctl did not end").unwrap();
        let mut ran = finish(self.child).await;
        self.stderr.read_to_string(&mut self.told).await.unwrap();
        ran.stdout = rest;
        ran.stderr = self.told;
        ran
    }
}

impl Ran {
    /// Asserts the exit code, and shows all that was printed where it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in {self:#?}");
        }
        self
    }

    #[track_caller]
    pub fn prints(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stdout.contains(word), "{word:?} is not in {self:#?}");
        }
        self
    }
}
