//! Promise: a session that was stopped, or has ended, goes on where it was, in another pod, as the person
//! at the terminal asks for it.

use chrono::TimeDelta;
use herdctl::api::{
    job::ResumeFrom,
    reason::{ExitReason, Reason},
};
use kube::ResourceExt;
use serde_json::Value;

use crate::{
    judge::request_of,
    kubectl::{Said, herdctl},
    status::{assert_ended, only_attempt, session, status, told},
    team::{Team, unique},
    wait::{RUN, until},
};

/// What herdctl says must be good.
async fn herdctl_ok(arguments: &[&str]) -> String {
    let Said { code, out, err } = herdctl(arguments).await;
    assert_eq!(code, 0, "herdctl {arguments:?}: {out}{err}");
    out
}

async fn paused(team: &Team, job: &str) {
    herdctl_ok(&["jobs", "pause", job, "--wait"]).await;
    let waiting = team.get(job).await;
    assert_eq!(
        status(&waiting).reason,
        Some(Reason::Suspended),
        "{}",
        told(&waiting)
    );
}

#[tokio::test]
async fn a_finished_job_is_resumed_as_a_new_one_that_knows_what_was_said() {
    let team = Team::shared().await;
    let agent = team.agent("text").await;
    let first = team
        .job_with(&agent, |spec| {
            spec.prompt = Some("SAY: the first word".into())
        })
        .await;
    let done = team.finished(&first).await;
    let arguments = [
        "jobs",
        "resume",
        &first,
        "--prompt",
        "SAY: the second word",
        "-o",
        "json",
    ];
    let made: Value = serde_json::from_str(&herdctl_ok(&arguments).await).unwrap();
    let second = made["metadata"]["name"].as_str().unwrap();
    let again = team.finished(second).await;
    assert_ended(&again, ExitReason::Success, Reason::Completed);
    only_attempt(&again);
    assert_eq!(session(&again), session(&done));
    let from = status(&again).resumed_from.unwrap();
    assert_eq!((from.job, Some(from.uid)), (first, done.uid()));
    assert_eq!(status(&again).result.unwrap().text, "the second word");
    let heard = request_of(&team, &session(&again)).await;
    assert!(heard["turns"].as_u64() >= Some(1), "{heard}");
}

#[tokio::test]
async fn a_paused_job_goes_on_with_what_it_is_told_then() {
    let team = Team::shared().await;
    let key = unique("pause");
    let agent = team.agent(&format!("wait-for-release-{key}")).await;
    let job = team.job(&agent).await;
    let running = team.running(&job).await;
    team.asks(&session(&running)).await;
    paused(&team, &job).await;
    team.leaves(&session(&running)).await;
    herdctl_ok(&[
        "jobs",
        "resume",
        &job,
        "--prompt",
        "Now say it differently.",
    ])
    .await;
    let again = until(&team.jobs(), &job, "at work again", RUN, |job| {
        status(job).attempts.len() == 2 && status(job).reason == Some(Reason::Working)
    })
    .await;
    assert_eq!(session(&again), session(&running));
    team.asks(&session(&again)).await;
    let heard = request_of(&team, &session(&again)).await;
    assert_eq!(heard["prompt"], "Now say it differently.", "{heard}");
    team.release(&key).await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    assert_eq!(status(&done).attempts[0].outcome, Some(Reason::Suspended));
    team.assert_one_agent_at_a_time(&session(&done)).await;
}

#[tokio::test]
async fn a_paused_job_is_cancelled_without_another_pod() {
    let team = Team::shared().await;
    let agent = team
        .agent(&format!("wait-for-release-{}", unique("never")))
        .await;
    let job = team.job(&agent).await;
    team.asks(&session(&team.running(&job).await)).await;
    paused(&team, &job).await;
    team.cancel(&job).await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::ManualCancel, Reason::Cancelled);
    only_attempt(&done);
    let second = team.pods().get_opt(&format!("{job}-2")).await.unwrap();
    assert!(second.is_none(), "{second:?}");
}

#[tokio::test]
async fn a_jobs_timeout_counts_over_its_pauses_but_not_in_them() {
    const TIMEOUT: TimeDelta = TimeDelta::seconds(40);
    let team = Team::shared().await;
    let agent = team
        .agent_with(&format!("wait-for-release-{}", unique("never")), |spec| {
            spec.timeout = Some("40s".into());
        })
        .await;
    let job = team.job(&agent).await;
    team.asks(&session(&team.running(&job).await)).await;
    paused(&team, &job).await;
    herdctl_ok(&["jobs", "resume", &job]).await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Timeout, Reason::TimedOut);
    let attempts = status(&done).attempts;
    assert_eq!(attempts.len(), 2, "{}", told(&done));
    let ran: TimeDelta = attempts
        .iter()
        .map(|it| it.ended.unwrap() - it.started.unwrap())
        .sum();
    // Kubernetes tells times in whole seconds, and an agent takes a moment to end.
    let off = (ran - TIMEOUT).abs();
    assert!(off <= TimeDelta::seconds(5), "{ran}: {}", told(&done));
}

#[tokio::test]
async fn a_session_that_is_not_there_is_not_resumed() {
    let team = Team::shared().await;
    let agent = team.agent("text").await;
    let nowhere = unique("nowhere");
    let job = team
        .job_with(&agent, |spec| {
            spec.resume = Some(ResumeFrom {
                job: nowhere.clone(),
                across_agents: None,
            });
        })
        .await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Error, Reason::ResumeFailed);
    let status = status(&done);
    assert!(
        status.message.unwrap().contains(&nowhere),
        "{}",
        told(&done)
    );
    assert!(status.attempts.is_empty(), "{}", told(&done));
}

#[tokio::test]
async fn a_session_is_not_taken_to_another_agent() {
    let team = Team::shared().await;
    let first = team.job(&team.agent("text").await).await;
    team.finished(&first).await;
    let other = team.agent("bash").await;
    let job = team
        .job_with(&other, |spec| {
            spec.resume = Some(ResumeFrom {
                job: first.clone(),
                across_agents: None,
            });
        })
        .await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Error, Reason::ResumeFailed);
    let message = String::from(status(&done).message.unwrap());
    assert!(message.contains("spec.resume.acrossAgents"), "{message}");
    assert!(status(&done).attempts.is_empty(), "{}", told(&done));
}
