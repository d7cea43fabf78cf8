//! Words of strangers (the CLI, the API, the agent) on their way into a status, an event's message or a
//! terminal. They are cut at a character and lose what a terminal would obey: escape sequences, control
//! characters, marks that change the direction of writing.

/// The longest head of `text` that has at most `max` bytes and ends with a whole character.
pub fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// `text` as one clean line of at most `max` bytes: runs of blanks and control characters become one
/// space. A line that was cut ends with `…`.
pub fn one_line(text: &str, max: usize) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || is_obeyed(c)) {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > max {
            let kept = cut(&line, max.saturating_sub('…'.len_utf8())).len();
            line.truncate(kept);
            line.push('…');
            break;
        }
    }
    line
}

/// `text` with its lines and tabs, and nothing else that a terminal would obey.
pub fn lines(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .filter(|&c| matches!(c, '\n' | '\t') || !is_obeyed(c))
}

fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_at_a_character_and_says_so() {
        assert_eq!(one_line("aaaa", 4), "aaaa");
        assert_eq!(one_line("aaaaa", 4), "a…");
        assert_eq!(one_line("öööö", 7), "öö…");
        assert_eq!(cut("öö", 3), "ö");
    }

    #[test]
    fn what_a_terminal_would_obey_is_gone() {
        assert_eq!(
            one_line("a\r\n\u{1b}]52;c;eA==\u{7}b\u{202e}c\u{9b}d", 99),
            "a ]52;c;eA== b c d"
        );
        assert_eq!(
            lines("a\r\n\tb\u{1b}[2Jc").collect::<String>(),
            "a\n\tb[2Jc"
        );
    }
}
