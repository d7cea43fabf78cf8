//! What holds for a Job where its manifest says nothing: nobody writes defaults into a spec, so they are
//! shown here.

use crate::{
    api::{
        agent::{AgentSpec, OnDisruption},
        job::JobSpec,
    },
    cli::{time, view},
    plan::settings::{Deadlines, MAX_ATTEMPTS},
};

/// `timeout 1h (default)`, and so on.
pub fn effective(job: &JobSpec, agent: &AgentSpec) -> Vec<String> {
    let whence = |set| if set { "" } else { " (default)" };
    let mut told = Vec::new();
    if let Some(model) = job.model.as_ref().or(agent.model.as_ref()) {
        told.push(format!("model {model}"));
    }
    if let Ok(deadlines) = Deadlines::of(job, agent) {
        let own = [
            (
                "timeout",
                deadlines.timeout,
                job.timeout.is_some() || agent.timeout.is_some(),
            ),
            (
                "stallTimeout",
                deadlines.stall_timeout,
                agent.stall_timeout.is_some(),
            ),
            (
                "startDeadline",
                deadlines.start,
                agent.start_deadline.is_some(),
            ),
            (
                "cancelGrace",
                deadlines.cancel_grace,
                agent.cancel_grace.is_some(),
            ),
        ];
        told.extend(
            own.into_iter().map(|(name, value, set)| {
                format!("{name} {}{}", time::setting(value), whence(set))
            }),
        );
    }
    told.push(match agent.max_turns {
        Some(turns) => format!("maxTurns {turns}"),
        None => "maxTurns no limit".into(),
    });
    told.push(match agent.max_budget_usd {
        Some(dollars) => format!("maxBudgetUSD {}", view::budget(dollars)),
        None => "maxBudgetUSD no limit".into(),
    });
    let on_disruption = match agent.on_disruption.unwrap_or_default() {
        OnDisruption::Resume => "resume",
        OnDisruption::Fail => "fail",
    };
    told.push(format!(
        "onDisruption {on_disruption}{}",
        whence(agent.on_disruption.is_some())
    ));
    told.push(format!(
        "maxAttempts {}{}",
        agent.max_attempts.unwrap_or(MAX_ATTEMPTS),
        whence(agent.max_attempts.is_some())
    ));
    let schema = job.output_schema.as_ref().or(agent.output_schema.as_ref());
    told.extend(
        schema.map(|schema| format!("outputSchema of {}", view::bytes(schema.len() as u64))),
    );
    told
}

/// What nothing bounds but the time: a run may cost whatever it can spend until its timeout.
pub fn missing(agent: &AgentSpec) -> Option<&'static str> {
    match (agent.max_turns, agent.max_budget_usd) {
        (None, None) => Some(
            "only the timeout limits what a run may cost: set maxTurns or maxBudgetUSD of the Agent",
        ),
        (Some(_), None) | (_, Some(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_nothing_but_time_bounds_is_told() {
        let with = |max_turns, max_budget_usd| {
            missing(&AgentSpec {
                max_turns,
                max_budget_usd,
                ..AgentSpec::default()
            })
        };
        assert!(with(None, None).is_some_and(|words| words.contains("maxBudgetUSD")));
        assert_eq!(with(Some(1), None), None);
        assert_eq!(with(None, Some(0.5)), None);
    }

    #[test]
    fn what_was_set_is_told_apart_from_defaults() {
        let agent = AgentSpec {
            timeout: Some("90m".into()),
            max_budget_usd: Some(2.0),
            max_attempts: Some(5),
            ..AgentSpec::default()
        };
        let job = JobSpec {
            model: Some("sonnet".into()),
            output_schema: Some("{}".into()),
            ..JobSpec::default()
        };
        let told = effective(&job, &agent).join(", ");
        assert!(
            told.starts_with("model sonnet, timeout 1h30m, stallTimeout 10m (default)"),
            "{told}"
        );
        assert!(
            told.ends_with(
                "maxTurns no limit, maxBudgetUSD $2.00, onDisruption resume (default), maxAttempts 5, outputSchema of 2 bytes"
            ),
            "{told}"
        );
    }
}
