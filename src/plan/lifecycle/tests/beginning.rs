//! From a Job that somebody created to its first pod.

use super::*;
use crate::api::agent::EnvVar;

#[test]
fn a_new_job_is_held_then_intended_then_given_its_pod() {
    let mut fresh = job();
    fresh.metadata.finalizers = None;
    assert_eq!(
        next(&fresh, Some(&agent()), PodLookup::NotSeen, at(0)),
        Action::HoldJob
    );
    let job = intended();
    let status = job.status.clone().unwrap();
    assert_eq!(
        (status.phase, status.reason),
        (Some(Phase::Pending), Some(Reason::Starting))
    );
    assert_eq!(status.session_id.as_deref(), Some("s-1"));
    assert_eq!(status.attempt().unwrap().pod, "hello-1");
    assert_eq!(status.agent.unwrap().spec, agent().spec);
    let Action::CreatePod(pod) = next(&job, None, PodLookup::NotSeen, at(1)) else {
        panic!()
    };
    assert_eq!(pod.metadata.name.as_deref(), Some("hello-1"));
}

#[test]
fn the_same_facts_give_the_same_pod_whatever_became_of_the_agent_meanwhile() {
    let job = intended();
    let edited = Agent::new(
        "reviewer",
        AgentSpec {
            model: Some("opus".into()),
            ..AgentSpec::default()
        },
    );
    let first = next(&job, None, PodLookup::NotSeen, at(1));
    assert_eq!(first, next(&job, Some(&edited), PodLookup::NotSeen, at(30)));
}

#[test]
fn a_job_without_its_agent_waits_and_says_so_once() {
    let job = job();
    let waiting = written(&job, next(&job, None, PodLookup::NotSeen, at(0)));
    assert_eq!(reason(&waiting), Some(Reason::AgentNotFound));
    assert_eq!(
        next(&waiting, None, PodLookup::NotSeen, at(9)),
        Action::Wait(None)
    );
    let begun = written(
        &waiting,
        next(&waiting, Some(&agent()), PodLookup::NotSeen, at(10)),
    );
    assert_eq!(reason(&begun), Some(Reason::Starting));
}

#[test]
fn a_job_without_any_prompt_waits_for_one() {
    let mut job = job();
    job.spec.prompt = None;
    let waiting = written(&job, next(&job, Some(&agent()), PodLookup::NotSeen, at(0)));
    assert_eq!(reason(&waiting), Some(Reason::ConfigMissing));
}

#[test]
fn nothing_starts_before_the_store_has_started_once() {
    let job = job();
    let settings = settings();
    let means = Means {
        now: at(0),
        session_id: "s-1",
        settings: &settings,
        store_ca: None,
    };
    let seen = Observed {
        job: &job,
        agent: Some(&agent()),
        pod: PodLookup::NotSeen,
        earlier: Vec::new(),
        looked: Looked::default(),
        pod_is_live: false,
    };
    let waiting = written(&job, decide(&seen, means));
    assert_eq!(reason(&waiting), Some(Reason::Starting));
    assert_eq!(waiting.status.unwrap().message.as_deref(), Some(NO_STORE));
}

#[test]
fn cancelling_before_the_intent_never_makes_a_pod() {
    let job = cancelled(job());
    let done = written(&job, next(&job, Some(&agent()), PodLookup::NotSeen, at(0)));
    assert_eq!(reason(&done), Some(Reason::Cancelled));
}

#[test]
fn a_job_deleted_before_its_start_ends_without_a_pod() {
    let job = deleted(job());
    let done = written(&job, next(&job, Some(&agent()), PodLookup::NotSeen, at(0)));
    assert_eq!(reason(&done), Some(Reason::JobDeleted));
    assert_eq!(
        next(&done, None, PodLookup::NotSeen, at(1)),
        Action::ReleaseJob
    );
}

#[test]
fn a_refused_pod_is_tried_again_or_ends_the_job() {
    let job = intended();
    let refused = |code, message: &'static str| {
        PodLookup::Refused(Refusal {
            code,
            message: message.into(),
            namespace_terminating: false,
        })
    };
    let waiting = written(
        &job,
        next(&job, None, refused(403, "exceeded quota"), at(1)),
    );
    assert_eq!(reason(&waiting), Some(Reason::QuotaExceeded));
    let again = next(&waiting, None, refused(403, "exceeded quota"), at(2));
    assert_eq!(again, Action::Wait(Some(RETRY_REFUSED)));
    assert!(matches!(
        next(&waiting, None, PodLookup::NotSeen, at(7)),
        Action::CreatePod(_)
    ));
    let done = written(
        &job,
        next(&job, None, refused(422, "spec.tolerations[0]"), at(1)),
    );
    assert_eq!(reason(&done), Some(Reason::InvalidPod));
}

#[test]
fn a_job_that_is_too_large_with_its_agent_ends_before_it_is_held_or_has_an_attempt() {
    let mut fresh = job();
    fresh.metadata.finalizers = None;
    let large = agent_of(AgentSpec {
        env: Some(
            (0..46)
                .map(|n| EnvVar {
                    name: format!("BIG_{n}"),
                    value: Some("x".repeat(32_000)),
                    value_from: None,
                })
                .collect(),
        ),
        ..AgentSpec::default()
    });
    let ended = written(
        &fresh,
        next(&fresh, Some(&large), PodLookup::NotSeen, at(0)),
    );
    assert_eq!(reason(&ended), Some(Reason::InvalidPod));
    assert!(message(&ended).contains("too large"), "{}", message(&ended));
    assert!(ended.status.unwrap().attempts.is_empty());
}
