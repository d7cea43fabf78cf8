//! The outcome of one run of the CLI, from what its own process left behind. The runner asks it for the
//! verdict, before anybody knows what Kubernetes did or what a user asked for.

use super::{BaseUrl, Outcome};
use crate::api::reason::Reason;
use crate::api::run::{KeyFrom, SetBy};
use crate::api::text::Clean;
use crate::api::verdict::{ProcessExit, ResultLine, StoppedBy};

mod message;
#[cfg(test)]
mod tests;

/// What is known when the CLI and all its children are gone.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunFacts<'a> {
    /// The last `result` line.
    pub result: Option<&'a ResultLine>,
    /// Absent when the CLI was never started.
    pub exit: Option<ProcessExit>,
    pub stopped_by: StoppedBy,
    /// The last words on standard error; the runner's own where it could not start the CLI.
    pub stderr: &'a str,
    pub setup: Setup<'a>,
}

/// Where a run's settings come from: what is wrong in them is put right there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup<'a> {
    /// Absent where neither chose a model.
    pub model_of: Option<SetBy>,
    /// Absent where the API is the CLI's own choice.
    pub base_url: Option<&'a BaseUrl>,
    pub key: Key,
}

/// The key that the agent was given, as far as it may be spoken of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key {
    pub from: KeyFrom,
    /// None of the variables has a value in which the CLI looks for one.
    pub empty: bool,
}

/// The one outcome of a run. First what the runner did to it, then how the process ended, then what the
/// CLI said: a run that the runner stopped is never a success, and neither is one that a signal ended.
pub fn of_run(facts: &RunFacts) -> Outcome {
    let reason = reason_of(facts);
    Outcome {
        reason,
        message: message::of(reason, facts),
    }
}

fn reason_of(facts: &RunFacts) -> Reason {
    let reason = by_itself(facts);
    // Only the API server's objects tell who wanted the signal. What had been done by then counts.
    if facts.stopped_by == StoppedBy::Signal && reason != Reason::Completed {
        return Reason::Stopped;
    }
    reason
}

fn by_itself(facts: &RunFacts) -> Reason {
    match facts.stopped_by {
        StoppedBy::SpoolFailure | StoppedBy::Fence => return Reason::RunnerError,
        StoppedBy::Timeout => return Reason::TimedOut,
        StoppedBy::Stall => return Reason::Stalled,
        StoppedBy::NoSession => return Reason::ResumeFailed,
        StoppedBy::Signal | StoppedBy::Nobody => {}
    }
    // The CLI never ran: the image or its settings can't be what an agent needs.
    let Some(exit) = facts.exit else {
        return Reason::InvalidPod;
    };
    if exit.signal().is_some() {
        return Reason::AgentCrashed;
    }
    match facts.result.map(|it| of_result(it, facts.setup)) {
        Some(Reason::Completed) if exit != ProcessExit::Code(0) => Reason::AgentCrashed,
        Some(reason) => reason,
        None if resume_failed(facts.stderr) => Reason::ResumeFailed,
        None => Reason::AgentCrashed,
    }
}

/// The subtype of a run that reached its limit of turns.
const MAX_TURNS: &str = "error_max_turns";

/// What a `result` line says by itself. Limits and refusals have words of their own; then the status of
/// the API's answer decides, then its text, then the CLI's word for it.
pub fn of_result(result: &ResultLine, setup: Setup<'_>) -> Reason {
    let terminal = result.terminal_reason.as_deref().unwrap_or_default();
    match (result.subtype.as_str(), terminal) {
        ("success", _) if !result.is_error && result.output_missing => {
            return Reason::InvalidOutput;
        }
        ("success", _) if !result.is_error => return Reason::Completed,
        (MAX_TURNS, _) | (_, "max_turns") => return Reason::MaxTurns,
        ("error_max_budget_usd", _) | (_, "budget_exhausted") => return Reason::BudgetExceeded,
        ("error_max_structured_output_retries", _) | (_, "structured_output_retry_exhausted") => {
            return Reason::InvalidOutput;
        }
        (_, "prompt_too_long") => return Reason::PromptTooLong,
        (_, aborted) if aborted.starts_with("aborted") => return Reason::AgentCrashed,
        _ => {}
    }
    if result.stop_reason.as_deref() == Some("refusal") {
        return Reason::Refused;
    }
    let said = result.error.as_deref().unwrap_or_default().to_lowercase();
    let status = result.api_error_status.or_else(|| status_in(&said));
    // The CLI takes every 404 for a model that does not exist.
    if status == Some(404) && setup.base_url.is_some_and(BaseUrl::ends_with_version) {
        return Reason::ApiError;
    }
    status
        .and_then(of_status)
        .or_else(|| of_text(&said))
        .or_else(|| result.error_kind.as_deref().and_then(of_kind))
        // The CLI calls a run that the API's errors ended a success with is_error.
        .unwrap_or(if result.subtype == "success" || terminal == "api_error" {
            Reason::ApiError
        } else {
            Reason::AgentCrashed
        })
}

/// How many turns there were, by a `result` line's subtype and count. One that reached `maxTurns` counts the
/// turn too that the agent was not given any more.
pub fn turns_of(subtype: &str, told: u64) -> u64 {
    told.saturating_sub(u64::from(subtype == MAX_TURNS))
}

/// The reason for an HTTP status; none where the text must tell, because the API uses it for many things.
fn of_status(status: u16) -> Option<Reason> {
    match status {
        401 | 403 => Some(Reason::AuthenticationFailed),
        402 => Some(Reason::CreditExhausted),
        404 | 529 => Some(Reason::ModelUnavailable),
        413 => Some(Reason::PromptTooLong),
        429 => Some(Reason::RateLimited),
        500..=599 => Some(Reason::ApiError),
        _ => None,
    }
}

/// The status that a text names, as in `API Error: 500 …` and `Request rejected (429)`.
fn status_in(said: &str) -> Option<u16> {
    let after = |mark: &str| {
        let digits = said.split_once(mark)?.1.get(..3)?;
        digits
            .parse()
            .ok()
            .filter(|status| (400..600).contains(status))
    };
    after("api error: ").or_else(|| after("rejected ("))
}

/// What the CLI and the API say, in lower case; the first that occurs decides.
const TEXTS: &[(&str, Reason)] = &[
    ("no conversation found", Reason::ResumeFailed),
    ("no deferred tool marker", Reason::ResumeFailed),
    ("credit balance", Reason::CreditExhausted),
    ("prompt is too long", Reason::PromptTooLong),
    ("input is too long", Reason::PromptTooLong),
    ("request too large", Reason::PromptTooLong),
    ("exceed context limit", Reason::PromptTooLong),
    ("not logged in", Reason::AuthenticationFailed),
    ("please run /login", Reason::AuthenticationFailed),
    ("invalid api key", Reason::AuthenticationFailed),
    ("invalid x-api-key", Reason::AuthenticationFailed),
    ("failed to authenticate", Reason::AuthenticationFailed),
    ("authentication_error", Reason::AuthenticationFailed),
    ("permission_error", Reason::AuthenticationFailed),
    ("oauth token", Reason::AuthenticationFailed),
    (
        "organization has been disabled",
        Reason::AuthenticationFailed,
    ),
    ("rate limit", Reason::RateLimited),
    ("rate_limit", Reason::RateLimited),
    ("usage limit", Reason::RateLimited),
    ("hit your limit", Reason::RateLimited),
    ("overloaded", Reason::ModelUnavailable),
    ("issue with the selected model", Reason::ModelUnavailable),
    ("safeguards flagged", Reason::Refused),
    ("usage policy", Reason::Refused),
    ("api error", Reason::ApiError),
    ("connection error", Reason::ApiError),
];

fn of_text(said: &str) -> Option<Reason> {
    TEXTS
        .iter()
        .find(|(text, _)| said.contains(text))
        .map(|&(_, reason)| reason)
}

/// The CLI's words for errors, and the API's.
fn of_kind(kind: &str) -> Option<Reason> {
    match kind {
        "authentication_failed"
        | "oauth_org_not_allowed"
        | "authentication_error"
        | "permission_error" => Some(Reason::AuthenticationFailed),
        "billing_error" => Some(Reason::CreditExhausted),
        "rate_limit" | "rate_limit_error" => Some(Reason::RateLimited),
        "model_not_found" | "not_found_error" | "overloaded" | "overloaded_error" => {
            Some(Reason::ModelUnavailable)
        }
        "request_too_large" => Some(Reason::PromptTooLong),
        _ => None,
    }
}

/// The CLI says on standard error alone that it found nothing to resume, or nothing to go on with.
fn resume_failed(stderr: &str) -> bool {
    of_text(&stderr.to_lowercase()) == Some(Reason::ResumeFailed)
}
