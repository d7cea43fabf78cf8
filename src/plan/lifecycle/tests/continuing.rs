//! A Job that continues the session of another, and what is left of limits.

use super::*;

fn continuing() -> Job {
    let mut job = job();
    job.spec.resume = Some(ResumeFrom {
        job: "earlier".into(),
        across_agents: None,
    });
    job
}

fn found() -> Resumable {
    Resumable {
        uid: "earlier-uid".into(),
        ended: true,
        session_id: Some("s-0".into()),
        started: true,
        agent_uid: Some("agent-uid".into()),
    }
}

fn with_answer(job: &Job, resumed: ResumedLookup, now: DateTime<Utc>) -> Action {
    let looked = Looked {
        resumed,
        ..Looked::default()
    };
    decided(job, Some(&agent()), PodLookup::NotSeen, looked, now)
}

#[test]
fn a_session_is_continued_under_its_own_id_and_its_job_is_pinned() {
    let job = continuing();
    assert_eq!(
        with_answer(&job, ResumedLookup::NotAsked, at(0)),
        Action::LookUp(LookUp::Resumed("earlier".into()))
    );
    let job = written(
        &job,
        with_answer(&job, ResumedLookup::Found(found()), at(0)),
    );
    let status = job.status.as_ref().unwrap();
    assert_eq!(status.session_id.as_deref(), Some("s-0"));
    assert_eq!(
        status.resumed_from,
        Some(ResumedFrom {
            job: "earlier".into(),
            uid: "earlier-uid".into()
        })
    );
    let inputs = inputs(after(&job, PodLookup::NotSeen, at(1)));
    assert_eq!(inputs.session_id, "s-0");
    assert_eq!(
        inputs.resume,
        Some(Resume {
            prompt: "do it".into(),
            required: true
        })
    );
}

#[test]
fn a_session_that_can_not_be_continued_fails_the_job_without_a_pod() {
    let running = Resumable {
        ended: false,
        ..found()
    };
    let no_session = Resumable {
        session_id: None,
        ..found()
    };
    let never_began = Resumable {
        started: false,
        ..found()
    };
    for (answer, words) in [
        (ResumedLookup::Gone, "no Job earlier"),
        (ResumedLookup::Found(running), "has not ended"),
        (ResumedLookup::Found(no_session), "no session"),
        (ResumedLookup::Found(never_began), "no session"),
    ] {
        let job = continuing();
        let done = written(&job, with_answer(&job, answer, at(0)));
        assert_eq!(reason(&done), Some(Reason::ResumeFailed));
        assert!(message(&done).contains(words), "{}", message(&done));
        assert!(done.status.unwrap().attempts.is_empty());
    }
}

#[test]
fn a_session_goes_on_with_another_agent_only_where_the_job_says_so() {
    let answer = || {
        ResumedLookup::Found(Resumable {
            agent_uid: Some("another".into()),
            ..found()
        })
    };
    let done = written(&continuing(), with_answer(&continuing(), answer(), at(0)));
    assert_eq!(reason(&done), Some(Reason::ResumeFailed));
    assert!(
        message(&done).contains("acrossAgents"),
        "{}",
        message(&done)
    );
    let mut across = continuing();
    across.spec.resume.as_mut().unwrap().across_agents = Some(true);
    let on = written(&across, with_answer(&across, answer(), at(0)));
    assert_eq!(on.status.unwrap().session_id.as_deref(), Some("s-0"));
}

#[test]
fn another_attempt_gets_what_is_left() {
    let mut job = recovering();
    let status = job.status.as_mut().unwrap();
    let spec = &mut status.agent.as_mut().unwrap().spec;
    spec.timeout = Some("60s".into());
    spec.max_turns = Some(5);
    spec.max_budget_usd = Some(2.0);
    let on = written(&job, after(&job, PodLookup::Gone, at(5000)));
    let inputs = inputs(after(&on, PodLookup::NotSeen, at(5001)));
    assert_eq!(inputs.timeout, Duration::from_secs(40), "it ran for 20 s");
    assert_eq!(
        (inputs.max_turns, inputs.max_budget_usd),
        (Some(3), Some(1.5))
    );
}

#[test]
fn a_job_with_nothing_left_ends_without_another_pod() {
    type Set = fn(&mut AgentSpec);
    let cases: [(Set, Reason); 3] = [
        (|spec| spec.timeout = Some("20s".into()), Reason::TimedOut),
        (|spec| spec.max_turns = Some(2), Reason::MaxTurns),
        (
            |spec| spec.max_budget_usd = Some(0.5),
            Reason::BudgetExceeded,
        ),
    ];
    for (set, expected) in cases {
        let mut job = recovering();
        set(&mut job.status.as_mut().unwrap().agent.as_mut().unwrap().spec);
        let done = written(&job, after(&job, PodLookup::Gone, at(31)));
        assert_eq!(reason(&done), Some(expected));
        assert_eq!(done.status.unwrap().attempts.len(), 1);
    }
}

#[test]
fn what_a_silent_attempt_used_is_what_the_store_saw_less_the_ones_before() {
    let mut job = recovering();
    let on = written(&job, after(&job, PodLookup::Gone, at(31)));
    job = written(&on, after(&on, seen(of_attempt(2, pod_running())), at(40)));
    job.status.as_mut().unwrap().progress = Some(Progress {
        turns: 7,
        cost_usd: Some(0.75),
        ..Progress::default()
    });
    let lost = PodFacts {
        terminal: true,
        deleting: true,
        ..of_attempt(2, pod_running())
    };
    let job = written(&job, after(&job, seen(lost), at(60)));
    assert_eq!(last(&job).outcome, Some(Reason::PodDeleted));
    assert_eq!(
        (last(&job).turns, last(&job).cost_usd),
        (Some(5), Some(0.25))
    );
}

#[test]
fn a_job_whose_schema_is_none_ends_before_it_has_a_pod() {
    let mut job = job();
    job.spec.output_schema = Some("[]".into());
    let done = written(&job, after(&job, PodLookup::NotSeen, at(0)));
    assert_eq!(reason(&done), Some(Reason::InvalidPod));
    assert!(
        message(&done).contains("outputSchema"),
        "{}",
        message(&done)
    );
}
