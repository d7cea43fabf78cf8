//! The sentence that goes with a run's outcome: what happened, why, and what to do next.

use std::borrow::Cow;

use super::{BaseUrl, Clean, Key, RunFacts};
use crate::api::reason::Reason;
use crate::api::run::{KeyFrom, SetBy};
use crate::api::verdict::{ProcessExit, StoppedBy};

/// At most this many bytes: it stands in a status, a condition and an event.
const MAX_BYTES: usize = 512;

/// How much of what others said is quoted.
const MAX_QUOTE: usize = 200;

pub(super) fn of(reason: Reason, facts: &RunFacts) -> String {
    let (what, next) = match reason {
        // Who stopped it is not known here, and so neither is what to do.
        Reason::Stopped => return Clean::line(&crash(facts), MAX_BYTES).into(),
        Reason::AgentCrashed => (
            crash(facts),
            "see the end of its output for more, then run a new Job".into(),
        ),
        Reason::RunnerError if facts.stopped_by == StoppedBy::Fence => (
            "the output store no longer knows this attempt, and the run was stopped".to_owned(),
            "look at the Job's attempts for what ended this one".into(),
        ),
        Reason::RunnerError => (
            format!(
                "the agent's output could not be kept, and the run was stopped{}",
                quote(facts.stderr)
            ),
            "look at the node's disk and the pod's events, then run a new Job".into(),
        ),
        Reason::InvalidPod => (
            format!(
                "the agent's CLI could not be started{}",
                quote(facts.stderr)
            ),
            "make sure that the image in spec.pod.image of the Agent has a working claude in its PATH, then run a new Job".into(),
        ),
        Reason::Completed => return completed(facts),
        Reason::TimedOut | Reason::Stalled => words(reason, facts),
        _ => {
            let (what, next) = words(reason, facts);
            (what + &quote(said(facts)), next)
        }
    };
    Clean::line(&format!("{what}: {next}"), MAX_BYTES).into()
}

/// The status of the API's last answer, where that ended the run.
fn status(facts: &RunFacts) -> Option<u16> {
    facts.result.and_then(|result| result.api_error_status)
}

/// What happened, and the next step, for the reasons that the CLI or the runner's clocks give.
fn words(reason: Reason, facts: &RunFacts) -> (String, Cow<'static, str>) {
    let status = status(facts);
    let answered = |otherwise: &str| match status {
        Some(status) => format!("the API answered {status}"),
        None => otherwise.to_owned(),
    };
    let (what, next) = match reason {
        Reason::MaxTurns => (
            "the agent reached its limit of turns".into(),
            "raise spec.maxTurns of the Agent or give it less to do, then run a new Job",
        ),
        Reason::BudgetExceeded => (
            "the agent spent its budget".into(),
            "raise spec.maxBudgetUSD of the Agent or give it less to do, then run a new Job",
        ),
        Reason::AuthenticationFailed => return key(facts),
        Reason::CreditExhausted => (
            "the account of the agent's key has no credit left".into(),
            "add credit, or name another key in spec.credentials of the Agent, then run a new Job",
        ),
        Reason::RateLimited => (
            answered("the API refused the agent for its rate of requests"),
            "wait until the limit of this key has passed or use a key with a higher one, then run a new Job",
        ),
        Reason::ModelUnavailable if status == Some(404) => return not_found(facts),
        Reason::ModelUnavailable => (
            answered("the model is not available"),
            "run a new Job later, or set spec.fallbackModel of the Agent",
        ),
        Reason::PromptTooLong => (
            "the prompt is too long for the model".into(),
            "shorten spec.prompt and the system prompts, or choose a model with a larger context",
        ),
        Reason::Refused => (
            "the model refused the request".into(),
            "rephrase spec.prompt or choose another spec.model, then run a new Job",
        ),
        Reason::InvalidOutput => (
            "the agent's structured output is missing or does not match its schema".into(),
            "correct the schema or ask for it in spec.prompt, then run a new Job",
        ),
        Reason::ResumeFailed => (
            "the session could not be resumed".into(),
            "run a new Job that starts a session of its own",
        ),
        Reason::TimedOut => (
            "the run took longer than its timeout and was stopped".into(),
            "raise spec.timeout or give the agent less to do, then run a new Job",
        ),
        Reason::Stalled => (
            "the agent was silent for longer than its stallTimeout and was stopped".into(),
            "see the end of its output for what it waited for, or raise spec.stallTimeout of the Agent",
        ),
        // ApiError, and nothing else that a run alone can come to.
        _ => return api_error(facts),
    };
    (what, next.into())
}

/// What is wrong with the key is put right in the field that gives it.
fn key(facts: &RunFacts) -> (String, Cow<'static, str>) {
    let Key { from, empty } = facts.setup.key;
    let what = match (status(facts), from) {
        (_, KeyFrom::Nothing) if empty => "the agent has no key for the API".into(),
        _ if empty => "the agent's key is empty".into(),
        (Some(status), _) => format!("the API answered {status} to the agent's key"),
        (None, _) => "the agent has no valid key for the API".into(),
    };
    let next = match from {
        KeyFrom::Credentials => {
            "put a valid key in the Secret that spec.credentials of the Agent names, then run a new Job"
        }
        KeyFrom::Env => {
            "correct the key in spec.env of the Agent, which is used instead of spec.credentials, then run a new Job"
        }
        KeyFrom::Nothing if empty => {
            "set spec.credentials of the Agent to a Secret that holds a key, then run a new Job"
        }
        KeyFrom::Nothing => {
            "correct the key in the chart's value agent.env, or set spec.credentials of the Agent, then run a new Job"
        }
    };
    (what, next.into())
}

/// The CLI takes every 404 for a model that does not exist. So does a wrong path answer.
fn not_found(facts: &RunFacts) -> (String, Cow<'static, str>) {
    let model = match facts.setup.model_of {
        Some(SetBy::Job) => "choose another spec.model for the Job",
        Some(SetBy::Agent) => "correct spec.model of the Agent",
        None => "set spec.model of the Agent",
    };
    let url = facts.setup.base_url.map(|url| {
        format!(
            ", or correct ANTHROPIC_BASE_URL ({}) if that path does not exist there",
            url.shown()
        )
    });
    (
        "the API answered 404".into(),
        format!(
            "{model} or use a key that may use this model{}; then run a new Job",
            url.unwrap_or_default()
        )
        .into(),
    )
}

/// An error that no other reason names.
fn api_error(facts: &RunFacts) -> (String, Cow<'static, str>) {
    let base_url = facts.setup.base_url;
    let at = base_url.map_or(String::new(), |url| format!(" at {}", url.shown()));
    match status(facts) {
        Some(404) if base_url.is_some_and(BaseUrl::ends_with_version) => (
            format!("the API answered 404{at}"),
            "take /v1 off ANTHROPIC_BASE_URL, since the CLI adds it (in spec.env of the Agent, or in the chart's value agent.env); if the URL is right, correct spec.model; then run a new Job".into(),
        ),
        Some(status @ 400..500) => (
            format!("the API answered {status}{at}: it did not take the request"),
            "correct what it names in the Agent or the Job, then run a new Job".into(),
        ),
        Some(status) => (
            format!("the API answered {status}{at}"),
            "run a new Job when the API is well again".into(),
        ),
        None => (
            format!("the API{at} could not be reached, or broke off"),
            "see that its name is found and that pods reach it (network, proxy, ANTHROPIC_BASE_URL), then run a new Job".into(),
        ),
    }
}

fn completed(facts: &RunFacts) -> String {
    match facts.result.map_or(0, |result| result.denied) {
        0 => "the agent finished".into(),
        denied => format!(
            "the agent finished; tool calls that were denied: {denied} (see spec.tools and spec.permissionMode of the \
             Agent)"
        ),
    }
}

/// Why a run without a good result, or one that a signal ended, is over.
fn crash(facts: &RunFacts) -> String {
    let how = ending(facts);
    match facts.result {
        None => format!("the agent {how} without a result{}", quote(facts.stderr)),
        Some(result) if result.is_error => {
            let why = result.terminal_reason.as_deref().unwrap_or(&result.subtype);
            format!(
                "the agent {how} after an error, {}{}",
                Clean::line(why, MAX_QUOTE),
                quote(said(facts))
            )
        }
        Some(_) => format!("the agent gave a result, then {how}{}", quote(facts.stderr)),
    }
}

/// How the process ended, as the end of a sentence about it.
fn ending(facts: &RunFacts) -> String {
    let outside = facts.stopped_by == StoppedBy::Signal;
    match (facts.exit, facts.exit.and_then(ProcessExit::signal)) {
        (_, Some(signal)) if outside => format!(
            "was stopped from outside and ended by {}",
            signal_name(signal)
        ),
        (_, Some(signal)) => format!(
            "was ended by {} (not sent by the runner)",
            signal_name(signal)
        ),
        (Some(ProcessExit::Code(code)), None) if outside => {
            format!("was stopped from outside, ended with code {code}")
        }
        (Some(ProcessExit::Code(code)), None) => format!("ended with code {code}"),
        (Some(ProcessExit::Signal(_)) | None, None) => "ended".into(),
    }
}

/// The CLI's own words: those of the result, else those on standard error.
fn said<'a>(facts: &RunFacts<'a>) -> &'a str {
    match facts.result {
        Some(result) => result.error.as_deref().unwrap_or_default(),
        None => facts.stderr,
    }
}

fn quote(words: &str) -> String {
    match Clean::line(words, MAX_QUOTE) {
        words if words.is_empty() => String::new(),
        words => format!(" (“{words}”)"),
    }
}

/// The name that `kill -l` gives.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        other => return format!("signal {other}"),
    };
    name.into()
}
