//! What it means when the API server does not take a write that it has understood, other than a pod's
//! creation: whether the same can ever be taken, and what to tell the people whose Job it is.

/// The words of etcd, or of the API server on its behalf, for an object that is too large. They come with
/// the codes 413 and 500.
const TOO_LARGE: [&str; 3] = [
    "request is too large",
    "entity too large",
    "message larger than max",
];

/// Words of the API server for what an admission policy or webhook says no to, or can't be asked.
const BY_ADMISSION: [&str; 3] = [
    "denied the request",
    "denied request",
    "failed calling webhook",
];

/// Why the API server does not do what it has understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Because of what the request says: the same is never taken.
    ForGood,
    /// Because of rights, a policy or a webhook of the cluster, which somebody may change.
    ByTheCluster,
}

/// A write of the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Write {
    HoldJob,
    Status,
    ReleaseJob,
    DeletePod,
    ReleasePod,
    RenewStoreCa,
    LabelPod,
}

/// Reads an answer that is not a success; none if the same may well be taken in a moment.
pub fn why(code: u16, message: &str) -> Option<Refused> {
    let says = |words: &[&str]| words.iter().any(|it| message.contains(it));
    match code {
        400.. if says(&BY_ADMISSION) => Some(Refused::ByTheCluster),
        403 => Some(Refused::ByTheCluster),
        400 | 413 | 422 => Some(Refused::ForGood),
        500.. if is_too_large(message) => Some(Refused::ForGood),
        _ => None,
    }
}

/// The object has no room in etcd.
pub fn is_too_large(message: &str) -> bool {
    TOO_LARGE.iter().any(|words| message.contains(words))
}

/// What is told of a refused write: what stays undone, in whose words, and what helps. `minutes` is the
/// longest time until it is tried again.
pub fn told(write: Write, pod: &str, words: &str, minutes: u64) -> String {
    let undone = match write {
        Write::HoldJob => {
            "put the operator's finalizer on the Job, so no pod is made for it".to_owned()
        }
        Write::Status => "write the Job's status, so it stays as it is".to_owned(),
        Write::ReleaseJob => {
            "take the operator's finalizer off the Job, so it can't be removed".to_owned()
        }
        Write::DeletePod => format!("delete pod {pod}, so it is not stopped"),
        Write::ReleasePod => {
            format!("take the operator's finalizer off pod {pod}, so it can't be removed")
        }
        Write::RenewStoreCa => format!(
            "give pod {pod} the output store's new certificates, so its output waits once the old ones expire"
        ),
        Write::LabelPod => format!("put the Job's label back on pod {pod}"),
    };
    // The API server's words come last, since they are cut where there is no room.
    format!(
        "can't {undone}. Let the operator's service account do that: look at admission policies, webhooks and its rights. It is tried again, at least every {minutes} minutes. The API server says: {words}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_request_itself_says_is_refused_for_good() {
        for (code, message) in [
            (
                400,
                "failed to create typed patch object: yaml: control characters are not allowed",
            ),
            (413, "Request entity too large: limit is 3145728"),
            (
                422,
                "Job.herdctl.dev \"a\" is invalid: status.message: Too long",
            ),
            (500, "etcdserver: request is too large"),
            (
                500,
                "rpc error: code = ResourceExhausted desc = trying to send message larger than max (2097200 vs. 2097152)",
            ),
        ] {
            assert_eq!(why(code, message), Some(Refused::ForGood), "{message}");
        }
    }

    #[test]
    fn what_rights_policies_and_webhooks_refuse_may_be_taken_later() {
        for (code, message) in [
            (
                403,
                "pods \"a-1\" is forbidden: User \"x\" cannot patch resource \"pods\"",
            ),
            (
                422,
                "pods \"a-1\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: no",
            ),
            (400, "admission webhook \"w\" denied the request: no"),
            (
                500,
                "Internal error occurred: failed calling webhook \"w\": failed to call webhook: EOF",
            ),
        ] {
            assert_eq!(why(code, message), Some(Refused::ByTheCluster), "{message}");
        }
    }

    #[test]
    fn what_may_be_taken_in_a_moment_is_not_refused() {
        for (code, message) in [
            (401, "Unauthorized"),
            (404, "jobs.herdctl.dev \"a\" not found"),
            (409, "the object has been modified"),
            (429, "too many requests"),
            (500, "etcdserver: request timed out"),
            (503, "etcdserver: leader changed"),
            (504, "Timeout"),
        ] {
            assert_eq!(why(code, message), None, "{message}");
        }
    }

    #[test]
    fn what_is_told_names_the_object_what_helps_and_the_api_servers_words() {
        let told = told(Write::ReleasePod, "hello-1", "policy p denied request", 4);
        for words in [
            "pod hello-1",
            "admission policies",
            "4 minutes",
            "policy p denied request",
        ] {
            assert!(told.contains(words), "{told}");
        }
    }
}
