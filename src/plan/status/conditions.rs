//! The conditions of a Job, which follow from the rest of its status.

use chrono::{DateTime, Utc};

use crate::api::{
    job::{Condition, ConditionStatus, ConditionType, JobStatus},
    reason::Phase,
};

/// Sets the conditions that follow from a status. `Complete` and `Failed` appear only when true, since
/// tools look at their presence; a condition keeps its time until its status changes. Its message is there
/// only where it tells what holds now: a text from earlier would not be true any more.
pub(super) fn with_conditions(mut status: JobStatus, now: DateTime<Utc>) -> JobStatus {
    let started = status.started_at.is_some();
    let phase = status.phase.unwrap_or(Phase::Pending);
    let failed = matches!(phase, Phase::Failed | Phase::Cancelled);
    let mut wanted = vec![
        (ConditionType::Started, started),
        (ConditionType::Finished, phase.is_final()),
        (ConditionType::Reconciling, phase == Phase::Pending),
    ];
    if phase == Phase::Completed {
        wanted.push((ConditionType::Complete, true));
    }
    if failed {
        wanted.push((ConditionType::Failed, true));
    }
    if phase == Phase::Failed {
        wanted.push((ConditionType::Stalled, true));
    }
    let reason = status
        .reason
        .map(|reason| reason.to_string())
        .unwrap_or_default();
    let message = status.message.clone();
    let theirs: Vec<Condition> = status
        .conditions
        .iter()
        .filter(|it| it.type_.is_the_stores())
        .cloned()
        .collect();
    let ours: Vec<Condition> = wanted
        .into_iter()
        .map(|(type_, holds)| {
            let value = if holds {
                ConditionStatus::True
            } else {
                ConditionStatus::False
            };
            let old = status
                .conditions
                .iter()
                .find(|it| it.type_ == type_ && it.status == value);
            // What a Job waits for changes while it waits; all else is said once.
            let waits = type_ == ConditionType::Reconciling && holds;
            if let Some(old) = old.filter(|_| !waits) {
                return old.clone();
            }
            let tells = holds && type_ != ConditionType::Started;
            Condition {
                type_,
                status: value,
                reason: reason.clone(),
                message: message.clone().filter(|_| tells).unwrap_or_default(),
                last_transition_time: old.map_or(now, |old| old.last_transition_time),
            }
        })
        .collect();
    status.conditions = ours.into_iter().chain(theirs).collect();
    status
}
