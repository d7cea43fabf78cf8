//! A Job as people look at it. It is read field by field: a cluster that is newer than this program may
//! say things it has no type for, and a list must not fail for one of them.

use chrono::{DateTime, TimeDelta, Utc};
use kube::api::DynamicObject;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    exit::Exit,
    style::{Colour, Sign, Style},
    time,
};
use crate::api::{
    agent::AgentSpec,
    job::{Attempt, Condition, JobSpec},
    reason::{ExitReason, Phase, Reason},
    record::Output,
    text::Clean,
    verdict::Text,
};

/// What names of minted Jobs begin with.
pub const MINTED: &str = "job-";
/// So much of a minted name tells Jobs apart for people.
const SHORT: usize = 8;
/// A message is a sentence or two.
const MAX_TEXT: usize = 2048;

/// A Job as the API server gave it, but for what only an API server reads.
#[derive(Clone, Debug, PartialEq)]
pub struct JobView(pub DynamicObject);

impl From<DynamicObject> for JobView {
    /// Who wrote which field is left out, as kubectl leaves it out: it is longer than the Job.
    fn from(mut object: DynamicObject) -> Self {
        object.metadata.managed_fields = None;
        JobView(object)
    }
}

impl JobView {
    pub fn name(&self) -> &str {
        self.0.metadata.name.as_deref().unwrap_or_default()
    }

    pub fn namespace(&self) -> &str {
        self.0.metadata.namespace.as_deref().unwrap_or_default()
    }

    pub fn created(&self) -> Option<DateTime<Utc>> {
        created(&self.0.metadata)
    }

    /// A text of the Job, as one clean line; empty where there is none.
    pub fn text(&self, pointer: &str) -> String {
        match self.0.data.pointer(pointer) {
            Some(Value::String(text)) => Clean::line(text, MAX_TEXT).into(),
            Some(Value::Null) | None => String::new(),
            Some(other) => Clean::line(&other.to_string(), MAX_TEXT).into(),
        }
    }

    /// A field of a type of ours, where there is one and it can be read.
    pub fn field<T: DeserializeOwned>(&self, pointer: &str) -> Option<T> {
        T::deserialize(self.0.data.pointer(pointer)?).ok()
    }

    pub fn phase(&self) -> Option<Phase> {
        self.field("/status/phase")
    }

    /// The phase in a word; a Job that nobody has looked at yet is pending.
    pub fn phase_word(&self) -> String {
        let word = self.text("/status/phase");
        if word.is_empty() {
            Phase::Pending.to_string()
        } else {
            word
        }
    }

    /// Phase, exit reason and reason, in the fewest words.
    pub fn outcome(&self) -> String {
        let exit_reason = self.text("/status/exitReason");
        outcome(
            &self.phase_word(),
            &exit_reason,
            &self.text("/status/reason"),
        )
    }

    /// The reason, where it says more than the phase.
    pub fn telling_reason(&self) -> String {
        let reason = self.text("/status/reason");
        if says_the_same(&self.phase_word(), &reason) {
            return String::new();
        }
        reason
    }

    pub fn is_final(&self) -> bool {
        self.phase().is_some_and(Phase::is_final)
    }

    pub fn reason(&self) -> Option<Reason> {
        self.field("/status/reason")
    }

    /// Paused: it waits to be resumed. Its last pod may still be about to go, see [`JobView::rests`].
    pub fn is_suspended(&self) -> bool {
        self.phase() == Some(Phase::Pending) && self.reason() == Some(Reason::Suspended)
    }

    /// Paused, and none of its attempts continues.
    pub fn rests(&self) -> bool {
        let over = |attempt: &Attempt| attempt.outcome.is_some();
        self.is_suspended() && self.attempt().is_none_or(|attempt| over(&attempt))
    }

    /// Somebody wants it paused.
    pub fn is_to_pause(&self) -> bool {
        self.field("/spec/suspend") == Some(true)
    }

    /// Somebody wants it stopped.
    pub fn is_to_stop(&self) -> bool {
        self.field("/spec/cancel") == Some(true)
    }

    pub fn is_being_deleted(&self) -> bool {
        self.0.metadata.deletion_timestamp.is_some()
    }

    pub fn exit_reason(&self) -> Option<ExitReason> {
        self.field("/status/exitReason")
    }

    /// The exit code for its end; none while it continues.
    pub fn exit(&self) -> Option<Exit> {
        let phase = self.phase().filter(|phase| phase.is_final())?;
        Some(Exit::of_job(phase, self.exit_reason()))
    }

    pub fn agent(&self) -> String {
        self.text("/spec/agent")
    }

    pub fn spec(&self) -> Option<JobSpec> {
        self.field("/spec")
    }

    /// The Agent's spec as it was captured with the first attempt.
    pub fn captured_agent(&self) -> Option<AgentSpec> {
        self.field("/status/agent/spec")
    }

    pub fn attempts(&self) -> Vec<Attempt> {
        self.field("/status/attempts").unwrap_or_default()
    }

    /// The attempt that counts: the one with the highest number.
    pub fn attempt(&self) -> Option<Attempt> {
        let attempts = self.attempts();
        attempts.into_iter().max_by_key(|attempt| attempt.number)
    }

    pub fn conditions(&self) -> Vec<Condition> {
        let all: Vec<Value> = self.field("/status/conditions").unwrap_or_default();
        all.iter()
            .filter_map(|condition| serde::Deserialize::deserialize(condition).ok())
            .collect()
    }

    pub fn output(&self) -> Option<Output> {
        self.field("/status/output")
    }

    pub fn result(&self) -> Option<Text> {
        self.field("/status/result")
    }

    pub fn started(&self) -> Option<DateTime<Utc>> {
        self.field("/status/startedAt")
    }

    pub fn completed(&self) -> Option<DateTime<Utc>> {
        self.field("/status/completedAt")
    }

    /// How long the agent took, or takes by now.
    pub fn took(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        Some(self.completed().unwrap_or(now) - self.started()?)
    }

    /// `4 turns`.
    pub fn turns(&self) -> String {
        self.field("/status/progress/turns")
            .map(turns)
            .unwrap_or_default()
    }

    /// `$0.06`.
    pub fn cost(&self) -> String {
        self.field("/status/progress/costUSD")
            .map(cost)
            .unwrap_or_default()
    }

    pub fn sign(&self, style: Style) -> String {
        sign(style, self.phase().unwrap_or(Phase::Pending))
    }

    /// `running for 2m04s`, `completed 5m ago`: for a line beside others.
    pub fn in_passing(&self, now: DateTime<Utc>) -> String {
        let phase = self.phase_word();
        let since = |time: Option<DateTime<Utc>>| time.map(|time| now - time);
        match self.phase() {
            Some(phase) if phase.is_final() => match since(self.completed()) {
                Some(old) => format!("{phase} {} ago", time::age(old)),
                None => phase.to_string(),
            },
            Some(Phase::Running) => match since(self.started()) {
                Some(old) => lasting("running", old),
                None => phase,
            },
            _ if self.is_suspended() => {
                match since(self.attempt().and_then(|attempt| attempt.ended)) {
                    Some(old) => lasting("suspended", old),
                    None => "suspended".into(),
                }
            }
            _ => match since(self.created()) {
                Some(old) => lasting(&phase, old),
                None => phase,
            },
        }
    }
}

/// What has only just begun, also by a clock that is behind, has no length yet.
fn lasting(state: &str, old: TimeDelta) -> String {
    if old < TimeDelta::seconds(1) {
        return state.to_owned();
    }
    format!("{state} for {}", time::span(old))
}

pub fn created(metadata: &kube::api::ObjectMeta) -> Option<DateTime<Utc>> {
    let created = metadata.creation_timestamp.as_ref()?;
    DateTime::from_timestamp_millis(created.0.as_millisecond())
}

/// Several Jobs as one object, as kubectl wraps them.
pub fn as_list(jobs: &[JobView]) -> Value {
    let items: Vec<_> = jobs.iter().map(|job| &job.0).collect();
    json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items})
}

/// The UUID in a name that was minted; none in one that a person chose.
pub fn uuid(name: &str) -> Option<&str> {
    let id = name.strip_prefix(MINTED)?;
    (id.len() == 36 && Uuid::try_parse(id).is_ok()).then_some(id)
}

/// The name as people type it: of a minted one the first letters of its UUID.
pub fn short(name: &str) -> &str {
    uuid(name).map_or(name, |id| &id[..SHORT])
}

/// The phase's mark, in its colour.
pub fn sign(style: Style, phase: Phase) -> String {
    let (sign, colour) = match phase {
        Phase::Pending => (Sign::Pending, Colour::Dim),
        Phase::Running => (Sign::Running, Colour::Cyan),
        Phase::Completed => (Sign::Done, Colour::Green),
        Phase::Failed => (Sign::Failed, Colour::Red),
        Phase::Cancelled => (Sign::Cancelled, Colour::Yellow),
    };
    style.paint(colour, style.sign(sign))
}

/// `failed error MaxTurns`, `completed success`, `cancelled`: nothing is said twice.
pub fn outcome(phase: &str, exit_reason: &str, reason: &str) -> String {
    let only = ExitReason::ManualCancel.to_string();
    let implied = phase == Phase::Cancelled.to_string() && exit_reason == only;
    let exit_reason = if implied { "" } else { exit_reason };
    let reason = if says_the_same(phase, reason) {
        ""
    } else {
        reason
    };
    let words = [phase, exit_reason, reason];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// A Job that runs works, and one that was cancelled was cancelled.
fn says_the_same(phase: &str, reason: &str) -> bool {
    let working = phase == Phase::Running.to_string() && reason == Reason::Working.to_string();
    working || phase.eq_ignore_ascii_case(reason)
}

/// `1 Job`, `2 Jobs`.
pub fn count(number: u64, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

pub fn turns(turns: u64) -> String {
    count(turns, "turn")
}

/// `1 line`.
pub fn lines(lines: u64) -> String {
    count(lines, "line")
}

/// The beginning of a digest, by which people know it.
pub fn digest(sha256: &str) -> String {
    const SHOWN: usize = 12;
    Clean::line(sha256, 64).chars().take(SHOWN).collect()
}

/// Dollars to the cent, everywhere: figures below each other are compared.
pub fn cost(dollars: f64) -> String {
    if dollars > 0.0 && dollars < 0.01 {
        return "<$0.01".into();
    }
    format!("${dollars:.2}")
}

/// Dollars as somebody set them: with cents, and more where there are more.
pub fn budget(dollars: f64) -> String {
    let exact = dollars.to_string();
    let decimals = exact.split_once('.').map_or(0, |(_, rest)| rest.len());
    match decimals {
        0..2 => format!("${dollars:.2}"),
        _ => format!("${exact}"),
    }
}

/// `12.3 KiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64;
    let mut unit = None;
    for next in UNITS {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = Some(next);
    }
    match unit {
        None => count(bytes, "byte"),
        Some(unit) => format!("{size:.1} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(status: Value) -> JobView {
        let object = json!({"apiVersion": "herdctl.dev/v1alpha1", "kind": "Job",
            "metadata": {"name": "a"}, "spec": {"agent": "x"}, "status": status});
        JobView(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn words_of_a_newer_cluster_are_shown_as_they_are() {
        let job = view(json!({"phase": "pondering", "reason": "Thinking", "attempts": "?"}));
        assert_eq!(job.phase_word(), "pondering");
        assert_eq!(job.text("/status/reason"), "Thinking");
        assert_eq!((job.phase(), job.attempts().len()), (None, 0));
    }

    #[test]
    fn an_outcome_says_nothing_twice() {
        for (phase, exit_reason, reason, told) in [
            ("completed", "success", "Completed", "completed success"),
            ("failed", "error", "MaxTurns", "failed error MaxTurns"),
            ("cancelled", "manual_cancel", "Cancelled", "cancelled"),
            (
                "cancelled",
                "manual_cancel",
                "AgentDeleted",
                "cancelled AgentDeleted",
            ),
            ("pending", "", "Suspended", "pending Suspended"),
            ("running", "", "Working", "running"),
            ("running", "", "Cancelling", "running Cancelling"),
            ("pending", "", "", "pending"),
        ] {
            assert_eq!(outcome(phase, exit_reason, reason), told);
        }
    }

    #[test]
    fn who_wrote_which_field_is_left_out() {
        let object = json!({"apiVersion": "herdctl.dev/v1alpha1", "kind": "Job",
            "metadata": {"name": "a", "managedFields": [{"manager": "herdctl"}]}});
        let job = JobView::from(serde_json::from_value::<DynamicObject>(object).unwrap());
        assert_eq!(job.0.metadata.managed_fields, None);
    }

    #[test]
    fn a_job_nobody_has_looked_at_is_pending() {
        assert_eq!(view(Value::Null).phase_word(), "pending");
        assert_eq!(view(Value::Null).exit(), None);
    }

    #[test]
    fn an_end_tells_its_exit_code() {
        let job = view(json!({"phase": "failed", "exitReason": "timeout"}));
        assert_eq!(job.exit(), Some(Exit::Timeout));
    }

    #[test]
    fn a_suspended_job_is_not_pending_in_words() {
        let ended = "2026-01-02T03:04:05Z";
        let mut status = json!({"phase": "pending", "reason": "Suspended"});
        let now = "2026-01-02T03:06:05Z".parse().unwrap();
        assert_eq!(view(status.clone()).in_passing(now), "suspended");
        status["attempts"] =
            json!([{"number": 1, "pod": "a-1", "intended": ended, "ended": ended}]);
        assert_eq!(view(status.clone()).in_passing(now), "suspended for 2m");
        let just_then = ended.parse().unwrap();
        assert_eq!(view(status).in_passing(just_then), "suspended");
    }

    #[test]
    fn only_minted_names_are_shortened() {
        let name = "job-7f3c0a1b-0000-4000-8000-000000000000";
        assert_eq!(short(name), "7f3c0a1b");
        for chosen in [
            "job-nightly",
            "job-nightly0-of-the-reviewer-for-team-aaaaaa-1",
        ] {
            assert_eq!(short(chosen), chosen);
        }
    }

    #[test]
    fn figures_are_short() {
        assert_eq!((turns(1), turns(4)), ("1 turn".into(), "4 turns".into()));
        assert_eq!(
            (cost(0.064), cost(0.0016), cost(0.0)),
            ("$0.06".into(), "<$0.01".into(), "$0.00".into())
        );
        assert_eq!(
            (budget(2.0), budget(0.5), budget(0.005)),
            ("$2.00".into(), "$0.50".into(), "$0.005".into())
        );
        assert_eq!(
            (bytes(1023), bytes(12_595)),
            ("1023 bytes".into(), "12.3 KiB".into())
        );
        assert_eq!(
            (bytes(1), count(2, "Job")),
            ("1 byte".into(), "2 Jobs".into())
        );
    }
}
