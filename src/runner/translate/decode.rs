//! The text of a JSON string, no more of it than is asked for: a result can be megabytes long, and a
//! verdict keeps two kilobytes of it.

use std::fmt;

use serde::Deserializer;
use serde::de::Visitor;
use serde_json::value::RawValue;

use crate::api::text::{Clean, cut};
use crate::api::verdict::Text;

/// At most `max` bytes of a JSON string's text, cleaned; none when the value is no string. Half a surrogate pair,
/// which no text can hold, becomes U+FFFD.
pub fn head(value: &RawValue, max: usize) -> Option<Text> {
    let written = value.get().strip_prefix('"')?.strip_suffix('"')?;
    // An escape has at most six bytes and stands for at least one.
    let kept = whole_escapes(written, max.saturating_mul(6));
    let text = serde_json::Deserializer::from_str(&format!("\"{kept}\""))
        .deserialize_bytes(Lossy)
        .ok()?;
    let whole = kept.len() == written.len();
    let kept = cut(&text, max);
    Some(Text {
        truncated: !whole || kept.len() < text.len(),
        text: Clean::lines(kept, max),
    })
}

/// The longest head of at most `max` bytes that cuts no escape and no character.
fn whole_escapes(written: &str, max: usize) -> &str {
    let bytes = written.as_bytes();
    let mut end = 0;
    while end < bytes.len() {
        let step = match (bytes[end], bytes.get(end + 1)) {
            (b'\\', Some(b'u')) => 6,
            (b'\\', _) => 2,
            _ => 1,
        };
        if end + step > max {
            break;
        }
        end += step;
    }
    cut(written, end)
}

struct Lossy;

impl<'de> Visitor<'de> for Lossy {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head_of(json: &str, max: usize) -> Option<(String, bool)> {
        head(&RawValue::from_string(json.to_owned()).unwrap(), max)
            .map(|text| (text.text.into(), text.truncated))
    }

    #[test]
    fn a_text_is_cut_between_characters_and_escapes() {
        assert_eq!(head_of(r#""a\nb""#, 9), Some(("a\nb".into(), false)));
        assert_eq!(head_of(r#""a\nb""#, 2), Some(("a\n".into(), true)));
        assert_eq!(
            head_of(r#""\ud83d\ude00\ud83d\ude00""#, 4),
            Some(("😀".into(), true))
        );
        assert_eq!(head_of("\"öö\"", 3), Some(("ö".into(), true)));
        assert_eq!(head_of("1", 3), None);
    }

    #[test]
    fn half_a_surrogate_pair_does_not_hide_the_rest() {
        let (text, _) = head_of(r#""fine \ud83d""#, 99).unwrap();
        assert!(text.starts_with("fine \u{fffd}"));
    }
}
