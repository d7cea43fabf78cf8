//! What the runner costs: its memory, the time that it adds to the CLI's, and how fast it records.
//!
//! `cargo bench --bench runner` measures the binary of the same build; `HERD_RUNNER=PATH` measures
//! another, for example the static one of the images. With `CLAUDE=PATH` the real CLI is timed too. It
//! gets no API: what is measured is its start.

#[path = "../tests/runner/store.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the store of the tests, of which not all is needed here"
)]
mod store;

use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::store::Store;

/// Pairs of runs, with and without the runner.
const PAIRS: usize = 101;

/// The same with the real CLI, of which one takes a second.
const CLAUDE_PAIRS: usize = 15;

/// Whatever takes longer is broken.
const DEADLINE: Duration = Duration::from_secs(120);

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let runner = std::env::var_os("HERD_RUNNER").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_herd-runner")),
        PathBuf::from,
    );
    println!("runner: {} bytes", fs::metadata(&runner)?.len());
    println!("| figure | measured | aim |\n| --- | --- | --- |");
    memory(&runner)?;
    start(&runner)?;
    shipping(&runner)?;
    Ok(())
}

fn row(figure: &str, measured: &str, aim: &str) {
    println!("| {figure} | {measured} | {aim} |");
}

fn memory(runner: &Path) -> Outcome<()> {
    let short = Pod::new(runner)?;
    let bytes = short.write_stream(100_000, 200)?;
    let run = short.run_and_hold("cat stream")?;
    row(
        "resident, run of 100,000 lines",
        &mebibytes(run.resident),
        "≤ 8 MiB",
    );
    row(
        "resident, ship beside it",
        &mebibytes(run.ship_resident),
        "≤ 8 MiB",
    );
    let rate = bytes as f64 / run.took.as_secs_f64() / 1e6;
    let lines = 100_000.0 / run.took.as_secs_f64();
    row(
        "recording, lines of 0.5 kB",
        &format!("{lines:.0} lines/s, {rate:.0} MB/s"),
        "",
    );

    let long = Pod::new(runner)?;
    let bytes = long.write_stream(100, 1024 * 1024 - 300)?;
    let run = long.run_and_hold("cat stream")?;
    row(
        "resident, lines of 1 MiB",
        &mebibytes(run.resident),
        "≤ 8 MiB",
    );
    let rate = bytes as f64 / run.took.as_secs_f64() / 1e6;
    row("recording, lines of 1 MiB", &format!("{rate:.0} MB/s"), "");

    let both = Pod::new(runner)?;
    let bytes = 2 * both.write_stream(100_000, 200)?;
    let run = both.run_and_hold("cat stream & cat stream >&2; wait")?;
    let rate = bytes as f64 / run.took.as_secs_f64() / 1e6;
    row(
        "recording, both streams at once",
        &format!("{rate:.0} MB/s"),
        "≥ 20 MB/s",
    );
    Ok(())
}

/// What `ship` costs with a store behind it that answers at once.
fn shipping(runner: &Path) -> Outcome<()> {
    let store = Store::new();
    let mut pod = Pod::new(runner)?;
    pod.store = store.arguments();
    pod.write_stream(100_000, 200)?;
    let run = pod.run_and_hold("cat stream")?;
    row(
        "resident, ship that brings 100,000 lines to a store",
        &mebibytes(run.ship_resident),
        "≤ 8 MiB",
    );
    let mut times = Vec::new();
    for _ in 0..PAIRS {
        times.push(verdict_to_store(runner)?);
    }
    times.sort_unstable_by(f64::total_cmp);
    let measured = format!(
        "{:.1} ms / {:.1} ms ({PAIRS} runs)",
        times[PAIRS / 2],
        times[PAIRS - 2]
    );
    row(
        "end of the CLI until the store has the verdict, p50 / p99",
        &measured,
        "",
    );
    Ok(())
}

/// Milliseconds from the runner's knowing that the run is over, as its verdict says.
fn verdict_to_store(runner: &Path) -> Outcome<f64> {
    let store = Store::new();
    let mut pod = Pod::new(runner)?;
    pod.store = store.arguments();
    pod.start_ship()?;
    let mut command = pod.exec(Path::new("/bin/true"));
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    let arrived = until(|| store.arrived().verdict)?;
    let segment = store.arrived().segment.clone();
    let last = segment
        .trim_ascii_end()
        .rsplit(|byte| *byte == b'\n')
        .next();
    let event: Value = serde_json::from_slice(last.unwrap_or_default())?;
    let ended: DateTime<Utc> = event["data"]["endedAt"]
        .as_str()
        .unwrap_or_default()
        .parse()?;
    let took = DateTime::<Utc>::from(arrived) - ended;
    Ok(took.as_seconds_f64() * 1e3)
}

fn mebibytes(kibibytes: u64) -> String {
    format!("{:.1} MiB", kibibytes as f64 / 1024.0)
}

fn start(runner: &Path) -> Outcome<()> {
    let measured = compare(runner, Path::new("/bin/true"), PAIRS)?;
    row("added from start to exit, /bin/true", &measured, "≤ 50 ms");
    if let Some(claude) = std::env::var_os("CLAUDE") {
        let measured = compare(runner, Path::new(&claude), CLAUDE_PAIRS)?;
        row(
            "added from start to exit, claude without an API",
            &measured,
            "≤ 50 ms",
        );
    }
    Ok(())
}

/// The median of what the runner adds to a program's time: run alone and under it, in turns.
fn compare(runner: &Path, program: &Path, pairs: usize) -> Outcome<String> {
    let (mut alone, mut added) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        let mut pod = Pod::new(runner)?;
        let mut command = Command::new(program);
        command.args(["--print", "--verbose", "--output-format=stream-json"]);
        let direct = time(pod.environment(&mut command))?;
        pod.start_ship()?;
        let mut command = pod.exec(program);
        let under = time(pod.environment(&mut command))?;
        alone.push(direct);
        added.push(under - direct);
    }
    let (alone, added) = (median(alone), median(added));
    Ok(format!(
        "{added:+.1} ms ({alone:.1} ms alone, {pairs} pairs)"
    ))
}

/// In milliseconds.
fn time(command: &mut Command) -> Outcome<f64> {
    let started = Instant::now();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn()?;
    if let Some(mut prompt) = child.stdin.take() {
        // The runner has its own prompt, and /bin/true wants none.
        let _ = prompt.write_all(b"hello");
    }
    child.wait()?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The folders of a pod, and its `ship`.
struct Pod {
    folder: tempfile::TempDir,
    runner: PathBuf,
    ship: Option<Child>,
    /// Where `ship` brings the output, as its arguments.
    store: Vec<OsString>,
}

/// What was seen of a run.
struct Run {
    /// The highest so far, in KiB.
    resident: u64,
    ship_resident: u64,
    took: Duration,
}

impl Pod {
    fn new(runner: &Path) -> Outcome<Pod> {
        let folder = tempfile::tempdir()?;
        let inputs = json!({
            "job": "job-1", "agent": "bench", "attempt": 1, "prompt": "hello",
            "sessionId": "5f0c1a2b-0000-4000-8000-000000000000",
            "timeout": 100, "stallTimeout": 100, "cancelGrace": 5,
        });
        fs::write(folder.path().join("run.json"), inputs.to_string())?;
        fs::create_dir(folder.path().join("spool"))?;
        fs::create_dir(folder.path().join("home"))?;
        Ok(Pod {
            folder,
            runner: runner.to_owned(),
            ship: None,
            store: Vec::new(),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start_ship(&mut self) -> Outcome<()> {
        let mut command = Command::new(&self.runner);
        command
            .arg("ship")
            .arg("--socket")
            .arg(self.path("ship.sock"));
        command
            .arg("--spool")
            .arg(self.path("spool"))
            .args(&self.store)
            .stderr(Stdio::null());
        self.ship = Some(command.spawn()?);
        until(|| self.path("ship.sock").exists().then_some(()))
    }

    fn exec(&self, program: &Path) -> Command {
        let mut command = Command::new(&self.runner);
        command
            .arg("exec")
            .arg("--inputs")
            .arg(self.path("run.json"));
        command.arg("--socket").arg(self.path("ship.sock"));
        command
            .arg("--termination-log")
            .arg(self.path("termination.log"));
        command
            .arg("--workspace")
            .arg(self.folder.path())
            .arg("--program")
            .arg(program);
        command
    }

    /// What the real CLI needs, and nothing that leads to an API.
    fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let settings = [
            ("ANTHROPIC_BASE_URL", "http://127.0.0.1:9"),
            ("ANTHROPIC_API_KEY", "none"),
            ("CLAUDE_CODE_MAX_RETRIES", "0"),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("IS_SANDBOX", "1"),
        ];
        command
            .envs(settings)
            .env("HOME", self.path("home"))
            .current_dir(self.folder.path())
    }

    /// A stream as the CLI's, of assistant messages; gives its size.
    fn write_stream(&self, lines: usize, text: usize) -> Outcome<u64> {
        let mut file = BufWriter::new(File::create(self.path("stream"))?);
        for number in 0..lines {
            let line = json!({
                "type": "assistant", "session_id": "5f0c1a2b-0000-4000-8000-000000000000",
                "uuid": format!("00000000-0000-4000-8000-{number:012}"), "parent_tool_use_id": null,
                "message": {
                    "id": format!("msg_{number}"), "type": "message", "role": "assistant",
                    "content": [{ "type": "text", "text": "words ".repeat(text / 6) }],
                },
            });
            writeln!(file, "{line}")?;
        }
        file.flush()?;
        Ok(fs::metadata(self.path("stream"))?.len())
    }

    /// Runs a script to its verdict. The termination log is a pipe, so the runner stands still there
    /// and can be looked at.
    fn run_and_hold(mut self, script: &str) -> Outcome<Run> {
        let agent = self.path("agent");
        fs::write(&agent, format!("#!/bin/sh\n{script}\n"))?;
        fs::set_permissions(&agent, fs::Permissions::from_mode(0o755))?;
        Command::new("mkfifo")
            .arg(self.path("termination.log"))
            .status()?;
        self.start_ship()?;
        let started = Instant::now();
        let mut exec = self.exec(&agent).stdout(Stdio::null()).spawn()?;
        let spool = self.path("spool/output.jsonl");
        until(|| ends_with_verdict(&spool).ok()?.then_some(()))?;
        let took = started.elapsed();
        let resident = high_water(exec.id())?;
        let ship_resident = self
            .ship
            .as_ref()
            .map_or(Ok(0), |ship| high_water(ship.id()))?;
        io::copy(
            &mut File::open(self.path("termination.log"))?,
            &mut io::sink(),
        )?;
        exec.wait()?;
        Ok(Run {
            resident,
            ship_resident,
            took,
        })
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

fn until<T>(mut condition: impl FnMut() -> Option<T>) -> Outcome<T> {
    let started = Instant::now();
    while started.elapsed() < DEADLINE {
        if let Some(found) = condition() {
            return Ok(found);
        }
        thread::sleep(Duration::from_millis(1));
    }
    Err("waited too long".into())
}

fn ends_with_verdict(spool: &Path) -> Outcome<bool> {
    let mut file = File::open(spool)?;
    let length = file.metadata()?.len();
    io::Seek::seek(
        &mut file,
        io::SeekFrom::Start(length.saturating_sub(16 * 1024)),
    )?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let last = tail
        .strip_suffix(b"\n")
        .and_then(|tail| tail.rsplit(|byte| *byte == b'\n').next());
    let event: Value = serde_json::from_slice(last.unwrap_or_default())?;
    Ok(event["subtype"] == "verdict")
}

/// The most memory that a process ever had, in KiB.
fn high_water(pid: u32) -> Outcome<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line
        .unwrap_or_default()
        .trim()
        .trim_end_matches(" kB")
        .parse()?)
}
