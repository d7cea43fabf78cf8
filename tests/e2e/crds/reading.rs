//! What kubectl makes of our kinds: strict checks, apply and diff without drift, explain, columns, selectors.

use std::{env, fs, path::PathBuf};

use herdctl::api::reason::Reason;
use kube::api::ListParams;

use crate::{
    kubectl::{kubectl, kubectl_ok},
    team::{Team, unique},
};

fn agent_manifest(name: &str) -> String {
    format!(
        "apiVersion: herdctl.dev/v1alpha1
kind: Agent
metadata: {{name: {name}}}
spec:
  description: Reviews pull requests.
  maxTurns: 30
  maxBudgetUSD: 2.5
  timeout: 60m
  tools: {{available: [Read, Bash]}}
  env:
  - {{name: LEVEL, value: high}}
  - {{name: TOKEN, valueFrom: {{secretKeyRef: {{name: github, key: token}}}}}}
  pod:
    resources: {{requests: {{cpu: 500m, memory: 1024Mi}}}}
    tolerations: [{{key: agents, operator: Exists}}]
"
    )
}

fn job_manifest(name: &str, agent: &str) -> String {
    format!(
        "apiVersion: herdctl.dev/v1alpha1
kind: Job
metadata: {{name: {name}}}
spec: {{agent: {agent}, prompt: Review., timeout: 90s}}
"
    )
}

#[tokio::test]
async fn a_misspelt_field_is_refused_by_its_path() {
    let _team = Team::shared().await;
    let misspelt = job_manifest("review", "reviewer").replace("prompt:", "promt:");
    let said = kubectl(
        &["apply", "--server-side", "--dry-run=server", "-f", "-"],
        &misspelt,
    )
    .await;
    assert_ne!(said.code, 0, "{said:?}");
    assert!(said.err.contains(".spec.promt"), "{said:?}");
    let misspelt = agent_manifest("reviewer").replace("maxTurns:", "maxturns:");
    let said = kubectl(&["create", "--dry-run=server", "-f", "-"], &misspelt).await;
    assert_ne!(said.code, 0, "{said:?}");
    assert!(said.err.contains("spec.maxturns"), "{said:?}");
}

#[tokio::test]
async fn applying_twice_changes_nothing_and_a_diff_is_empty() {
    let team = Team::shared().await;
    for way in [
        &["apply", "-f", "-"][..],
        &["apply", "--server-side", "-f", "-"],
    ] {
        let (agent, job) = (unique("drift"), unique("drift"));
        // The Job waits for an Agent that never comes, with a status and a finalizer of the controller's.
        let manifests = format!(
            "{}---\n{}",
            agent_manifest(&agent),
            job_manifest(&job, &unique("nobody"))
        );
        kubectl_ok(way, &manifests).await;
        team.pending(&job, Reason::AgentNotFound).await;
        let before = (
            team.agents().get(&agent).await.unwrap(),
            team.get(&job).await,
        );
        kubectl_ok(way, &manifests).await;
        let after = (
            team.agents().get(&agent).await.unwrap(),
            team.get(&job).await,
        );
        assert_eq!(
            before.0.metadata.resource_version, after.0.metadata.resource_version,
            "{way:?}"
        );
        assert_eq!(
            before.1.metadata.resource_version, after.1.metadata.resource_version,
            "{way:?}"
        );
        let mut diff = vec!["diff", "-f", "-"];
        diff.extend(way.iter().filter(|word| word.starts_with("--")));
        assert_eq!(kubectl_ok(&diff, &manifests).await, "", "{way:?}");
    }
}

#[tokio::test]
async fn explain_reads_well() {
    let _team = Team::shared().await;
    for path in ["hj.spec", "hj.status", "ha.spec", "ha.spec.credentials"] {
        let said = kubectl_ok(&["explain", path], "").await;
        let file = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap())
            .join("tests/e2e/explain")
            .join(format!("{path}.txt"));
        if env::var_os("ACCEPT").is_some() {
            fs::write(&file, &said).unwrap();
        }
        let accepted = fs::read_to_string(&file).unwrap();
        assert_eq!(
            said, accepted,
            "{path} reads differently; if it reads well, accept it: ACCEPT=1 tests/e2e/run explain"
        );
    }
}

/// The headings of a table.
fn headings(table: &str) -> Vec<&str> {
    table
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect()
}

#[tokio::test]
async fn get_shows_the_columns_that_tell_how_it_goes() {
    let team = Team::shared().await;
    let agent = unique("nobody");
    let job = team.job(&agent).await;
    team.pending(&job, Reason::AgentNotFound).await;
    let table = kubectl_ok(&["get", "hj", &job], "").await;
    assert_eq!(
        headings(&table),
        [
            "NAME", "STATUS", "EXIT", "REASON", "AGENT", "TURNS", "COST", "AGE"
        ]
    );
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(
        row[..4],
        [job.as_str(), "pending", "AgentNotFound", agent.as_str()],
        "an EXIT that is not there yet is empty"
    );
    let wide = kubectl_ok(&["get", "hj", &job, "-o", "wide"], "").await;
    assert_eq!(
        headings(&wide),
        [
            "NAME", "STATUS", "EXIT", "REASON", "AGENT", "TURNS", "COST", "AGE", "SESSION", "POD",
            "STARTED", "DURATION"
        ]
    );
}

#[tokio::test]
async fn the_whole_herd_is_listed_by_its_category() {
    let team = Team::shared().await;
    let agent = team.agent("text").await;
    let job = team.job(&unique("nobody")).await;
    let listed = kubectl_ok(&["get", "herd", "-o", "name"], "").await;
    for name in [
        format!("agent.herdctl.dev/{agent}"),
        format!("job.herdctl.dev/{job}"),
    ] {
        assert!(
            listed.lines().any(|line| line == name),
            "{name} is not in:\n{listed}"
        );
    }
}

#[tokio::test]
async fn jobs_are_selected_by_agent_and_by_what_their_status_says() {
    let team = Team::shared().await;
    let agent = unique("nobody");
    let job = team.job(&agent).await;
    team.pending(&job, Reason::AgentNotFound).await;
    let found = async |selector: String| {
        let list = team
            .jobs()
            .list(&ListParams::default().fields(&selector))
            .await
            .unwrap();
        list.items
            .into_iter()
            .filter_map(|job| job.metadata.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        found(format!("spec.agent={agent},status.phase=pending")).await,
        [job.as_str()]
    );
    assert_eq!(
        found(format!("spec.agent={agent},status.reason=AgentNotFound")).await,
        [job.as_str()]
    );
    assert!(
        found(format!("spec.agent={agent},status.phase=running"))
            .await
            .is_empty()
    );
    assert!(
        found(format!("spec.agent={agent},status.exitReason=success"))
            .await
            .is_empty()
    );
    assert!(
        found(format!("spec.agent={agent},status.sessionId=none"))
            .await
            .is_empty()
    );
}
