//! The one door for foreign text: what agents, images, runtimes, kubelets, API servers and people say, on its
//! way into a status, an Event, a log or a terminal. A [`Clean`] is made only by cleaning and bounding, so the
//! compiler shows where such text comes in. What must arrive byte by byte, prompts above all, is no `Clean`:
//! for that see [`super::json`].

use std::{borrow::Borrow, fmt, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize};

/// No text of a status is longer, nor is an error in a log; what is read back is bounded by it again.
pub const LONGEST: usize = 4096;

/// Text without anything that a terminal would obey or the API server would refuse, and no longer than its
/// maker said: no control characters but line end and tab, no escape sequences' beginning, no marks that change
/// the direction of writing, no code points that are no characters.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Clean(String);

impl Clean {
    /// `text` as one line of at most `max` bytes: runs of blanks and of what is taken out become one space. A
    /// line that was cut ends with `…`, where there is room for it.
    pub fn line(text: &str, max: usize) -> Clean {
        const MARK: &str = "…";
        let mut line = String::new();
        for word in text.split(|c: char| c.is_whitespace() || is_foul(c)) {
            if word.is_empty() {
                continue;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            if line.len() > max {
                let (kept, mark) = match max.checked_sub(MARK.len()) {
                    Some(kept) => (kept, MARK),
                    None => (max, ""),
                };
                line.truncate(line.floor_char_boundary(kept));
                line.truncate(line.trim_end().len());
                line.push_str(mark);
                break;
            }
        }
        Clean(line)
    }

    /// `text` with its line ends and tabs, at most `max` bytes of it.
    pub fn lines(text: &str, max: usize) -> Clean {
        let mut kept = String::new();
        for c in text.chars() {
            if c != '\n' && c != '\t' && is_foul(c) {
                continue;
            }
            if kept.len() + c.len_utf8() > max {
                break;
            }
            kept.push(c);
        }
        Clean(kept)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Adds more.
    pub fn push(&mut self, more: &Clean) {
        self.0.push_str(&more.0);
    }

    /// Keeps at most `max` bytes. False when there were no more.
    pub fn shorten(&mut self, max: usize) -> bool {
        let kept = cut(&self.0, max).len();
        let is_less = kept < self.0.len();
        self.0.truncate(kept);
        is_less
    }
}

/// Our own words, which stand in the program.
impl From<&'static str> for Clean {
    fn from(text: &'static str) -> Clean {
        Clean::lines(text, usize::MAX)
    }
}

impl From<Clean> for String {
    fn from(text: Clean) -> String {
        text.0
    }
}

impl Deref for Clean {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Clean {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Clean {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Clean {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Clean {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

/// As the text in it, in quotation marks.
impl fmt::Debug for Clean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Clean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whoever wrote it: an older version of ours, or somebody in our name.
impl<'de> Deserialize<'de> for Clean {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Clean, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Clean::lines(&text, LONGEST))
    }
}

#[cfg(feature = "operator")]
impl schemars::JsonSchema for Clean {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Clean".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        String::json_schema(generator)
    }
}

/// The longest head of `text` that has at most `max` bytes and ends with a whole character.
pub fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// What no text of strangers may bring: what a terminal obeys, and what YAML, as which the API server reads an
/// apply, does not know as text.
pub(super) fn is_foul(c: char) -> bool {
    c.is_control() || turns_the_writing(c) || is_no_character(c) || c == BYTE_ORDER_MARK
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Also the separators of lines and paragraphs, which YAML folds into a blank.
fn turns_the_writing(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Code points that Unicode will never give to a character: the last two of each plane, and 32 more.
fn is_no_character(c: char) -> bool {
    u32::from(c) & 0xfffe == 0xfffe || matches!(c, '\u{fdd0}'..='\u{fdef}')
}

#[cfg(test)]
mod tests;
