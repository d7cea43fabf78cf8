//! A session's transcript: the CLI's own file in the agent's home, from which it continues a session. It is
//! the agent's to write, and whatever stands in its place may lead nobody out of the home nor keep him: no
//! link is followed, nothing is opened but a regular file, and no more of it is taken than a transcript has.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, unlinkat};
use rustix::io::Errno;
use serde::Deserialize;

use crate::api::protocol::MAX_TRANSCRIPT_BYTES;

/// Longer lines are passed over: what is looked for is shorter.
const MAX_LINE_BYTES: usize = 1024 * 1024;

/// So much is held of a file.
const BUFFER_BYTES: usize = 64 * 1024;

/// Only the agent's own user.
const FOLDER_MODE: Mode = Mode::RWXU;
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Why a transcript is none.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("{0}")]
    File(#[from] io::Error),
    #[error("it is no regular file")]
    NoFile,
    #[error("it is larger than {} MiB", MAX_TRANSCRIPT_BYTES >> 20)]
    TooLarge,
}

/// Where a session's transcript is.
#[derive(Clone, Debug)]
pub struct Transcript {
    home: PathBuf,
    /// The file, beneath the home.
    beneath: PathBuf,
}

/// What stands in a transcript.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Content {
    /// Somebody has said something: there is what can be continued.
    pub has_begun: bool,
    /// What the session had cost when the CLI last said so.
    pub cost_usd: Option<f64>,
}

/// A line, as far as it is looked at.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(default, rename = "totalCostUSD")]
    total_cost_usd: Option<f64>,
}

impl Transcript {
    /// The CLI keeps it beneath the home, in a folder named after the working directory.
    pub fn of(session: &str, workspace: &Path, home: &Path) -> Transcript {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let slug: String = workspace.to_string_lossy().chars().map(plain).collect();
        Transcript {
            home: home.to_owned(),
            beneath: Path::new(".claude/projects")
                .join(slug)
                .join(format!("{session}.jsonl")),
        }
    }

    /// Opens it for reading. None while there is no such file.
    pub fn open(&self) -> Result<Option<File>, Trouble> {
        // To open a FIFO would wait for its writer.
        let reading = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let home = open_folder(&self.home)?;
        let file = match open_beneath(&home, &self.beneath, reading, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(io::Error::from(error).into()),
        };
        let metadata = file.metadata()?;
        match metadata.len() {
            _ if !metadata.is_file() => Err(Trouble::NoFile),
            length if length > MAX_TRANSCRIPT_BYTES => Err(Trouble::TooLarge),
            _ => Ok(Some(file)),
        }
    }

    /// Makes it anew, with the folders above it.
    pub fn create(&self) -> io::Result<File> {
        let mut folder = open_folder(&self.home)?;
        for name in self.beneath.parent().into_iter().flat_map(Path::iter) {
            match mkdirat(&folder, name, FOLDER_MODE) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let opening = OFlags::PATH | OFlags::DIRECTORY;
            folder = open_beneath(&folder, Path::new(name), opening, Mode::empty())?;
        }
        let name = self.name();
        remove(&folder, name)?;
        let writing = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        Ok(open_beneath(&folder, name, writing, FILE_MODE)?.into())
    }

    /// Takes it away, if it is there: the CLI begins no session of which there is a file.
    pub fn remove(&self) -> io::Result<()> {
        let opening = OFlags::PATH | OFlags::DIRECTORY;
        let home = open_folder(&self.home)?;
        let folder = self.beneath.parent().unwrap_or(Path::new("."));
        match open_beneath(&home, folder, opening, Mode::empty()) {
            Ok(folder) => remove(folder, self.name()),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn name(&self) -> &Path {
        self.beneath
            .file_name()
            .map(Path::new)
            .unwrap_or(&self.beneath)
    }
}

impl Content {
    /// Reads a transcript to its end. What is no line of the CLI's is passed over, as the CLI does.
    pub fn read(transcript: impl Read) -> io::Result<Content> {
        let mut content = Content::default();
        let mut reader =
            BufReader::with_capacity(BUFFER_BYTES, transcript.take(MAX_TRANSCRIPT_BYTES));
        let mut line = Vec::new();
        while next_line(&mut reader, &mut line)? {
            if let Ok(line) = serde_json::from_slice(&line) {
                content.take(&line);
            }
        }
        Ok(content)
    }

    fn take(&mut self, line: &Line<'_>) {
        match line.kind {
            "user" | "assistant" => self.has_begun = true,
            "cost-state" => self.cost_usd = line.total_cost_usd.or(self.cost_usd),
            _ => {}
        }
    }
}

/// Reads a line; of one that is too long, nothing. False at the end.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut too_long = false;
    loop {
        let piece = reader.fill_buf()?;
        let end = piece.iter().position(|byte| *byte == b'\n');
        let count = end.map_or(piece.len(), |end| end + 1);
        if count == 0 {
            return Ok(!line.is_empty());
        }
        too_long |= line.len() + count > MAX_LINE_BYTES;
        if !too_long {
            line.extend_from_slice(&piece[..count]);
        }
        reader.consume(count);
        if too_long {
            line.clear();
        }
        if end.is_some() {
            return Ok(true);
        }
    }
}

fn open_folder(folder: &Path) -> io::Result<OwnedFd> {
    let opening = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(CWD, folder, opening, Mode::empty())?)
}

/// Follows no link: the agent could lead one to whatever we can read.
fn open_beneath(
    folder: impl AsFd,
    path: &Path,
    how: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    openat2(folder, path, how | OFlags::CLOEXEC, mode, resolve)
}

fn remove(folder: impl AsFd, name: &Path) -> io::Result<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn transcript(home: &Path) -> Transcript {
        Transcript::of("5f0c", Path::new("/workspace"), home)
    }

    fn content(text: &str) -> Content {
        Content::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_path_is_the_clis() {
        assert_eq!(
            transcript(Path::new("/home/agent")).beneath,
            Path::new(".claude/projects/-workspace/5f0c.jsonl")
        );
    }

    #[test]
    fn no_link_is_followed_wherever_it_stands() {
        let home = tempfile::tempdir().unwrap();
        let (outside, inside) = (home.path().join("other"), home.path().join("home"));
        fs::create_dir_all(inside.join("real")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "secret").unwrap();
        fs::write(inside.join("real/file"), "mine").unwrap();
        symlink(&outside, inside.join("folder")).unwrap();
        symlink(outside.join("file"), inside.join("link")).unwrap();
        symlink("real/file", inside.join("relative")).unwrap();
        let at = |beneath: &str| Transcript {
            home: inside.clone(),
            beneath: beneath.into(),
        };
        for bad in ["folder/file", "link", "relative", "../other/file"] {
            assert!(at(bad).open().is_err(), "{bad}");
        }
        for bad in ["folder/file", "../other/file"] {
            assert!(at(bad).create().is_err(), "{bad}");
            assert!(at(bad).remove().is_err(), "{bad}");
        }
        assert!(at("real/file").open().unwrap().is_some());
        assert!(at("real/other").open().unwrap().is_none());
        // What is made takes the link's place.
        at("link").create().unwrap().write_all(b"mine").unwrap();
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"secret");
        assert_eq!(fs::read(inside.join("link")).unwrap(), b"mine");
    }

    #[test]
    fn it_is_made_for_the_agents_user_alone_and_as_often_as_one_likes() {
        let home = tempfile::tempdir().unwrap();
        let transcript = transcript(home.path());
        transcript.remove().unwrap();
        for text in ["long enough", "short"] {
            transcript
                .create()
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap();
            let path = home.path().join(&transcript.beneath);
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
            assert_eq!(mode(&path), 0o600);
            assert_eq!(mode(path.parent().unwrap()), 0o700);
        }
        transcript.remove().unwrap();
        assert!(transcript.open().unwrap().is_none());
    }

    #[test]
    fn what_is_too_large_or_no_file_is_no_transcript() {
        let home = tempfile::tempdir().unwrap();
        let transcript = transcript(home.path());
        let file = transcript.create().unwrap();
        file.set_len(MAX_TRANSCRIPT_BYTES).unwrap();
        assert!(transcript.open().is_ok());
        file.set_len(10 << 30).unwrap();
        assert!(matches!(transcript.open(), Err(Trouble::TooLarge)));
        transcript.remove().unwrap();
        fs::create_dir(home.path().join(&transcript.beneath)).unwrap();
        assert!(matches!(transcript.open(), Err(Trouble::NoFile)));
    }

    #[test]
    fn a_session_has_begun_when_somebody_has_spoken() {
        for (text, expected) in [
            ("", false),
            ("{\"type\":\"queue-operation\"}\n", false),
            ("{\"type\":\"user\",\"message\":{}}\n", true),
            ("no json\n{\"type\":\"assistant\"}\n{\"type\":\"us", true),
            ("{\"type\":\"user\"", false),
            ("{\"type\":\"user\"}", true),
            ("\0\0\0\0", false),
            ("[1]\nnull\n{\"type\":1}\n", false),
        ] {
            assert_eq!(content(text).has_begun, expected, "{text:?}");
        }
    }

    #[test]
    fn the_last_word_on_the_cost_counts() {
        let state = |cost: &str| format!("{{\"type\":\"cost-state\",\"totalCostUSD\":{cost}}}\n");
        for (text, expected) in [
            (state("0.25") + &state("0.5"), Some(0.5)),
            (state("0.25") + "{\"type\":\"cost-state\"}\n", Some(0.25)),
            (state("0.25") + &state("\"much\""), Some(0.25)),
            (state("1e999"), None),
            ("{\"type\":\"user\",\"totalCostUSD\":7}\n".to_owned(), None),
        ] {
            assert_eq!(content(&text).cost_usd, expected, "{text}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_hides_no_other() {
        let long = "x".repeat(3 * MAX_LINE_BYTES);
        let text = format!("{long}\n{{\"type\":\"user\"}}\n{long}\n");
        assert!(content(&text).has_begun);
        let said = format!("{{\"type\":\"user\",\"text\":\"{long}\"}}\n");
        assert!(!content(&said).has_begun);
    }
}
