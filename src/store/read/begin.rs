//! Which byte of a record a reader wants first. He waits for it, and so does the gateway between: so it is
//! found from the end, or by halves, and never by reading all that comes before it.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Wanted;
use crate::store::log::next_line;

/// A file is searched in pieces of this size.
const PIECE: u64 = 64 * 1024;

/// An event begins with its type and its timestamp, which fit in here.
const HEAD: u64 = 512;

/// The file, and the byte of its first `length` that the reader wants first.
pub fn find(path: &Path, length: u64, wanted: Wanted) -> io::Result<(Option<Arc<File>>, u64)> {
    let file = File::open(path)?;
    let offset = wanted.offset.unwrap_or(0);
    let tail = wanted.tail.map(|lines| last_lines(&file, length, lines));
    let since = wanted.since.map(|since| not_older(&file, length, since));
    let begins = offset
        .max(tail.transpose()?.unwrap_or(0))
        .max(since.transpose()?.unwrap_or(0));
    Ok((Some(Arc::new(file)), begins))
}

/// Where the last lines begin that have an end. What is behind them belongs to the next line.
fn last_lines(file: &File, length: u64, lines: u64) -> io::Result<u64> {
    let mut end = length;
    let mut ends = 0;
    while end > 0 {
        let start = end.saturating_sub(PIECE);
        let mut piece = vec![0; usize::try_from(end - start).unwrap_or_default()];
        file.read_exact_at(&mut piece, start)?;
        for newline in memchr::memrchr_iter(b'\n', &piece) {
            if ends == lines {
                return Ok(start + newline as u64 + 1);
            }
            ends += 1;
        }
        end = start;
    }
    Ok(0)
}

/// Where the first line begins whose timestamp is not before this time; else the line that has no end yet.
/// Timestamps rise, so half of what is left is passed over at a time.
fn not_older(file: &File, length: u64, since: DateTime<Utc>) -> io::Result<u64> {
    let finished = last_lines(file, length, 0)?;
    let mut found = match first_dated(file, finished..length, length)? {
        Some((_, time)) if time < since && length - finished >= HEAD => length,
        None if length - finished >= HEAD => length,
        Some(_) | None => finished,
    };
    // Lines that begin before `low` are older; those from `high` on are not, as far as they have a time.
    let (mut low, mut high) = (0, finished);
    while low < high {
        let middle = low + (high - low) / 2;
        match first_dated(file, middle..high, finished)? {
            Some((at, time)) if time < since => low = at + 1,
            Some((at, _)) => (found, high) = (at, middle),
            None => high = middle,
        }
    }
    Ok(found)
}

/// The first line that begins in this range and has a timestamp, of those up to `end`; and that.
fn first_dated(
    mut file: &File,
    range: std::ops::Range<u64>,
    end: u64,
) -> io::Result<Option<(u64, DateTime<Utc>)>> {
    // One byte earlier: a line begins where another ends. Nothing is read behind the last line's head.
    let mut at = range.start.saturating_sub(1);
    let limit = (range.end + HEAD).min(end);
    file.seek(SeekFrom::Start(at))?;
    let mut reader = BufReader::with_capacity(PIECE as usize, file.take(limit - at));
    let mut line = Vec::new();
    if range.start > 0 {
        at += next_line(&mut reader, 0, &mut line)?.unwrap_or(0);
    }
    while at < range.end {
        let Some(bytes) = next_line(&mut reader, HEAD as usize, &mut line)? else {
            return Ok(None);
        };
        if let Some(time) = timestamp(&line) {
            return Ok(Some((at, time)));
        }
        at += bytes;
    }
    Ok(None)
}

fn timestamp(head: &[u8]) -> Option<DateTime<Utc>> {
    const NAME: &[u8] = b"\"timestamp\":\"";
    let text = &head[memchr::memmem::find(head, NAME)? + NAME.len()..];
    let text = &text[..memchr::memchr(b'"', text)?];
    Some(
        DateTime::parse_from_rfc3339(str::from_utf8(text).ok()?)
            .ok()?
            .to_utc(),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn time(second: u32) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + i64::from(second), 0).unwrap()
    }

    fn line(second: u32, filling: usize) -> String {
        let (time, filling) = (time(second).to_rfc3339(), "x".repeat(filling));
        format!("{{\"type\":\"output\",\"timestamp\":\"{time}\",\"x\":\"{filling}\"}}\n")
    }

    fn file(text: &str) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    /// Bytes that this thread has asked the kernel for.
    fn bytes_read() -> u64 {
        let counts = std::fs::read_to_string("/proc/thread-self/io").unwrap();
        let count = counts.lines().find_map(|line| line.strip_prefix("rchar: "));
        count.unwrap().parse().unwrap()
    }

    #[test]
    fn a_time_is_found_without_reading_what_comes_before_it() {
        let lines: String = (0..20_000).map(|second| line(second, 900)).collect();
        let (file, length) = (file(&lines), lines.len() as u64);
        for second in [0, 1, 9_999, 19_999, 20_000] {
            let before = bytes_read();
            let begins = not_older(&file, length, time(second)).unwrap();
            let read = bytes_read() - before;
            let rest: String = (second..20_000).map(|second| line(second, 900)).collect();
            assert_eq!(begins, length - rest.len() as u64);
            assert!(read < length / 8, "{read} of {length}");
        }
    }

    #[test]
    fn a_line_that_never_ends_is_not_read_again_and_again() {
        let mut text = line(1, 0) + &"x".repeat(4 << 20) + "\n" + &line(2, 0);
        text += &"y".repeat(4 << 20);
        let (file, length) = (file(&text), text.len() as u64);
        let before = bytes_read();
        let begins = not_older(&file, length, time(2)).unwrap();
        assert!(text[begins as usize..].starts_with(&line(2, 0)));
        assert!(bytes_read() - before < 4 * length);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_time_begins_where_reading_from_the_start_finds_it(
            steps in prop::collection::vec((0..3u32, 0..700usize, any::<bool>()), 0..40),
            torn in 0..900usize,
            since in 0..50u32,
        ) {
            let (mut second, mut text, mut expected) = (0, String::new(), None);
            for (step, filling, dated) in steps {
                second += step;
                if dated && second >= since {
                    expected.get_or_insert(text.len());
                }
                text += &match dated {
                    true => line(second, filling),
                    false => "x".repeat(filling) + "\n",
                };
            }
            let finished = text.len();
            let half = line(second, 900);
            text += &half[..torn];
            let full_head = torn >= HEAD as usize;
            let last = if full_head && second < since { text.len() } else { finished };
            let begins = not_older(&file(&text), text.len() as u64, time(since)).unwrap();
            prop_assert_eq!(begins, expected.unwrap_or(last) as u64);
        }
    }
}
