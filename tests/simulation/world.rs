//! The world: one agenda of what happens when, on tokio's paused clock. Everything but the controllers'
//! own code is decided here, one event after the other, so a seed always brings the same run.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use herdctl::api::verdict::Verdict;
use tokio::time::Instant;

use super::{
    agents::Agent,
    api::{Answer, ApiServer, Key, Kind, Resource},
    caches::WATCHED,
    checks::Checks,
    collector::{Cascade, referenced},
    controllers::{Controller, Name},
    faults::Pending,
    injected::Injected,
    lease::Lease,
    nodes::{NODES, Node, Step},
    random::Random,
    records::Records,
    refusals::{Forbidden, Refused},
    scenario::{Deed, Refusal, Scenario},
    wire::{Arrival, Inbox, Process},
};

/// Once nothing disturbs it any more, all is to be settled within this time.
const BOUND: u64 = 600_000;

/// No clock is further off.
pub const SKEW: u64 = 3_600_000;

/// When the simulated time begins.
pub fn epoch() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// Something that happens.
pub enum Event {
    /// A request reaches the API server.
    Commit(u64),
    /// Its answer reaches the controller.
    Answer(u64),
    /// The first list of a watch arrives.
    Fill(Process, Resource),
    Deliver(Process, Resource),
    Pass(Process, Name),
    Start(usize),
    Lease(Process),
    LeaseSeen(Process),
    Pod(String, Step),
    Ship(String, u32, String, Box<Verdict>),
    Record(String),
    /// The garbage collector looks for pods of this Job.
    Collect(String),
    /// And for those of this one, which is deleted in a way of its own.
    Cascade(Key, String, Cascade),
    Deed(Deed),
    /// Is all settled?
    Look,
}

pub struct World {
    pub scenario: Scenario,
    pub started: Instant,
    /// Milliseconds since the start.
    pub now: u64,
    pub random: Random,
    pub api: ApiServer,
    pub inbox: Arc<Inbox>,
    pub controllers: Vec<Controller>,
    pub lease: Lease,
    pub nodes: BTreeMap<String, Node>,
    pub agents: Vec<Agent>,
    pub records: Records,
    pub checks: Checks,
    pub pending: BTreeMap<u64, Pending>,
    /// Requests of controllers so far.
    pub calls: u64,
    /// What a policy puts into the pods that are made now.
    pub injected: Option<Injected>,
    /// An init container of somebody else's has failed.
    pub init_failed: bool,
    /// Names drawn by a planted bug.
    pub drawn: u64,
    /// Pods that the cluster itself took away, by name.
    pub disrupted: BTreeSet<String>,
    /// No pod fits the namespace's quota.
    pub refusal: Option<Refusal>,
    /// What policies keep controllers from.
    pub forbidden: Vec<Forbidden>,
    pub refused: Refused,
    /// Lists of controllers so far. They are not counted with the other requests.
    pub lists: u64,
    agenda: BTreeMap<(u64, u64), Event>,
    entries: u64,
    seen: usize,
    calm: u64,
    hash: DefaultHasher,
    pub lines: Vec<String>,
}

/// How a run went.
pub struct Report {
    /// What was broken first.
    pub violation: Option<String>,
    /// The same for the same run.
    pub digest: u64,
    pub calls: u64,
    /// How many agents began.
    pub starts: usize,
    /// How many attempts there were, and the reasons of each Job in their order.
    pub attempts: usize,
    pub paths: Vec<String>,
    /// When the last Job came to its end, in milliseconds.
    pub ended: u64,
    /// The objects and reasons of the Events that tell of a refused write.
    pub warned: Vec<String>,
    pub lines: Vec<String>,
}

/// Runs a scenario to its end, on a clock of its own.
pub fn run(scenario: &Scenario) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async { World::new(scenario.clone()).run().await })
}

impl World {
    fn new(scenario: Scenario) -> World {
        let mut random = Random::new(scenario.seed);
        let mut world = World {
            started: Instant::now(),
            now: 0,
            random: random.fork(),
            api: ApiServer::default(),
            inbox: Arc::default(),
            controllers: (0..scenario.controllers)
                .map(|_| Controller::new())
                .collect(),
            lease: Lease::default(),
            nodes: NODES
                .into_iter()
                .map(|name| (name.to_owned(), Node::default()))
                .collect(),
            agents: Vec::new(),
            records: Records::default(),
            checks: Checks::default(),
            pending: BTreeMap::new(),
            calls: 0,
            injected: None,
            init_failed: false,
            drawn: 0,
            disrupted: BTreeSet::new(),
            refusal: None,
            forbidden: Vec::new(),
            refused: Refused::default(),
            lists: 0,
            agenda: BTreeMap::new(),
            entries: 0,
            seen: 0,
            calm: 0,
            hash: DefaultHasher::new(),
            lines: Vec::new(),
            scenario,
        };
        world.api.lenient = world.scenario.bug == Some(super::bugs::Bug::StatusWithoutVersion);
        world
    }

    async fn run(mut self) -> Report {
        self.furnish();
        self.settle();
        for controller in 0..self.controllers.len() {
            self.at(1, Event::Start(controller));
        }
        for (at, deed) in self.scenario.deeds.clone() {
            self.calm = self.calm.max(at);
            self.at(at, Event::Deed(deed));
        }
        self.calm += 1_000;
        self.at(self.calm, Event::Deed(Deed::Heal));
        self.at(self.calm + 5_000, Event::Look);
        let violation = loop {
            if let Some(violation) = self.checks.violation.take() {
                break Some(violation);
            }
            let Some(&(at, entry)) = self.agenda.keys().next() else {
                break Some("the agenda is empty".to_owned());
            };
            tokio::select! {
                biased;
                () = self.inbox.news.notified() => self.receive(),
                () = tokio::time::sleep_until(self.started + Duration::from_millis(at)) => {
                    let Some(event) = self.agenda.remove(&(at, entry)) else { continue };
                    self.now = at;
                    if matches!(event, Event::Look) {
                        match self.look() {
                            Ok(true) => break None,
                            Ok(false) => self.after(2_000, 2_001, Event::Look),
                            Err(stuck) => break Some(stuck),
                        }
                    } else {
                        self.happen(event);
                        self.settle();
                    }
                }
            }
        };
        Report {
            violation,
            digest: self.hash.finish(),
            calls: self.calls,
            starts: self.agents.iter().filter(|it| !it.fenced).count(),
            attempts: self.checks.attempts.values().sum(),
            paths: self.checks.paths(),
            ended: self.checks.ended,
            warned: self.inbox.warned(),
            lines: self.lines,
        }
    }

    /// Puts something on the agenda.
    pub fn at(&mut self, at: u64, event: Event) {
        self.entries += 1;
        self.agenda
            .insert((at.max(self.now + 1), self.entries), event);
    }

    /// The same, after a time within these bounds.
    pub fn after(&mut self, from: u64, to: u64, event: Event) {
        let at = self.now + self.random.between(from, to);
        self.at(at, event);
    }

    pub fn time(&self) -> DateTime<Utc> {
        epoch() + TimeDelta::milliseconds(i64::try_from(self.now).unwrap())
    }

    /// A line of the run's story.
    pub fn trace(&mut self, line: impl Into<String>) {
        let line = line.into();
        (self.now, &line).hash(&mut self.hash);
        if self.scenario.told {
            self.lines
                .push(format!("{:>9.3} {line}", self.now as f64 / 1e3));
        }
    }

    fn receive(&mut self) {
        self.now = self
            .now
            .max(u64::try_from(self.started.elapsed().as_millis()).unwrap());
        while let Some(arrival) = self.inbox.pop() {
            match arrival {
                Arrival::Call(call) => self.called(call),
                Arrival::Done(done) => self.done(*done),
            }
        }
        self.settle();
    }

    fn happen(&mut self, event: Event) {
        if let Some(until) = self.sleeps(&event) {
            return self.at(until + 1, event);
        }
        match event {
            Event::Commit(call) => self.commit(call),
            Event::Answer(call) => self.answer(call),
            Event::Fill(process, resource) if self.lives(process) => {
                self.fill(process.controller, resource);
            }
            Event::Deliver(process, resource) if self.lives(process) => {
                self.deliver(process.controller, resource);
            }
            Event::Pass(process, name) if self.lives(process) => {
                self.pass(process.controller, &name);
            }
            Event::Start(controller) => self.start(controller),
            Event::Lease(process) if self.lives(process) => {
                self.look_after_lease(process.controller);
            }
            Event::LeaseSeen(process) if self.lives(process) => self.see_lease(process.controller),
            Event::Fill(..)
            | Event::Deliver(..)
            | Event::Pass(..)
            | Event::Lease(_)
            | Event::LeaseSeen(_) => {}
            Event::Pod(uid, step) => self.step(&uid, step),
            Event::Ship(job, attempt, pod, verdict) => self.ship(&job, attempt, &pod, *verdict),
            Event::Record(uid) => self.look_after_record(&uid),
            Event::Collect(uid) => self.collect(&uid),
            Event::Cascade(key, uid, cascade) => self.cascade(key, uid, cascade),
            Event::Deed(deed) => self.act(&deed),
            Event::Look => {}
        }
    }

    /// Until when the process that this is for stands still.
    fn sleeps(&self, event: &Event) -> Option<u64> {
        let controller = match event {
            Event::Fill(process, _)
            | Event::Deliver(process, _)
            | Event::Pass(process, _)
            | Event::Lease(process)
            | Event::LeaseSeen(process) => process.controller,
            Event::Answer(call) => self.pending.get(call)?.from.controller,
            // Half of what it was about to send is on its way already.
            Event::Commit(call) if call % 2 == 0 => self.pending.get(call)?.from.controller,
            _ => return None,
        };
        let until = self.controllers[controller].paused_until;
        (until > self.now).then_some(until)
    }

    /// Lets everybody know of what has just changed.
    fn settle(&mut self) {
        while let Some(change) = self.api.history.get(self.seen).cloned() {
            self.seen += 1;
            let resource = change.key.resource;
            self.check_change(&change);
            if WATCHED.contains(&resource) {
                for controller in 0..self.controllers.len() {
                    self.deliver_later(controller, resource);
                }
            }
            let uid = change.object["metadata"]["uid"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let deleting = !change.object["metadata"]["deletionTimestamp"].is_null();
            match (resource, change.kind) {
                (Resource::Pods, Kind::Added) => {
                    let job = referenced(&change.object);
                    if !job.is_empty() && self.job_with(&job).is_none() {
                        self.after(500, 4_000, Event::Collect(job));
                    }
                    self.after(10, 400, Event::Pod(uid, Step::Schedule));
                }
                (Resource::Pods, Kind::Deleted) => {
                    self.after(100, 3_000, Event::Pod(uid, Step::Stop))
                }
                (Resource::Pods, Kind::Modified)
                    if deleting && self.checks.first_deletion(&uid) =>
                {
                    self.after(100, 1_500, Event::Pod(uid, Step::Stop));
                }
                (Resource::Jobs, Kind::Deleted) => self.after(500, 4_000, Event::Collect(uid)),
                (Resource::Jobs, _) => self.after(1, 300, Event::Record(uid)),
                _ => {}
            }
        }
    }

    fn look(&mut self) -> Result<bool, String> {
        let open = self.open();
        if open.is_none() {
            return Ok(true);
        }
        match open {
            Some(open) if self.now > self.calm + self.bound() => {
                Err(format!("never settled: {open}"))
            }
            _ => Ok(false),
        }
    }

    /// A deadline that was set by a clock that went wrong comes when that clock said.
    fn bound(&self) -> u64 {
        BOUND + if self.is_skewed() { SKEW } else { 0 }
    }

    /// An answer to somebody whose request is known.
    pub fn pending_answer(&mut self, call: u64, answer: Answer) {
        if let Some(pending) = self.pending.get_mut(&call) {
            pending.answer = Some(answer);
        }
    }
}
