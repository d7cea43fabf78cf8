//! A Job of the soak, what was done to it, and what it may have come to.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use herdctl::api::{
    agent::AgentSpec,
    job::{Attempt, ConditionStatus, ConditionType, Job},
    reason::Reason,
};
use kube::{ResourceExt, api::ListParams};

use crate::{
    faults::second_node::{NODE, SecondNode},
    record::proof::is_sealed,
    status::{condition, status, told},
    team::Team,
    wait::{RUN, until},
};

/// What the agents of the soak do: some seconds of text, of tools, of both.
const SCENARIOS: [&str; 5] = ["text", "slow-5", "slow-15", "tools-8", "numbered-40x10"];
/// A pod may be lost again and again here.
const MAX_ATTEMPTS: u32 = 32;

/// The soak's Agents: each scenario on each node.
pub struct Agents(Vec<String>);

impl Agents {
    pub async fn create(team: &Team) -> Agents {
        let mut names = Vec::new();
        for scenario in SCENARIOS {
            for on_second_node in [false, true] {
                let change = |spec: &mut AgentSpec| {
                    spec.max_attempts = Some(MAX_ATTEMPTS);
                    if on_second_node {
                        SecondNode::on_it(spec);
                    }
                };
                names.push(team.agent_with(scenario, change).await);
            }
        }
        Agents(names)
    }
}

/// What was done to one Job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    AgentKilled,
    Cancelled,
    Deleted,
    Evicted,
    NodeLost,
    Paused,
    RunnerKilled,
    ShipKilled,
}

impl Harm {
    /// It ends in the pod's deletion.
    fn deletes_pod(self) -> bool {
        match self {
            Harm::Cancelled | Harm::Deleted | Harm::Evicted | Harm::Paused => true,
            Harm::AgentKilled | Harm::NodeLost | Harm::RunnerKilled | Harm::ShipKilled => false,
        }
    }
}

/// What was done, and in which attempt.
type Harms = Vec<(u32, Harm)>;

#[derive(Debug)]
struct Life {
    harms: Harms,
    begun: Instant,
    ended: Option<Instant>,
}

/// All Jobs of the soak.
#[derive(Default)]
pub struct Ledger(Mutex<BTreeMap<String, Life>>);

impl Ledger {
    fn lives(&self) -> MutexGuard<'_, BTreeMap<String, Life>> {
        self.0.lock().unwrap()
    }

    pub fn names(&self) -> Vec<String> {
        self.lives().keys().cloned().collect()
    }

    /// Those that have not ended.
    pub fn living(&self) -> Vec<String> {
        let lives = self.lives();
        let living = lives.iter().filter(|(_, life)| life.ended.is_none());
        living.map(|(name, _)| name.clone()).collect()
    }

    /// It is about to be done, or may have been.
    pub fn note(&self, job: &str, attempt: u32, harm: Harm) {
        if let Some(life) = self.lives().get_mut(job) {
            life.harms.push((attempt, harm));
        }
    }

    /// All that a dead second node may take something from: their pods are there, or may be, and the store
    /// may not have all of them.
    pub async fn note_dead_node(&self, team: &Team) {
        let jobs = team.jobs().list(&ListParams::default()).await.unwrap();
        for job in jobs {
            let status = status(&job);
            let Some(last) = status.attempt().filter(|_| !is_sealed(&status)) else {
                continue;
            };
            if last.node.as_deref().is_none_or(|node| node == NODE) {
                self.note(&job.name_any(), last.number, Harm::NodeLost);
            }
        }
    }

    /// Every Job ended in time and in an outcome that its harms allow, its record whole, and it never had
    /// two agents. `allowed` is what a Job may take, once nothing is done any more since `quiet`.
    pub async fn judge(&self, team: &Team, quiet: Instant, allowed: Duration) {
        let mut wrong = Vec::new();
        for name in self.names() {
            let (harms, begun, ended) = {
                let life = &self.lives()[&name];
                (life.harms.clone(), life.begun, life.ended)
            };
            let sealed = |job: &Job| is_sealed(&status(job));
            let job = until(&team.jobs(), &name, "sealed", RUN, sealed).await;
            let late = ended.is_none_or(|ended| ended > quiet.max(begun) + allowed);
            let complaints = [
                outcome(&job, &harms),
                record(&job, &harms),
                agents(team, &job).await,
                late.then(|| "it ended late".to_owned()),
            ];
            for complaint in complaints.into_iter().flatten() {
                wrong.push(format!("{name} {harms:?}: {complaint}: {}", told(&job)));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lives = self.lives();
        let mut counts = BTreeMap::new();
        for (_, harm) in lives.values().flat_map(|life| &life.harms) {
            *counts.entry(*harm).or_insert(0) += 1;
        }
        write!(f, "{} Jobs; done to them: {counts:?}", lives.len())
    }
}

fn outcome(job: &Job, harms: &Harms) -> Option<String> {
    let mut allowed = vec![Reason::Completed];
    // In a session's first seconds the store may not have its transcript.
    if may_lose(harms) {
        allowed.push(Reason::ResumeFailed);
    }
    for (_, harm) in harms {
        match harm {
            Harm::AgentKilled | Harm::RunnerKilled => allowed.push(Reason::AgentCrashed),
            Harm::Cancelled => allowed.push(Reason::Cancelled),
            Harm::Deleted | Harm::Evicted | Harm::NodeLost | Harm::Paused | Harm::ShipKilled => {}
        }
    }
    let reason = status(job).reason;
    let fits = reason.is_some_and(|reason| allowed.contains(&reason));
    (!fits).then(|| format!("{reason:?} is none of {allowed:?}"))
}

/// What is lost is said to be.
fn record(job: &Job, harms: &Harms) -> Option<String> {
    let status = status(job);
    let missing = status.output.as_ref().and_then(|output| output.missing);
    let lost = missing.unwrap_or(0) > 0;
    if lost && !may_lose(harms) {
        return Some(format!("{missing:?} bytes are missing"));
    }
    // A runner that had no last word could not say how much there was.
    let tells = |it: &Attempt| it.why.is_none() || it.started.is_none();
    let due = match (lost, status.attempts.iter().all(tells)) {
        (true, _) => ConditionStatus::False,
        (false, true) => ConditionStatus::True,
        (false, false) => ConditionStatus::Unknown,
    };
    let intact = condition(job, ConditionType::OutputIntact);
    (intact != Some(due)).then(|| format!("intact: {intact:?} instead of {due:?}"))
}

/// Whether an attempt's sidecar may have been dead for good: its node died, or it was killed in a pod that was
/// deleted, where a kubelet starts nothing anew.
fn may_lose(harms: &Harms) -> bool {
    let did = |attempt, harm| harms.contains(&(attempt, harm));
    harms.iter().any(|(attempt, harm)| {
        *harm == Harm::NodeLost || harm.deletes_pod() && did(*attempt, Harm::ShipKilled)
    })
}

async fn agents(team: &Team, job: &Job) -> Option<String> {
    let session = status(job).session_id?;
    let agents = team.agents_of(&session).await;
    (agents.together > 1).then(|| format!("two agents at a time: {agents:?}"))
}

/// Runs one Job to its end, whatever is done to it meanwhile.
pub async fn run(team: &Team, agents: &Agents, pick: u64, ledger: &Ledger) {
    let agent = &agents.0[usize::try_from(pick % agents.0.len() as u64).unwrap()];
    let job = team.job(agent).await;
    let life = Life {
        harms: Vec::new(),
        begun: Instant::now(),
        ended: None,
    };
    ledger.lives().insert(job.clone(), life);
    let is_final = |job: &Job| status(job).is_final();
    until(&team.jobs(), &job, "finished", RUN * 4, is_final).await;
    if let Some(life) = ledger.lives().get_mut(&job) {
        life.ended = Some(Instant::now());
    }
}
