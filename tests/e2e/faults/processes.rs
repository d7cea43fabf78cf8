//! Processes of a run that are killed.

use std::collections::BTreeMap;

use herdctl::api::{
    agent::AgentSpec,
    reason::{ExitReason, Reason},
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use rustix::process::Signal;

use crate::{
    node,
    record::run::Run,
    status::{assert_ended, only_attempt, session},
    team::Team,
};

/// Room for the CLI, and not for a greedy child.
const MEMORY: &str = "640Mi";

#[tokio::test]
async fn an_agent_that_is_killed_has_crashed_and_is_not_tried_again() {
    let team = Team::shared().await;
    let run = Run::start(&team, "slow-600").await;
    run.tells("block 2 of 600").await;
    let claude = node::agent_processes(&run.pod_uid);
    let claude = claude
        .iter()
        .find(|process| process.name.starts_with("claude"))
        .unwrap_or_else(|| panic!("{claude:?}"));
    assert!(claude.signal(Signal::KILL));
    let sealed = run.sealed().await;
    assert_ended(&sealed.job, ExitReason::Error, Reason::AgentCrashed);
    only_attempt(&sealed.job);
    sealed.assert_intact();
    assert!(sealed.texts().contains(&"block 2 of 600"));
    team.assert_one_agent(&session(&sealed.job)).await;
}

#[tokio::test]
async fn a_runner_that_is_killed_takes_its_agent_with_it_and_is_not_tried_again() {
    let team = Team::shared().await;
    let run = Run::start(&team, "slow-600").await;
    run.tells("block 2 of 600").await;
    assert!(run.exec().await.signal(Signal::KILL));
    let sealed = run.sealed().await;
    assert_ended(&sealed.job, ExitReason::Error, Reason::AgentCrashed);
    only_attempt(&sealed.job);
    assert!(node::agent_processes(&run.pod_uid).is_empty());
    assert!(sealed.texts().contains(&"block 2 of 600"));
    team.assert_one_agent(&session(&sealed.job)).await;
}

/// What an agent's command does to itself is the command's trouble.
#[tokio::test]
async fn a_child_that_is_killed_for_memory_does_not_fail_the_agent_that_finishes_well() {
    let team = Team::shared().await;
    let agent = team.agent_with("bash", limited).await;
    let greedy = "tail /dev/zero; echo the greedy one ended with $?";
    let run = Run::commands_of(&team, &agent, &[greedy]).await;
    let sealed = run.sealed().await;
    assert_ended(&sealed.job, ExitReason::Success, Reason::Completed);
    only_attempt(&sealed.job);
    let said = String::from_utf8_lossy(&sealed.bytes).into_owned();
    assert!(said.contains("the greedy one ended with 137"), "{said}");
}

fn limited(spec: &mut AgentSpec) {
    let resources = spec
        .pod
        .get_or_insert_default()
        .resources
        .get_or_insert_default();
    resources.limits = Some(BTreeMap::from([(
        "memory".to_owned(),
        Quantity(MEMORY.to_owned()),
    )]));
}
