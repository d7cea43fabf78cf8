//! Names of Kubernetes' objects, checked once at the edge: no verb meets one that could be a path.

use std::{fmt, str::FromStr};

/// The longest name of a namespace.
const MAX_BYTES: usize = 63;

/// The longest name of a Job or Agent: a pod's name is made from it.
const MAX_OURS: usize = 52;

/// What may stand before an Agent's name, as kubectl prints and takes it.
const AGENTS: [&str; 5] = [
    "ha",
    "agent",
    "agents",
    "agent.herdctl.dev",
    "agents.herdctl.dev",
];

/// A DNS label: lower-case letters, digits and inner dashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        checked(text, MAX_BYTES)
    }
}

fn checked(text: &str, max: usize) -> Result<Name, String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = !text.is_empty()
        && text.len() <= max
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-');
    good.then(|| Name(text.to_owned())).ok_or_else(|| {
        format!(
            "{text:?} is not a valid name: use at most {max} lower-case letters, digits and dashes, with no \
             dash at either end"
        )
    })
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a Job to be created.
pub fn new_job(text: &str) -> Result<Name, String> {
    checked(text, MAX_OURS)
}

/// The name of an Agent, also as `agent.herdctl.dev/NAME`.
pub fn agent(text: &str) -> Result<Name, String> {
    checked(without_kind(text, &AGENTS), MAX_OURS)
}

/// `NAME` of `KIND/NAME`, if it is one of these kinds; else the text as it is.
pub fn without_kind<'a>(text: &'a str, kinds: &[&str]) -> &'a str {
    match text.split_once('/') {
        Some((kind, name)) if kinds.contains(&kind) => name,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dns_labels_are_names() {
        for good in ["a", "job-7f3c", "0a"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "a/b",
            "..",
            "a.b",
            "ä",
            &"a".repeat(64),
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_ours_have_one_limit() {
        for parse in [new_job, agent] {
            assert!(parse(&"a".repeat(52)).is_ok());
            for bad in ["A", &"a".repeat(53)] {
                let told = parse(bad).unwrap_err();
                assert!(told.contains("at most 52 lower-case letters"), "{told}");
            }
        }
    }

    #[test]
    fn an_agents_kind_may_stand_before_its_name() {
        for kind in AGENTS {
            assert_eq!(agent(&format!("{kind}/a")), agent("a"));
        }
        assert!(agent("hj/a").is_err() && agent("ha/").is_err());
    }
}
