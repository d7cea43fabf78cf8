use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::{living::RETRY_REFUSED, *};
use crate::{
    api::{
        agent::{AgentSpec, OnDisruption},
        job::{Attempt, JobSpec, ResumeFrom, ResumedFrom},
        reason::Phase,
        record::{Output, Progress, Report},
        run::{self, Resume, RunInputs},
    },
    plan::facts::{AgentState, Altered, Said, tests::pod as a_pod},
};

mod agents;
mod beginning;
mod continuing;
mod disruptions;
mod earlier_pods;
mod ending;

mod living;
mod nodes;
mod others;
mod pausing;
mod stopping;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn settings() -> Settings {
    Settings {
        operator_image: "o:1".into(),
        agent_image: "a:1".into(),
        seal_timeout: Duration::from_secs(600),
        ..Settings::default()
    }
}

/// The Job `hello` of the Agent `reviewer`, as a person has just created it, held by our finalizer.
fn job() -> Job {
    let mut job = Job::new(
        "hello",
        JobSpec {
            agent: "reviewer".into(),
            prompt: Some("do it".into()),
            ..JobSpec::default()
        },
    );
    job.metadata.namespace = Some("team-a".into());
    job.metadata.uid = Some("job-uid".into());
    job.metadata.generation = Some(1);
    job.metadata.finalizers = Some(vec![JOB_FINALIZER.into()]);
    job
}

fn agent() -> Agent {
    agent_of(AgentSpec {
        start_deadline: Some("60s".into()),
        ..AgentSpec::default()
    })
}

fn agent_of(spec: AgentSpec) -> Agent {
    let mut agent = Agent::new("reviewer", spec);
    agent.metadata.uid = Some("agent-uid".into());
    agent
}

fn cancelled(mut job: Job) -> Job {
    job.spec.cancel = Some(true);
    job
}

fn deleted(mut job: Job) -> Job {
    job.metadata.deletion_timestamp = Some(Time(
        k8s_openapi::jiff::Timestamp::from_second(1_800_000_000).unwrap(),
    ));
    job
}

/// The Agent is there when the API server is asked, whatever the cache has.
fn next(job: &Job, agent: Option<&Agent>, pod: PodLookup, now: DateTime<Utc>) -> Action {
    let looked = Looked {
        agent: AgentLookup::Found("agent-uid".into()),
        ..Looked::default()
    };
    decided(job, agent, pod, looked, now)
}

/// In a namespace that stays.
fn after(job: &Job, pod: PodLookup, now: DateTime<Utc>) -> Action {
    let looked = Looked {
        namespace: NamespaceLookup::Staying,
        ..Looked::default()
    };
    decided(job, Some(&agent()), pod, looked, now)
}

/// The same, and the API server itself told it of the pod.
fn asked(job: &Job, pod: PodLookup, now: DateTime<Utc>) -> Action {
    let agent = agent();
    decided_by(
        Observed {
            job,
            agent: Some(&agent),
            pod,
            pod_is_live: true,
            earlier: Vec::new(),
            looked: Looked::default(),
        },
        now,
    )
}

fn decided(
    job: &Job,
    agent: Option<&Agent>,
    pod: PodLookup,
    looked: Looked,
    now: DateTime<Utc>,
) -> Action {
    decided_by(
        Observed {
            job,
            agent,
            pod,
            pod_is_live: false,
            earlier: Vec::new(),
            looked,
        },
        now,
    )
}

fn decided_by(seen: Observed<'_>, now: DateTime<Utc>) -> Action {
    let settings = settings();
    let means = Means {
        now,
        session_id: "s-1",
        settings: &settings,
        store_ca: Some("CA"),
    };
    decide(&seen, means)
}

/// The status that an action writes, put on the Job.
fn written(job: &Job, action: Action) -> Job {
    let Action::WriteStatus(status) = action else {
        panic!("not a status: {action:?}")
    };
    Job {
        status: Some(*status),
        ..job.clone()
    }
}

/// The Job after its intent.
fn intended() -> Job {
    let job = job();
    written(&job, next(&job, Some(&agent()), PodLookup::NotSeen, at(0)))
}

fn running() -> Job {
    let job = intended();
    written(&job, next(&job, None, seen(pod_running()), at(2)))
}

fn with_agent_state(state: serde_json::Value) -> PodFacts {
    PodFacts::from(&a_pod(json!({"phase": "Running", "containerStatuses": [{
        "name": "agent", "image": "a", "imageID": "", "ready": false, "restartCount": 0, "state": state,
    }]})))
}

fn pod_running() -> PodFacts {
    with_agent_state(json!({"running": {"startedAt": "2027-01-15T08:00:01Z"}}))
}

fn pod_starting() -> PodFacts {
    with_agent_state(json!({"waiting": {"reason": "PodInitializing"}}))
}

/// Deleted before its agent started.
fn pod_removed() -> PodFacts {
    PodFacts {
        deleting: true,
        terminal: true,
        ..pod_starting()
    }
}

fn pod_completed() -> PodFacts {
    let verdict = json!({"phase": "completed", "exitReason": "success", "reason": "Completed",
        "message": "m", "stoppedBy": "nobody", "exit": {"code": 0},
        "segment": {"bytes": 1, "lines": 1, "sha256": ""}, "text": {"text": "done", "truncated": false}});
    with_agent_state(json!({"terminated": {"exitCode": 0, "reason": "Completed",
        "message": verdict.to_string()}}))
}

fn seen(pod: PodFacts) -> PodLookup {
    PodLookup::Seen(Box::new(pod))
}

/// Dead, its agent stopped by a signal from outside after its first words.
fn pod_stopped() -> PodFacts {
    let verdict = json!({"phase": "failed", "exitReason": "error", "reason": "Stopped",
        "message": "m", "stoppedBy": "signal", "exit": {"code": 143},
        "startedAt": "2027-01-15T08:00:01Z", "endedAt": "2027-01-15T08:00:21Z", "turns": 2,
        "costUSD": 0.75, "costBeforeUSD": 0.25,
        "segment": {"bytes": 1, "lines": 1, "sha256": ""}});
    PodFacts {
        terminal: true,
        ..with_agent_state(json!({"terminated": {"exitCode": 1, "reason": "Error",
            "message": verdict.to_string()}}))
    }
}

fn pod_deleted() -> PodFacts {
    PodFacts {
        deleting: true,
        ..pod_stopped()
    }
}

/// Another attempt's pod.
fn of_attempt(number: u32, pod: PodFacts) -> PodFacts {
    PodFacts {
        name: format!("hello-{number}"),
        uid: format!("pod-uid-{number}"),
        ..pod
    }
}

fn last(job: &Job) -> &Attempt {
    job.status.as_ref().unwrap().attempt().unwrap()
}

fn phase(job: &Job) -> Phase {
    job.status.as_ref().unwrap().phase.unwrap()
}

fn message(job: &Job) -> &str {
    job.status.as_ref().unwrap().message.as_deref().unwrap()
}

fn suspended(mut job: Job) -> Job {
    job.spec.suspend = Some(true);
    job
}

/// The Job after somebody has deleted its running pod, and that is dead.
fn recovering() -> Job {
    let job = running();
    written(&job, after(&job, seen(pod_deleted()), at(30)))
}

/// The inputs of the pod that an action creates.
fn inputs(action: Action) -> RunInputs {
    let Action::CreatePod(pod) = action else {
        panic!("no pod: {action:?}")
    };
    let annotations = pod.metadata.annotations.unwrap();
    serde_json::from_str(&annotations[run::ANNOTATION]).unwrap()
}

fn reason(job: &Job) -> Option<Reason> {
    job.status.as_ref().and_then(|status| status.reason)
}

fn release_pod(sealed: bool) -> Action {
    Action::ReleasePod {
        name: "hello-1".into(),
        uid: "pod-uid".into(),
        sealed,
    }
}

/// The Job as the store has sealed its record.
fn sealed(mut job: Job) -> Job {
    job.status.as_mut().unwrap().output = Some(Output {
        sealed: Some(at(100)),
        ..Output::default()
    });
    job
}

/// The Job as the store has told that its pod's agent did well.
fn reported(mut job: Job) -> Job {
    let AgentState::Ended(end) = pod_completed().agent else {
        panic!()
    };
    job.status.as_mut().unwrap().report = Some(Report {
        attempt: 1,
        uid: "pod-uid".into(),
        at: at(5),
        verdict: end.said.message,
    });
    job
}
