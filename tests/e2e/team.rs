//! What the user `dev` has and does in a namespace: Agents that talk to the scripted Messages API, and Jobs.

use std::sync::Arc;

use herdctl::api::{
    agent::{Agent, AgentSpec, Credentials, EnvVar, SecretKey},
    job::{Job, JobSpec},
    pod_template::PodTemplate,
    reason::{Phase, Reason},
};
use k8s_openapi::api::core::v1::{Pod, ResourceRequirements};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{
    cluster::{self, Turn},
    status::{status, told},
    wait::{RUN, SOON, until},
};

/// The namespaces that `tests/e2e/run` prepares.
pub mod namespace {
    /// Where most tests live.
    pub const TEAM_A: &str = "team-a";
    /// Another team's, for what must not cross.
    pub const TEAM_B: &str = "team-b";
    /// Has room for one pod only.
    pub const SMALL: &str = "team-small";
    /// Wants a request and a limit of cpu and memory from every container.
    pub const LIMITS: &str = "team-limits";
}

/// The Secret with the key for the scripted API, which is in each namespace.
pub const SECRET: &str = "scripted-api";
/// The Secret's key.
pub const SECRET_KEY: &str = "key";
const API: &str = "http://scripted-api.team-a.svc:8080";

/// A namespace in dev's hands, and the right to use it now.
pub struct Team {
    pub client: Client,
    namespace: &'static str,
    turn: Arc<Turn>,
}

impl Team {
    /// In team-a, beside other tests.
    pub async fn shared() -> Team {
        Team::of(namespace::TEAM_A, Turn::shared().await).await
    }

    /// In team-a, with no other test beside.
    pub async fn alone() -> Team {
        Team::of(namespace::TEAM_A, Turn::alone().await).await
    }

    async fn of(namespace: &'static str, turn: Turn) -> Team {
        Team {
            client: cluster::dev().await,
            namespace,
            turn: Arc::new(turn),
        }
    }

    /// The same user in another namespace, in the same turn: waiting for a second one could last for ever.
    pub fn elsewhere(&self, namespace: &'static str) -> Team {
        Team {
            client: self.client.clone(),
            namespace,
            turn: Arc::clone(&self.turn),
        }
    }

    pub fn agents(&self) -> Api<Agent> {
        Api::namespaced(self.client.clone(), self.namespace)
    }

    pub fn jobs(&self) -> Api<Job> {
        Api::namespaced(self.client.clone(), self.namespace)
    }

    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), self.namespace)
    }

    /// Creates an Agent that plays a scenario of the scripted API; returns its name.
    pub async fn agent(&self, scenario: &str) -> String {
        self.agent_with(scenario, |_| {}).await
    }

    /// The same with changes.
    pub async fn agent_with(&self, scenario: &str, change: impl FnOnce(&mut AgentSpec)) -> String {
        let name = unique("agent");
        self.create_agent(&name, scenario, change).await;
        name
    }

    /// The same by a chosen name.
    pub async fn create_agent(
        &self,
        name: &str,
        scenario: &str,
        change: impl FnOnce(&mut AgentSpec),
    ) {
        let mut spec = scripted(scenario);
        change(&mut spec);
        self.agents()
            .create(&PostParams::default(), &Agent::new(name, spec))
            .await
            .unwrap();
    }

    /// Creates a Job for the Agent; returns its name.
    pub async fn job(&self, agent: &str) -> String {
        self.job_with(agent, |_| {}).await
    }

    /// The same with changes.
    pub async fn job_with(&self, agent: &str, change: impl FnOnce(&mut JobSpec)) -> String {
        let mut spec = JobSpec {
            agent: agent.to_owned(),
            prompt: Some("Say hello.".to_owned()),
            ..JobSpec::default()
        };
        change(&mut spec);
        let name = unique("job");
        self.jobs()
            .create(&PostParams::default(), &Job::new(&name, spec))
            .await
            .unwrap();
        name
    }

    pub async fn cancel(&self, job: &str) {
        self.change(job, json!({"cancel": true})).await;
    }

    /// Merges this into the Job's spec.
    pub async fn change(&self, job: &str, spec: serde_json::Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.jobs()
            .patch(job, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub async fn delete(&self, job: &str) {
        self.jobs()
            .delete(job, &DeleteParams::default())
            .await
            .unwrap();
    }

    pub async fn get(&self, job: &str) -> Job {
        self.jobs().get(job).await.unwrap()
    }

    /// Waits for the Job's end, however it is.
    pub async fn finished(&self, job: &str) -> Job {
        until(&self.jobs(), job, "finished", RUN, |job| {
            status(job).is_final()
        })
        .await
    }

    /// Waits until the agent runs, and returns the Job with its pod's name and UID known.
    pub async fn running(&self, job: &str) -> Job {
        self.running_attempt(job, 1).await
    }

    /// The same for its attempt of this number.
    pub async fn running_attempt(&self, job: &str, number: u32) -> Job {
        until(&self.jobs(), job, "running", RUN, |job| {
            let status = status(job);
            assert!(
                !status.is_final(),
                "{} ended before it ran: {}",
                job.name_any(),
                told(job)
            );
            status.phase == Some(Phase::Running)
                && status
                    .attempt()
                    .is_some_and(|attempt| attempt.number == number && attempt.uid.is_some())
        })
        .await
    }

    /// Waits until the Job is pending for this reason; a Job that ends instead is a failure.
    pub async fn pending(&self, job: &str, reason: Reason) -> Job {
        until(
            &self.jobs(),
            job,
            &format!("pending {reason}"),
            RUN,
            |job| {
                let status = status(job);
                assert!(
                    !status.is_final(),
                    "{} ended instead of waiting: {}",
                    job.name_any(),
                    told(job)
                );
                status.phase == Some(Phase::Pending) && status.reason == Some(reason)
            },
        )
        .await
    }

    /// Waits until the controller has seen the Job's latest spec.
    pub async fn observed(&self, job: &str) -> Job {
        until(&self.jobs(), job, "observed", SOON, |job| {
            status(job).observed_generation == job.metadata.generation
        })
        .await
    }
}

/// An Agent's spec that plays a scenario and is light enough to be there many times.
pub fn scripted(scenario: &str) -> AgentSpec {
    let resources: ResourceRequirements =
        serde_json::from_value(json!({"requests": {"cpu": "10m", "memory": "64Mi"}})).unwrap();
    AgentSpec {
        model: Some(format!("scripted-{scenario}")),
        env: Some(vec![variable("ANTHROPIC_BASE_URL", API)]),
        credentials: Some(Credentials {
            secret_ref: SecretKey {
                name: SECRET.to_owned(),
                key: SECRET_KEY.to_owned(),
            },
            kind: None,
        }),
        pod: Some(PodTemplate {
            resources: Some(resources),
            ..PodTemplate::default()
        }),
        ..AgentSpec::default()
    }
}

/// The CLI shows an error at once instead of after three minutes of retries.
pub fn without_retries(spec: &mut AgentSpec) {
    spec.env
        .get_or_insert_default()
        .push(variable("CLAUDE_CODE_MAX_RETRIES", "0"));
}

/// An environment variable with a plain value.
pub fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        value_from: None,
    }
}

/// A name that no other test has, and none of an earlier run on a kept cluster.
pub fn unique(stem: &str) -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{stem}-{}", &random[..8])
}
