//! A Job whose record a test looks at while it runs.

use std::{net::IpAddr, sync::Mutex};

use herdctl::api::job::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;

use crate::{
    node::{self, Process},
    record::{
        proof::{self, Sealed},
        volume,
    },
    status::only_attempt,
    team::{Team, namespace::TEAM_A},
    wait::{RUN, until, until_gone, until_true},
};

/// A Job in team-a, with its pod.
pub struct Run<'a> {
    pub team: &'a Team,
    pub job: String,
    pub pod: String,
    pub pod_uid: String,
}

impl<'a> Run<'a> {
    /// Plays a scenario; returns once the agent runs.
    pub async fn start(team: &'a Team, scenario: &str) -> Run<'a> {
        let job = team.job(&team.agent(scenario).await).await;
        Run::of(team, job).await
    }

    /// The same with this prompt, for the scenario that runs its commands.
    pub async fn commands(team: &'a Team, commands: &[&str]) -> Run<'a> {
        let agent = team.agent("bash").await;
        Run::commands_of(team, &agent, commands).await
    }

    /// The same by this Agent.
    pub async fn commands_of(team: &'a Team, agent: &str, commands: &[&str]) -> Run<'a> {
        let lines: Vec<String> = commands.iter().map(|line| format!("RUN: {line}")).collect();
        let prompt = lines.join("\n");
        let job = team
            .job_with(agent, |spec| spec.prompt = Some(prompt))
            .await;
        Run::of(team, job).await
    }

    async fn of(team: &'a Team, job: String) -> Run<'a> {
        let attempt = only_attempt(&team.running(&job).await);
        Run {
            team,
            job,
            pod: attempt.pod,
            pod_uid: attempt.uid.unwrap(),
        }
    }

    pub async fn finished(&self) -> Job {
        self.team.finished(&self.job).await
    }

    pub async fn sealed(&self) -> Sealed {
        proof::sealed(self.team, TEAM_A, &self.job).await
    }

    /// Waits until the record on the volume is longer than this, and says how long it is.
    pub async fn grows(&self, beyond: u64) -> u64 {
        volume::grows(TEAM_A, &self.job, beyond).await
    }

    /// Waits until the record on the volume has this text in it.
    pub async fn tells(&self, text: &str) {
        volume::tells(TEAM_A, &self.job, text).await;
    }

    /// The pod's address.
    pub async fn address(&self) -> IpAddr {
        let pod = self.team.pods().get(&self.pod).await.unwrap();
        pod.status.unwrap().pod_ip.unwrap().parse().unwrap()
    }

    /// Waits until no container of the pod runs any more.
    pub async fn pod_ends(&self) {
        let ended = |pod: &Pod| {
            let phase = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref());
            matches!(phase, Some("Succeeded" | "Failed"))
        };
        until(&self.team.pods(), &self.pod, "at its end", RUN, ended).await;
    }

    /// Deletes the pod of a run that has ended; that of a run which was stopped leaves by itself.
    pub async fn remove_pod(&self) {
        let pods = self.team.pods();
        match pods.delete(&self.pod, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            deleted => drop(deleted.unwrap()),
        }
        until_gone(&pods, &self.pod, &self.pod_uid, RUN).await;
    }

    /// Its pod's object.
    pub async fn pod(&self) -> Pod {
        self.team.pods().get(&self.pod).await.unwrap()
    }

    /// The sidecar's process, which may be starting.
    pub async fn ship(&self) -> Process {
        one("ship", || node::runner(&self.pod_uid, "ship")).await
    }

    /// The agent's first process.
    pub async fn exec(&self) -> Process {
        one("exec", || node::runner(&self.pod_uid, "exec")).await
    }

    /// Waits until no process of the agent's is left.
    pub async fn agent_ends(&self) {
        until_true("the agent has ended", RUN, || async {
            let left = node::runner(&self.pod_uid, "exec");
            if left.is_empty() {
                Ok(())
            } else {
                Err(format!("{left:?}"))
            }
        })
        .await;
    }
}

/// The store's process, once there is exactly one.
pub async fn store() -> Process {
    one("the store", || node::operator("store")).await
}

async fn one(what: &str, find: impl Fn() -> Vec<Process>) -> Process {
    let seen = Mutex::new(None);
    until_true(&format!("{what} has one process"), RUN, || async {
        let mut found = find();
        match (found.pop(), found.as_slice()) {
            (Some(process), []) => {
                *seen.lock().unwrap() = Some(process);
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    seen.into_inner().unwrap().unwrap()
}
