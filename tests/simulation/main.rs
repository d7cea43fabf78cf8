//! Our own `reconcile`, unchanged, through the real `kube::Client`, in a world in memory: an API server,
//! caches that lag, kubelets and nodes, a store, people, and faults. A seed is one run, the same each time.
//!
//! `SEEDS=N cargo test --test simulation seeds` tries N of them, `SEED=n KEEP=… cargo test --test simulation
//! replay -- --ignored --nocapture` tells one.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "a test's failure is a panic, and its numbers are small"
)]

mod agents;
mod api;
mod bugs;
mod caches;
mod calm;
mod checks;
mod collector;
mod conformance;
mod controllers;
mod faults;
mod finalizers;
mod injected;
mod kubelet;
mod lease;
mod meddlers;
mod nodes;
mod outages;
mod people;
mod planted;
mod random;
mod records;
mod refusals;
mod requests;
mod scenario;
mod seeds;
mod stories;
mod sweep;
mod truth;
mod wire;
mod world;
