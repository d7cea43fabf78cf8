//! What the API server warns of, in the header Warning: deprecated fields, and what an admission policy says
//! without refusing. kubectl prints it on standard error, each text once; so does this program.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, header::WARNING};

use crate::api::text::Clean;

/// Kubernetes' own warnings; the other codes are those of HTTP caches.
const MISCELLANEOUS: &str = "299";
/// An API server sends at most 4 KiB of warnings with an answer.
const MAX_TEXT: usize = 4096;

/// Warnings that came with any answer. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Warnings(Arc<Mutex<Vec<Warning>>>);

#[derive(Debug)]
struct Warning {
    text: Clean,
    taken: bool,
}

impl Warnings {
    /// Keeps what these headers warn of.
    pub fn note(&self, headers: &HeaderMap) {
        for header in headers.get_all(WARNING) {
            for text in texts(&String::from_utf8_lossy(header.as_bytes())) {
                let text = Clean::line(&text, MAX_TEXT);
                let mut all = self.all();
                if !text.is_empty() && all.iter().all(|known| known.text != text) {
                    all.push(Warning { text, taken: false });
                }
            }
        }
    }

    /// Those that have not been taken yet.
    pub fn take(&self) -> Vec<Clean> {
        let mut all = self.all();
        let new = all.iter_mut().filter(|warning| !warning.taken);
        new.map(|warning| {
            warning.taken = true;
            warning.text.clone()
        })
        .collect()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Warning>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The texts of a header such as `299 - "one", 299 - "two"`. What is none of this form ends them.
fn texts(header: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = header;
    while let Some((before, quoted)) = rest.split_once('"') {
        let code = before.trim_start_matches([' ', ',']).split(' ').next();
        let Some((text, after)) = unquoted(quoted) else {
            break;
        };
        if code == Some(MISCELLANEOUS) {
            found.push(text);
        }
        // A date in quotes may follow.
        rest = after.split_once(',').map_or("", |(_, next)| next);
    }
    found
}

/// A text up to its closing quote, and what comes after it.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' => text.push(letters.next()?.1),
            _ => text.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(headers: &[&str]) -> Vec<String> {
        let warnings = Warnings::default();
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(WARNING, HeaderValue::from_bytes(header.as_bytes()).unwrap());
        }
        warnings.note(&map);
        warnings.note(&map);
        let texts = warnings.take().into_iter().map(String::from).collect();
        assert!(warnings.take().is_empty());
        texts
    }

    #[test]
    fn each_text_is_given_once() {
        assert_eq!(of(&[r#"299 - "one""#, r#"299 - "one""#]), ["one"]);
        assert_eq!(of(&[r#"299 - "one", 299 - "two""#]), ["one", "two"]);
        assert_eq!(
            of(&[r#"299 - "a \"b\", c" "Tue, 01 Dec 2026 00:00:00 GMT", 299 - "d""#]),
            [r#"a "b", c"#]
        );
    }

    #[test]
    fn other_codes_and_what_can_not_be_read_are_left_out() {
        assert_eq!(of(&[r#"110 - "stale", 299 - "one""#]), ["one"]);
        for header in ["", "299", r#"299 - "open"#, r#"299 - "open\"#, "299 - \"\""] {
            assert_eq!(of(&[header]), [""; 0], "{header}");
        }
        assert_eq!(of(&["299 - \"a\u{85}b\""]), ["a b"]);
    }
}
