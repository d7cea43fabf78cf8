//! Names of tools that look like a slip of the pen. Claude Code takes any name and says nothing about one that it
//! does not know: an agent lacks a tool, or has one that was meant to be denied.
//!
//! A warning and no refusal: a later CLI may have tools that are not known here, so only what is one letter away
//! from a known name is told.

use crate::api::{run::Tools, text::Clean};

/// What Claude Code has or had by 2.1, those that a person would name.
const KNOWN: [&str; 36] = [
    "Agent",
    "AskUserQuestion",
    "Bash",
    "BashOutput",
    "Edit",
    "EnterPlanMode",
    "EnterWorktree",
    "ExitPlanMode",
    "ExitWorktree",
    "Glob",
    "Grep",
    "KillShell",
    "LS",
    "LSP",
    "ListMcpResourcesTool",
    "Monitor",
    "MultiEdit",
    "NotebookEdit",
    "NotebookRead",
    "PowerShell",
    "Read",
    "ReadMcpResourceTool",
    "SendMessage",
    "Skill",
    "SlashCommand",
    "Task",
    "TaskCreate",
    "TaskGet",
    "TaskList",
    "TaskOutput",
    "TaskStop",
    "TaskUpdate",
    "TodoWrite",
    "WebFetch",
    "WebSearch",
    "Write",
];

/// A sentence for each name that looks like a slip.
pub fn slips(tools: &Tools) -> Vec<String> {
    let lists = [
        ("available", &tools.available),
        ("allowed", &tools.allowed),
        ("denied", &tools.denied),
    ];
    let mut told = Vec::new();
    for (field, list) in lists {
        for entry in list.iter().flatten() {
            let name = name(entry);
            if let Some(meant) = meant(name) {
                let name = Clean::line(name, 64);
                told.push(format!(
                    "spec.tools.{field} of the Agent names {name}, which Claude Code does not know: did you mean {meant}?"
                ));
            }
        }
    }
    told
}

/// The agent may call this tool, as far as names tell.
pub fn has(tools: &Tools, tool: &str) -> bool {
    let offered = tools.available.as_ref();
    let offered = offered.is_none_or(|list| list.iter().any(|entry| name(entry) == tool));
    offered && !tools.denied.iter().flatten().any(|entry| entry == tool)
}

/// The tool of a pattern like `Bash(git diff:*)`.
fn name(entry: &str) -> &str {
    entry.split('(').next().unwrap_or_default().trim()
}

/// The tool whose name this nearly is.
fn meant(name: &str) -> Option<&'static str> {
    if KNOWN.contains(&name) {
        return None;
    }
    KNOWN.into_iter().find(|known| is_a_slip(name, known))
}

/// One letter is missing, too much or another, two are swapped, or only the case differs.
fn is_a_slip(typed: &str, meant: &str) -> bool {
    let (typed, meant) = (typed.to_ascii_lowercase(), meant.to_ascii_lowercase());
    let begin = typed
        .bytes()
        .zip(meant.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    let (typed, meant) = (&typed.as_bytes()[begin..], &meant.as_bytes()[begin..]);
    let ends = typed.iter().rev().zip(meant.iter().rev());
    let end = ends.take_while(|(a, b)| a == b).count();
    match (&typed[..typed.len() - end], &meant[..meant.len() - end]) {
        ([] | [_], [] | [_]) => true,
        ([a, b], [c, d]) => a == d && b == c,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn a_name_one_letter_away_from_a_tool_is_told_and_no_other() {
        let tools = Tools {
            available: list(&["Bash", "Raed", "bash", "Telepathy"]),
            allowed: list(&["Bsh(git diff:*)", "mcp__jira__read", "*", "Task", "Agent"]),
            denied: list(&["WebFetchs", "Bash(rm:*)", "", "LSP"]),
        };
        let told = slips(&tools);
        let expected = [
            ("available", "Raed,", "Read?"),
            ("available", "bash,", "Bash?"),
            ("allowed", "Bsh,", "Bash?"),
            ("denied", "WebFetchs,", "WebFetch?"),
        ];
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (sentence, (field, typed, meant)) in told.iter().zip(expected) {
            for words in [field, typed, meant] {
                assert!(sentence.contains(words), "{sentence}");
            }
        }
        assert!(slips(&Tools::default()).is_empty());
    }

    #[test]
    fn an_agent_has_a_tool_that_is_offered_and_not_denied_as_a_whole() {
        let with = |available, denied| Tools {
            available,
            allowed: None,
            denied,
        };
        for (tools, expected) in [
            (with(None, None), true),
            (with(list(&["Bash(git:*)"]), None), true),
            (with(list(&["Read"]), None), false),
            (with(Some(Vec::new()), None), false),
            (with(None, list(&["Bash"])), false),
            (with(None, list(&["Bash(rm:*)"])), true),
        ] {
            assert_eq!(has(&tools, "Bash"), expected, "{tools:?}");
        }
    }
}
