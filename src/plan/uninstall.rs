//! What an uninstall still has to do, by what is seen of the cluster: the aggregated API goes first, agents
//! stop while there is a controller that can stop them, then the controller, then our finalizers. Every
//! stage has a time after which the next one begins all the same, so that it ends whatever is broken.

use std::{collections::BTreeMap, time::Duration};

/// After so many refusals of one deed the uninstall continues without it. Finalizers are tried until the end.
const TRIES: u32 = 3;

/// What becomes of Jobs that have not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunningJobs {
    /// They stop and keep their sessions: the next install can go on with them, when somebody says so.
    Suspend,
    /// They end as cancelled.
    Cancel,
    /// Nothing is asked of them, and their pods run on without an operator.
    Leave,
}

/// An object as far as the uninstall touches it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub finalizers: Vec<String>,
}

/// A pod of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    pub object: Object,
    /// It has not ended.
    pub live: bool,
    /// It carries our finalizer.
    pub held: bool,
    /// Its deletion was asked for.
    pub deleting: bool,
}

/// How the controller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// It holds its lease, so it does what Jobs ask for.
    Leads,
    /// It is meant to run, and does not lead.
    Idle,
    /// It is meant to be gone, and has pods left.
    Stopping,
    Gone,
}

/// What is seen of the cluster. None is what could not be read just now.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The aggregated API is registered.
    pub api: Option<bool>,
    /// The Jobs that have not ended and were not asked to stop by this uninstall.
    pub unasked: Option<Vec<Object>>,
    pub controller: Option<Controller>,
    /// All pods of agents.
    pub pods: Option<Vec<Pod>>,
    /// The Jobs that carry our finalizer.
    pub held: Option<Vec<Object>>,
}

/// Until when each stage may take, from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For the controller to stop agents and let their pods go.
    pub jobs: Duration,
    /// For the controller itself to end.
    pub controller: Duration,
    /// For what is left of the pods to end.
    pub pods: Duration,
    pub all: Duration,
}

impl Limits {
    /// Half of the time is for agents to end in good order; the last sixth is for the finalizers, which is
    /// what may not be left undone.
    pub fn within(all: Duration) -> Self {
        let sixth = all / 6;
        Limits {
            jobs: sixth * 3,
            controller: sixth * 4,
            pods: sixth * 5,
            all,
        }
    }
}

/// One thing that may be refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    Withdraw,
    StopController,
    /// By UID.
    Ask(String),
    End(String),
}

/// How often each deed has failed.
#[derive(Clone, Debug, Default)]
pub struct Failures(BTreeMap<Deed, u32>);

impl Failures {
    pub fn add(&mut self, deed: Deed) {
        *self.0.entry(deed).or_default() += 1;
    }

    fn given_up(&self, deed: &Deed) -> bool {
        self.0.get(deed).is_some_and(|tries| *tries >= TRIES)
    }
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// The controller stops agents; so many pods are left.
    Agents(usize),
    Controller,
    /// Pods end by themselves; so many are left.
    Pods(usize),
    /// Something could not be read: it is looked at again.
    Sight,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take the registration of the aggregated API away.
    Withdraw,
    /// Ask these Jobs to stop, as was chosen.
    Ask(Vec<Object>),
    StopController,
    /// Delete these pods, each with its grace.
    End(Vec<Object>),
    /// Take our finalizers off.
    Release {
        pods: Vec<Object>,
        jobs: Vec<Object>,
    },
    Wait(For),
    Done,
    /// The time is over; what is seen now is what could not be done.
    GiveUp,
}

/// Decides, `at` so long after the beginning.
pub fn next(
    seen: &Seen,
    at: Duration,
    limits: Limits,
    running: RunningJobs,
    failures: &Failures,
) -> Step {
    if at >= limits.all {
        return release(seen, at, limits);
    }
    withdraw(seen, failures)
        .or_else(|| stop_agents(seen, at, limits, running, failures))
        .or_else(|| stop_controller(seen, at, limits, failures))
        .or_else(|| end_pods(seen, at, limits, running, failures))
        .unwrap_or_else(|| release(seen, at, limits))
}

fn withdraw(seen: &Seen, failures: &Failures) -> Option<Step> {
    let there = seen.api == Some(true) && !failures.given_up(&Deed::Withdraw);
    there.then_some(Step::Withdraw)
}

fn stop_agents(
    seen: &Seen,
    at: Duration,
    limits: Limits,
    running: RunningJobs,
    failures: &Failures,
) -> Option<Step> {
    if running == RunningJobs::Leave || at >= limits.jobs {
        return None;
    }
    let open = seen.unasked.iter().flatten();
    let ask: Vec<Object> = open
        .filter(|job| !failures.given_up(&Deed::Ask(job.uid.clone())))
        .cloned()
        .collect();
    if !ask.is_empty() {
        return Some(Step::Ask(ask));
    }
    if seen.unasked.is_none() {
        return Some(Step::Wait(For::Sight));
    }
    // A controller that does not lead stops nothing.
    if seen.controller != Some(Controller::Leads) {
        return None;
    }
    match &seen.pods {
        None => Some(Step::Wait(For::Sight)),
        Some(pods) => {
            let left = pods.iter().filter(|pod| pod.live || pod.held).count();
            (left > 0).then_some(Step::Wait(For::Agents(left)))
        }
    }
}

/// Before the finalizers go: it would put them back.
fn stop_controller(seen: &Seen, at: Duration, limits: Limits, failures: &Failures) -> Option<Step> {
    let waits = |what| (at < limits.controller).then_some(Step::Wait(what));
    match seen.controller {
        Some(Controller::Gone) => None,
        Some(Controller::Stopping) => waits(For::Controller),
        Some(Controller::Leads | Controller::Idle) => {
            (!failures.given_up(&Deed::StopController)).then_some(Step::StopController)
        }
        None => waits(For::Sight),
    }
}

/// No agent works without a controller that keeps its deadlines.
fn end_pods(
    seen: &Seen,
    at: Duration,
    limits: Limits,
    running: RunningJobs,
    failures: &Failures,
) -> Option<Step> {
    if running == RunningJobs::Leave {
        return None;
    }
    let Some(pods) = &seen.pods else {
        return (at < limits.pods).then_some(Step::Wait(For::Sight));
    };
    let live = || pods.iter().filter(|pod| pod.live);
    let end: Vec<Object> = live()
        .filter(|pod| !pod.deleting && !failures.given_up(&Deed::End(pod.object.uid.clone())))
        .map(|pod| pod.object.clone())
        .collect();
    if !end.is_empty() {
        return Some(Step::End(end));
    }
    let left = live().filter(|pod| pod.deleting).count();
    (left > 0 && at < limits.pods).then_some(Step::Wait(For::Pods(left)))
}

fn release(seen: &Seen, at: Duration, limits: Limits) -> Step {
    let held = seen.pods.iter().flatten().filter(|pod| pod.held);
    let pods: Vec<Object> = held.map(|pod| pod.object.clone()).collect();
    let jobs: Vec<Object> = seen.held.iter().flatten().cloned().collect();
    let blind = seen.pods.is_none() || seen.held.is_none();
    if pods.is_empty() && jobs.is_empty() && !blind {
        return Step::Done;
    }
    if at >= limits.all {
        return Step::GiveUp;
    }
    if pods.is_empty() && jobs.is_empty() {
        return Step::Wait(For::Sight);
    }
    Step::Release { pods, jobs }
}

#[cfg(test)]
mod tests;
