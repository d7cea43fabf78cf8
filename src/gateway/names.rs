//! What the aggregated API is called and what a request is about. A name is checked before it goes into
//! a question or a path: afterwards it holds nothing that either could take for something else.

use super::status::{Refused, StatusReason};
use crate::api::GROUP;

/// The version that the aggregated API adds to our group; the CRDs' own versions stay the API server's.
pub const VERSION: &str = "output-v1";
/// The resource, as it stands in paths and in RBAC.
pub const PLURAL: &str = "joboutputs";
pub const SINGULAR: &str = "joboutput";
pub const KIND: &str = "JobOutput";
/// The subresource that holds the lines. Its name makes it long-running for the API server: any other is
/// cut after 60 s and takes a seat from all other users.
pub const LOG: &str = "log";

/// Bytes of a DNS label.
const MAX_LABEL: usize = 63;

/// `herdctl.dev/output-v1`
pub fn group_version() -> String {
    format!("{GROUP}/{VERSION}")
}

/// The JobOutput that a request is about: it has the name of its Job.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub namespace: String,
    pub job: String,
}

impl Target {
    /// Checks that both are names that a namespace and a Job can have.
    pub fn new(namespace: &str, job: &str) -> Result<Target, Refused> {
        for (what, name) in [("namespace", namespace), ("Job", job)] {
            if !is_label(name) {
                return Err(StatusReason::BadRequest.because(format!(
                    "{name:?} can't be the name of a {what}: such names are lower case letters, digits \
                     and '-', at most {MAX_LABEL} of them"
                )));
            }
        }
        Ok(Target {
            namespace: namespace.to_owned(),
            job: job.to_owned(),
        })
    }
}

fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_LABEL).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_objects_can_have_are_taken() {
        assert!(Target::new("team-a", "job-1").is_ok());
        for bad in [
            "",
            "..",
            "a/b",
            "a%2fb",
            "A",
            "-a",
            "a-",
            "ä",
            "a.b",
            &"a".repeat(64),
        ] {
            let refused = Target::new("team-a", bad).unwrap_err();
            assert_eq!(refused.reason, StatusReason::BadRequest, "{bad}");
            assert!(refused.message.contains("Job"), "{refused}");
            assert!(Target::new(bad, "job-1").is_err(), "{bad}");
        }
    }
}
