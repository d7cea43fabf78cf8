//! What the API answers: the scenarios' plot, as a pure function of scenario and conversation.

use std::time::Duration;

use serde_json::{Value, json};

use crate::conversation::Conversation;
use crate::failure::Failure;
use crate::scenario::Scenario;

/// The tool that scenarios call.
const BASH: &str = "Bash";

/// The tool that starts a subagent.
const AGENT: &str = "Agent";

/// The longest that the Bash tool lets a command run, in milliseconds.
const BASH_TIMEOUT_MS: u32 = 600_000;

/// How much of a prompt or a tool result an answer quotes, in bytes.
const QUOTE: usize = 8 << 10;

/// The time from one line to the next in `slow-N`.
const SLOW_PACE: Duration = Duration::from_secs(1);

/// Starts a process that leaves the CLI's process group and session, and outlives the CLI.
const DAEMON: &str =
    "setsid sleep 3600 </dev/null >/dev/null 2>&1 & echo \"daemon runs as pid $!\"";

/// What the API does with a request.
pub enum Answer {
    Reply(Reply),
    Fail(Failure),
    /// Sends the response's headers and then nothing for ever.
    Silent,
    /// Sends nothing for ever.
    Hang,
}

/// A message of the model, and how it comes.
pub struct Reply {
    pub blocks: Box<dyn Iterator<Item = Block> + Send>,
    pub ending: Ending,
    /// The time before each block but the first.
    pub pace: Duration,
    /// Whether it waits to be released before the first block.
    pub held: bool,
}

/// How a message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    EndTurn,
    ToolUse,
    MaxTokens,
    Refusal,
    /// The connection breaks in the middle of the first block.
    Cut,
}

/// A content block.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    Text(String),
    Tool { name: &'static str, input: Value },
}

impl Reply {
    fn of(blocks: impl Iterator<Item = Block> + Send + 'static, ending: Ending) -> Self {
        Self {
            blocks: Box::new(blocks),
            ending,
            pace: Duration::ZERO,
            held: false,
        }
    }

    fn text(text: String) -> Self {
        Self::of(std::iter::once(Block::Text(text)), Ending::EndTurn)
    }

    /// As models do, says what it is about to do.
    fn bash(command: &str) -> Self {
        let announced = Block::Text(format!("I run: {}", clip(command)));
        Self::of([announced, bash(command)].into_iter(), Ending::ToolUse)
    }
}

/// Decides the answer. `earlier` counts the earlier requests for this same answer.
pub fn answer(scenario: &Scenario, said: &Conversation, earlier: u64) -> Answer {
    if said.wants_json {
        return Answer::Reply(Reply::text(
            json!({"title": "Scripted session"}).to_string(),
        ));
    }
    match scenario {
        Scenario::Silent => Answer::Silent,
        Scenario::Hang => Answer::Hang,
        Scenario::Fail(failure) => Answer::Fail(*failure),
        Scenario::Once(failure, _) if earlier == 0 => Answer::Fail(*failure),
        Scenario::Once(_, then) => answer(then, said, earlier - 1),
        Scenario::Cut if earlier == 0 => Answer::Reply(Reply {
            ending: Ending::Cut,
            ..Reply::text("This text never arrives whole.".to_owned())
        }),
        _ => Answer::Reply(reply(scenario, said)),
    }
}

fn reply(scenario: &Scenario, said: &Conversation) -> Reply {
    match scenario {
        Scenario::Blocks { count, bytes } => blocks(*count, *bytes as usize),
        Scenario::Slow(seconds) => Reply {
            pace: SLOW_PACE,
            ..blocks(*seconds, 1)
        },
        Scenario::Numbered { blocks, calls } => numbered(*blocks, *calls, said),
        Scenario::WaitForRelease(_) => Reply {
            held: true,
            ..Reply::text("Released.".to_owned())
        },
        Scenario::Refusal => Reply {
            ending: Ending::Refusal,
            ..Reply::text("This is as far as".to_owned())
        },
        // By turns: the CLI asks for the rest with a prompt of its own, which is a new first step.
        Scenario::MaxTokens if said.turns == 0 => Reply {
            ending: Ending::MaxTokens,
            ..Reply::text("The first half of an answer, ".to_owned())
        },
        Scenario::MaxTokens => Reply::text("and its second half.".to_owned()),
        Scenario::Background if said.steps == 0 && said.offers(BASH) => {
            let mut call = bash("sleep 2; echo done");
            if let Block::Tool { input, .. } = &mut call {
                input["run_in_background"] = json!(true);
            }
            Reply::of(std::iter::once(call), Ending::ToolUse)
        }
        // A subagent may start others, but is not to.
        Scenario::Subagent if said.steps == 0 && !said.is_subagent && said.offers(AGENT) => {
            Reply::of(std::iter::once(subagent()), Ending::ToolUse)
        }
        Scenario::Parallel(count) if said.steps == 0 && said.offers(BASH) => {
            let count = *count;
            let calls = (1..=count).map(move |n| bash(&tool(n, count)));
            Reply::of(calls, Ending::ToolUse)
        }
        _ => match command(scenario, said) {
            Some(command) if said.offers(BASH) => Reply::bash(&command),
            Some(_) => Reply::text("The tool Bash is not on offer.".to_owned()),
            None => Reply::text(closing(said)),
        },
    }
}

/// The command of a scenario's next step, if it has one.
fn command(scenario: &Scenario, said: &Conversation) -> Option<String> {
    let step = u32::try_from(said.steps)
        .unwrap_or(u32::MAX)
        .saturating_add(1);
    match scenario {
        Scenario::Bash => match said.commands().nth(said.steps) {
            Some(command) => Some(command.to_owned()),
            None => (step == 1).then(|| "echo hello from the scripted agent".to_owned()),
        },
        Scenario::Tools(count) if step <= *count => Some(tool(step, *count)),
        Scenario::MaxTurns => Some(format!("echo turn {step}")),
        Scenario::Daemon if step == 1 => Some(DAEMON.to_owned()),
        _ => None,
    }
}

/// The text that ends a run: what the prompt wants said, or what was seen.
fn closing(said: &Conversation) -> String {
    if let Some(text) = said.wanted_text() {
        return text.to_owned();
    }
    match &said.tool_result {
        Some(result) => format!("The command said: {}", clip(result)),
        None => format!(
            "The prompt has {} bytes: {}",
            said.prompt.len(),
            clip(&said.prompt)
        ),
    }
}

fn clip(text: &str) -> &str {
    text[..text.floor_char_boundary(QUOTE)].trim_end()
}

/// Numbered blocks, each filled with dots up to `bytes`.
fn blocks(count: u32, bytes: usize) -> Reply {
    let blocks = (1..=count).map(move |n| {
        let mut text = block(n, count);
        text.extend(std::iter::repeat_n('.', bytes.saturating_sub(text.len())));
        Block::Text(text)
    });
    Reply::of(blocks, Ending::EndTurn)
}

fn block(n: u32, count: u32) -> String {
    format!("block {n} of {count}")
}

/// Each turn its share of the blocks and one call; the last turn what is left of them.
fn numbered(count: u32, calls: u32, said: &Conversation) -> Reply {
    let turn = u32::try_from(said.steps).unwrap_or(u32::MAX).min(calls);
    let a_turn = count / (calls + 1);
    let first = turn * a_turn + 1;
    let is_last = turn == calls || !said.offers(BASH);
    let last = if is_last { count } else { first + a_turn - 1 };
    let blocks = (first..=last).map(move |n| Block::Text(block(n, count)));
    let call = (!is_last).then(|| bash(&tool(turn + 1, calls)));
    let ending = if is_last {
        Ending::EndTurn
    } else {
        Ending::ToolUse
    };
    Reply::of(blocks.chain(call), ending)
}

fn tool(n: u32, count: u32) -> String {
    format!("echo tool {n} of {count}")
}

fn bash(command: &str) -> Block {
    Block::Tool {
        name: BASH,
        input: json!({
            "command": command,
            "description": "A step of the scenario",
            "timeout": BASH_TIMEOUT_MS,
        }),
    }
}

fn subagent() -> Block {
    Block::Tool {
        name: AGENT,
        input: json!({
            "description": "A helper of the scenario",
            "prompt": "SAY: The subagent was here.",
            "subagent_type": "general-purpose",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(prompt: &str, steps: usize) -> Conversation {
        Conversation {
            prompt: prompt.to_owned(),
            tools: vec![BASH.to_owned()],
            steps,
            tool_result: (steps > 0).then(|| format!("result {steps}")),
            ..Conversation::default()
        }
    }

    fn play(name: &str, said: &Conversation) -> (Vec<Block>, Ending) {
        match answer(&name.parse().unwrap(), said, 0) {
            Answer::Reply(reply) => (reply.blocks.collect(), reply.ending),
            _ => panic!("{name} has no reply"),
        }
    }

    /// The command of a reply's tool call.
    fn command_of(name: &str, said: &Conversation) -> String {
        match play(name, said).0.as_slice() {
            [Block::Text(_), Block::Tool { input, .. }] => {
                input["command"].as_str().unwrap().to_owned()
            }
            other => panic!("{name}: {other:?}"),
        }
    }

    fn text(text: &str) -> Vec<Block> {
        vec![Block::Text(text.to_owned())]
    }

    #[test]
    fn bash_runs_every_command_of_the_prompt_and_then_quotes_the_last_result() {
        let prompt = "please\nRUN: echo one\nRUN: echo two";
        assert_eq!(command_of("bash", &said(prompt, 0)), "echo one");
        assert_eq!(command_of("bash", &said(prompt, 1)), "echo two");
        assert_eq!(
            play("bash", &said(prompt, 2)),
            (text("The command said: result 2"), Ending::EndTurn)
        );
    }

    #[test]
    fn bash_without_a_command_in_the_prompt_runs_one_of_its_own() {
        assert_eq!(play("bash", &said("", 0)).1, Ending::ToolUse);
        assert_eq!(play("bash", &said("", 1)).1, Ending::EndTurn);
    }

    #[test]
    fn tools_calls_its_number_and_maxturns_never_ends() {
        assert_eq!(command_of("tools-2", &said("", 1)), "echo tool 2 of 2");
        assert_eq!(play("tools-2", &said("", 2)).1, Ending::EndTurn);
        assert_eq!(command_of("maxturns", &said("", 999)), "echo turn 1000");
    }

    #[test]
    fn numbered_says_every_block_and_makes_every_call_once_and_in_order() {
        let mut said = said("", 0);
        let mut blocks = Vec::new();
        let mut calls = Vec::new();
        loop {
            let (spoken, ending) = play("numbered-50x7", &said);
            for block in spoken {
                match block {
                    Block::Text(text) => blocks.push(text),
                    Block::Tool { input, .. } => calls.push(input["command"].clone()),
                }
            }
            said.steps += 1;
            if ending == Ending::EndTurn {
                break;
            }
        }
        let wanted: Vec<_> = (1..=50).map(|n| format!("block {n} of 50")).collect();
        assert_eq!(blocks, wanted);
        let wanted: Vec<_> = (1..=7).map(|n| format!("echo tool {n} of 7")).collect();
        assert_eq!(calls, wanted);
    }

    #[test]
    fn no_tool_is_called_that_is_not_on_offer() {
        let no_tools = Conversation::default();
        for name in [
            "bash",
            "tools-2",
            "maxturns",
            "daemon",
            "parallel-2",
            "numbered-9x2",
        ] {
            assert_eq!(play(name, &no_tools).1, Ending::EndTurn, "{name}");
        }
    }

    #[test]
    fn only_the_main_conversation_starts_a_subagent() {
        let mut asking = Conversation {
            tools: vec![AGENT.to_owned()],
            ..Conversation::default()
        };
        assert_eq!(play("subagent", &asking).0, vec![subagent()]);
        asking.is_subagent = true;
        assert_eq!(play("subagent", &asking).1, Ending::EndTurn);
    }

    #[test]
    fn background_starts_its_command_only_once() {
        let mut asking = said("", 0);
        assert_eq!(play("background", &asking).1, Ending::ToolUse);
        asking.steps = 2;
        assert_eq!(play("background", &asking).1, Ending::EndTurn);
    }

    #[test]
    fn blocks_are_numbered_and_as_large_as_asked() {
        let (blocks, _) = play("blocks-12x100", &said("", 0));
        assert_eq!(blocks.len(), 12);
        for (n, block) in (1..).zip(&blocks) {
            let Block::Text(text) = block else {
                panic!("{block:?}")
            };
            assert!(text.starts_with(&format!("block {n} of 12")));
            assert_eq!(text.len(), 100);
        }
    }

    #[test]
    fn text_says_what_the_prompt_wants_or_counts_its_bytes() {
        assert_eq!(play("text", &said("hi\nSAY: ünü", 0)).0, text("ünü"));
        assert_eq!(
            play("text", &said("éé", 0)).0,
            text("The prompt has 4 bytes: éé")
        );
        let long = "é".repeat(QUOTE);
        let Block::Text(answer) = play("text", &said(&long, 0)).0.remove(0) else {
            panic!("no text")
        };
        assert!(answer.len() < QUOTE + 100);
    }

    #[test]
    fn once_fails_only_the_first_request_for_an_answer() {
        let scenario = "once-529-then-text".parse().unwrap();
        assert!(matches!(
            answer(&scenario, &said("", 0), 0),
            Answer::Fail(Failure::Overloaded)
        ));
        assert!(matches!(
            answer(&scenario, &said("", 0), 1),
            Answer::Reply(_)
        ));
    }
}
