//! Promise: whatever agents, people and container runtimes say, the Job's status is written, holds nothing that
//! a terminal obeys, and no key.

use base64::{Engine, prelude::BASE64_STANDARD};
use herdctl::api::reason::{ExitReason, Reason};
use serde_json::{Value, json};

use crate::{
    kubectl::kubectl_ok,
    status::{assert_ended, session},
    team::{SECRET_KEY, Team, namespace::TEAM_A, unique},
    wait::{RUN, SOON, until_gone, until_true},
};

/// What JSON takes as it is, and the body of an apply does not; and what a terminal obeys.
const HARD: &str = "a\u{7f}b\u{80}c\u{85}d\u{9b}2Je\u{2028}f\u{202e}g\u{feff}h\u{fdd0}i\u{fffe}j\u{ffff}k\u{1ffff}l🙂";

/// The same as the argument of a shell's `printf`, with an escape sequence more.
const PRINTED: &str = r"a\177b\302\200c\302\205d\302\2332Je\342\200\250f\342\200\256g\357\273\277h\357\267\220i\357\277\276j\357\277\277k\033]0;title\007l";

/// The object as it stands in the cluster: our own types would clean it as they read it.
async fn as_it_stands(job: &str) -> Value {
    let text = kubectl_ok(&["get", "hj", job, "-o", "json"], "").await;
    serde_json::from_str(&text).unwrap()
}

fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// All that the status says in the operator's words or an agent's; the captured Agent is its owner's own.
fn assert_clean(job: &Value) {
    let mut status = job["status"].clone();
    status["agent"] = Value::Null;
    let mut said = Vec::new();
    texts(&status, &mut said);
    let is_foul = |c: char| {
        let code = u32::from(c);
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(code, 0x2028..=0x202e | 0xfdd0..=0xfdef | 0xfeff)
            || code & 0xfffe == 0xfffe
    };
    let foul: Vec<&&str> = said.iter().filter(|text| text.contains(is_foul)).collect();
    assert!(foul.is_empty(), "{foul:?}");
}

#[tokio::test]
async fn an_agent_that_says_what_no_terminal_should_see_completes_and_its_status_is_clean() {
    let team = Team::shared().await;
    let job = team
        .job_with(&team.agent("bash").await, |spec| {
            spec.prompt = Some(format!("RUN: printf '{PRINTED}'"));
        })
        .await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    let done = as_it_stands(&job).await;
    assert_clean(&done);
    let text = done["status"]["result"]["text"].as_str().unwrap();
    assert!(text.contains("ab"), "{text:?}");
    // The record is not a status: there it stands as the agent said it.
    let path = format!("/apis/herdctl.dev/output-v1/namespaces/{TEAM_A}/joboutputs/{job}/log");
    let record = kubectl_ok(&["get", "--raw", &path], "").await;
    let says = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["type"] == "tool_result" && event["content"].as_str().unwrap().contains("a\u{7f}b")
    };
    assert!(record.lines().any(says), "{record}");
}

#[tokio::test]
async fn prompts_that_yaml_does_not_take_reach_the_status_as_they_stand() {
    let team = Team::shared().await;
    let agent = team
        .agent_with("text", |spec| {
            spec.append_system_prompt = Some(HARD.to_owned())
        })
        .await;
    let job = team
        .job_with(&agent, |spec| {
            spec.prompt = Some(format!("Say hello. {HARD}"))
        })
        .await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    let done = as_it_stands(&job).await;
    assert_eq!(done["status"]["agent"]["spec"]["appendSystemPrompt"], HARD);
    assert_clean(&done);
}

#[tokio::test]
async fn a_job_whose_prompts_yaml_does_not_take_is_cancelled_and_deleted_like_any_other() {
    let team = Team::shared().await;
    let scenario = format!("wait-for-release-{}", unique("never"));
    let agent = team
        .agent_with(&scenario, |spec| {
            spec.append_system_prompt = Some(HARD.to_owned())
        })
        .await;
    let cancelled = team.job(&agent).await;
    let running = team.running(&cancelled).await;
    team.cancel(&cancelled).await;
    let done = team.finished(&cancelled).await;
    assert_ended(&done, ExitReason::ManualCancel, Reason::Cancelled);
    team.leaves(&session(&running)).await;
    let deleted = team.job(&agent).await;
    let running = team.running(&deleted).await;
    team.delete(&deleted).await;
    until_gone(&team.jobs(), &deleted, &running.metadata.uid.unwrap(), RUN).await;
}

#[tokio::test]
async fn a_key_that_the_container_runtime_quotes_stands_nowhere() {
    const KEY: &str = "scripted-\0quotedbytheruntime";
    const TOLD: &str = "quotedbytheruntime";
    let team = Team::shared().await;
    let secret = unique("nul");
    let manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret},
        "data": {SECRET_KEY: BASE64_STANDARD.encode(KEY)}});
    kubectl_ok(&["create", "-f", "-"], &manifest.to_string()).await;
    let agent = team
        .agent_with("text", |spec| {
            spec.credentials.as_mut().unwrap().secret_ref.name = secret.clone();
        })
        .await;
    let job = team.job(&agent).await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Error, Reason::InvalidPod);
    let done = as_it_stands(&job).await;
    assert_clean(&done);
    assert!(!done.to_string().contains(TOLD), "{done:#}");
    let message = done["status"]["message"].as_str().unwrap();
    assert!(message.contains("spec.credentials"), "{message}");
    until_true(
        "the Job's end is an Event, without the key",
        SOON,
        || async {
            let field = format!("involvedObject.name={job}");
            let events = ["get", "events", "--field-selector", &field, "-o", "json"];
            let events = kubectl_ok(&events, "").await;
            assert!(!events.contains(TOLD), "{events}");
            if events.contains("InvalidPod") {
                Ok(())
            } else {
                Err(events)
            }
        },
    )
    .await;
}
