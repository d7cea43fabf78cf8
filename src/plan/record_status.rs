//! Which patch brings a Job's status to what the store knows of its record. Always a JSON Patch that
//! begins with a test of the Job's UID: a UID in a merge or apply patch on `/status` protects nothing. What
//! speaks of an attempt tests that attempt too, and an element of a list is changed only where it was seen.

use chrono::{DateTime, Utc};
use json_patch::PatchOperation;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    json_patch::{add, replace, test},
    seal::Intact,
};
use crate::api::{
    job::{Attempt, Condition, ConditionStatus, ConditionType, Job, JobStatus},
    record::{Output, Progress, Report},
    text::Clean,
};

/// Longest message of a condition.
const MAX_MESSAGE_BYTES: usize = 1024;

/// What the store knows of a Job's record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    pub report: Option<Report>,
    pub progress: Option<Progress>,
    pub output: Option<Output>,
    pub intact: Option<Intact>,
    pub flow: Flow,
}

/// Whether there is room for the record's output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    #[default]
    Unknown,
    Flowing,
    /// With why.
    Stalled(String),
}

/// A patch of the subresource `status`.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    pub operations: Vec<PatchOperation>,
    /// More than how far the run is.
    pub urgent: bool,
}

/// The next patch; none when the status says all that is known. The report goes out without conditions,
/// whose tests fail more easily.
pub fn next_write(job: &Job, known: &Known, now: DateTime<Utc>) -> Option<Write> {
    let status = job.status.as_ref()?;
    let identity = vec![test(["metadata", "uid"], json!(job.metadata.uid))];
    let report = report(status, known);
    let growth = growth(status, known);
    if !report.is_empty() {
        return Some(Write {
            operations: [identity, report, growth].concat(),
            urgent: true,
        });
    }
    let conditions = conditions(job, status, known, now);
    if growth.is_empty() && conditions.is_empty() {
        return None;
    }
    let sealed = known.output.as_ref().is_some_and(|it| it.sealed.is_some());
    Some(Write {
        urgent: sealed || !conditions.is_empty(),
        operations: [identity, growth, conditions].concat(),
    })
}

/// Nothing where the status has it, has that of a later attempt, or knows the attempt's pod as another.
fn report(status: &JobStatus, known: &Known) -> Vec<PatchOperation> {
    let Some(report) = &known.report else {
        return Vec::new();
    };
    let told = status.report.as_ref();
    if told.is_some_and(|told| {
        told.attempt > report.attempt || (told.attempt, &told.uid) == (report.attempt, &report.uid)
    }) {
        return Vec::new();
    }
    let of_it = |attempt: &Attempt| {
        attempt.number == report.attempt
            && attempt.uid.as_ref().is_none_or(|uid| *uid == report.uid)
    };
    let Some(place) = status.attempts.iter().position(of_it) else {
        return Vec::new();
    };
    let index = place.to_string();
    let of_attempt = |field, value| test(["status", "attempts", index.as_str(), field], value);
    let mut operations = vec![of_attempt("number", json!(report.attempt))];
    if status
        .attempts
        .get(place)
        .is_some_and(|it| it.uid.is_some())
    {
        operations.push(of_attempt("uid", json!(report.uid)));
    }
    operations.push(add(["status", "report"], value(report)));
    operations
}

/// How far the run is. What is sealed is not told otherwise any more.
fn growth(status: &JobStatus, known: &Known) -> Vec<PatchOperation> {
    let mut operations = Vec::new();
    if let Some(progress) = &known.progress
        && status.progress.as_ref() != Some(progress)
    {
        operations.push(add(["status", "progress"], value(progress)));
    }
    if let Some(output) = &known.output
        && status.output.as_ref() != Some(output)
        && !status.is_sealed()
    {
        operations.push(add(["status", "output"], value(output)));
    }
    operations
}

fn conditions(
    job: &Job,
    status: &JobStatus,
    known: &Known,
    now: DateTime<Utc>,
) -> Vec<PatchOperation> {
    let wanted = [output_intact(known), output_stalled(status, known)];
    let mut operations = Vec::new();
    let mut new = Vec::new();
    for said in wanted.into_iter().flatten() {
        match place_of(status, said.type_) {
            None => new.push(said.since(now)),
            Some((place, old)) => operations.extend(said.over(place, old, now)),
        }
    }
    if new.is_empty() {
        return operations;
    }
    // Where a list ends is known only of the version that was seen.
    operations.insert(
        0,
        test(
            ["metadata", "resourceVersion"],
            json!(job.metadata.resource_version),
        ),
    );
    if status.conditions.is_empty() {
        operations.push(add(["status", "conditions"], value(&new)));
    } else {
        let appended = |condition| add(["status", "conditions", "-"], value(&condition));
        operations.extend(new.into_iter().map(appended));
    }
    operations
}

/// A condition but for its time.
struct Said {
    type_: ConditionType,
    status: ConditionStatus,
    reason: &'static str,
    message: String,
}

impl Said {
    fn since(self, time: DateTime<Utc>) -> Condition {
        Condition {
            type_: self.type_,
            status: self.status,
            reason: self.reason.to_owned(),
            message: Clean::line(&self.message, MAX_MESSAGE_BYTES),
            last_transition_time: time,
        }
    }

    /// Takes the place of the old one, unless that says the same; its time stays while its status does.
    fn over(self, place: usize, old: &Condition, now: DateTime<Utc>) -> Vec<PatchOperation> {
        let same = old.status == self.status;
        let new = self.since(if same { old.last_transition_time } else { now });
        if new == *old {
            return Vec::new();
        }
        let place = place.to_string();
        vec![
            test(["status", "conditions", &place, "type"], value(&old.type_)),
            replace(["status", "conditions", &place], value(&new)),
        ]
    }
}

fn output_intact(known: &Known) -> Option<Said> {
    let (status, reason, message) = match known.intact.as_ref()? {
        Intact::Sealed => (
            ConditionStatus::True,
            "Sealed",
            "the record is sealed and holds all that the runner recorded".to_owned(),
        ),
        Intact::Missing(bytes) => (
            ConditionStatus::False,
            "Missing",
            format!("{bytes} bytes that the runner recorded never reached the output store"),
        ),
        Intact::NoVerdict => (
            ConditionStatus::Unknown,
            "NoVerdict",
            "the runner had no last word, so nobody can tell whether all that it recorded arrived"
                .to_owned(),
        ),
        Intact::Altered(how) => (ConditionStatus::False, "Altered", how.clone()),
    };
    Some(Said {
        type_: ConditionType::OutputIntact,
        status,
        reason,
        message,
    })
}

/// That output flows is worth a word only after it did not.
fn output_stalled(status: &JobStatus, known: &Known) -> Option<Said> {
    let type_ = ConditionType::OutputStalled;
    match &known.flow {
        Flow::Unknown => None,
        Flow::Flowing => place_of(status, type_).map(|_| Said {
            type_,
            status: ConditionStatus::False,
            reason: "Resumed",
            message: "the output store takes output again".to_owned(),
        }),
        Flow::Stalled(why) => Some(Said {
            type_,
            status: ConditionStatus::True,
            reason: "StoreFull",
            message: why.clone(),
        }),
    }
}

fn place_of(status: &JobStatus, type_: ConditionType) -> Option<(usize, &Condition)> {
    let mut conditions = status.conditions.iter().enumerate();
    conditions.find(|(_, condition)| condition.type_ == type_)
}

/// Our own types always become JSON.
fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

#[cfg(test)]
mod tests;
