//! The head of a prompt: it may be as long as a book, and whoever reads a log wants to know what it answers.

use crate::{api::text::cut, cli::view};

const MAX_LINES: usize = 10;
const MAX_BYTES: usize = 2048;

/// As much as is shown without `--full`, and how much there is.
pub fn head(text: &str) -> String {
    let text = text.trim();
    let end = text.match_indices('\n').nth(MAX_LINES - 1);
    let head = cut(&text[..end.map_or(text.len(), |(at, _)| at)], MAX_BYTES);
    if head.len() == text.len() {
        return head.to_owned();
    }
    let size = view::bytes(text.len() as u64);
    format!("{}\n... ({size} in all: --full shows it)", head.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_prompt_is_whole_and_of_a_long_one_the_size_is_told() {
        let ten = "a line\n".repeat(MAX_LINES);
        assert_eq!(head(&ten), ten.trim());
        let eleven = head(&format!("{ten}more"));
        assert_eq!(eleven.lines().count(), MAX_LINES + 1);
        assert!(
            eleven.ends_with("a line\n... (74 bytes in all: --full shows it)"),
            "{eleven}"
        );
        let wide = head(&"ö".repeat(MAX_BYTES));
        assert!(wide.starts_with(&"ö".repeat(MAX_BYTES / 2)), "{wide}");
        assert!(
            wide.ends_with("\n... (4.0 KiB in all: --full shows it)"),
            "{wide}"
        );
        assert_eq!(head("\n\n"), "");
    }
}
