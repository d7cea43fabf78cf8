//! What a name such as `tools-5` asks the scripted API to do.
//!
//! A test picks a scenario in the only places that reach the API from an unchanged Claude CLI:
//! the API key or the model name. Names are parsed into this enum once, so that everything behind
//! works on values and a misspelt name is refused instead of played as something else.

use std::fmt;
use std::str::FromStr;

use crate::failure::Failure;

/// What a key or a model name starts with when it picks a scenario.
pub const PREFIX: &str = "scripted-";

/// Most steps, blocks or seconds that a scenario may ask for.
const MOST: u32 = 100_000;

/// Largest text block, in bytes: beyond what the runner takes for one line, and no more.
const MOST_BYTES: u32 = 16 << 20;

/// One behaviour of the API, derived from its name; README.md describes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scenario {
    Text,
    Bash,
    Tools(u32),
    Parallel(u32),
    MaxTurns,
    Daemon,
    Background,
    Subagent,
    Blocks {
        count: u32,
        bytes: u32,
    },
    Slow(u32),
    /// So many text blocks in all, and as many tool calls, one a turn.
    Numbered {
        blocks: u32,
        calls: u32,
    },
    Silent,
    Hang,
    /// Waits until its key, or its session, is released.
    WaitForRelease(Option<String>),
    Refusal,
    MaxTokens,
    Cut,
    Fail(Failure),
    /// Fails on the first request for each answer, then plays the rest.
    Once(Failure, Box<Scenario>),
}

/// A name that is no scenario's.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownScenario;

impl fmt::Display for UnknownScenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no scenario has this name; tests/scripted-api/README.md lists them"
        )
    }
}

impl Scenario {
    /// The scenario of a request: the model's name wins over the key's, without either it is `text`.
    pub fn choose(model: &str, key: &str) -> Result<Self, UnknownScenario> {
        [model, key]
            .iter()
            .find_map(|name| name.strip_prefix(PREFIX))
            .map_or(Ok(Self::Text), str::parse)
    }

    /// What releases the scenario's answers, beside the session's id.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::WaitForRelease(key) => key.as_deref(),
            Self::Once(_, then) => then.key(),
            _ => None,
        }
    }
}

impl FromStr for Scenario {
    type Err = UnknownScenario;

    fn from_str(name: &str) -> Result<Self, UnknownScenario> {
        Ok(match name {
            "text" => Self::Text,
            "bash" => Self::Bash,
            "maxturns" => Self::MaxTurns,
            "daemon" => Self::Daemon,
            "background" => Self::Background,
            "subagent" => Self::Subagent,
            "silent" => Self::Silent,
            "hang" => Self::Hang,
            "wait-for-release" => Self::WaitForRelease(None),
            "refusal" => Self::Refusal,
            "maxtokens" => Self::MaxTokens,
            "cut" => Self::Cut,
            _ => return parametrised(name).ok_or(UnknownScenario),
        })
    }
}

fn parametrised(name: &str) -> Option<Scenario> {
    if let Some(rest) = name.strip_prefix("once-") {
        let (failure, then) = rest.split_once("-then-")?;
        return Some(Scenario::Once(
            failure.parse().ok()?,
            Box::new(then.parse().ok()?),
        ));
    }
    if let Some(key) = name.strip_prefix("wait-for-release-") {
        // It goes into the log, and a model's name may hold anything.
        let is_plain = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let is_key = is_plain && !key.is_empty();
        return is_key.then(|| Scenario::WaitForRelease(Some(key.to_owned())));
    }
    let (kind, parameter) = name.split_once('-')?;
    match kind {
        "error" => Some(Scenario::Fail(parameter.parse().ok()?)),
        "tools" => Some(Scenario::Tools(number(parameter, MOST)?)),
        "parallel" => Some(Scenario::Parallel(number(parameter, MOST)?)),
        "slow" => Some(Scenario::Slow(number(parameter, MOST)?)),
        "numbered" => {
            let (blocks, calls) = parameter.split_once('x')?;
            Some(Scenario::Numbered {
                blocks: number(blocks, MOST)?,
                calls: number(calls, MOST)?,
            })
        }
        "blocks" => {
            let (count, bytes) = parameter.split_once('x').unwrap_or((parameter, "1"));
            Some(Scenario::Blocks {
                count: number(count, MOST)?,
                bytes: number(bytes, MOST_BYTES)?,
            })
        }
        _ => None,
    }
}

fn number(text: &str, most: u32) -> Option<u32> {
    text.parse().ok().filter(|n| (1..=most).contains(n))
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => write!(f, "text"),
            Self::Bash => write!(f, "bash"),
            Self::Tools(count) => write!(f, "tools-{count}"),
            Self::Parallel(count) => write!(f, "parallel-{count}"),
            Self::MaxTurns => write!(f, "maxturns"),
            Self::Daemon => write!(f, "daemon"),
            Self::Background => write!(f, "background"),
            Self::Subagent => write!(f, "subagent"),
            Self::Blocks { count, bytes: 1 } => write!(f, "blocks-{count}"),
            Self::Blocks { count, bytes } => write!(f, "blocks-{count}x{bytes}"),
            Self::Slow(seconds) => write!(f, "slow-{seconds}"),
            Self::Numbered { blocks, calls } => write!(f, "numbered-{blocks}x{calls}"),
            Self::Silent => write!(f, "silent"),
            Self::Hang => write!(f, "hang"),
            Self::WaitForRelease(None) => write!(f, "wait-for-release"),
            Self::WaitForRelease(Some(key)) => write!(f, "wait-for-release-{key}"),
            Self::Refusal => write!(f, "refusal"),
            Self::MaxTokens => write!(f, "maxtokens"),
            Self::Cut => write!(f, "cut"),
            Self::Fail(failure) => write!(f, "error-{failure}"),
            Self::Once(failure, then) => write!(f, "once-{failure}-then-{then}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_printed_as_it_was_parsed() {
        for name in [
            "text",
            "bash",
            "tools-5",
            "parallel-3",
            "maxturns",
            "daemon",
            "background",
            "subagent",
            "blocks-200",
            "blocks-2x1048576",
            "slow-30",
            "numbered-5000x200",
            "silent",
            "hang",
            "wait-for-release",
            "wait-for-release-gate-1",
            "refusal",
            "maxtokens",
            "cut",
            "error-401",
            "error-400-toolong",
            "once-529-then-text",
            "once-500-then-tools-2",
        ] {
            assert_eq!(name.parse::<Scenario>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn misspelt_and_unbounded_names_are_refused() {
        for name in [
            "",
            "texts",
            "tools",
            "tools-0",
            "tools-x",
            "slow-100001",
            "numbered-5000",
            "numbered-5000x0",
            "blocks-1x99999999",
            "error-418",
            "once-529",
            "wait-for-release-",
            "wait-for-release-a\nb",
        ] {
            assert_eq!(
                name.parse::<Scenario>(),
                Err(UnknownScenario),
                "{name:?} was taken"
            );
        }
    }

    #[test]
    fn the_model_wins_over_the_key_and_text_is_the_default() {
        assert_eq!(
            Scenario::choose("scripted-bash", "scripted-hang"),
            Ok(Scenario::Bash)
        );
        assert_eq!(
            Scenario::choose("claude-opus-5-5", "scripted-hang"),
            Ok(Scenario::Hang)
        );
        assert_eq!(
            Scenario::choose("claude-opus-5-5", "anything"),
            Ok(Scenario::Text)
        );
    }
}
