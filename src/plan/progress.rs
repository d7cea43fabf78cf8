//! How far a run is, read off its events as they arrive: turns, tokens, cost, the last tool.
//!
//! While the agent works, turns are counted by the messages of the model; a result line then says how
//! many there were. The same holds for tokens, but for those of subagents, of which result lines do not
//! tell. The CLI repeats a message over several lines, one for each content block.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike, Utc};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::{
    api::{
        record::Progress,
        text::Clean,
        verdict::{Verdict, own_cost},
    },
    plan::outcome::turns_of,
};

/// People see it as it is written, in a column. None of what has no such number any more: the lines are the
/// agent's word, and the API server would refuse the whole patch.
fn in_hundredths_of_a_cent(dollars: f64) -> Option<f64> {
    let rounded = (dollars * 1e4).round() / 1e4;
    rounded.is_finite().then_some(rounded)
}

/// As much as an integer of the API can be.
fn counted(number: u64) -> u64 {
    number.min(i64::MAX.unsigned_abs())
}

#[cfg(test)]
mod tests;

/// Subagents speak at the same time, so a message may come back after some others; not after so many.
const REMEMBERED_MESSAGES: usize = 32;

/// RFC 3339 has no others, so the API server takes no others.
const YEARS: RangeInclusive<i32> = 0..=9999;

/// As much of a tool's name as fits into a Job's status.
const MAX_TOOL_BYTES: usize = 128;

/// The sum of the events so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    turns: Turns,
    cost: Cost,
    main: Tokens,
    subagents: Tokens,
    recent: VecDeque<Message>,
    last_activity: Option<DateTime<Utc>>,
    last_tool: Option<Clean>,
    seq: u64,
}

/// Those that result lines told of, and those since.
#[derive(Clone, Copy, Debug, Default)]
struct Turns {
    settled: u64,
    of_attempt: u64,
    open: u64,
}

/// What the session costs is told as a sum over its runs; what the Job costs is what its attempts added.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    /// Of the attempts before.
    settled: Option<f64>,
    /// Of the session, before this attempt.
    before: f64,
    /// Of the session, as this attempt told last.
    total: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tokens {
    settled: Usage,
    open: Usage,
}

/// Of its id only a hash is kept: the id is as long as the agent likes, and there is a Job for each.
#[derive(Clone, Copy, Debug)]
struct Message {
    id: u64,
    usage: Usage,
}

/// An event, as far as it is looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    timestamp: Option<DateTime<Utc>>,
    seq: Option<u64>,
    #[serde(default, borrow)]
    subtype: Option<Cow<'a, str>>,
    line: Option<IgnoredAny>,
    part: Option<IgnoredAny>,
    parent_tool_use_id: Option<IgnoredAny>,
    #[serde(default, borrow)]
    message_id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    tool: Option<Cow<'a, str>>,
    #[serde(default, rename = "costBeforeUSD")]
    cost_before_usd: Option<f64>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct AssistantData<'a> {
    #[serde(borrow)]
    message: MessageData<'a>,
}

#[derive(Deserialize)]
struct MessageData<'a> {
    #[serde(default, borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(default)]
    usage: Usage,
}

#[derive(Deserialize)]
struct ResultData<'a> {
    #[serde(default, borrow)]
    subtype: Cow<'a, str>,
    #[serde(default)]
    num_turns: u64,
    total_cost_usd: Option<f64>,
    #[serde(default)]
    usage: Usage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Usage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
}

impl Tally {
    /// Counts a line of the record. Gives the verdict, if it is the runner's: an event with `line` speaks
    /// with the agent's voice, whatever it claims. What is no event counts for nothing.
    pub fn take(&mut self, line: &[u8]) -> Option<Verdict> {
        let line: Line = serde_json::from_slice(line).ok()?;
        self.seq = line.seq.unwrap_or(self.seq);
        let timestamp = line.timestamp.filter(|time| YEARS.contains(&time.year()));
        self.last_activity = timestamp.or(self.last_activity);
        if let Some(tool) = line.tool.as_ref().filter(|_| line.kind == "tool_use") {
            self.last_tool = Some(Clean::line(tool, MAX_TOOL_BYTES));
        }
        let data = line.data.map_or("null", RawValue::get);
        match (&*line.kind, line.subtype.as_deref(), line.line.is_some()) {
            ("start", _, false) => self.begin_attempt(line.cost_before_usd),
            ("system", Some("verdict"), false) if line.part.is_none() => {
                let verdict: Verdict = serde_json::from_str(data).ok()?;
                self.close_attempt(&verdict);
                return Some(verdict);
            }
            ("system", Some("result"), true) => {
                if let Ok(result) = serde_json::from_str(data) {
                    self.settle(&result);
                }
            }
            ("output" | "tool_use" | "system" | "error", _, true) => {
                if let Ok(AssistantData { message }) = serde_json::from_str(data)
                    && let Some(id) = line.message_id.or(message.id)
                {
                    self.message(&id, message.usage, line.parent_tool_use_id.is_some());
                }
            }
            _ => {}
        }
        None
    }

    /// The number of the last event.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// For the Job's status.
    pub fn progress(&self) -> Progress {
        let (main, subagents) = (self.main.sum(), self.subagents.sum());
        let written = main.output_tokens.saturating_add(subagents.output_tokens);
        Progress {
            turns: counted(self.turns.sum()),
            cost_usd: self.cost.sum().and_then(in_hundredths_of_a_cent),
            input_tokens: counted(main.read().saturating_add(subagents.read())),
            output_tokens: counted(written),
            last_activity: self.last_activity,
            last_tool: self.last_tool.clone(),
        }
    }

    /// What the attempt before never settled stays as it was counted.
    fn begin_attempt(&mut self, cost_before: Option<f64>) {
        self.turns = Turns {
            settled: self.turns.sum(),
            ..Turns::default()
        };
        self.cost = Cost {
            settled: self.cost.sum(),
            before: cost_before.unwrap_or_default(),
            total: None,
        };
        self.main.settle(Usage::default());
        self.recent.clear();
    }

    fn message(&mut self, id: &str, usage: Usage, of_a_subagent: bool) {
        let tokens = if of_a_subagent {
            &mut self.subagents
        } else {
            &mut self.main
        };
        let id = BuildHasherDefault::<DefaultHasher>::default().hash_one(id);
        if let Some(known) = self.recent.iter_mut().find(|message| message.id == id) {
            let more = usage.most(known.usage);
            tokens.open = tokens.open.plus(more.less(known.usage));
            known.usage = more;
            return;
        }
        tokens.open = tokens.open.plus(usage);
        if !of_a_subagent {
            self.turns.open += 1;
        }
        if self.recent.len() == REMEMBERED_MESSAGES {
            self.recent.pop_front();
        }
        self.recent.push_back(Message { id, usage });
    }

    fn settle(&mut self, result: &ResultData<'_>) {
        let turns = turns_of(&result.subtype, result.num_turns);
        self.turns.of_attempt = self.turns.of_attempt.saturating_add(turns);
        self.turns.open = 0;
        self.cost.total = result.total_cost_usd.or(self.cost.total);
        self.main.settle(result.usage);
    }

    /// A result too large for one event is known from the verdict.
    fn close_attempt(&mut self, verdict: &Verdict) {
        if verdict.turns > 0 {
            self.turns.of_attempt = verdict.turns;
            self.turns.open = 0;
        }
        self.cost.total = verdict.cost_usd.or(self.cost.total);
    }
}

impl Turns {
    fn sum(self) -> u64 {
        let told = self.settled.saturating_add(self.of_attempt);
        told.saturating_add(self.open)
    }
}

impl Cost {
    /// Of the Job, as far as it is known.
    fn sum(self) -> Option<f64> {
        let own = self.total.map(|total| own_cost(total, Some(self.before)));
        match (self.settled, own) {
            (Some(settled), Some(own)) => Some(settled + own),
            (settled, own) => settled.or(own),
        }
    }
}

impl Tokens {
    fn settle(&mut self, told: Usage) {
        self.settled = self.settled.plus(self.open.most(told));
        self.open = Usage::default();
    }

    fn sum(self) -> Usage {
        self.settled.plus(self.open)
    }
}

impl Usage {
    fn each(self, other: Usage, with: impl Fn(u64, u64) -> u64) -> Usage {
        Usage {
            input_tokens: with(self.input_tokens, other.input_tokens),
            cache_creation_input_tokens: with(
                self.cache_creation_input_tokens,
                other.cache_creation_input_tokens,
            ),
            cache_read_input_tokens: with(
                self.cache_read_input_tokens,
                other.cache_read_input_tokens,
            ),
            output_tokens: with(self.output_tokens, other.output_tokens),
        }
    }

    fn plus(self, other: Usage) -> Usage {
        self.each(other, u64::saturating_add)
    }

    fn less(self, other: Usage) -> Usage {
        self.each(other, u64::saturating_sub)
    }

    fn most(self, other: Usage) -> Usage {
        self.each(other, u64::max)
    }

    fn read(self) -> u64 {
        self.input_tokens
            .saturating_add(self.cache_creation_input_tokens)
            .saturating_add(self.cache_read_input_tokens)
    }
}
