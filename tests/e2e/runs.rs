//! Promise: an Agent and a Job by kubectl are all it takes, and the Job tells what came of it.

use herdctl::api::{
    job::{ConditionStatus, ConditionType},
    reason::{ExitReason, Phase, Reason},
};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::{
    kubectl::kubectl_ok,
    status::{assert_ended, condition, only_attempt, session, status},
    team::{Team, unique},
};

#[tokio::test]
async fn an_agent_and_a_job_applied_by_kubectl_complete() {
    let team = Team::shared().await;
    let (agent, job) = (unique("hello"), unique("hello"));
    let manifests = format!(
        "apiVersion: herdctl.dev/v1alpha1
kind: Agent
metadata: {{name: {agent}}}
spec:
  model: scripted-text
  env: [{{name: ANTHROPIC_BASE_URL, value: http://scripted-api.team-a.svc:8080}}]
  credentials: {{secretRef: {{name: scripted-api, key: key}}}}
---
apiVersion: herdctl.dev/v1alpha1
kind: Job
metadata: {{name: {job}}}
spec:
  agent: {agent}
  prompt: |
    SAY: Good morning, herd.
"
    );
    kubectl_ok(&["apply", "-f", "-"], &manifests).await;
    kubectl_ok(
        &[
            "wait",
            "--for=condition=Finished",
            &format!("hj/{job}"),
            "--timeout=180s",
        ],
        "",
    )
    .await;
    let done = team.get(&job).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    let said = status(&done);
    assert_eq!(
        said.result.expect("there is a result").text,
        "Good morning, herd."
    );
    assert_eq!(said.error, None);
    assert!(said.started_at.is_some());
    assert_eq!(
        condition(&done, ConditionType::Started),
        Some(ConditionStatus::True)
    );
    assert!(
        uuid::Uuid::parse_str(&session(&done)).is_ok(),
        "{}",
        session(&done)
    );
    assert_eq!(only_attempt(&done).pod, format!("{job}-1"));
    team.assert_one_agent(&session(&done)).await;
    let row = kubectl_ok(&["get", "hj", &job, "--no-headers"], "").await;
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(
        cells[..5],
        [
            job.as_str(),
            "completed",
            "success",
            "Completed",
            agent.as_str()
        ]
    );
}

#[tokio::test]
async fn every_wait_that_a_user_would_write_comes_back_also_after_a_late_cancel() {
    let team = Team::shared().await;
    let job = team.job(&team.agent("text").await).await;
    team.finished(&job).await;
    team.cancel(&job).await;
    let done = team.observed(&job).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    let name = format!("hj/{job}");
    for condition in [
        "condition=Finished",
        "condition=Complete",
        "jsonpath={.status.completedAt}",
        "jsonpath={.status.phase}=completed",
    ] {
        kubectl_ok(
            &[
                "wait",
                &format!("--for={condition}"),
                &name,
                "--timeout=15s",
            ],
            "",
        )
        .await;
    }
}

#[tokio::test]
async fn the_agent_runs_a_command_by_the_bash_tool() {
    let team = Team::shared().await;
    let agent = team.agent("bash").await;
    let job = team
        .job_with(&agent, |spec| {
            spec.prompt = Some("RUN: echo $((6 * 7)) sheep in $PWD".to_owned())
        })
        .await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    let text = status(&done).result.unwrap().text;
    assert!(text.contains("42 sheep in /workspace"), "{text}");
}

#[tokio::test]
async fn the_largest_prompt_of_two_byte_characters_reaches_the_agent_whole() {
    let team = Team::shared().await;
    let agent = team.agent("text").await;
    let job = team
        .job_with(&agent, |spec| spec.prompt = Some("é".repeat(98_304 / 2)))
        .await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    let result = status(&done).result.unwrap();
    assert!(
        result.text.starts_with("The prompt has 98304 bytes: éé"),
        "{}",
        result.text
    );
    assert!(
        result.truncated && result.text.len() <= 2048,
        "{} bytes",
        result.text.len()
    );
}

#[tokio::test]
async fn the_jobs_own_prompt_and_model_win_over_the_agents() {
    let team = Team::shared().await;
    let agent = team
        .agent_with("hang", |spec| {
            spec.prompt = Some("SAY: by the agent".to_owned())
        })
        .await;
    let job = team
        .job_with(&agent, |spec| {
            spec.model = Some("scripted-text".to_owned());
            spec.prompt = Some("SAY: by the job".to_owned());
        })
        .await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    assert_eq!(status(&done).result.unwrap().text, "by the job");
}

#[tokio::test]
async fn an_agent_that_is_edited_while_its_job_runs_changes_nothing_there() {
    let team = Team::shared().await;
    let key = unique("edited");
    let agent = team
        .agent_with(&format!("wait-for-release-{key}"), |spec| {
            spec.description = Some("before".to_owned())
        })
        .await;
    let job = team
        .job_with(&agent, |spec| {
            spec.prompt = Some("SAY: as it was".to_owned())
        })
        .await;
    let running = team.running(&job).await;
    let edit = json!({"spec": {"description": "after", "model": "scripted-refusal"}});
    let patch = Patch::Merge(edit);
    team.agents()
        .patch(&agent, &PatchParams::default(), &patch)
        .await
        .unwrap();
    team.release(&key).await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    assert_eq!(status(&done).agent, status(&running).agent);
    assert_eq!(
        status(&done).agent.unwrap().spec.description.as_deref(),
        Some("before")
    );
}

#[tokio::test]
async fn kubectl_logs_shows_the_run_as_text() {
    let team = Team::shared().await;
    let agent = team.agent("bash").await;
    let job = team
        .job_with(&agent, |spec| {
            spec.prompt = Some("RUN: echo readable output".to_owned())
        })
        .await;
    let done = team.finished(&job).await;
    let pod = only_attempt(&done).pod;
    let log = kubectl_ok(&["logs", &pod], "").await;
    assert!(log.contains("readable output"), "{log}");
    let json = log
        .lines()
        .find(|line| serde_json::from_str::<Value>(line).is_ok_and(|value| value.is_object()));
    assert_eq!(json, None, "the log is for people:\n{log}");
}

#[tokio::test]
async fn a_job_goes_from_pending_over_running_to_its_end_and_never_back() {
    let team = Team::shared().await;
    let history = team.follow();
    let key = unique("phases");
    let agent = team.agent(&format!("wait-for-release-{key}")).await;
    let job = team.job(&agent).await;
    team.asks(&session(&team.running(&job).await)).await;
    team.release(&key).await;
    team.finished(&job).await;
    let mut phases: Vec<Phase> = history
        .of(&job)
        .await
        .into_iter()
        .filter_map(|status| status.phase)
        .collect();
    phases.dedup();
    assert_eq!(phases, [Phase::Pending, Phase::Running, Phase::Completed]);
}
