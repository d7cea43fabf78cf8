//! The runner against unruly agents: real processes, no cluster. What the agent says is not looked at
//! here (that is the translation's test), but what becomes of its processes, and of the record.
//!
//! These tests need the right to make PID namespaces, so they run as root.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's failure is a panic"
)]

#[cfg(feature = "e2e")]
mod claude;
mod ending;
mod flood;
mod handing_over;
mod hostile;
mod leftovers;
mod pod;
mod process;
mod resuming;
mod shipping;
mod spool_limit;
mod starting;
mod stopping;
mod store;
mod store_away;
mod transcript;
