//! The table: what each `result` line means, then how the process's end and the runner's own doing
//! outweigh it.

use super::*;

fn good() -> ResultLine {
    ResultLine {
        subtype: "success".into(),
        ..ResultLine::default()
    }
}

/// What the CLI writes when the API's errors ended the run.
fn api_error(status: impl Into<Option<u16>>, text: &'static str) -> ResultLine {
    ResultLine {
        is_error: true,
        terminal_reason: Some("api_error".into()),
        api_error_status: status.into(),
        error: Some(text.into()),
        ..good()
    }
}

fn failed(subtype: &'static str, text: &'static str) -> ResultLine {
    ResultLine {
        subtype: subtype.into(),
        is_error: true,
        error: Some(text.into()),
        ..ResultLine::default()
    }
}

#[test]
fn a_result_line_has_one_reason() {
    let refusal = |text: &'static str| ResultLine {
        stop_reason: Some("refusal".into()),
        ..api_error(None, text)
    };
    let terminal = |reason: &'static str| ResultLine {
        terminal_reason: Some(reason.into()),
        ..failed("error_during_execution", "x")
    };
    let kind = |kind: &'static str| ResultLine {
        error_kind: Some(kind.into()),
        ..api_error(None, "?")
    };
    let table = [
        (good(), Reason::Completed),
        (
            ResultLine {
                denied: 3,
                ..good()
            },
            Reason::Completed,
        ),
        (
            ResultLine {
                output_missing: true,
                ..good()
            },
            Reason::InvalidOutput,
        ),
        (
            failed("error_max_structured_output_retries", "Failed to provide"),
            Reason::InvalidOutput,
        ),
        (
            failed("error_max_turns", "Reached maximum number of turns (2)"),
            Reason::MaxTurns,
        ),
        (
            failed("error_max_budget_usd", "Reached maximum budget ($0.001)"),
            Reason::BudgetExceeded,
        ),
        (
            refusal("API Error: the safeguards flagged this message"),
            Reason::Refused,
        ),
        (
            api_error(None, "API Error: Claude's safeguards flagged this message"),
            Reason::Refused,
        ),
        (
            api_error(401, "Failed to authenticate. API Error: 401"),
            Reason::AuthenticationFailed,
        ),
        (
            api_error(403, "API Error: 403 Request not allowed"),
            Reason::AuthenticationFailed,
        ),
        (
            api_error(None, "Not logged in · Please run /login"),
            Reason::AuthenticationFailed,
        ),
        (
            api_error(None, "Invalid API key · Fix external API key"),
            Reason::AuthenticationFailed,
        ),
        (
            api_error(None, "OAUTH TOKEN has expired"),
            Reason::AuthenticationFailed,
        ),
        (kind("authentication_error"), Reason::AuthenticationFailed),
        (
            api_error(400, "Credit balance is too low"),
            Reason::CreditExhausted,
        ),
        (
            api_error(None, "Credit balance is too low"),
            Reason::CreditExhausted,
        ),
        (api_error(402, "?"), Reason::CreditExhausted),
        (kind("billing_error"), Reason::CreditExhausted),
        (
            api_error(429, "API Error: Request rejected (429)"),
            Reason::RateLimited,
        ),
        (
            api_error(None, "API Error: Request rejected (429) · slow down"),
            Reason::RateLimited,
        ),
        (
            api_error(None, "You've hit your limit · resets 3pm"),
            Reason::RateLimited,
        ),
        (kind("rate_limit"), Reason::RateLimited),
        (
            api_error(404, "There's an issue with the selected model (x)"),
            Reason::ModelUnavailable,
        ),
        (
            api_error(529, "API Error: Repeated 529 Overloaded errors"),
            Reason::ModelUnavailable,
        ),
        (
            api_error(None, "API Error: Repeated 529 Overloaded errors"),
            Reason::ModelUnavailable,
        ),
        (
            api_error(None, "API Error: 529 {}"),
            Reason::ModelUnavailable,
        ),
        (
            api_error(413, "Request too large (max 32MB)"),
            Reason::PromptTooLong,
        ),
        (api_error(400, "Prompt is too long"), Reason::PromptTooLong),
        (terminal("prompt_too_long"), Reason::PromptTooLong),
        (
            api_error(
                400,
                "API Error: 400 messages: at least one message is required",
            ),
            Reason::ApiError,
        ),
        (
            api_error(500, "API Error: 500 Internal server error"),
            Reason::ApiError,
        ),
        (
            api_error(None, "API Error: 500 the model is overloaded"),
            Reason::ApiError,
        ),
        (
            api_error(None, "API Error: Connection error."),
            Reason::ApiError,
        ),
        (api_error(None, "Request timed out"), Reason::ApiError),
        (
            ResultLine {
                terminal_reason: None,
                ..api_error(None, "")
            },
            Reason::ApiError,
        ),
        (
            failed(
                "error_during_execution",
                "No conversation found with session ID: x",
            ),
            Reason::ResumeFailed,
        ),
        (
            failed("error_during_execution", "[ede_diagnostic]"),
            Reason::AgentCrashed,
        ),
        (terminal("aborted_tools"), Reason::AgentCrashed),
        (
            ResultLine {
                terminal_reason: Some("aborted_streaming".into()),
                ..api_error(None, "API Error")
            },
            Reason::AgentCrashed,
        ),
        (failed("error_of_tomorrow", ""), Reason::AgentCrashed),
        (ResultLine::default(), Reason::AgentCrashed),
    ];
    for (line, reason) in table {
        assert_eq!(of_result(&line, Setup::default()), reason, "{line:?}");
    }
}

#[test]
fn the_end_of_the_process_and_who_stopped_it_outweigh_the_result() {
    use ProcessExit::{Code, Signal};
    use StoppedBy::{Fence, Nobody, SpoolFailure, Stall, Timeout};
    let (good, turns) = (good(), failed("error_max_turns", ""));
    let table = [
        (Some(&good), Some(Code(0)), Nobody, Reason::Completed),
        (Some(&turns), Some(Code(1)), Nobody, Reason::MaxTurns),
        (Some(&turns), Some(Code(0)), Nobody, Reason::MaxTurns),
        // A good result is no success when the process says otherwise.
        (Some(&good), Some(Code(1)), Nobody, Reason::AgentCrashed),
        (Some(&good), Some(Code(143)), Nobody, Reason::AgentCrashed),
        (Some(&good), Some(Signal(9)), Nobody, Reason::AgentCrashed),
        (Some(&turns), Some(Signal(9)), Nobody, Reason::AgentCrashed),
        (None, Some(Code(0)), Nobody, Reason::AgentCrashed),
        (None, Some(Code(1)), Nobody, Reason::AgentCrashed),
        (None, Some(Code(143)), Nobody, Reason::AgentCrashed),
        (None, Some(Signal(11)), Nobody, Reason::AgentCrashed),
        // A signal from outside: what the agent had done before counts, what it had not is provisional.
        (
            Some(&good),
            Some(Code(0)),
            StoppedBy::Signal,
            Reason::Completed,
        ),
        (
            Some(&turns),
            Some(Code(1)),
            StoppedBy::Signal,
            Reason::Stopped,
        ),
        (
            Some(&good),
            Some(Code(143)),
            StoppedBy::Signal,
            Reason::Stopped,
        ),
        (None, Some(Code(143)), StoppedBy::Signal, Reason::Stopped),
        // The runner's own clocks come before all that the agent did on being stopped.
        (None, Some(Code(143)), Timeout, Reason::TimedOut),
        (Some(&good), Some(Code(0)), Timeout, Reason::TimedOut),
        (Some(&turns), Some(Code(1)), Timeout, Reason::TimedOut),
        (None, Some(Signal(9)), Stall, Reason::Stalled),
        (Some(&good), Some(Code(0)), Stall, Reason::Stalled),
        // What could not be recorded did not succeed.
        (
            Some(&good),
            Some(Code(0)),
            SpoolFailure,
            Reason::RunnerError,
        ),
        (Some(&good), Some(Code(0)), Fence, Reason::RunnerError),
        (None, None, Nobody, Reason::InvalidPod),
        (None, None, Timeout, Reason::TimedOut),
    ];
    for (result, exit, stopped_by, reason) in table {
        let outcome = of_run(&RunFacts {
            result,
            exit,
            stopped_by,
            ..RunFacts::default()
        });
        assert_eq!(outcome.reason, reason, "{result:?} {exit:?} {stopped_by:?}");
        assert!(outcome.exit_reason().is_some(), "{reason} ends a Job");
    }
}

#[test]
fn what_could_not_be_resumed_is_known_from_standard_error() {
    let of = |stderr| {
        of_run(&RunFacts {
            exit: Some(ProcessExit::Code(1)),
            stderr,
            ..RunFacts::default()
        })
        .reason
    };
    assert_eq!(
        of("No conversation found with session ID: x\n"),
        Reason::ResumeFailed
    );
    assert_eq!(
        of("Error: No deferred tool marker found in the resumed session."),
        Reason::ResumeFailed
    );
    assert_eq!(
        of("Error: Session ID x is already in use."),
        Reason::AgentCrashed
    );
    assert_eq!(
        of("rate limit"),
        Reason::AgentCrashed,
        "a warning is no outcome"
    );
}

#[test]
fn a_message_is_one_clean_bounded_line() {
    let noise = "\u{1b}[31mred\u{7}\r\n\u{202e}".repeat(1000);
    let said = Some(Clean::lines(&noise, usize::MAX));
    for line in [
        api_error(401, ""),
        failed("error_of_tomorrow", ""),
        failed("error_max_turns", ""),
    ] {
        let line = ResultLine {
            terminal_reason: said.clone(),
            error: said.clone(),
            ..line
        };
        for exit in [ProcessExit::Code(1), ProcessExit::Signal(9)] {
            let facts = RunFacts {
                result: Some(&line),
                exit: Some(exit),
                stderr: &noise,
                ..RunFacts::default()
            };
            let message = of_run(&facts).message;
            assert!(message.len() <= 512, "{message}");
            assert!(
                !message.contains(|c: char| c.is_control() || c == '\u{202e}'),
                "{message:?}"
            );
        }
    }
}

#[test]
fn a_message_says_what_happened_why_and_what_next() {
    let says = |result: Option<&ResultLine>, exit, stopped_by, stderr| {
        of_run(&RunFacts {
            result,
            exit: Some(exit),
            stopped_by,
            stderr,
            ..RunFacts::default()
        })
        .message
    };
    assert_eq!(
        says(
            Some(&api_error(401, "bad key")),
            ProcessExit::Code(1),
            StoppedBy::Nobody,
            ""
        ),
        "the API answered 401 to the agent's key (“bad key”): put a valid key in the Secret that spec.credentials of \
         the Agent names, then run a new Job"
    );
    assert_eq!(
        says(None, ProcessExit::Code(143), StoppedBy::Signal, ""),
        "the agent was stopped from outside and ended by SIGTERM without a result"
    );
    assert_eq!(
        says(
            Some(&good()),
            ProcessExit::Code(3),
            StoppedBy::Nobody,
            "Segmentation fault"
        ),
        "the agent gave a result, then ended with code 3 (“Segmentation fault”): see the end of its output for more, \
         then run a new Job"
    );
    assert_eq!(
        says(None, ProcessExit::Signal(9), StoppedBy::Nobody, ""),
        "the agent was ended by SIGKILL (not sent by the runner) without a result: see the end of its output for more, \
         then run a new Job"
    );
    assert_eq!(
        says(
            Some(&ResultLine {
                denied: 2,
                ..good()
            }),
            ProcessExit::Code(0),
            StoppedBy::Nobody,
            ""
        ),
        "the agent finished; tool calls that were denied: 2 (see spec.tools and spec.permissionMode of the Agent)"
    );
}

/// What a run comes to that the API's answer ended.
fn answered(status: impl Into<Option<u16>>, setup: Setup<'_>) -> Outcome {
    let line = api_error(status, "words of the CLI");
    of_run(&RunFacts {
        result: Some(&line),
        exit: Some(ProcessExit::Code(1)),
        setup,
        ..RunFacts::default()
    })
}

#[test]
fn a_404_names_the_model_where_it_was_set_and_the_url_that_was_given() {
    let url = |url: &str| BaseUrl::new(url, None);
    let (plain, with_version) = (
        url("https://me:s3cret@gw.example.com/claude"),
        url("https://gw.example.com/v1"),
    );
    for (model_of, base_url, reason, says) in [
        (
            None,
            None,
            Reason::ModelUnavailable,
            "set spec.model of the Agent",
        ),
        (
            Some(SetBy::Agent),
            None,
            Reason::ModelUnavailable,
            "correct spec.model of the Agent",
        ),
        (
            Some(SetBy::Job),
            None,
            Reason::ModelUnavailable,
            "another spec.model for the Job",
        ),
        (
            Some(SetBy::Agent),
            Some(&plain),
            Reason::ModelUnavailable,
            "correct ANTHROPIC_BASE_URL (https://gw.example.com/claude)",
        ),
        (
            Some(SetBy::Job),
            Some(&plain),
            Reason::ModelUnavailable,
            "another spec.model for the Job",
        ),
        (
            Some(SetBy::Agent),
            Some(&with_version),
            Reason::ApiError,
            "the API answered 404 at https://gw.example.com/v1 (“words of the CLI”): take /v1 off ANTHROPIC_BASE_URL",
        ),
        (
            None,
            Some(&with_version),
            Reason::ApiError,
            "correct spec.model",
        ),
    ] {
        let outcome = answered(
            404,
            Setup {
                model_of,
                base_url,
                ..Setup::default()
            },
        );
        assert_eq!(outcome.reason, reason, "{}", outcome.message);
        assert!(
            outcome.message.contains(says),
            "{says}: {}",
            outcome.message
        );
        assert!(!outcome.message.contains("s3cret"), "{}", outcome.message);
        let agents = outcome.message.contains("of the Agent") || base_url.is_some();
        assert!(
            agents || model_of == Some(SetBy::Job),
            "{}",
            outcome.message
        );
    }
}

#[test]
fn a_key_is_put_right_where_it_comes_from() {
    for (from, empty, what, next) in [
        (
            KeyFrom::Credentials,
            false,
            "answered 401",
            "spec.credentials",
        ),
        (
            KeyFrom::Credentials,
            true,
            "key is empty",
            "spec.credentials",
        ),
        (KeyFrom::Env, false, "answered 401", "key in spec.env"),
        (KeyFrom::Env, true, "key is empty", "key in spec.env"),
        (KeyFrom::Nothing, true, "has no key", "set spec.credentials"),
        (KeyFrom::Nothing, false, "answered 401", "agent.env"),
    ] {
        let key = Key { from, empty };
        let outcome = answered(
            401,
            Setup {
                key,
                ..Setup::default()
            },
        );
        assert_eq!(outcome.reason, Reason::AuthenticationFailed);
        for words in [what, next] {
            assert!(
                outcome.message.contains(words),
                "{key:?}: {}",
                outcome.message
            );
        }
    }
}

#[test]
fn an_error_of_the_api_names_its_own_cause() {
    let at = BaseUrl::new("http://gw.team-a.svc:8080", None);
    let setup = Setup {
        base_url: Some(&at),
        ..Setup::default()
    };
    for (status, says, says_not) in [
        (
            None,
            "the API at http://gw.team-a.svc:8080 could not be reached",
            "well again",
        ),
        (
            Some(400),
            "the API answered 400 at http://gw.team-a.svc:8080: it did not take",
            "well again",
        ),
        (
            Some(500),
            "run a new Job when the API is well again",
            "did not take",
        ),
    ] {
        let outcome = answered(status, setup);
        assert_eq!(outcome.reason, Reason::ApiError);
        assert!(
            outcome.message.contains(says),
            "{says}: {}",
            outcome.message
        );
        assert!(!outcome.message.contains(says_not), "{}", outcome.message);
    }
}
