//! The lease: what the API server has of it, and how each controller takes, renews and sees it.

use super::world::{Event, World};

/// How long a lease lasts without a renewal, and how often its holder looks at it, in milliseconds.
const LEASE: u64 = 20_000;
const LEASE_LOOK: u64 = 2_000;
const LEASE_RENEW: u64 = 5_000;

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
        if (ours && age >= LEASE_RENEW) || (!ours && free) {
            self.lease = Lease {
                holder: Some(controller),
                renewed: self.now,
            };
            for other in 0..self.controllers.len() {
                let process = self.process(other);
                self.after(1, 300, Event::LeaseSeen(process));
            }
        }
        self.at(self.now + LEASE_LOOK, Event::Lease(process));
    }

    /// A controller sees the lease as it is now.
    pub fn see_lease(&mut self, controller: usize) {
        let ours = self.lease.holder == Some(controller);
        let Some(running) = &mut self.controllers[controller].running else {
            return;
        };
        let leader = &running.context.leader;
        if !ours {
            leader.lose();
        }
        let begins = ours && leader.renew();
        if begins {
            self.trace(format!("controller {controller} leads"));
            self.look_at_all(controller);
        }
    }
}
