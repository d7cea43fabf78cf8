//! Names of Kubernetes' objects, checked once at the edge: no verb meets one that could be a path.

use std::{fmt, str::FromStr};

/// The longest name that Kubernetes takes for these.
const MAX_BYTES: usize = 63;

/// The longest name of a Job or Agent: a pod's name is made from it.
pub const MAX_JOB_BYTES: usize = 52;

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
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let good = !text.is_empty()
            && text.len() <= MAX_BYTES
            && text.chars().all(inner)
            && !text.starts_with('-')
            && !text.ends_with('-');
        good.then(|| Name(text.to_owned())).ok_or_else(|| {
            format!("{text:?} is no name: lower-case letters, digits and dashes inside, at most {MAX_BYTES}")
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a Job to be made.
pub fn new_job(text: &str) -> Result<Name, String> {
    let name: Name = text.parse()?;
    if text.len() > MAX_JOB_BYTES {
        return Err(format!(
            "a Job's name has at most {MAX_JOB_BYTES} characters, this one {}",
            text.len()
        ));
    }
    Ok(name)
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
        assert!(new_job(&"a".repeat(53)).is_err());
    }
}
