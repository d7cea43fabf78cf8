//! The lease: what the API server has of it, and how each controller takes, renews and sees it.

use std::time::Duration;

use super::{
    api::{Request, Resource},
    wire::Process,
    world::{Event, World},
};

/// How long a lease lasts without a renewal, and how often its holder looks at it, in milliseconds.
const LEASE: u64 = 20_000;
const LEASE_LOOK: u64 = 2_000;
const LEASE_RENEW: u64 = 5_000;
/// At the latest so long after it, a controller hears of a renewal.
const LEASE_SEEN: u64 = 2_000;
/// A call is given up after this time.
const CALL: u64 = 10_000;

/// The lease as the API server has it.
#[derive(Default)]
pub struct Lease {
    term: Option<Term>,
    /// The one before, whose holder has not heard that it is over.
    before: Option<Term>,
}

#[derive(Clone, Copy)]
struct Term {
    holder: usize,
    renewed: u64,
}

impl World {
    /// A controller looks after the lease.
    pub fn look_after_lease(&mut self, controller: usize) {
        let process = self.process(controller);
        let is_due = self.lease.term.is_none_or(|term| {
            let age = self.now - term.renewed;
            age > LEASE || (term.holder == controller && age >= LEASE_RENEW)
        });
        if is_due && self.now >= self.controllers[controller].mute_until {
            self.take_lease(controller);
        }
        self.at(self.now + LEASE_LOOK, Event::Lease(process));
    }

    pub fn take_lease(&mut self, controller: usize) {
        let deposed = self.lease.term.filter(|term| term.holder != controller);
        self.lease.before = deposed.or(self.lease.before);
        self.lease.term = Some(Term {
            holder: controller,
            renewed: self.now,
        });
        for other in 0..self.controllers.len() {
            let process = self.process(other);
            self.after(1, LEASE_SEEN, Event::LeaseSeen(process));
        }
    }

    /// Only who holds the lease writes, as far as he can know; and creates only what is done, or given up,
    /// before it ends.
    pub fn check_lease(&mut self, from: Process, request: &Request) {
        let Some(target) = request.target() else {
            return;
        };
        if request.method == "GET" {
            return;
        }
        let creates = target.resource == Resource::Pods && request.method == "POST";
        let margin = if creates { CALL } else { 0 };
        let holds = |term: &Term| {
            term.holder == from.controller && self.now + margin <= term.renewed + LEASE
        };
        if !self.lease.term.iter().chain(&self.lease.before).any(holds) {
            self.break_rule(format!(
                "{} {} without the lease",
                request.method, request.path
            ));
        }
    }

    /// A controller sees the lease as it is now.
    pub fn see_lease(&mut self, controller: usize) {
        let ours = self.lease.term.filter(|term| term.holder == controller);
        self.lease.before = self.lease.before.filter(|term| term.holder != controller);
        let Some(running) = &mut self.controllers[controller].running else {
            return;
        };
        let leader = &running.context.leader;
        match ours {
            Some(term) => leader.renew(Duration::from_millis(self.now - term.renewed)),
            None => leader.lose(),
        }
        self.look_at_all_if_told(controller);
    }
}
