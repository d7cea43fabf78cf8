//! JSON that means the same to whoever reads it. The API server reads the body of an apply as YAML, which takes
//! most JSON, but refuses some characters that JSON allows as they are, and makes a blank of others; a terminal
//! obeys some. Written as `\u…` they are the same text to all.

use std::borrow::Cow;

use super::text::is_foul;

/// JSON text, unchanged in meaning, in which every such character is escaped. Beyond ASCII nothing stands in
/// JSON but in its strings, so no more than the characters has to be looked at.
pub fn plain(json: &str) -> Cow<'_, str> {
    let mut rest = json;
    let mut escaped = String::new();
    while let Some((at, c)) = rest.char_indices().find(|&(_, c)| must_be_escaped(c)) {
        escaped.push_str(&rest[..at]);
        escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
        rest = &rest[at + c.len_utf8()..];
    }
    if escaped.is_empty() {
        return Cow::Borrowed(json);
    }
    escaped.push_str(rest);
    Cow::Owned(escaped)
}

/// The same for JSON in bytes. What is no UTF-8 is no JSON, and is left to its reader to refuse.
pub fn plain_bytes(json: Vec<u8>) -> Vec<u8> {
    match std::str::from_utf8(&json).map(plain) {
        Ok(Cow::Owned(escaped)) => escaped.into_bytes(),
        Ok(Cow::Borrowed(_)) | Err(_) => json,
    }
}

/// Below U+0020 JSON has escaped all that stands in strings. Beyond U+FFFF its escapes are surrogate pairs,
/// which YAML refuses; as they are it takes them all.
fn must_be_escaped(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{ffff}') && is_foul(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// What YAML takes as it stands in a string in quotation marks, and leaves as it is.
    fn is_plain_in_yaml(c: char) -> bool {
        let is_printable = matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        is_printable && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
    }

    proptest! {
        #[test]
        fn every_text_arrives_by_json_and_by_yaml(text in "[\\PC\\pC\"\\\\/]{0,100}", more in any::<String>()) {
            let value = json!({ "a": text, (more.clone()): [more] });
            for written in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let plain = plain(&written);
                prop_assert!(plain.chars().all(is_plain_in_yaml), "{plain:?}");
                prop_assert_eq!(&serde_json::from_str::<Value>(&plain).unwrap(), &value);
                prop_assert_eq!(plain_bytes(written.clone().into_bytes()), plain.as_bytes());
            }
        }
    }

    #[test]
    fn each_character_of_the_first_plane_arrives() {
        for c in (0..=0x1_0000).filter_map(char::from_u32) {
            let written = json!([c]).to_string();
            let plain = plain(&written);
            assert!(plain.chars().all(is_plain_in_yaml), "{c:?} in {plain:?}");
            assert_eq!(serde_json::from_str::<Value>(&plain).unwrap(), json!([c]));
        }
    }

    #[test]
    fn what_needs_no_escape_is_not_copied() {
        assert!(matches!(plain(r#"{"a":"ö\u0000🙂"}"#), Cow::Borrowed(_)));
        assert_eq!(plain("[\"\u{7f}\"]"), r#"["\u007f"]"#);
    }
}
