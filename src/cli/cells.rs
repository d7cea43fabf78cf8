//! How much room a text takes on a terminal: cells, not characters. A CJK character takes two, a combining
//! mark none, and an emoji that is several characters takes two.

use unicode_width::UnicodeWidthStr;

/// No cell holds more characters than this, unless somebody wants to keep us busy.
const IN_A_CELL: usize = 16;

/// The cells that a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The longest beginning of `text` that takes at most so many cells. Characters that form one sign stay
/// together.
pub fn head(text: &str, cells: usize) -> &str {
    if let Some((head, _)) = text.split_at_checked(cells)
        && head
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ')
        && text.as_bytes().get(cells).is_none_or(u8::is_ascii)
    {
        return head;
    }
    let mut end = 0;
    let longest = cells.saturating_add(1).saturating_mul(IN_A_CELL);
    for (at, character) in text.char_indices().take(longest) {
        let next = at + character.len_utf8();
        // What a character adds depends on those before it, so each beginning is measured as a whole.
        if width(&text[..next]) > cells {
            break;
        }
        end = next;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A woman, a joiner, a laptop: one sign of two cells.
    const CODER: &str = "👩\u{200d}💻";

    #[test]
    fn cells_are_counted_and_not_characters() {
        for (text, cells) in [
            ("abc", 3),
            ("日本", 4),
            ("e\u{301}", 1),
            ("a\u{200b}b", 2),
            ("🦀", 2),
            (CODER, 2),
        ] {
            assert_eq!(width(text), cells, "{text}");
        }
    }

    #[test]
    fn a_head_fits_and_no_sign_is_torn() {
        for (text, cells, head_) in [
            ("abcdef", 3, "abc"),
            ("abc", 9, "abc"),
            ("日本語", 5, "日本"),
            ("日本語", 1, ""),
            ("ae\u{301}b", 2, "ae\u{301}"),
            (CODER, 1, ""),
            (&format!("{CODER}x"), 2, CODER),
        ] {
            assert_eq!(head(text, cells), head_, "{text} {cells}");
        }
    }

    #[test]
    fn a_heap_of_marks_on_one_letter_costs_little() {
        let heap = format!("a{}", "\u{301}".repeat(1_000_000));
        assert!(head(&heap, 100).len() < 10_000);
    }
}
