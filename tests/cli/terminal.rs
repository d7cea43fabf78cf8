//! What is only done where somebody sits at a terminal: colour, questions, a table that changes in place.

use std::{fs::File, io::Read, os::fd::OwnedFd, time::Duration};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use serde_json::{Value, json};
use tokio::{process::Child, sync::mpsc, time::timeout};

use crate::{
    cluster::{Cluster, minted},
    record::{close, segment, status_of, translate},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// The program on a terminal of its own, 60 columns wide if nothing else is said, and 8 rows high.
struct Terminal {
    child: Child,
    keyboard: File,
    screen: mpsc::UnboundedReceiver<Vec<u8>>,
    /// All that came so far.
    seen: String,
}

impl Terminal {
    fn start(cluster: &Cluster, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Terminal::of_width(60, cluster, arguments, environment)
    }

    fn of_width(
        columns: u16,
        cluster: &Cluster,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let path = ptsname(&ours, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs: OwnedFd = rustix::fs::open(path, flags, Mode::empty()).unwrap();
        let size = Winsize {
            ws_col: columns,
            ws_row: 8,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&theirs, size).unwrap();
        let mut command = cluster.program.command(arguments);
        command
            .envs(environment.iter().copied())
            .stdin(theirs.try_clone().unwrap())
            .stdout(theirs.try_clone().unwrap())
            .stderr(theirs);
        let child = command.spawn().unwrap();
        // Holds copies of the terminal's other side, whose last must go for the end to be seen.
        drop(command);
        let keyboard = File::from(ours);
        let screen = read(keyboard.try_clone().unwrap());
        Terminal {
            child,
            keyboard,
            screen,
            seen: String::new(),
        }
    }

    /// Waits until this stands on the screen, after what was waited for before.
    async fn shows(&mut self, wanted: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(wanted) {
                let rest = self.seen.split_off(at + wanted.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let more = timeout(PATIENCE, self.screen.recv()).await;
            let more = more.unwrap_or_else(|_| panic!("{wanted:?} does not come: {:?}", self.seen));
            let more =
                more.unwrap_or_else(|| panic!("it ended without {wanted:?}: {:?}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
    }

    fn types(&mut self, text: &str) {
        std::io::Write::write_all(&mut self.keyboard, text.as_bytes()).unwrap();
    }

    /// The rest of the screen, and the exit code.
    async fn rest(mut self) -> (String, Option<i32>) {
        let status = timeout(PATIENCE, self.child.wait()).await;
        let status = status.expect("herdctl did not end").unwrap();
        while let Some(more) = self.screen.recv().await {
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
        (self.seen, status.code())
    }
}

/// What comes on the screen, until the last program has left it.
fn read(mut screen: File) -> mpsc::UnboundedReceiver<Vec<u8>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = screen.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

fn failed() -> Cluster {
    let cluster = Cluster::start();
    let (segment, verdict) = segment("max_turns_2");
    let bytes = close(segment, &verdict);
    cluster.job("j", 60, status_of(&bytes, &verdict));
    cluster.record("j", &bytes, true);
    cluster
}

#[tokio::test]
async fn a_terminal_gets_colour_unless_it_is_refused() {
    let cluster = failed();
    let logs = ["jobs", "logs", "j"];
    let (coloured, code) = Terminal::start(&cluster, &logs, &[]).rest().await;
    assert!(coloured.contains("\x1b[31m"), "{coloured:?}");
    assert_eq!(code, Some(0));
    for refusal in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let (plain, _) = Terminal::start(&cluster, &logs, &[refusal]).rest().await;
        assert!(!plain.contains('\x1b'), "{refusal:?}: {plain:?}");
    }
}

#[tokio::test]
async fn a_table_is_cut_to_the_terminal() {
    let cluster = failed();
    cluster.job(&minted("7f3c0a1b"), 5, Value::Null);
    let (table, code) = Terminal::start(&cluster, &["jobs", "list", "-o", "wide"], &[])
        .rest()
        .await;
    assert_eq!(code, Some(0), "{table}");
    assert!(
        table.lines().any(|line| line.contains("7f3c0a1b")),
        "{table}"
    );
    for line in table.lines() {
        assert!(line.chars().count() <= 60, "{line:?}");
    }
}

#[tokio::test]
async fn a_narrow_terminal_shows_what_is_cut() {
    let cluster = failed();
    cluster.job(
        &minted("7f3c0a1b"),
        5,
        json!({"phase": "pending", "reason": "Suspended"}),
    );
    for columns in [20, 40] {
        let list = ["jobs", "list", "-o", "wide"];
        let (table, code) = Terminal::of_width(columns, &cluster, &list, &[])
            .rest()
            .await;
        assert_eq!(code, Some(0), "{table}");
        for line in table.lines() {
            assert!(
                line.chars().count() <= columns.into(),
                "{columns}: {line:?}"
            );
            assert!(line.ends_with('…'), "{columns}: {line:?}");
        }
        let (ascii, _) = Terminal::of_width(columns, &cluster, &list, &[("LANG", "C")])
            .rest()
            .await;
        assert!(
            ascii.is_ascii() && ascii.lines().all(|line| line.ends_with("...")),
            "{ascii}"
        );
    }
    for verb in ["logs", "show", "verify", "result"] {
        let (text, code) = Terminal::of_width(20, &cluster, &["jobs", verb, "j"], &[])
            .rest()
            .await;
        assert!(
            code.is_some_and(|code| code < 2) && !text.is_empty(),
            "{verb}: {text}"
        );
    }
}

#[tokio::test]
async fn wide_characters_fit_too() {
    let cluster = Cluster::start();
    let mut stream = String::new();
    let commands = ["日本語".repeat(30), "🦀".repeat(50), "e\u{301}".repeat(90)];
    for (number, command) in commands.iter().enumerate() {
        let id = format!("call-{number}");
        let call =
            json!({"type": "tool_use", "id": id, "name": "Bash", "input": {"command": command}});
        let result = json!({"type": "tool_result", "tool_use_id": id, "content": "a\nb"});
        for (kind, block) in [("assistant", call), ("user", result)] {
            let line = json!({"type": kind, "message": {"id": "m", "content": [block]}});
            stream.push_str(&format!("{line}\n"));
        }
    }
    let (segment, _) = translate(stream.as_bytes(), 0);
    cluster.job("j", 60, json!({"phase": "running"}));
    cluster.record("j", &segment, false);
    let logs = ["jobs", "logs", "j", "--color", "never"];
    let (text, _) = Terminal::start(&cluster, &logs, &[]).rest().await;
    let calls: Vec<&str> = text.lines().filter(|line| line.contains("Bash")).collect();
    assert_eq!(calls.len(), 3, "{text}");
    for line in calls {
        let cells: usize = line
            .chars()
            .map(|c| match c {
                '日' | '本' | '語' | '🦀' => 2,
                '\u{301}' => 0,
                _ => 1,
            })
            .sum();
        assert!((54..=60).contains(&cells), "{cells}: {line}");
        assert!(
            line.ends_with("✔ 0.7s  2 lines") && line.contains('…'),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_terminal_that_can_not_move_its_cursor_gets_lines() {
    let cluster = Cluster::start();
    cluster.job("j", 60, json!({"phase": "pending"}));
    let watch = ["jobs", "list", "-w"];
    let mut terminal = Terminal::start(&cluster, &watch, &[("TERM", "dumb")]);
    let first = terminal.shows("pending").await;
    cluster
        .until("the watch is there", |world| {
            let watches = |request: &String| request.contains("watch=true");
            world.requests.iter().any(watches)
        })
        .await;
    cluster.job("j", 61, json!({"phase": "running"}));
    let again = terminal.shows("running").await;
    assert!(
        !first.contains('\x1b') && !again.contains('\x1b'),
        "{first:?}{again:?}"
    );
}

#[tokio::test]
async fn stopping_several_is_asked_for() {
    for (answer, stopped, code) in [("y\n", true, 0), ("n\n", false, 1), ("\n", false, 1)] {
        let cluster = Cluster::start();
        cluster.job("a", 60, json!({"phase": "running"}));
        cluster.job("b", 60, json!({"phase": "running"}));
        let cancel = ["jobs", "cancel", "--agent", "reviewer"];
        let mut terminal = Terminal::start(&cluster, &cancel, &[]);
        terminal
            .shows("stop these 2 Jobs of agent reviewer? [y/N]")
            .await;
        terminal.types(answer);
        let (_, ended) = terminal.rest().await;
        assert_eq!(
            (cluster.count("PATCH") > 0, ended),
            (stopped, Some(code)),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_watched_table_changes_in_place() {
    let cluster = Cluster::start();
    for number in 0..10 {
        cluster.job(
            &format!("j{number}"),
            60 + number,
            json!({"phase": "pending"}),
        );
    }
    let mut terminal = Terminal::start(&cluster, &["jobs", "list", "-w"], &[("NO_COLOR", "1")]);
    // Six rows fit, with the head; then one that tells of the rest, and the cursor's.
    let first = terminal.shows("and 5 more").await;
    assert!(
        first.contains("j0") && first.contains("j4") && !first.contains("j5"),
        "{first:?}"
    );
    cluster
        .until("the watch is there", |world| {
            world
                .requests
                .iter()
                .any(|request| request.contains("watch=true"))
        })
        .await;
    cluster.job("j1", 61, json!({"phase": "running"}));
    let again = terminal.shows("running").await;
    assert!(again.contains("\x1b[7A"), "{again:?}");
}

#[tokio::test]
async fn stages_stand_on_one_line_with_how_long_they_took() {
    let cluster = Cluster::start();
    cluster.agent("reviewer");
    let run = ["run", "reviewer", "--name", "x", "-f"];
    let mut terminal = Terminal::start(&cluster, &run, &[("NO_COLOR", "1")]);
    let set = |status: Value| {
        cluster.change(|world| {
            let mut job = world.jobs["x"].clone();
            job["status"] = status;
            world.put(job);
        });
    };
    terminal.shows("Ctrl-C leaves it running").await;
    terminal.shows("pending").await;
    set(json!({"phase": "pending", "reason": "ImagePull"}));
    terminal.shows("s · pending ImagePull").await;
    let attempts =
        json!([{"number": 1, "pod": "x-1", "node": "node-2", "intended": "2026-01-02T12:00:00Z"}]);
    set(json!({"phase": "running", "attempts": attempts}));
    terminal.shows("s · running on node-2").await;
    let (segment, verdict) = segment("success");
    cluster.record("x", &close(segment, &verdict), true);
    terminal.shows("\r\n12:04:32 ● I will run a command.").await;
    assert_eq!(terminal.rest().await.1, Some(0));
}
