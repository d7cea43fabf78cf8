//! The Job: one run of an Agent, with exactly one outcome. The spec is a request that hardly changes,
//! the status is the operator's word on it.

use chrono::{DateTime, Utc};
use kube::{CustomResource, KubeSchema, core::Rule};
use serde::{Deserialize, Serialize};

use super::{
    agent::{
        AgentSpec, MAX_PROMPT_BYTES, MAX_SCHEMA_BYTES, prompt_bytes_rule, schema_bytes_rule,
        schema_object_rule,
    },
    duration::DurationText,
    reason::{ExitReason, Phase, Reason},
    record::{Output, Progress, Report},
    text::Clean,
    verdict::Text,
};

/// Keeps a Job until its pod is gone for good.
pub const JOB_FINALIZER: &str = "herdctl.dev/record";
/// Keeps a pod object until the outcome of its attempt stands in the Job's status.
pub const POD_FINALIZER: &str = "herdctl.dev/job-tracking";
/// The pod's annotation with the certificates by which its sidecar knows the output store. The kubelet
/// makes a file of it, so that new ones reach a pod that runs.
pub const STORE_CA_ANNOTATION: &str = "herdctl.dev/store-ca";

/// As many attempts as a status has room for, whatever ended them.
pub const MOST_ATTEMPTS: u32 = 64;

/// One run of an Agent. Apply it, and a pod runs the Claude CLI; the status tells how it goes and why
/// it ended.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "herdctl.dev",
    version = "v1alpha1",
    kind = "Job",
    plural = "jobs",
    namespaced,
    shortname = "hj",
    category = "herd",
    derive = "PartialEq",
    status = "JobStatus",
    doc = "One run of an Agent, with exactly one outcome. Apply it, and a pod runs the Claude CLI; the status tells how it goes and why it ended.",
    validation = final_phase_rule(),
    validation = resume_prompt_rule(),
    validation = suspend_rule(),
    selectable = ".spec.agent",
    selectable = ".status.phase",
    selectable = ".status.exitReason",
    selectable = ".status.reason",
    selectable = ".status.sessionId",
    printcolumn(name = "STATUS", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "EXIT", type_ = "string", json_path = ".status.exitReason"),
    printcolumn(name = "REASON", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "AGENT", type_ = "string", json_path = ".spec.agent"),
    printcolumn(name = "TURNS", type_ = "integer", json_path = ".status.progress.turns"),
    printcolumn(name = "COST", type_ = "number", json_path = ".status.progress.costUSD"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "SESSION", type_ = "string", json_path = ".status.sessionId", priority = "1"),
    printcolumn(name = "POD", type_ = "string", json_path = ".status.attempts[-1:].pod", priority = "1"),
    printcolumn(name = "STARTED", type_ = "date", json_path = ".status.startedAt", priority = "1"),
    printcolumn(name = "DURATION", type_ = "string", json_path = ".status.duration", priority = "1"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = immutable("agent"),
    validation = immutable("prompt"),
    validation = immutable("model"),
    validation = immutable("timeout"),
    validation = immutable("outputSchema"),
    validation = immutable("resume"),
    validation = cancel_rule()
)]
pub struct JobSpec {
    /// The name of the Agent to run, in the same namespace. A Job whose Agent does not exist yet waits
    /// for it.
    #[schemars(
        length(min = 1, max = 52),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub agent: String,
    /// What the agent is to do. Claude Code takes a prompt that begins with / for one of its own commands,
    /// which may end without asking the model: begin with a word. At most 98304 bytes. Default: the Agent's
    /// prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_PROMPT_BYTES))]
    #[x_kube(validation = prompt_bytes_rule())]
    pub prompt: Option<String>,
    /// The model of this run. Default: the Agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 256),
        regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]*$")
    )]
    pub model: Option<String>,
    /// The longest time that this run may take, for example 90s or 1h30m. Default: the Agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationText>,
    /// The JSON Schema that the agent's result must meet, as JSON text of at most 32768 bytes. Default:
    /// the Agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = MAX_SCHEMA_BYTES))]
    #[x_kube(validation = schema_bytes_rule(), validation = schema_object_rule())]
    pub output_schema: Option<String>,
    /// The finished Job whose session this one continues, in a copy: several Jobs may continue the same one.
    /// Default: a session of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<ResumeFrom>,
    /// True: stop the agent gently and keep its session; the Job is pending with reason Suspended until
    /// this is false or unset again, then a new attempt continues the session. Can't be set once the Job
    /// has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// What to tell the agent when a suspended Job goes on; one that had not begun is told it after its
    /// prompt. Can be set or changed only by the change that ends the suspension. At most 98304 bytes.
    /// Default: a short note that it was paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_PROMPT_BYTES))]
    #[x_kube(validation = prompt_bytes_rule())]
    pub resume_prompt: Option<String>,
    /// True: stop the run; the Job ends as cancelled. Can't be taken back, and changes nothing once the
    /// Job has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<bool>,
}

/// The finished Job whose session another one continues.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResumeFrom {
    /// Its name, in the same namespace.
    #[schemars(
        length(min = 1, max = 52),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub job: String,
    /// Continue the session although the other Job ran another Agent, or an earlier one of the same name. The
    /// session holds what that Agent saw. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub across_agents: Option<bool>,
}

/// A Job asks for one run; to ask for something else is another Job.
fn immutable(field: &str) -> Rule {
    Rule::new(format!(
        "has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
    ))
    .message(format!("{field} can't be changed: a Job is one run; create another Job instead").as_str())
    .field_path(format!(".{field}"))
}

fn cancel_rule() -> Rule {
    Rule::new("!has(oldSelf.cancel) || !oldSelf.cancel || (has(self.cancel) && self.cancel)")
        .message("cancel can't be taken back: create another Job instead")
        .field_path(".cancel")
}

/// The prompt of a suspended Job's next attempt is part of its resumption, so that no attempt begins
/// with half of what was asked.
fn resume_prompt_rule() -> Rule {
    Rule::new("(has(self.spec.resumePrompt) == has(oldSelf.spec.resumePrompt) && (!has(self.spec.resumePrompt) || self.spec.resumePrompt == oldSelf.spec.resumePrompt)) || (has(oldSelf.spec.suspend) && oldSelf.spec.suspend && !(has(self.spec.suspend) && self.spec.suspend) && has(oldSelf.status) && has(oldSelf.status.reason) && oldSelf.status.reason == 'Suspended')")
        .message("resumePrompt changes only together with the end of a suspension: wait for the reason Suspended, then set resumePrompt and suspend: false in one change")
        .field_path(".spec.resumePrompt")
}

/// Who suspends what has ended should hear of it.
fn suspend_rule() -> Rule {
    let suspended = |of: &str| format!("(has({of}.spec.suspend) && {of}.spec.suspend)");
    Rule::new(format!(
        "!{} || {} || !{}",
        suspended("self"),
        suspended("oldSelf"),
        has_ended("oldSelf")
    ))
    .message("suspend: this Job has ended; to go on with its session, run herdctl jobs resume, or create a Job with spec.resume.job")
    .field_path(".spec.suspend")
}

fn has_ended(job: &str) -> String {
    format!(
        "(has({job}.status) && has({job}.status.phase) && {job}.status.phase in ['completed', 'failed', 'cancelled'])"
    )
}

/// The fields of a status that never change once its phase is final.
pub const FROZEN: [&str; 10] = [
    "phase",
    "exitReason",
    "reason",
    "message",
    "error",
    "sessionId",
    "startedAt",
    "completedAt",
    "agent",
    "result",
];

/// Freezes the outcome. It stands at the root, since a rule on `status` is skipped when the whole status
/// is removed.
fn final_phase_rule() -> Rule {
    let same: Vec<String> = FROZEN
        .iter()
        .map(|field| {
            format!(
                "has(self.status.{field}) == has(oldSelf.status.{field}) && (!has(self.status.{field}) || self.status.{field} == oldSelf.status.{field})"
            )
        })
        .collect();
    Rule::new(format!(
        "!{} || (has(self.status) && {})",
        has_ended("oldSelf"),
        same.join(" && ")
    ))
    .message("status: this Job has ended, its outcome never changes")
    .field_path(".status")
}

/// How the run goes and why it ended. Written by the operator alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobStatus {
    /// pending, running, completed, failed or cancelled. The last three are final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// How the Job ended: success, error, timeout or manual_cancel. Absent until it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_reason: Option<ExitReason>,
    /// Why the Job is where it is, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The same in a sentence, with the next step where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub message: Option<Clean>,
    /// What went wrong, where the Job failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub error: Option<Clean>,
    /// Claude's session of this Job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub session_id: Option<String>,
    /// When the agent started, for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<DateTime<Utc>>,
    /// When the agent ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<DateTime<Utc>>,
    /// From startedAt to completedAt, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub duration: Option<String>,
    /// The Agent as it was when the first attempt was decided on: editing it later changes nothing here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<CapturedAgent>,
    /// The Job whose session this one continues, as it was found before the first attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_from: Option<ResumedFrom>,
    /// Every pod that was made for this Job.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MOST_ATTEMPTS), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["number"]))]
    pub attempts: Vec<Attempt>,
    /// The agent's last words, cut to 2 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Text>,
    /// The runner's verdict on the last attempt, as soon as it was safe in the output store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// How far the agent is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Where all that the agent said is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
    /// The generation of the Job that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Started, Finished (true at every end), Complete, Failed, Reconciling and Stalled; of the output
    /// OutputIntact and OutputStalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

impl JobStatus {
    /// The report on this attempt, if it came from the pod that we know.
    pub fn report_on(&self, attempt: &Attempt) -> Option<&Report> {
        let of_it = |report: &&Report| {
            report.attempt == attempt.number
                && attempt.uid.as_ref().is_none_or(|uid| *uid == report.uid)
        };
        self.report.as_ref().filter(of_it)
    }

    /// The UID of the attempt's pod, once it is known: by the controller, or by the store, which took a
    /// report from it.
    pub fn pod_uid<'a>(&'a self, attempt: &'a Attempt) -> Option<&'a str> {
        let reported = || self.report_on(attempt).map(|report| report.uid.as_str());
        attempt.uid.as_deref().or_else(reported)
    }

    pub fn is_final(&self) -> bool {
        self.phase.is_some_and(Phase::is_final)
    }

    /// The record is whole as far as it will ever be.
    pub fn is_sealed(&self) -> bool {
        let output = self.output.as_ref();
        output.is_some_and(|output| output.sealed.is_some())
    }

    /// The attempt that counts: the one with the highest number.
    pub fn attempt(&self) -> Option<&Attempt> {
        self.attempts.iter().max_by_key(|attempt| attempt.number)
    }
}

/// A finished Job whose session is continued.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResumedFrom {
    /// Its name.
    #[schemars(length(max = 52))]
    pub job: String,
    /// Its UID: a Job of the same name that comes later is another.
    #[schemars(length(max = 64))]
    pub uid: String,
}

/// The Agent that a Job runs, captured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CapturedAgent {
    /// The Agent's metadata.generation.
    pub generation: i64,
    /// The Agent's UID: when it is gone, so is this Agent, whoever has its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub uid: Option<String>,
    /// The Agent's spec.
    pub spec: AgentSpec,
}

/// One pod of a Job. It is written before the pod is created, so that no pod is unknown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Attempt {
    /// Counted from 1.
    #[schemars(range(min = 1))]
    pub number: u32,
    /// The pod's name: the Job's, and the number.
    #[schemars(length(max = 63))]
    pub pod: String,
    /// The pod's UID, once it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub uid: Option<String>,
    /// The node that it ran on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub node: Option<String>,
    /// When it was decided on; the start deadline counts from here.
    pub intended: DateTime<Utc>,
    /// When its agent started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<DateTime<Utc>>,
    /// When its agent ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<DateTime<Utc>>,
    /// What Kubernetes said of its end, where the runner could not speak for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub why: Option<Clean>,
    /// Why it ended, where the Job went on without it: Suspended, or what became of its pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Reason>,
    /// Turns of this attempt, as far as it could tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
    /// US dollars that this attempt cost, as far as it could tell.
    #[serde(default, rename = "costUSD", skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Bytes that the runner recorded before its verdict, where the verdict came with the pod's end and
    /// not by the output store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<u64>,
    /// From when on nothing more could come from its pod; absent where a report arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<DateTime<Utc>>,
}

/// A condition as kubectl wait and other tools read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about, for example Finished.
    #[serde(rename = "type")]
    pub type_: ConditionType,
    /// True, False or Unknown.
    pub status: ConditionStatus,
    /// The Job's reason when this condition last changed.
    #[schemars(length(min = 1, max = 64))]
    pub reason: String,
    /// The same in a sentence, for people.
    #[schemars(length(max = 2048))]
    pub message: Clean,
    /// When its status last changed.
    pub last_transition_time: DateTime<Utc>,
}

/// The conditions of a Job.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum ConditionType {
    /// The agent has run.
    Started,
    /// The Job has ended, however.
    Finished,
    /// It ended well.
    Complete,
    /// It ended otherwise; a cancelled Job is Failed with reason Cancelled.
    Failed,
    /// For kstatus: the agent does not run yet.
    Reconciling,
    /// For kstatus: the Job failed.
    Stalled,
    /// The record is sealed, and holds all that the runner recorded, unchanged.
    OutputIntact,
    /// The store can't take output now; the agent's pod keeps it.
    OutputStalled,
}

impl ConditionType {
    /// The store writes these, the controller all others.
    pub fn is_the_stores(self) -> bool {
        matches!(
            self,
            ConditionType::OutputIntact | ConditionType::OutputStalled
        )
    }
}

/// The three words of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}
