//! Good manifests pass as they are and come back as they were.

use serde_json::{Value, json};

use super::{agent, job, named_agent, named_job, try_create};
use crate::team::Team;

/// A name of the longest kind.
const LONGEST_NAME: &str = "a23456789-b23456789-c23456789-d23456789-e23456789-52";

fn good() -> Vec<(&'static str, Value)> {
    vec![
        ("an Agent that says nothing", agent(json!({}))),
        ("an Agent that says everything", agent(everything())),
        (
            "an Agent with the longest name",
            named_agent(LONGEST_NAME, json!({})),
        ),
        (
            "a Job with its Agent alone",
            job(json!({"agent": "reviewer"})),
        ),
        (
            "a Job with the longest name",
            named_job(LONGEST_NAME, json!({"agent": LONGEST_NAME})),
        ),
        (
            "a Job that says everything",
            job(
                json!({"agent": "reviewer", "prompt": "Review.", "model": "opus", "timeout": "1h30m", "cancel": false,
                    "outputSchema": "{\"type\": \"object\"}", "resume": {"job": "earlier"}, "suspend": true}),
            ),
        ),
        (
            "the largest schemas",
            job(
                json!({"agent": "reviewer", "outputSchema": format!("{{{}}}", "é".repeat(16_383))}),
            ),
        ),
        (
            "a schema in lines of its own",
            job(json!({"agent": "reviewer", "outputSchema": "\n  {\"type\": \"object\"}\n"})),
        ),
        (
            "as many attempts as there can be",
            agent(json!({"maxAttempts": 32, "onDisruption": "fail"})),
        ),
        (
            "a Job whose cancellation came with it",
            job(json!({"agent": "reviewer", "cancel": true})),
        ),
        (
            "the largest prompt",
            job(json!({"agent": "reviewer", "prompt": "a".repeat(98_304)})),
        ),
        (
            "the largest prompt of two-byte characters",
            job(json!({"agent": "reviewer", "prompt": "é".repeat(49_152)})),
        ),
        (
            "the largest prompt of four-byte characters",
            job(json!({"agent": "reviewer", "prompt": "🐑".repeat(24_576)})),
        ),
        (
            "a prompt that looks like a command line",
            job(json!({"agent": "reviewer", "prompt": "--help $(HOME) \u{1} \n"})),
        ),
        (
            "durations of every unit",
            agent(
                json!({"timeout": "1h2m3s", "stallTimeout": "1.5h", "startDeadline": "250ms", "cancelGrace": "720h"}),
            ),
        ),
        (
            "a model of a gateway",
            agent(
                json!({"model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "fallbackModel": "opus[1m]"}),
            ),
        ),
        (
            "labels of the user's own",
            agent(json!({"pod": {"labels": {"example.com/team": "a", "notherdctl.dev/x": "y"}}})),
        ),
        (
            "a field of the pod as a variable",
            agent(
                json!({"env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]}),
            ),
        ),
    ]
}

fn everything() -> Value {
    json!({
        "description": "Reviews pull requests.",
        "prompt": "Review the newest pull request.",
        "systemPrompt": "You review code.",
        "appendSystemPrompt": "Be brief.",
        "model": "sonnet",
        "fallbackModel": "haiku",
        "maxTurns": 30,
        "maxBudgetUSD": 2.5,
        "permissionMode": "acceptEdits",
        "tools": {"available": ["Bash", "Read"], "allowed": ["Bash(git diff:*)"], "denied": ["WebFetch"]},
        "env": [
            {"name": "PLAIN", "value": "x"},
            {"name": "EMPTY", "value": ""},
            {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "github", "key": "token", "optional": true}}},
            {"name": "SETTING", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}},
        ],
        "credentials": {"secretRef": {"name": "claude", "key": "token"}, "kind": "oauthToken"},
        "timeout": "2h",
        "stallTimeout": "5m",
        "startDeadline": "3m",
        "cancelGrace": "20s",
        "pod": {
            "image": "registry.example.com/agents/reviewer@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "imagePullPolicy": "Always",
            "imagePullSecrets": [{"name": "registry"}],
            "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "4Gi"}},
            "nodeSelector": {"kubernetes.io/arch": "amd64"},
            "tolerations": [{"key": "agents", "operator": "Exists", "effect": "NoSchedule"}],
            "labels": {"team": "a"},
            "annotations": {"example.com/note": "for people"},
            "securityContext": {"runAsUser": 2000, "runAsGroup": 2000, "fsGroup": 2000, "supplementalGroups": [3000]},
        },
    })
}

#[tokio::test]
async fn good_manifests_pass_and_nothing_is_added_to_a_spec_or_taken_from_it() {
    let team = Team::shared().await;
    for (what, manifest) in good() {
        let stored = try_create(&team.client, &manifest)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(stored.data["spec"], manifest["spec"], "{what}");
    }
}

#[tokio::test]
async fn a_job_that_nobody_has_looked_at_says_so() {
    let team = Team::shared().await;
    let stored = try_create(&team.client, &job(json!({"agent": "reviewer"})))
        .await
        .unwrap();
    assert_eq!(stored.data["status"], json!({"observedGeneration": -1}));
}
