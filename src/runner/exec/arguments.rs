//! The CLI's command line for a run. Every value stands behind a `=` in its flag's own word, so a text
//! that begins with a dash stays a text, and a flag that takes many words can't swallow its neighbour.
//! The prompt is not here: it goes to standard input.

use crate::api::run::RunInputs;

/// The arguments of `claude`, which goes on with the session or begins it.
pub fn of_run(inputs: &RunInputs, goes_on: bool) -> Vec<String> {
    let mut words = vec!["--print".to_owned(), "--verbose".to_owned()];
    let mut flag = |name: &str, value: &str| words.push(format!("--{name}={value}"));
    flag("output-format", "stream-json");
    let session = if goes_on { "resume" } else { "session-id" };
    flag(session, &inputs.session_id);
    flag("permission-mode", inputs.permission_mode.as_str());
    let texts = [
        ("model", &inputs.model),
        ("fallback-model", &inputs.fallback_model),
        ("system-prompt", &inputs.system_prompt),
        ("append-system-prompt", &inputs.append_system_prompt),
        ("json-schema", &inputs.output_schema),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            flag(name, text);
        }
    }
    if let Some(turns) = inputs.max_turns {
        flag("max-turns", &turns.to_string());
    }
    if let Some(dollars) = inputs.max_budget_usd {
        flag("max-budget-usd", &dollars.to_string());
    }
    let tools = &inputs.tools;
    if tools.available.as_ref().is_some_and(Vec::is_empty) {
        // The CLI's way to say: no tool at all.
        flag("tools", "");
    }
    let lists = [
        ("tools", &tools.available),
        ("allowedTools", &tools.allowed),
        ("disallowedTools", &tools.denied),
    ];
    for (name, list) in lists {
        for tool in list.iter().flatten() {
            flag(name, tool);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(more: serde_json::Value) -> Vec<String> {
        of_run(&inputs(more), false)
    }

    fn inputs(more: serde_json::Value) -> RunInputs {
        let mut inputs = json!({
            "job": "job-1", "agent": "reviewer", "attempt": 1, "prompt": "the prompt",
            "sessionId": "5f0c1a2b-0000-4000-8000-000000000000",
            "timeout": 60, "stallTimeout": 60, "cancelGrace": 10,
        });
        for (field, value) in more.as_object().unwrap() {
            inputs[field] = value.clone();
        }
        serde_json::from_value(inputs).unwrap()
    }

    #[test]
    fn a_plain_run_has_only_what_every_run_has() {
        let expected = [
            "--print",
            "--verbose",
            "--output-format=stream-json",
            "--session-id=5f0c1a2b-0000-4000-8000-000000000000",
            "--permission-mode=bypassPermissions",
        ];
        assert_eq!(arguments(json!({})), expected);
    }

    #[test]
    fn every_field_has_its_flag() {
        let words = arguments(json!({
            "model": "opus", "fallbackModel": "sonnet", "systemPrompt": "--help",
            "appendSystemPrompt": "two\nlines", "maxTurns": 3, "maxBudgetUSD": 0.25,
            "permissionMode": "dontAsk", "outputSchema": "{\"type\":\"object\"}",
            "tools": { "available": ["Bash", "Read"], "allowed": ["Bash(git diff:*)"], "denied": ["WebFetch"] },
        }));
        let expected = [
            "--permission-mode=dontAsk",
            "--model=opus",
            "--fallback-model=sonnet",
            "--system-prompt=--help",
            "--append-system-prompt=two\nlines",
            "--json-schema={\"type\":\"object\"}",
            "--max-turns=3",
            "--max-budget-usd=0.25",
            "--tools=Bash",
            "--tools=Read",
            "--allowedTools=Bash(git diff:*)",
            "--disallowedTools=WebFetch",
        ];
        assert_eq!(words[4..], expected);
    }

    #[test]
    fn a_session_that_goes_on_keeps_its_id() {
        let expected = "--resume=5f0c1a2b-0000-4000-8000-000000000000";
        let words = of_run(&inputs(json!({})), true);
        assert_eq!(words[3], expected);
        assert!(words.iter().all(|word| !word.contains("session-id")));
    }

    #[test]
    fn an_empty_list_of_tools_means_none() {
        let words = arguments(json!({ "tools": { "available": [] } }));
        assert_eq!(words.last().unwrap(), "--tools=");
    }

    #[test]
    fn the_prompt_is_no_argument() {
        assert!(
            arguments(json!({}))
                .iter()
                .all(|word| !word.contains("the prompt"))
        );
    }
}
