use proptest::prelude::*;

use super::*;

/// Any text, with more of what must not pass than chance alone would bring.
fn foreign() -> impl Strategy<Value = String> {
    let worst = prop::sample::select(vec![
        '\0',
        '\t',
        '\n',
        '\r',
        '\u{1b}',
        '\u{7f}',
        '\u{80}',
        '\u{85}',
        '\u{9b}',
        '\u{9f}',
        '\u{a0}',
        '\u{ad}',
        '\u{61c}',
        '\u{200e}',
        '\u{2028}',
        '\u{2029}',
        '\u{202e}',
        '\u{2066}',
        '\u{d7ff}',
        '\u{e000}',
        '\u{fdcf}',
        '\u{fdd0}',
        '\u{fdef}',
        '\u{fdf0}',
        '\u{feff}',
        '\u{fffd}',
        '\u{fffe}',
        '\u{ffff}',
        '\u{10000}',
        '\u{1fffe}',
        '\u{1f600}',
        '\u{10ffff}',
        ' ',
        'a',
        '"',
        '\\',
        'ö',
        '€',
    ]);
    let any = prop_oneof![3 => worst, 1 => any::<char>()];
    prop::collection::vec(any, 0..200).prop_map(String::from_iter)
}

/// Said once more in words of its own, so that the test does not lean on what it tests.
fn may_stand(c: char) -> bool {
    let code = u32::from(c);
    let is_text = matches!(code, 0x20..=0x7e | 0xa0..);
    let is_mark =
        matches!(code, 0x61c | 0x200e..=0x200f | 0x2028..=0x202e | 0x2066..=0x2069 | 0xfeff);
    let is_nothing = (0xfdd0..=0xfdef).contains(&code) || matches!(code % 0x10000, 0xfffe | 0xffff);
    is_text && !is_mark && !is_nothing
}

proptest! {
    #[test]
    fn a_line_is_clean_bounded_and_stays_as_it_is(text in foreign(), max in 0..300usize) {
        let line = Clean::line(&text, max);
        prop_assert!(line.chars().all(may_stand), "{line:?}");
        prop_assert!(line.len() <= max);
        prop_assert_eq!(&Clean::line(&line, max), &line);
        prop_assert_eq!(&Clean::lines(&line, max), &line);
    }

    #[test]
    fn lines_are_clean_bounded_and_stay_as_they_are(text in foreign(), max in 0..300usize) {
        let lines = Clean::lines(&text, max);
        prop_assert!(lines.chars().all(|c| matches!(c, '\n' | '\t') || may_stand(c)), "{lines:?}");
        prop_assert!(lines.len() <= max);
        prop_assert_eq!(&Clean::lines(&lines, max), &lines);
        let whole = Clean::lines(&text, usize::MAX);
        prop_assert!(whole.starts_with(lines.as_str()), "only the end is cut");
    }

    #[test]
    fn whatever_is_read_back_is_clean(text in foreign()) {
        let json = serde_json::to_string(&text).unwrap();
        let read: Clean = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(read, Clean::lines(&text, LONGEST));
    }

    #[test]
    fn text_that_is_text_comes_through_whole(text in "[ -~äß€字🙂\n\t]{0,200}") {
        let clean = Clean::lines(&text, usize::MAX);
        prop_assert_eq!(clean.as_str(), text);
    }
}

#[test]
fn a_line_is_cut_at_a_character_and_says_so() {
    assert_eq!(Clean::line("aaaa", 4), "aaaa");
    assert_eq!(Clean::line("aaaaa", 4), "a…");
    assert_eq!(Clean::line("öööö", 7), "öö…");
    assert_eq!(Clean::line("a bbbb", 5), "a…");
    assert_eq!(cut("öö", 3), "ö");
}

#[test]
fn what_a_terminal_would_obey_is_gone() {
    assert_eq!(
        Clean::line("a\r\n\u{1b}]52;c;eA==\u{7}b\u{202e}c\u{9b}d", 99),
        "a ]52;c;eA== b c d"
    );
    assert_eq!(Clean::lines("a\r\n\tb\u{1b}[2Jc", 99), "a\n\tb[2Jc");
}

#[test]
fn a_joined_emoji_stays_whole() {
    let family = "👩\u{200d}👧 ❤\u{fe0f}";
    assert_eq!(Clean::line(family, 99), family);
}
