//! What Kubernetes says of a pod, without the values of the pod's environment. A container runtime that can't
//! start a container may quote its environment, keys included, and its words end in the Job's status. The
//! controller reads no Secret, so a value is known only by where it stands: behind the variable's name.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, Pod};

use crate::api::text::Clean;

/// Longest text of Kubernetes' own that is looked at.
const MAX_BYTES: usize = 2048;
/// Shorter words in capitals before a `=` are more likely a certificate's `CN=` than a variable.
const SHORTEST_SHOUT: usize = 3;
/// Stands where a value was.
const HIDDEN: &str = "=(value hidden)";

/// Runtimes' reasons, which may come behind a value: they are said again in these words, not in theirs.
const REASONS: [(&str, &str); 6] = [
    ("nul byte", "contains a NUL byte"),
    ("NUL byte", "contains a NUL byte"),
    ("contains NUL", "contains a NUL byte"),
    ("contain null", "contains a NUL byte"),
    ("argument list too long", "argument list too long"),
    ("invalid argument", "invalid argument"),
];

/// What else is said of a container that can't start for what a variable holds: an old runc, and a kubelet whose
/// CRI takes UTF-8 alone.
const OF_VARIABLES: [&str; 3] = [
    "setenv:",
    "environment variable",
    "string field contains invalid UTF-8",
];

/// What to do about it. Which variable it is, the words say where they know it.
pub const ADVICE: &str = "a variable of the Agent's spec.credentials or spec.env holds what is no text, such as a NUL byte or bytes that are no UTF-8: put right where its value comes from";

/// Whether a container does not start for what a variable holds.
pub fn is_about_a_variable(words: &Clean) -> bool {
    words.contains(HIDDEN) || OF_VARIABLES.iter().any(|it| words.contains(it))
}

/// Takes values out of words about one pod.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    names: BTreeSet<String>,
}

impl Redaction {
    /// By the variables that this pod's containers have.
    pub fn of(pod: &Pod) -> Redaction {
        let spec = pod.spec.iter();
        let containers = spec.flat_map(|spec| {
            let init = spec.init_containers.iter().flatten();
            init.chain(&spec.containers)
        });
        Redaction {
            names: containers.flat_map(names_of).map(str::to_owned).collect(),
        }
    }

    /// The words as one line. From the first value on only a known reason is kept: where a value ends, its own
    /// quotation marks and line ends hide.
    pub fn line(&self, said: &str) -> Clean {
        let Some(end) = self.first_named(said) else {
            return Clean::line(said, MAX_BYTES);
        };
        let (before, rest) = said.split_at(end);
        let mut text = format!("{before}{HIDDEN}");
        if let Some((_, reason)) = REASONS.iter().find(|(words, _)| rest.contains(words)) {
            text.push_str(": ");
            text.push_str(reason);
        }
        Clean::line(&text, MAX_BYTES)
    }

    /// Where the first name ends that a value seems to follow.
    fn first_named(&self, said: &str) -> Option<usize> {
        let known = self.names.iter().flat_map(|name| {
            let places = said.match_indices(name.as_str());
            places.filter_map(|(at, _)| {
                let (before, after) = (&said[..at], &said[at + name.len()..]);
                has_value(before, after).then_some(at + name.len())
            })
        });
        let shouted = said
            .match_indices('=')
            .map(|(at, _)| at)
            .filter(|&at| is_shouted(&said[..at]));
        known.chain(shouted).min()
    }
}

/// The names of a container's variables; of injected ones too.
fn names_of(container: &Container) -> impl Iterator<Item = &str> {
    container.env.iter().flatten().map(|it| it.name.as_str())
}

/// `NAME=…`, and what prints a pair in other ways: `"NAME": "…"`, `Key:NAME,Value:…`, `` `NAME` to `…` ``.
fn has_value(before: &str, after: &str) -> bool {
    if after.starts_with('=') {
        return true;
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    if before.ends_with(|c| is_part(c) || matches!(c, '$' | '{')) || after.starts_with(is_part) {
        return false;
    }
    let after = after.trim_start_matches(|c: char| c.is_whitespace() || "\\\"'`".contains(c));
    after.starts_with(['=', ':', ','])
        || ["value", "Value", "to"]
            .iter()
            .any(|word| after.starts_with(word))
}

/// Ends with a name in capitals, as nearly all variables have: also those of containers that an admission
/// webhook filled from a whole Secret, whose names stand nowhere.
fn is_shouted(before: &str) -> bool {
    let name =
        before.trim_end_matches(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let name = &before[name.len()..];
    name.len() >= SHORTEST_SHOUT && name.contains(|c: char| c.is_ascii_uppercase())
}

#[cfg(test)]
mod tests;
