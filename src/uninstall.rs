//! What has to happen before the operator goes: nothing that it holds may stay held, and no agent may run
//! without a controller to end it. Looks, asks `plan::uninstall` for one step, takes it, and looks again,
//! until nothing is left or the time is over. A failure is reported and holds nothing else up.

mod act;
mod look;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use kube::Client;
use tokio::time::{Instant, sleep, timeout_at};

use self::look::Eyes;
pub use self::look::is_held;
use crate::plan::uninstall::{Failures, For, Limits, RunningJobs, Seen, Step, next};

/// Between two looks while something is waited for.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How many objects one line names.
const NAMED: usize = 5;

/// The aggregated API of the gateways. The name of an APIService is its version and group.
pub const API_SERVICE: &str = "output-v1.herdctl.dev";

/// What to uninstall, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The controller's Deployment; none where it is known to be gone.
    pub controller: Option<Deployment>,
    pub running: RunningJobs,
    /// After so long it ends, whatever is left.
    pub timeout: Duration,
}

/// Where the controller runs. Its lease has the same name.
#[derive(Clone, Debug)]
pub struct Deployment {
    pub namespace: String,
    pub name: String,
}

/// How it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What could not be done, each in a sentence.
    pub undone: Vec<String>,
}

/// Uninstalls as far as it goes, and tells each step in a line.
pub async fn run(client: Client, options: Options, mut tell: impl FnMut(&str)) -> Outcome {
    let began = Instant::now();
    let end = began + options.timeout;
    let limits = Limits::within(options.timeout);
    let mut work = Work {
        eyes: Eyes {
            client,
            controller: options.controller,
        },
        running: options.running,
        asked: BTreeSet::new(),
        failures: Failures::default(),
        troubles: BTreeMap::new(),
    };
    let mut seen = Seen::default();
    let mut told = None;
    loop {
        // Calls have their own time; the last one may not make the whole late.
        if let Ok(now) = timeout_at(end, work.look()).await {
            seen = now;
        }
        let step = next(&seen, began.elapsed(), limits, work.running, &work.failures);
        if told.as_ref() != Some(&step) {
            if let Some(line) = words(&step, work.running) {
                tell(&line);
            }
            told = Some(step.clone());
        }
        match step {
            Step::Done | Step::GiveUp => return work.outcome(&seen, step == Step::GiveUp),
            Step::Wait(_) => sleep(LOOK_AGAIN).await,
            step => {
                let done = timeout_at(end, work.act(&step)).await;
                if !matches!(done, Ok(true)) {
                    sleep(LOOK_AGAIN).await;
                }
            }
        }
    }
}

/// What is remembered between two steps.
struct Work {
    eyes: Eyes,
    running: RunningJobs,
    /// The UIDs of the Jobs that were asked to stop.
    asked: BTreeSet<String>,
    failures: Failures,
    /// What failed last, by what was tried.
    troubles: BTreeMap<String, String>,
}

impl Work {
    async fn look(&mut self) -> Seen {
        self.eyes.look(&self.asked, &mut self.troubles).await
    }

    fn outcome(&self, seen: &Seen, gave_up: bool) -> Outcome {
        let mut undone = Vec::new();
        if seen.api == Some(true) {
            undone.push(format!("the APIService {API_SERVICE} is still there"));
        }
        if gave_up {
            let held: Vec<String> = seen
                .pods
                .iter()
                .flatten()
                .filter(|pod| pod.held)
                .map(|pod| format!("pod {}/{}", pod.object.namespace, pod.object.name))
                .chain(
                    seen.held
                        .iter()
                        .flatten()
                        .map(|job| format!("Job {}/{}", job.namespace, job.name)),
                )
                .collect();
            if !held.is_empty() {
                undone.push(format!("these keep our finalizer: {}", some_of(&held)));
            }
        }
        let live: Vec<String> = seen
            .pods
            .iter()
            .flatten()
            .filter(|pod| pod.live)
            .map(|pod| format!("{}/{}", pod.object.namespace, pod.object.name))
            .collect();
        if !live.is_empty() {
            undone.push(format!("these pods have not ended: {}", some_of(&live)));
        }
        if !undone.is_empty() || gave_up {
            undone.extend(
                self.troubles
                    .iter()
                    .map(|(doing, why)| format!("failed to {doing}: {why}")),
            );
        }
        Outcome { undone }
    }
}

/// The first few, and how many more.
pub fn some_of(names: &[String]) -> String {
    let mut text = names
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if let Some(more) = names.len().checked_sub(NAMED).filter(|more| *more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

fn counted(count: usize, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}

/// What a step is called; none where there is nothing to tell.
fn words(step: &Step, running: RunningJobs) -> Option<String> {
    Some(match step {
        Step::Withdraw => format!("removing the APIService {API_SERVICE}"),
        Step::Ask(jobs) => {
            let wanted = match running {
                RunningJobs::Cancel => "cancelling",
                RunningJobs::Suspend | RunningJobs::Leave => "pausing",
            };
            format!("{wanted} {}", counted(jobs.len(), "Job"))
        }
        Step::StopController => "stopping the controller".into(),
        Step::End(pods) => format!("ending {}", counted(pods.len(), "agent's pod")),
        Step::Release { pods, jobs } => format!(
            "releasing {} and {}",
            counted(pods.len(), "pod"),
            counted(jobs.len(), "Job")
        ),
        Step::Wait(For::Agents(left)) => format!(
            "waiting for the controller to stop agents: {} left",
            counted(*left, "pod")
        ),
        Step::Wait(For::Controller) => "waiting for the controller to end".into(),
        Step::Wait(For::Pods(left)) => {
            format!("waiting for {} to end", counted(*left, "pod"))
        }
        Step::Wait(For::Sight) => "waiting for the API server to answer".into(),
        Step::Done => "nothing is held any more".into(),
        Step::GiveUp => "the time is over".into(),
    })
}
