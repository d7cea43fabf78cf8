//! What a program may have written for a terminal before a line of JSON: sequences that clear the screen or set
//! a title, lone control characters, a byte order mark. A line counts with them as without them.
//!
//! Only whole sequences count, only before the JSON, and nothing but blanks may follow it. What an agent chose
//! and the CLI shows in colour, or as a title, ends with a sequence of the CLI's own, so it never is such a line.

/// Longer noise is something else.
const MAX_BYTES: usize = 4096;

const BYTE_ORDER_MARK: char = '\u{feff}';
const BELL: char = '\u{7}';
const ESCAPE: char = '\u{1b}';

/// The length of the noise at the beginning of a line.
pub fn before_json(line: &str) -> usize {
    let mut rest = line;
    while let Some(after) = after_one(rest) {
        rest = after;
    }
    let length = line.len() - rest.len();
    if length <= MAX_BYTES { length } else { 0 }
}

/// What follows one sequence or character of noise; none where the text begins otherwise.
fn after_one(text: &str) -> Option<&str> {
    match text.strip_prefix(ESCAPE) {
        Some(sequence) => after_escape(sequence),
        None => text.strip_prefix(|c: char| c == BYTE_ORDER_MARK || c.is_ascii_control()),
    }
}

/// The sequences of ECMA-48.
fn after_escape(text: &str) -> Option<&str> {
    let mut chars = text.chars();
    match chars.next()? {
        '[' => {
            let parameters = chars
                .as_str()
                .trim_start_matches(|c| matches!(c, '0'..='?'));
            intermediate(parameters).strip_prefix(|c| matches!(c, '@'..='~'))
        }
        ']' | 'P' | 'X' | '^' | '_' => {
            let text = chars.as_str();
            let end = text.find([BELL, ESCAPE])?;
            let (_, end) = text.split_at(end);
            end.strip_prefix(BELL)
                .or_else(|| end.strip_prefix("\u{1b}\\"))
        }
        ' '..='/' => intermediate(chars.as_str()).strip_prefix(|c| matches!(c, '0'..='~')),
        '0'..='~' => Some(chars.as_str()),
        _ => None,
    }
}

fn intermediate(text: &str) -> &str {
    text.trim_start_matches(|c| matches!(c, ' '..='/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_sequences_and_control_characters_are_noise_and_nothing_else_is() {
        for noise in [
            "",
            "\u{feff}",
            "\0\0\r\u{7f}",
            "\u{1b}[2J\u{1b}[3J\u{1b}[H",
            "\u{1b}[38;5;1m",
            "\u{1b}[?25l",
            "\u{1b}[0 q",
            "\u{1b}]0;a title with {braces}\u{7}",
            "\u{1b}]8;;http://x\u{1b}\\",
            "\u{1b}P1$r0m\u{1b}\\",
            "\u{1b}(B\u{1b}=\u{1b}7",
        ] {
            let line = format!("{noise}{{\"a\":1}}");
            assert_eq!(before_json(&line), noise.len(), "{line:?}");
        }
        for other in [
            "text \u{1b}[0m",
            "{\u{1b}[0m",
            "\u{1b}[31ü",
            "\u{1b}]0;no end {",
            "\u{1b}",
            "\u{1b}ü",
        ] {
            assert_eq!(before_json(other), 0, "{other:?}");
        }
        let most = "\0".repeat(MAX_BYTES);
        assert_eq!(before_json(&most), MAX_BYTES);
        assert_eq!(before_json(&format!("{most}\0")), 0);
    }
}
