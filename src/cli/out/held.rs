//! The last lines of what would be printed, kept until all of it has come: only then is it known which are
//! the last.

use std::{
    collections::VecDeque,
    io::{self, Write},
};

/// A ring of lines.
#[derive(Debug)]
pub struct Held {
    most: u64,
    lines: VecDeque<Vec<u8>>,
    /// The line that has no end yet.
    open: Vec<u8>,
    /// How many lines there were in all.
    count: u64,
}

impl Held {
    /// Keeps at most so many lines.
    pub fn new(most: u64) -> Self {
        Held {
            most,
            lines: VecDeque::new(),
            open: Vec::new(),
            count: 0,
        }
    }

    /// How many lines there were, kept or not.
    pub fn count(&self) -> u64 {
        self.count + u64::from(!self.open.is_empty())
    }

    /// The last lines, as they were written.
    pub fn into_bytes(mut self) -> Vec<u8> {
        if !self.open.is_empty() {
            self.push(Vec::new());
            self.lines.pop_back();
        }
        let lines = self.lines.into_iter().flatten();
        lines.chain(self.open).collect()
    }

    fn push(&mut self, line: Vec<u8>) {
        self.lines.push_back(line);
        if self.lines.len() as u64 > self.most {
            self.lines.pop_front();
        }
    }
}

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.open.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.open);
                self.push(line);
                self.count += 1;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(most: u64, text: &str) -> (u64, String) {
        let mut held = Held::new(most);
        for piece in text.as_bytes().chunks(3) {
            held.write_all(piece).unwrap();
        }
        let count = held.count();
        (count, String::from_utf8(held.into_bytes()).unwrap())
    }

    #[test]
    fn the_last_lines_are_kept() {
        assert_eq!(held(2, "a\nbcdef\ng\n"), (3, "bcdef\ng\n".into()));
        assert_eq!(held(9, "a\nb\n"), (2, "a\nb\n".into()));
        assert_eq!(held(0, "a\nb\n"), (2, String::new()));
    }

    #[test]
    fn a_line_without_an_end_is_one_of_them() {
        assert_eq!(held(2, "a\nb\nc"), (3, "b\nc".into()));
        assert_eq!(held(1, "a\nb\nc"), (3, "c".into()));
    }
}
