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
    holder: Option<usize>,
    renewed: u64,
}

impl World {
    /// A controller looks after the lease.
    pub fn look_after_lease(&mut self, controller: usize) {
        let process = self.process(controller);
        let age = self.now - self.lease.renewed.min(self.now);
        let ours = self.lease.holder == Some(controller);
        let free = self.lease.holder.is_none() || age > LEASE;
        let heard = self.now >= self.controllers[controller].mute_until;
        if heard && ((ours && age >= LEASE_RENEW) || (!ours && free)) {
            self.lease = Lease {
                holder: Some(controller),
                renewed: self.now,
            };
            for other in 0..self.controllers.len() {
                let process = self.process(other);
                self.after(1, LEASE_SEEN, Event::LeaseSeen(process));
            }
        }
        self.at(self.now + LEASE_LOOK, Event::Lease(process));
    }

    /// Only who holds the lease writes; and creates only what is done, or given up, before it ends.
    pub fn check_lease(&mut self, from: Process, request: &Request) {
        let Some(target) = request.target() else {
            return;
        };
        if request.method == "GET" {
            return;
        }
        let creates = target.resource == Resource::Pods && request.method == "POST";
        let margin = if creates { CALL } else { 0 };
        let ours = self.lease.holder == Some(from.controller);
        if !ours || self.now + margin > self.lease.renewed + LEASE {
            self.break_rule(format!(
                "{} {} without the lease",
                request.method, request.path
            ));
        }
    }

    /// A controller sees the lease as it is now.
    pub fn see_lease(&mut self, controller: usize) {
        let ours = self.lease.holder == Some(controller);
        let Some(running) = &mut self.controllers[controller].running else {
            return;
        };
        let leader = &running.context.leader;
        if ours {
            leader.renew(Duration::from_millis(self.now - self.lease.renewed));
        } else {
            leader.lose();
        }
        self.look_at_all_if_told(controller);
    }
}
