//! Limits are the Job's: an attempt gets what the earlier ones have left of timeout, turns and budget.
//! Time in which no agent ran, suspended or between two pods, does not count.

use std::time::Duration;

use crate::{
    api::{agent::AgentSpec, job::Attempt, reason::Reason},
    plan::{outcome::Outcome, settings::Deadlines},
};

/// What the attempts before this one used, as far as they could tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Used {
    pub time: Duration,
    pub turns: u64,
    pub cost_usd: f64,
}

impl Used {
    /// By the attempts with a lower number than this.
    pub(super) fn before(number: u32, attempts: &[Attempt]) -> Self {
        let earlier = attempts.iter().filter(|attempt| attempt.number < number);
        earlier.fold(Used::default(), |used, attempt| Used {
            time: used.time + ran(attempt),
            turns: used.turns.saturating_add(attempt.turns.unwrap_or_default()),
            cost_usd: used.cost_usd + attempt.cost_usd.unwrap_or_default(),
        })
    }

    /// Agent and deadlines with what is left; the Job's outcome where nothing is.
    pub(super) fn left_of(
        self,
        agent: &AgentSpec,
        deadlines: Deadlines,
    ) -> Result<(AgentSpec, Deadlines), Outcome> {
        let timeout = deadlines.timeout.saturating_sub(self.time);
        if timeout.is_zero() {
            return Err(spent(Reason::TimedOut, "timeout"));
        }
        let used = u32::try_from(self.turns).unwrap_or(u32::MAX);
        let max_turns = agent.max_turns.map(|most| most.saturating_sub(used));
        if max_turns == Some(0) {
            return Err(spent(Reason::MaxTurns, "maxTurns"));
        }
        let max_budget_usd = agent.max_budget_usd.map(|most| most - self.cost_usd);
        if max_budget_usd.is_some_and(|left| left <= 0.0) {
            return Err(spent(Reason::BudgetExceeded, "maxBudgetUSD"));
        }
        let agent = AgentSpec {
            max_turns,
            max_budget_usd,
            ..agent.clone()
        };
        Ok((
            agent,
            Deadlines {
                timeout,
                ..deadlines
            },
        ))
    }
}

fn ran(attempt: &Attempt) -> Duration {
    let (Some(from), Some(to)) = (attempt.started, attempt.ended) else {
        return Duration::ZERO;
    };
    (to - from).to_std().unwrap_or_default()
}

fn spent(reason: Reason, limit: &str) -> Outcome {
    Outcome {
        reason,
        message: format!(
            "the attempts so far used all that {limit} allows, so no other was started: raise it, and continue the session with herdctl jobs resume"
        ),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn attempt(number: u32, ran: Option<(i64, i64)>, turns: u64, cost_usd: f64) -> Attempt {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        Attempt {
            number,
            started: ran.map(|(from, _)| at(from)),
            ended: ran.map(|(_, to)| at(to)).or(Some(at(999))),
            turns: Some(turns),
            cost_usd: Some(cost_usd),
            ..Attempt::default()
        }
    }

    fn deadlines(timeout: u64) -> Deadlines {
        Deadlines {
            timeout: Duration::from_secs(timeout),
            stall_timeout: Duration::from_secs(7),
            start: Duration::from_secs(8),
            cancel_grace: Duration::from_secs(9),
        }
    }

    #[test]
    fn what_earlier_attempts_used_is_added_up_and_the_time_between_them_is_not() {
        let attempts = [
            attempt(1, Some((100, 130)), 3, 0.5),
            attempt(2, None, 0, 0.0),
            attempt(3, Some((500, 510)), 2, 0.25),
            attempt(4, Some((700, 900)), 99, 99.0),
        ];
        let used = Used::before(4, &attempts);
        assert_eq!(
            used,
            Used {
                time: Duration::from_secs(40),
                turns: 5,
                cost_usd: 0.75
            }
        );
        assert_eq!(Used::before(1, &attempts), Used::default());
    }

    #[test]
    fn an_attempt_gets_what_is_left_and_a_job_that_has_nothing_left_ends() {
        let agent = AgentSpec {
            max_turns: Some(5),
            max_budget_usd: Some(1.0),
            ..AgentSpec::default()
        };
        let used = |time, turns, cost_usd| Used {
            time: Duration::from_secs(time),
            turns,
            cost_usd,
        };
        let (left, until) = used(40, 3, 0.75).left_of(&agent, deadlines(60)).unwrap();
        assert_eq!((left.max_turns, left.max_budget_usd), (Some(2), Some(0.25)));
        assert_eq!(until, deadlines(20));
        let reason = |used: Used, agent: &AgentSpec| {
            let left = used.left_of(agent, deadlines(60));
            left.err().map(|outcome| outcome.reason)
        };
        for (used, expected) in [
            (used(60, 0, 0.0), Reason::TimedOut),
            (used(90, 9, 9.0), Reason::TimedOut),
            (used(0, 5, 0.0), Reason::MaxTurns),
            (used(0, u64::MAX, 0.0), Reason::MaxTurns),
            (used(0, 0, 1.0), Reason::BudgetExceeded),
            (used(0, 0, 1.5), Reason::BudgetExceeded),
        ] {
            assert_eq!(reason(used, &agent), Some(expected), "{used:?}");
        }
        assert_eq!(reason(used(59, 999, 99.0), &AgentSpec::default()), None);
    }
}
