//! Bytes as they come from a stream, cut into lines. A line is held until its end, up to a limit; what is
//! longer passes through in parts, so that no line takes more memory than the limit.

use std::mem;

/// The size of a part: in the worst case each of its bytes takes six in a JSON string, and with that it
/// still fits an event.
pub const PART_BYTES: usize = 40 * 1024;

/// A buffer that grew beyond this for one long line is given back after it.
const KEPT_CAPACITY: usize = 256 * 1024;

/// What a stream gives.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A line without its newline.
    Line(&'a [u8]),
    /// A part of a line that is longer than the limit.
    Part {
        bytes: &'a [u8],
        part: u64,
        last: bool,
    },
}

/// Where cutting is the same however the bytes came.
#[derive(Debug)]
pub struct Lines {
    limit: usize,
    held: Vec<u8>,
    /// Parts of the current line that were passed on already.
    passed: u64,
}

impl Lines {
    /// `limit` is the length of the longest line that is given whole.
    pub fn new(limit: usize) -> Self {
        Lines {
            limit: limit.max(PART_BYTES),
            held: Vec::new(),
            passed: 0,
        }
    }

    /// Takes bytes, gives what they complete.
    pub fn feed(&mut self, mut bytes: &[u8], mut take: impl FnMut(Piece)) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            if self.is_empty() && end <= self.limit {
                take(Piece::Line(&bytes[..end]));
            } else {
                self.held.extend_from_slice(&bytes[..end]);
                self.pass_on(&mut take);
                self.end_line(&mut take);
            }
            bytes = &bytes[end + 1..];
        }
        self.held.extend_from_slice(bytes);
        self.pass_on(&mut take);
    }

    /// Gives the last line, if it has no newline.
    pub fn finish(&mut self, mut take: impl FnMut(Piece)) {
        if !self.is_empty() {
            self.end_line(&mut take);
        }
    }

    fn is_empty(&self) -> bool {
        self.held.is_empty() && self.passed == 0
    }

    fn pass_on(&mut self, take: &mut impl FnMut(Piece)) {
        if self.passed == 0 && self.held.len() <= self.limit {
            return;
        }
        let mut rest = self.held.as_slice();
        while rest.len() > PART_BYTES {
            let (bytes, after) = rest.split_at(part_length(rest, PART_BYTES));
            self.passed += 1;
            take(Piece::Part {
                bytes,
                part: self.passed,
                last: false,
            });
            rest = after;
        }
        let done = self.held.len() - rest.len();
        self.held.drain(..done);
        self.held.shrink_to(KEPT_CAPACITY);
    }

    fn end_line(&mut self, take: &mut impl FnMut(Piece)) {
        match mem::take(&mut self.passed) {
            0 => take(Piece::Line(&self.held)),
            passed => take(Piece::Part {
                bytes: &self.held,
                part: passed + 1,
                last: true,
            }),
        }
        self.held.clear();
        self.held.shrink_to(KEPT_CAPACITY);
    }
}

/// The parts of bytes that are there as a whole.
pub fn parts(mut bytes: &[u8], max: usize) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let (part, rest) = bytes.split_at(part_length(bytes, max));
        bytes = rest;
        Some(part)
    })
}

/// The length of the next part: `max`, or a little less where it would cut a character.
fn part_length(bytes: &[u8], max: usize) -> usize {
    if bytes.len() <= max {
        return bytes.len();
    }
    let starts_character = |&at: &usize| bytes[at] & 0b1100_0000 != 0b1000_0000;
    (max - 3..=max).rev().find(starts_character).unwrap_or(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(limit: usize, chunks: &[&[u8]]) -> Vec<(Vec<u8>, u64, bool)> {
        let mut lines = Lines::new(limit);
        let mut given = Vec::new();
        let mut take = |piece: Piece| {
            given.push(match piece {
                Piece::Line(bytes) => (bytes.to_vec(), 0, true),
                Piece::Part { bytes, part, last } => (bytes.to_vec(), part, last),
            })
        };
        for chunk in chunks {
            lines.feed(chunk, &mut take);
        }
        lines.finish(take);
        given
    }

    #[test]
    fn lines_come_whole_however_they_arrive() {
        let whole = vec![
            (b"ab".to_vec(), 0, true),
            (vec![], 0, true),
            (b"c".to_vec(), 0, true),
        ];
        assert_eq!(all(9, &[b"ab\n\nc"]), whole);
        assert_eq!(all(9, &[b"a", b"b", b"\n", b"\n", b"c"]), whole);
    }

    #[test]
    fn a_line_over_the_limit_passes_in_parts_that_end_with_whole_characters() {
        let long = "ö".repeat(PART_BYTES).into_bytes();
        let mut stream = vec![b'x'];
        stream.extend(&long);
        stream.extend(b"\nend\n");
        let given = all(0, &[&stream]);
        assert_eq!(given, all(0, &stream.chunks(7).collect::<Vec<_>>()));
        assert_eq!(
            given.iter().map(|(_, part, _)| *part).collect::<Vec<_>>(),
            [1, 2, 3, 0]
        );
        assert_eq!(
            given.iter().map(|(_, _, last)| *last).collect::<Vec<_>>(),
            [false, false, true, true]
        );
        assert!(
            given
                .iter()
                .all(|(bytes, ..)| str::from_utf8(bytes).is_ok())
        );
        assert_eq!(
            given[..3]
                .iter()
                .flat_map(|(bytes, ..)| bytes.clone())
                .collect::<Vec<_>>(),
            stream[..stream.len() - 5]
        );
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_whole() {
        let limit = PART_BYTES;
        let line = vec![b'a'; limit + 1];
        assert_eq!(
            all(limit, &[&line[..limit], b"\n"]),
            [(line[..limit].to_vec(), 0, true)]
        );
        assert_eq!(all(limit, &[&line, b"\n"]).len(), 2);
    }
}
