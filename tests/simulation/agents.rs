//! The agents: processes on nodes, with what became of each. What is true of them is kept here, whatever
//! objects say.

use chrono::{DateTime, Utc};
use herdctl::{
    api::{
        reason::Reason,
        runner_exit::RunnerExit,
        text::Clean,
        verdict::{ProcessExit, ResultLine, Segment, StoppedBy, Verdict},
    },
    plan::outcome::{RunFacts, of_run},
};

/// An agent's process, from its start on.
#[derive(Clone, Debug)]
pub struct Agent {
    pub job: String,
    pub pod: String,
    pub attempt: u32,
    pub node: String,
    pub started: DateTime<Utc>,
    pub alive: bool,
    /// The store has told it to stop, and takes nothing from it.
    pub fenced: bool,
    pub end: Option<End>,
}

/// How an agent's container ended.
#[derive(Clone, Debug)]
pub struct End {
    pub code: i32,
    pub word: &'static str,
    pub verdict: Option<Verdict>,
    /// What stands in the runner's place for its last word, and is not its.
    pub forged: Option<String>,
    pub at: DateTime<Utc>,
}

/// What an agent would come to if nobody disturbed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Succeeds,
    OutOfTurns,
    TimesOut,
    OutOfMemory,
    Crashes,
    SpoolFails,
    /// The runner is killed, and a good last word was forged before.
    Forges,
    /// The same with a code that says otherwise.
    Contradicts,
}

impl Fate {
    pub const ALL: [Fate; 10] = [
        Fate::Succeeds,
        Fate::Succeeds,
        Fate::Succeeds,
        Fate::OutOfTurns,
        Fate::TimesOut,
        Fate::OutOfMemory,
        Fate::Crashes,
        Fate::SpoolFails,
        Fate::Forges,
        Fate::Contradicts,
    ];

    /// The end that it brings.
    pub fn end(self, started: DateTime<Utc>, at: DateTime<Utc>) -> End {
        let (subtype, code, by) = match self {
            Fate::Succeeds => ("success", 0, StoppedBy::Nobody),
            Fate::OutOfTurns => ("error_max_turns", 1, StoppedBy::Nobody),
            Fate::TimesOut => ("", 143, StoppedBy::Timeout),
            Fate::OutOfMemory => return silent(137, "OOMKilled", at),
            Fate::Crashes => return silent(139, "Error", at),
            Fate::Forges => return forged(137, started, at),
            Fate::Contradicts => {
                return forged(i32::from(RunnerExit::Unsuccessful.code()), started, at);
            }
            Fate::SpoolFails => {
                return silent(i32::from(RunnerExit::SpoolFailed.code()), "Error", at);
            }
        };
        spoken(subtype, code, by, started, at)
    }
}

/// An end without a verdict, that looks as if it had a good one.
fn forged(code: i32, started: DateTime<Utc>, at: DateTime<Utc>) -> End {
    let good = spoken("success", 0, StoppedBy::Nobody, started, at).verdict;
    End {
        forged: good.map(|it| it.to_message()),
        ..silent(code, "Error", at)
    }
}

/// An end without a verdict.
pub fn silent(code: i32, word: &'static str, at: DateTime<Utc>) -> End {
    End {
        code,
        word,
        verdict: None,
        forged: None,
        at,
    }
}

/// The end of an agent that had just finished when it was asked to stop.
pub fn finished(started: DateTime<Utc>, at: DateTime<Utc>) -> End {
    spoken("success", 0, StoppedBy::Signal, started, at)
}

/// The end of an agent that was asked to stop, and did.
pub fn stopped(by: StoppedBy, started: DateTime<Utc>, at: DateTime<Utc>) -> End {
    spoken("", 143, by, started, at)
}

fn spoken(
    subtype: &str,
    code: i32,
    stopped_by: StoppedBy,
    started: DateTime<Utc>,
    at: DateTime<Utc>,
) -> End {
    let result = (!subtype.is_empty()).then(|| ResultLine {
        subtype: Clean::line(subtype, 99),
        is_error: subtype != "success",
        ..ResultLine::default()
    });
    let exit = Some(ProcessExit::Code(code));
    let outcome = of_run(&RunFacts {
        result: result.as_ref(),
        exit,
        stopped_by,
        ..RunFacts::default()
    });
    let (phase, exit_reason) = outcome.reason.place();
    let good = outcome.reason == Reason::Completed;
    let way = if good {
        RunnerExit::Succeeded
    } else {
        RunnerExit::Unsuccessful
    };
    End {
        code: i32::from(way.code()),
        word: if good { "Completed" } else { "Error" },
        verdict: Some(Verdict {
            phase,
            exit_reason: exit_reason.unwrap(),
            reason: outcome.reason,
            message: Clean::line(&outcome.message, 1024),
            result,
            exit,
            stopped_by,
            turns: 3,
            cost_usd: Some(0.5),
            cost_before_usd: None,
            usage: std::collections::BTreeMap::new(),
            session_id: Some("s".into()),
            started_at: Some(started),
            ended_at: Some(at),
            segment: Segment::default(),
            text: None,
            stderr: None,
        }),
        forged: None,
        at,
    }
}
