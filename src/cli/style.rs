//! What a stream can show: colour, signs beyond ASCII, a width. Asked once for each stream, so that a
//! pipe gets plain text while the terminal beside it gets colour.

use std::{env, io::IsTerminal, os::fd::AsFd};

use rustix::termios::tcgetwinsize;

use super::cells;
use crate::api::text::Clean;

/// When to use colour. Auto: on a terminal, unless NO_COLOR is set or TERM is dumb.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    #[default]
    Auto,
    Always,
    Never,
}

/// The few colours in use; state is never told by colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Red,
    Green,
    Yellow,
    Cyan,
    Dim,
    Bold,
}

/// A mark before a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Done,
    Failed,
    Cancelled,
    Running,
    Pending,
    Words,
    Told,
    Tool,
    Again,
    Dot,
    Arrow,
    Rule,
    Warning,
}

impl Sign {
    fn as_str(self, unicode: bool) -> &'static str {
        let (sign, plain) = match self {
            Sign::Done => ("✔", "ok"),
            Sign::Failed => ("✖", "x"),
            Sign::Cancelled => ("⊘", "/"),
            Sign::Running => ("●", "*"),
            Sign::Pending => ("○", "o"),
            Sign::Words => ("●", "*"),
            Sign::Told => ("❯", "$"),
            Sign::Tool => ("⚙", ">"),
            Sign::Again => ("↻", "~"),
            Sign::Dot => ("·", "-"),
            Sign::Arrow => ("→", "->"),
            Sign::Rule => ("──", "--"),
            Sign::Warning => ("⚠", "!"),
        };
        if unicode { sign } else { plain }
    }
}

/// What one stream can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    pub color: bool,
    pub unicode: bool,
    pub terminal: bool,
    /// The cursor can be moved, to print over what stands there.
    pub cursor: bool,
    /// Columns and rows of the terminal; none in a pipe, where nothing is cut.
    pub size: Option<(usize, usize)>,
}

impl Style {
    /// Looks at the stream and the environment.
    pub fn of(stream: &(impl IsTerminal + AsFd), choice: ColorChoice) -> Self {
        let terminal = stream.is_terminal();
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()));
        let size = || tcgetwinsize(stream).ok().filter(|size| size.ws_col > 0);
        Style {
            color: match choice {
                ColorChoice::Always => true,
                ColorChoice::Never => false,
                ColorChoice::Auto => terminal && !dumb && !refused,
            },
            unicode: !dumb && locale.is_some_and(|locale| is_utf8(&locale)),
            terminal,
            cursor: terminal && !dumb,
            size: terminal
                .then(size)
                .flatten()
                .map(|size| (size.ws_col.into(), size.ws_row.into())),
        }
    }

    pub fn sign(self, sign: Sign) -> &'static str {
        sign.as_str(self.unicode)
    }

    pub fn paint(self, colour: Colour, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Cyan => 36,
            Colour::Dim => 2,
            Colour::Bold => 1,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// `a · b · c`.
    pub fn dotted<'a>(self, parts: impl IntoIterator<Item = &'a str>) -> String {
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(&format!(" {} ", self.sign(Sign::Dot)))
    }

    /// `text` as one clean line that fits into `columns`, where they are known.
    pub fn fit(self, text: &str, columns: Option<usize>) -> String {
        let line = Clean::line(text, usize::MAX);
        match columns {
            Some(columns) => self.cut(&line, columns),
            None => line.into(),
        }
    }

    /// `line` cut to so many columns; a mark shows that something is missing.
    pub fn cut(self, line: &str, columns: usize) -> String {
        if cells::width(line) <= columns {
            return line.to_owned();
        }
        let mark = if self.unicode { "…" } else { "..." };
        match columns.checked_sub(cells::width(mark)) {
            Some(kept) => format!("{}{mark}", cells::head(line, kept)),
            None => cells::head(mark, columns).to_owned(),
        }
    }

    /// `a · b · c` on as many lines as it takes, none wider than `columns` unless one part is; lines after
    /// the first are set in by `indent`.
    pub fn wrapped<'a>(
        self,
        parts: impl IntoIterator<Item = &'a str>,
        indent: usize,
        columns: usize,
    ) -> Vec<String> {
        let joint = format!(" {} ", self.sign(Sign::Dot));
        let room = columns.saturating_sub(indent);
        let mut lines: Vec<String> = Vec::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            match lines.last_mut() {
                Some(line)
                    if cells::width(line) + cells::width(&joint) + cells::width(part) <= room =>
                {
                    line.push_str(&joint);
                    line.push_str(part);
                }
                _ => lines.push(part.to_owned()),
            }
        }
        for line in lines.iter_mut().skip(1) {
            line.insert_str(0, &" ".repeat(indent));
        }
        lines
    }
}

fn is_utf8(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style {
        color: false,
        unicode: false,
        terminal: false,
        cursor: false,
        size: None,
    };

    #[test]
    fn without_colour_text_stays_as_it_is() {
        assert_eq!(PLAIN.paint(Colour::Red, "x"), "x");
        let color = Style {
            color: true,
            ..PLAIN
        };
        assert_eq!(color.paint(Colour::Red, "x"), "\x1b[31mx\x1b[0m");
    }

    #[test]
    fn without_utf8_every_sign_is_ascii() {
        for sign in [Sign::Done, Sign::Failed, Sign::Words, Sign::Tool, Sign::Dot] {
            assert!(PLAIN.sign(sign).is_ascii());
        }
        assert_eq!(PLAIN.fit("aaaaaaaa", Some(5)), "aa...");
    }

    #[test]
    fn a_line_is_cut_only_where_the_width_is_known() {
        assert_eq!(PLAIN.fit("a\nb\x1b[2J", None), "a b [2J");
        let unicode = Style {
            unicode: true,
            ..PLAIN
        };
        assert_eq!(unicode.fit("äöüäöü", Some(4)), "äöü…");
        assert_eq!(unicode.fit("日本語", Some(4)), "日…");
        assert_eq!(PLAIN.fit("aaaa", Some(2)), "..");
    }

    #[test]
    fn parts_are_wrapped_between_and_never_within() {
        let lines = PLAIN.wrapped(["aa", "", "bb", "cccccccccc", "d"], 2, 10);
        assert_eq!(lines, ["aa - bb", "  cccccccccc", "  d"]);
    }

    #[test]
    fn a_locale_says_whether_signs_are_understood() {
        assert!(is_utf8("de_DE.UTF-8") && is_utf8("C.utf8"));
        assert!(!is_utf8("C") && !is_utf8("POSIX"));
    }
}
