//! What it means when the API server does not take a pod.

mod quantity;
mod quota;
mod resources;

use k8s_openapi::api::core::v1::Pod;

use super::{outcome::Outcome, refused_write::is_too_large};
use crate::api::{reason::Reason, text::Clean};

/// An answer of the API server to a pod's creation that is not a success, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub code: u16,
    pub message: Clean,
    /// The namespace is being deleted.
    pub namespace_terminating: bool,
}

/// What follows from a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The Job waits with this reason, and the pod is tried again.
    Wait { reason: Reason, message: String },
    /// The Job has ended.
    End(Outcome),
}

/// In answers 403 to what can be answered otherwise in a moment: of a quota that is new, of a namespace whose
/// ServiceAccount is not there yet, of an API server that has just started.
const PASSING: [&str; 3] = [
    "status unknown for quota",
    "error looking up service account",
    "not yet ready to handle request",
];

/// Said with 500, then by its name in quotation marks.
const FAILING_WEBHOOK: &str = "failed calling webhook \"";

/// Said by webhooks, and by policies of the API server itself.
const DENIED: [&str; 2] = ["denied the request", "denied request"];

/// Whether an answer to a pod's creation says for sure that there is none: the others may have been given after
/// it was made.
pub fn is_refusal(code: u16, message: &str) -> bool {
    let for_good = (400..500).contains(&code) && code != 429 || is_too_large(message);
    for_good || failing_webhook(message).is_some()
}

fn failing_webhook(message: &str) -> Option<&str> {
    let (_, name) = message.split_once(FAILING_WEBHOOK)?;
    Some(name.split_once('"')?.0)
}

/// Reads a refusal. What can heal by itself is waited for; what the pod's spec itself provokes ends the
/// Job at once, with the API server's words, which name the field.
/// `asked` is the pod as it was sent.
pub fn consequence(refusal: &Refusal, pod: &str, asked: Option<&Pod>) -> Consequence {
    let Refusal {
        code,
        message,
        namespace_terminating,
    } = refusal;
    if *namespace_terminating {
        return Consequence::End(Outcome {
            reason: Reason::JobDeleted,
            message: "the namespace is being deleted; no pod was started".into(),
        });
    }
    match code {
        // What follows in the message, a port or the time, is another each time.
        _ if let Some(webhook) = failing_webhook(message) => Consequence::Wait {
            reason: Reason::Starting,
            message: format!(
                "pod {pod} could not be created yet: the admission webhook {webhook} fails; it is tried again"
            ),
        },
        403 if message.contains("exceeded quota") => Consequence::Wait {
            reason: Reason::QuotaExceeded,
            message: format!(
                "pod {pod} does not fit the namespace's quota: {message}; {}",
                quota::next_step(message)
            ),
        },
        // The operator's own rights are an administrator's matter, and nothing that the Job did wrong.
        403 if message.contains("cannot create resource") => Consequence::Wait {
            reason: Reason::Starting,
            message: format!("the operator may not create pods here: {message}"),
        },
        _ if is_too_large(message) => Consequence::End(Outcome {
            reason: Reason::InvalidPod,
            message: format!(
                "pod {pod} is too large for the API server: {message}; move large values of the Agent's spec.env into a ConfigMap, a Secret or the image, and create another Job"
            ),
        }),
        400 | 403 | 413 | 422 if !passes(message) => Consequence::End(Outcome {
            reason: Reason::InvalidPod,
            message: format!(
                "the API server refuses pod {pod}: {message}; {}",
                next_step(message, asked)
            ),
        }),
        _ => Consequence::Wait {
            reason: Reason::Starting,
            message: format!("pod {pod} could not be created yet: {message}; it is tried again"),
        },
    }
}

/// What to put right, and who can.
fn next_step(message: &str, asked: Option<&Pod>) -> String {
    if let Some(next) = asked.and_then(|pod| resources::next_step(message, pod)) {
        return next;
    }
    if DENIED.iter().any(|words| message.contains(words)) {
        return "a webhook or a policy of the cluster wants that: change what it names in spec.pod of the Agent or, where that is not the Agent's to say, ask the cluster's administrators; then create another Job".into();
    }
    "put the Agent's spec.pod or spec.env right and create another Job".into()
}

fn passes(message: &str) -> bool {
    PASSING.iter().any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16, message: &str) -> Consequence {
        consequence(
            &Refusal {
                code,
                message: Clean::line(message, usize::MAX),
                namespace_terminating: false,
            },
            "hello-1",
            None,
        )
    }

    #[test]
    fn a_full_quota_is_waited_for() {
        let waits = of(
            403,
            "pods \"hello-1\" is forbidden: exceeded quota: q, requested: pods=1",
        );
        assert!(matches!(
            waits,
            Consequence::Wait {
                reason: Reason::QuotaExceeded,
                ..
            }
        ));
    }

    #[test]
    fn an_invalid_pod_ends_the_job_with_the_field_that_is_wrong() {
        for code in [400, 403, 413, 422] {
            let Consequence::End(outcome) = of(code, "spec.nodeSelector: Invalid value: \"a b\"")
            else {
                panic!("{code} did not end the Job")
            };
            assert_eq!(outcome.reason, Reason::InvalidPod);
            assert!(outcome.message.contains("spec.nodeSelector"));
        }
    }

    #[test]
    fn a_pod_that_is_too_large_ends_the_job_also_where_that_is_answered_as_an_error_of_the_server()
    {
        let words = "etcdserver: request is too large";
        assert!(is_refusal(500, words));
        let Consequence::End(outcome) = of(500, words) else {
            panic!()
        };
        assert_eq!(outcome.reason, Reason::InvalidPod);
        assert!(outcome.message.contains("spec.env"), "{}", outcome.message);
    }

    #[test]
    fn what_a_policy_refuses_is_not_called_the_agents_fault_alone() {
        for words in [
            "admission webhook \"a.b.c\" denied the request: no label team",
            "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no label team",
        ] {
            let Consequence::End(outcome) = of(403, words) else {
                panic!("{words}")
            };
            assert_eq!(outcome.reason, Reason::InvalidPod);
            assert!(
                outcome.message.contains("administrators"),
                "{}",
                outcome.message
            );
        }
    }

    #[test]
    fn missing_rights_and_what_passes_are_waited_for() {
        let rights = of(
            403,
            "pods is forbidden: User \"x\" cannot create resource \"pods\"",
        );
        assert!(matches!(
            rights,
            Consequence::Wait {
                reason: Reason::Starting,
                ..
            }
        ));
        for (code, message) in [
            (404, "busy"),
            (
                403,
                "pods \"hello-1\" is forbidden: status unknown for quota: q, resources: pods",
            ),
            (
                403,
                "pods \"hello-1\" is forbidden: error looking up service account team-a/default: serviceaccount \"default\" not found",
            ),
            (
                403,
                "pods \"hello-1\" is forbidden: not yet ready to handle request",
            ),
        ] {
            assert!(matches!(
                of(code, message),
                Consequence::Wait {
                    reason: Reason::Starting,
                    ..
                }
            ));
        }
    }

    #[test]
    fn a_webhook_that_fails_is_waited_for_in_the_same_words_each_time() {
        let fails = |why| {
            format!(
                "Internal error occurred: failed calling webhook \"a.b.c\": failed to call webhook: {why}"
            )
        };
        let [first, second] = [":40001->:443: reset", ":40002->:443: reset"].map(fails);
        assert!(is_refusal(500, &first));
        assert_eq!(of(500, &first), of(500, &second));
        let Consequence::Wait { message, .. } = of(500, &first) else {
            panic!()
        };
        assert!(
            message.contains("admission webhook a.b.c fails"),
            "{message}"
        );
        for (code, message) in [
            (500, "etcdserver: request timed out"),
            (429, "busy"),
            (503, "busy"),
        ] {
            assert!(!is_refusal(code, message), "{code}");
        }
    }

    #[test]
    fn a_dying_namespace_ends_the_job_as_deleted() {
        let refusal = Refusal {
            code: 403,
            message: Clean::default(),
            namespace_terminating: true,
        };
        let Consequence::End(outcome) = consequence(&refusal, "hello-1", None) else {
            panic!()
        };
        assert_eq!(outcome.reason, Reason::JobDeleted);
    }
}
