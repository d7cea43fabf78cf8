//! Bad specs of both kinds: names, limits, prompts, variables, credentials.

use serde_json::json;

use super::{agent, assert_refused, bad, job, named_agent, named_job};
use crate::team::Team;

#[tokio::test]
async fn bad_names_are_refused() {
    let long = "a23456789-b23456789-c23456789-d23456789-e23456789-523";
    assert_refused(
        &Team::shared().await.client,
        vec![
            bad(
                "a Job's name of 53 characters",
                named_job(long, json!({"agent": "reviewer"})),
                "metadata.name",
            ),
            bad(
                "a Job's name with a dot",
                named_job("re.view", json!({"agent": "reviewer"})),
                "metadata.name",
            ),
            bad(
                "a Job's name in upper case",
                named_job("Review", json!({"agent": "reviewer"})),
                "metadata.name",
            ),
            bad(
                "a Job's name that ends in a dash",
                named_job("review-", json!({"agent": "reviewer"})),
                "metadata.name",
            ),
            bad(
                "an Agent's name of 53 characters",
                named_agent(long, json!({})),
                "metadata.name",
            ),
            bad(
                "an Agent's name with a dot",
                named_agent("re.viewer", json!({})),
                "metadata.name",
            ),
            bad(
                "an Agent's name in upper case",
                named_agent("Reviewer", json!({})),
                "metadata.name",
            ),
            bad(
                "an Agent's name with an underscore",
                named_agent("re_viewer", json!({})),
                "metadata.name",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn bad_jobs_are_refused() {
    let two_byte = |count| json!({"agent": "reviewer", "prompt": "é".repeat(count)});
    assert_refused(
        &Team::shared().await.client,
        vec![
            bad("a Job without an Agent", job(json!({"prompt": "Review."})), "spec.agent"),
            bad("a Job without a spec", json!({"apiVersion": "herdctl.dev/v1alpha1", "kind": "Job", "metadata": {"name": "review"}}), "spec"),
            bad("an empty Agent's name", job(json!({"agent": ""})), "spec.agent"),
            bad("an Agent's name in upper case", job(json!({"agent": "Reviewer"})), "spec.agent"),
            bad("an Agent's name with a namespace", job(json!({"agent": "team-b/reviewer"})), "spec.agent"),
            bad("an Agent's name of 53 characters", job(json!({"agent": "a".repeat(53)})), "spec.agent"),
            bad("an Agent's name that is a number", job(json!({"agent": 7})), "spec.agent"),
            bad("an empty prompt", job(json!({"agent": "reviewer", "prompt": ""})), "spec.prompt"),
            bad("a prompt of 98,305 bytes", job(json!({"agent": "reviewer", "prompt": "a".repeat(98_305)})), "spec.prompt"),
            bad("a prompt of 49,153 two-byte characters", job(two_byte(49_153)), "spec.prompt"),
            bad("a prompt of 98,304 two-byte characters", job(two_byte(98_304)), "spec.prompt"),
            bad("a timeout without a unit", job(json!({"agent": "reviewer", "timeout": "10"})), "spec.timeout"),
            bad("a timeout of no time", job(json!({"agent": "reviewer", "timeout": "0s"})), "spec.timeout"),
            bad("a timeout of more than 720h", job(json!({"agent": "reviewer", "timeout": "720h1s"})), "spec.timeout"),
            bad("a cancel that is no boolean", job(json!({"agent": "reviewer", "cancel": "yes"})), "spec.cancel"),
            bad("a model with a space", job(json!({"agent": "reviewer", "model": "claude sonnet"})), "spec.model"),
            bad("a suspend that is no boolean", job(json!({"agent": "reviewer", "suspend": "yes"})), "spec.suspend"),
            bad("nothing to resume", job(json!({"agent": "reviewer", "resume": {}})), "spec.resume.job"),
            bad("a name to resume that is none", job(json!({"agent": "reviewer", "resume": {"job": "Review"}})), "spec.resume.job"),
            bad("a resume prompt of 49,153 two-byte characters", job(json!({"agent": "reviewer", "resumePrompt": "é".repeat(49_153)})), "spec.resumePrompt"),
            bad("an empty schema", job(json!({"agent": "reviewer", "outputSchema": ""})), "spec.outputSchema"),
            bad("a schema of 32,769 bytes", job(json!({"agent": "reviewer", "outputSchema": format!("{{{}", "a".repeat(32_768))})), "spec.outputSchema"),
            bad("a schema of 16,385 two-byte characters", job(json!({"agent": "reviewer", "outputSchema": format!("{{{}", "é".repeat(16_385))})), "spec.outputSchema"),
            bad("a schema that is a list", job(json!({"agent": "reviewer", "outputSchema": "[]"})), "spec.outputSchema"),
            bad("a schema that is a truth", job(json!({"agent": "reviewer", "outputSchema": " true"})), "spec.outputSchema"),
            bad("a model that is an option", job(json!({"agent": "reviewer", "model": "--resume"})), "spec.model"),
        ],
    )
    .await;
}

#[tokio::test]
async fn bad_agents_are_refused() {
    let two_byte = "é".repeat(98_304);
    assert_refused(
        &Team::shared().await.client,
        vec![
            bad(
                "a description of 1,025 characters",
                agent(json!({"description": "a".repeat(1025)})),
                "spec.description",
            ),
            bad(
                "a prompt of 98,304 two-byte characters",
                agent(json!({"prompt": two_byte})),
                "spec.prompt",
            ),
            bad(
                "a system prompt of as many",
                agent(json!({"systemPrompt": two_byte})),
                "spec.systemPrompt",
            ),
            bad(
                "an added system prompt of as many",
                agent(json!({"appendSystemPrompt": two_byte})),
                "spec.appendSystemPrompt",
            ),
            bad("an empty model", agent(json!({"model": ""})), "spec.model"),
            bad(
                "a fallback model with a line end",
                agent(json!({"fallbackModel": "opus\n"})),
                "spec.fallbackModel",
            ),
            bad(
                "no turn at all",
                agent(json!({"maxTurns": 0})),
                "spec.maxTurns",
            ),
            bad(
                "half a turn",
                agent(json!({"maxTurns": 1.5})),
                "spec.maxTurns",
            ),
            bad(
                "a budget of nothing",
                agent(json!({"maxBudgetUSD": 0})),
                "spec.maxBudgetUSD",
            ),
            bad(
                "a budget below nothing",
                agent(json!({"maxBudgetUSD": -1})),
                "spec.maxBudgetUSD",
            ),
            bad(
                "no attempt at all",
                agent(json!({"maxAttempts": 0})),
                "spec.maxAttempts",
            ),
            bad(
                "33 attempts",
                agent(json!({"maxAttempts": 33})),
                "spec.maxAttempts",
            ),
            bad(
                "another answer to a disruption",
                agent(json!({"onDisruption": "retry"})),
                "spec.onDisruption",
            ),
            bad(
                "a schema of 16,385 two-byte characters",
                agent(json!({"outputSchema": format!("{{{}", "é".repeat(16_385))})),
                "spec.outputSchema",
            ),
            bad(
                "a schema that is a list",
                agent(json!({"outputSchema": "[]"})),
                "spec.outputSchema",
            ),
            bad(
                "a permission mode that the CLI does not know",
                agent(json!({"permissionMode": "yolo"})),
                "spec.permissionMode",
            ),
            bad(
                "a tool twice",
                agent(json!({"tools": {"available": ["Bash", "Bash"]}})),
                "spec.tools.available[1]",
            ),
            bad(
                "a tool without a name",
                agent(json!({"tools": {"denied": [""]}})),
                "spec.tools.denied[0]",
            ),
            bad(
                "a timeout in days",
                agent(json!({"timeout": "1d"})),
                "spec.timeout",
            ),
            bad(
                "a negative stall timeout",
                agent(json!({"stallTimeout": "-5s"})),
                "spec.stallTimeout",
            ),
            bad(
                "a start deadline in words",
                agent(json!({"startDeadline": "soon"})),
                "spec.startDeadline",
            ),
            bad(
                "a grace of no time",
                agent(json!({"cancelGrace": "0s"})),
                "spec.cancelGrace",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn bad_variables_and_credentials_are_refused() {
    let both = json!({"name": "B", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}});
    let two_sources = json!({"name": "S", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}, "configMapKeyRef": {"name": "a", "key": "b"}}});
    let env = |variables| agent(json!({"env": variables}));
    assert_refused(
        &Team::shared().await.client,
        vec![
            bad("a value and a source", env(json!([{"name": "A", "value": "x"}, both])), "spec.env[1]"),
            bad("two sources", env(json!([two_sources])), "spec.env[0].valueFrom"),
            bad("a source that says nothing", env(json!([{"name": "S", "valueFrom": {}}])), "spec.env[0].valueFrom"),
            bad("a variable without a name", env(json!([{"value": "x"}])), "spec.env[0].name"),
            bad("a variable's name with a dash", env(json!([{"name": "A-B", "value": "x"}])), "spec.env[0].name"),
            bad("a variable twice", env(json!([{"name": "A", "value": "x"}, {"name": "A", "value": "y"}])), "spec.env[1]"),
            bad("another home", env(json!([{"name": "HOME", "value": "/x"}])), "spec.env[0].name"),
            bad("another place for sessions", env(json!([{"name": "CLAUDE_CONFIG_DIR", "value": "/x"}])), "spec.env[0].name"),
            bad("a number as a value", env(json!([{"name": "A", "value": 1}])), "spec.env[0].value"),
            bad(
                "a Secret's reference without a key",
                env(json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "github"}}}])),
                "spec.env[0].valueFrom.secretKeyRef.key",
            ),
            bad("credentials that name no Secret", agent(json!({"credentials": {}})), "spec.credentials.secretRef"),
            bad(
                "credentials without the Secret's key",
                agent(json!({"credentials": {"secretRef": {"name": "claude"}}})),
                "spec.credentials.secretRef.key",
            ),
            bad(
                "credentials of an unknown kind",
                agent(json!({"credentials": {"secretRef": {"name": "claude", "key": "k"}, "kind": "password"}})),
                "spec.credentials.kind",
            ),
        ],
    )
    .await;
}
