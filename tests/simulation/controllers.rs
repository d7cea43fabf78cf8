//! The controllers: each a process with our own `reconcile`, its caches, its queue of Jobs and its view of
//! the lease. What `kube::runtime::Controller` does around it is done here, since that can't be replayed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::AtomicI64, atomic::Ordering},
    time::Duration,
};

use chrono::TimeDelta;
use herdctl::{
    api::job::Job,
    controller::{
        announce::Announcer,
        backoff::Backoff,
        cluster::Cluster,
        creations::Creations,
        leader::Leader,
        orphans,
        recent::Recent,
        reconcile::{Context, ReconcileError, reconcile},
        refusals::Refusals,
        sightings::Sightings,
        strays,
    },
    plan::settings::Settings,
};
use kube::runtime::reflector::ObjectRef;
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

use super::{
    api::Resource,
    bugs::Bug,
    caches::{Views, WATCHED},
    nodes::NODES,
    wire::{self, Arrival, Done, Process},
    world::{Event, World},
};

/// The longest that the first list of a watch takes, in milliseconds.
const FIRST_LIST: u64 = 2_000;

/// A Job's namespace and name.
pub type Name = (String, String);

/// As the chart sets them, with shorter times.
pub fn settings() -> Settings {
    Settings {
        operator_image: "operator".into(),
        agent_image: "agent".into(),
        drain_timeout: Duration::from_secs(60),
        seal_timeout: Duration::from_secs(180),
        store: "https://store:8443".into(),
        ..Settings::default()
    }
}

/// One controller.
pub struct Controller {
    pub life: u64,
    /// Until then its process stands still.
    pub paused_until: u64,
    /// Until then no renewal of its lease arrives.
    pub mute_until: u64,
    /// How far its clock is off, in milliseconds.
    pub skew: Arc<AtomicI64>,
    pub running: Option<Running>,
}

/// A controller's process.
pub struct Running {
    pub context: Arc<Context>,
    backoff: Backoff,
    views: Views,
    /// When Jobs are to be looked at.
    due: BTreeMap<Name, u64>,
    passes: BTreeMap<Name, AbortHandle>,
    /// Looks after the pods of Jobs that are gone.
    orphans: mpsc::UnboundedSender<ObjectRef<Job>>,
    after_orphans: AbortHandle,
    /// Looks after the pods that have lost their label.
    after_strays: AbortHandle,
    /// Steps when all Jobs are to be looked at.
    all: watch::Receiver<u64>,
    /// Jobs to look at again when the pass over them has ended.
    again: BTreeSet<Name>,
}

impl Controller {
    pub fn new() -> Controller {
        Controller {
            life: 0,
            paused_until: 0,
            mute_until: 0,
            skew: Arc::default(),
            running: None,
        }
    }
}

impl World {
    /// Its present life.
    pub fn process(&self, controller: usize) -> Process {
        Process {
            controller,
            life: self.controllers[controller].life,
        }
    }

    pub fn lives(&self, process: Process) -> bool {
        let controller = &self.controllers[process.controller];
        controller.life == process.life && controller.running.is_some()
    }

    /// Starts a controller, whose caches are filled one after the other.
    pub fn start(&mut self, controller: usize) {
        let process = self.process(controller);
        let client = wire::client(process, &self.inbox);
        let views = Views::new(self.scenario.bug == Some(Bug::OwnerNotLookedAt));
        let (started, skew) = (self.started, Arc::clone(&self.controllers[controller].skew));
        let ids = std::sync::atomic::AtomicU64::new(0);
        let (steps, all) = watch::channel(0);
        let begins = steps.subscribe();
        let context = Context {
            caches: views.caches.clone(),
            cluster: Cluster::new(client.clone()),
            leader: Leader::new(steps),
            recent: Recent::default(),
            refusals: Refusals::new(|| 0.5),
            creations: Creations::new(|| 0.5),
            sightings: Sightings::default(),
            announcer: Announcer::new(client, format!("controller-{controller}")),
            settings: settings(),
            clock: Box::new(move || {
                let elapsed = TimeDelta::from_std(started.elapsed()).unwrap();
                super::world::epoch()
                    + elapsed
                    + TimeDelta::milliseconds(skew.load(Ordering::Relaxed))
            }),
            new_id: Box::new(move || {
                let id = ids.fetch_add(1, Ordering::Relaxed);
                format!("session-{}-{}-{id}", process.controller, process.life)
            }),
        };
        let context = Arc::new(context);
        let (orphans, told) = mpsc::unbounded_channel();
        let after_orphans = tokio::spawn(orphans::look_after(told, Arc::clone(&context)));
        let after_strays = tokio::spawn(strays::look_after(begins, Arc::clone(&context)));
        self.controllers[controller].running = Some(Running {
            context,
            backoff: Backoff::new(|| 0.5),
            views,
            due: BTreeMap::new(),
            passes: BTreeMap::new(),
            orphans,
            after_orphans: after_orphans.abort_handle(),
            after_strays: after_strays.abort_handle(),
            all,
            again: BTreeSet::new(),
        });
        for resource in WATCHED {
            self.after(1, FIRST_LIST, Event::Fill(process, resource));
        }
        self.after(1, 500, Event::LeaseSeen(process));
        self.after(1, 1000, Event::Lease(process));
    }

    /// The first list of a kind, perhaps a moment old.
    pub fn fill(&mut self, controller: usize, resource: Resource) {
        let stale = usize::try_from(self.random.between(0, NODES.len() as u64 + 1)).unwrap();
        self.list_again(controller, resource, stale);
        let Some(running) = &self.controllers[controller].running else {
            return;
        };
        running.views.filled(resource);
        self.look_at_all(controller);
    }

    /// The process is gone from one moment to the next; its requests that are on their way may arrive.
    pub fn crash(&mut self, controller: usize) {
        let this = &mut self.controllers[controller];
        let Some(running) = this.running.take() else {
            return;
        };
        for pass in running.passes.values() {
            pass.abort();
        }
        running.after_orphans.abort();
        running.after_strays.abort();
        this.life += 1;
        self.trace(format!("controller {controller} crashes"));
        self.after(500, 5_000, Event::Start(controller));
    }

    pub fn deliver_later(&mut self, controller: usize, resource: Resource) {
        let process = self.process(controller);
        let lag = self.scenario.lag;
        self.after(1, lag.max(2), Event::Deliver(process, resource));
    }

    /// The next event of a watch arrives.
    pub fn deliver(&mut self, controller: usize, resource: Resource) {
        if let Some(running) = &mut self.controllers[controller].running {
            if !running.views.has(resource) {
                return;
            }
            let names = running.views.next(resource, &self.api.history);
            self.look_at(controller, names);
        }
    }

    /// A watch is begun anew, by a list that is so many events behind.
    pub fn list_again(&mut self, controller: usize, resource: Resource, behind: usize) {
        let history = &self.api.history;
        let point = history.len().saturating_sub(behind);
        let Some(running) = &mut self.controllers[controller].running else {
            return;
        };
        let names = running.views.list(resource, history, point);
        let missed = history[point..]
            .iter()
            .filter(|it| it.key.resource == resource)
            .count();
        self.look_at(controller, names);
        for _ in 0..missed {
            self.deliver_later(controller, resource);
        }
    }

    pub fn look_at_all(&mut self, controller: usize) {
        if let Some(running) = &self.controllers[controller].running {
            let names = running.views.every_job();
            self.look_at(controller, names);
        }
    }

    /// If the process says so itself.
    pub fn look_at_all_if_told(&mut self, controller: usize) {
        let Some(running) = &mut self.controllers[controller].running else {
            return;
        };
        if running.all.has_changed().unwrap_or_default() {
            running.all.mark_unchanged();
            self.trace(format!("controller {controller} leads"));
            self.look_at_all(controller);
        }
    }

    fn look_at(&mut self, controller: usize, names: Vec<Name>) {
        for name in names {
            self.look_later(controller, name, 1);
        }
    }

    fn look_later(&mut self, controller: usize, name: Name, wait: u64) {
        let at = self.now + wait;
        let process = self.process(controller);
        let Some(running) = &mut self.controllers[controller].running else {
            return;
        };
        if running.due.get(&name).is_none_or(|due| at < *due) {
            running.due.insert(name.clone(), at);
            self.at(at, Event::Pass(process, name));
        }
    }

    /// Looks at a Job, unless an earlier look still goes on.
    pub fn pass(&mut self, controller: usize, name: &Name) {
        let process = self.process(controller);
        let inbox = Arc::clone(&self.inbox);
        let now = self.now;
        let Some(running) = &mut self.controllers[controller].running else {
            return;
        };
        if running.due.get(name).is_none_or(|due| *due > now) {
            return;
        }
        running.due.remove(name);
        if running.passes.contains_key(name) {
            running.again.insert(name.clone());
            return;
        }
        let context = Arc::clone(&running.context);
        let reference = ObjectRef::new(&name.1).within(&name.0);
        let job = context.caches.jobs.get(&reference);
        let told = name.clone();
        let Some(job) = job else {
            let _ = running.orphans.send(reference);
            return;
        };
        let pass = tokio::spawn(async move {
            let result = reconcile(&job, &context).await;
            inbox.push(Arrival::Done(Box::new(Done {
                of: process,
                name: told,
                job,
                result,
            })));
        });
        running.passes.insert(name.clone(), pass.abort_handle());
    }

    /// A pass has ended.
    pub fn done(&mut self, done: Done) {
        if !self.lives(done.of) {
            return;
        }
        let controller = done.of.controller;
        let Some(running) = &mut self.controllers[controller].running else {
            return;
        };
        running.passes.remove(&done.name);
        let again = running.again.remove(&done.name);
        let wait = match &done.result {
            Ok(wait) => {
                running.backoff.reset(&done.job);
                wait.filter(|_| self.scenario.bug != Some(Bug::ForgetsToLookAgain))
            }
            Err(_) if self.scenario.bug == Some(Bug::GivesUpAfterAnError) => None,
            Err(error) => Some(running.backoff.after(&done.job, error)),
        };
        if let Err(error) = &done.result {
            self.trace(format!("controller {controller}: {}: {error}", done.name.1));
            if matches!(error, ReconcileError::Restless) {
                self.break_rule("a pass goes in circles");
            }
        }
        if let Some(wait) = wait {
            let wait = u64::try_from(wait.as_millis()).unwrap().max(1);
            self.look_later(controller, done.name.clone(), wait);
        }
        if again {
            self.look_later(controller, done.name, 1);
        }
    }

    /// What a controller's cache says of an object now: for the bug that takes it for the truth.
    pub fn cached_pod(&self, controller: usize, name: &Name) -> Option<serde_json::Value> {
        let running = self.controllers[controller].running.as_ref()?;
        let reference = ObjectRef::new(&name.1).within(&name.0);
        let pod = running.context.caches.pods.get(&reference)?;
        serde_json::to_value(pod.as_ref()).ok()
    }
}
