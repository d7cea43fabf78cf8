//! The faults of the soak, one at a time, each put right again where it does not heal by itself.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use herdctl::api::reason::Reason;
use kube::api::{DeleteParams, EvictParams, Patch, PatchParams};
use proptest::test_runner::TestRng;
use rand::RngExt;
use rustix::process::Signal;
use serde_json::json;

use super::job::{Harm, Ledger};
use crate::{
    faults::second_node::SecondNode,
    node::{self, Process},
    record::faults::restart_api_server,
    status::status,
    team::Team,
    wait::{RUN, until},
};

/// Between two faults, in milliseconds.
const PAUSE: Range<u64> = 200..2500;
/// In seconds.
const API_SERVER_AWAY: u32 = 3;

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    ControllerKilled,
    StoreKilled,
    GatewayKilled,
    ApiServerAway,
    KubeletKilled,
    ContainerdKilled,
    NodeDead,
    To(Harm),
}

/// With what weight each comes.
const FAULTS: [(Fault, u32); 14] = [
    (Fault::ControllerKilled, 12),
    (Fault::StoreKilled, 12),
    (Fault::GatewayKilled, 3),
    (Fault::ApiServerAway, 3),
    (Fault::KubeletKilled, 6),
    (Fault::ContainerdKilled, 4),
    (Fault::NodeDead, 3),
    (Fault::To(Harm::AgentKilled), 6),
    (Fault::To(Harm::RunnerKilled), 6),
    (Fault::To(Harm::ShipKilled), 12),
    (Fault::To(Harm::Deleted), 12),
    (Fault::To(Harm::Evicted), 10),
    (Fault::To(Harm::Cancelled), 5),
    (Fault::To(Harm::Paused), 8),
];

/// Makes faults, and counts those that took hold.
pub struct Faults<'a> {
    team: &'a Team,
    node: &'a SecondNode,
    ledger: &'a Ledger,
    chance: TestRng,
    pub made: BTreeMap<String, u32>,
}

/// A Job whose agent runs.
struct Victim {
    job: String,
    attempt: u32,
    pod: String,
    pod_uid: String,
}

impl<'a> Faults<'a> {
    pub fn new(team: &'a Team, node: &'a SecondNode, ledger: &'a Ledger, chance: TestRng) -> Self {
        Faults {
            team,
            node,
            ledger,
            chance,
            made: BTreeMap::new(),
        }
    }

    /// Makes one fault that takes hold.
    pub async fn next(&mut self) {
        loop {
            let pause = self.chance.random_range(PAUSE);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let fault = self.pick();
            if self.make(fault).await {
                *self.made.entry(format!("{fault:?}")).or_default() += 1;
                return;
            }
        }
    }

    fn pick(&mut self) -> Fault {
        let all: u32 = FAULTS.iter().map(|(_, weight)| weight).sum();
        let mut left = self.chance.random_range(0..all);
        for (fault, weight) in FAULTS {
            match left.checked_sub(weight) {
                Some(rest) => left = rest,
                None => return fault,
            }
        }
        unreachable!("the weights are summed up above")
    }

    /// False: there was nothing to harm.
    async fn make(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::ControllerKilled => kill(&node::operator("controller")),
            Fault::StoreKilled => kill(&node::operator("store")),
            Fault::GatewayKilled => kill(&node::operator("gateway")),
            Fault::ApiServerAway => {
                restart_api_server(API_SERVER_AWAY).await;
                true
            }
            Fault::KubeletKilled => {
                self.node.restart("kubelet").await;
                true
            }
            Fault::ContainerdKilled => {
                self.node.restart("containerd").await;
                true
            }
            Fault::NodeDead => {
                self.lose_node().await;
                true
            }
            Fault::To(harm) => self.harm(harm).await,
        }
    }

    async fn lose_node(&self) {
        self.ledger.note_dead_node(self.team).await;
        self.node.power_off().await;
        self.node.not_ready().await;
        self.node.out_of_service().await;
        self.node.restore().await;
        // Those that were sent there meanwhile.
        self.ledger.note_dead_node(self.team).await;
    }

    async fn harm(&mut self, harm: Harm) -> bool {
        let Some(victim) = self.victim().await else {
            return false;
        };
        self.ledger.note(&victim.job, victim.attempt, harm);
        match harm {
            Harm::AgentKilled => kill(&claude(&victim.pod_uid)),
            Harm::RunnerKilled => kill(&node::runner(&victim.pod_uid, "exec")),
            Harm::ShipKilled => kill(&node::runner(&victim.pod_uid, "ship")),
            Harm::Cancelled => {
                self.team.cancel(&victim.job).await;
                true
            }
            Harm::Deleted => {
                let pods = self.team.pods();
                let deleted = pods.delete(&victim.pod, &DeleteParams::default()).await;
                deleted.is_ok()
            }
            Harm::Evicted => {
                let pods = self.team.pods();
                let evicted = pods.evict(&victim.pod, &EvictParams::default()).await;
                evicted.is_ok()
            }
            Harm::Paused => {
                self.pause(&victim.job).await;
                true
            }
            Harm::NodeLost => unreachable!("that is done to all of a node's Jobs"),
        }
    }

    /// Pauses a Job and lets it go on.
    async fn pause(&self, job: &str) {
        self.suspend(job, true).await;
        until(&self.team.jobs(), job, "suspended or over", RUN, |job| {
            let now = status(job);
            now.is_final() || now.reason == Some(Reason::Suspended)
        })
        .await;
        self.suspend(job, false).await;
    }

    async fn suspend(&self, job: &str, suspend: bool) {
        let patch = Patch::Merge(json!({"spec": {"suspend": suspend}}));
        let jobs = self.team.jobs();
        let patched = jobs.patch(job, &PatchParams::default(), &patch).await;
        drop(patched.unwrap());
    }

    /// One of the Jobs whose agent runs.
    async fn victim(&mut self) -> Option<Victim> {
        let mut living = self.ledger.living();
        while !living.is_empty() {
            let job = living.swap_remove(self.chance.random_range(0..living.len()));
            let status = status(&self.team.get(&job).await);
            if status.reason != Some(Reason::Working) {
                continue;
            }
            let attempt = status.attempt().cloned().unwrap();
            if let Some(pod_uid) = attempt.uid {
                return Some(Victim {
                    job,
                    attempt: attempt.number,
                    pod: attempt.pod,
                    pod_uid,
                });
            }
        }
        None
    }
}

fn claude(pod_uid: &str) -> Vec<Process> {
    let mut found = node::agent_processes(pod_uid);
    found.retain(|process| process.name.starts_with("claude"));
    found
}

/// Kills the first; false when there is none.
fn kill(found: &[Process]) -> bool {
    found
        .first()
        .is_some_and(|process| process.signal(Signal::KILL))
}
