//! The map of the house.
//!
//! `api` says what things look like, `plan` decides, and everything else carries decisions out:
//! `controller` on the cluster, `runner` inside an agent's pod, `uninstall` at the operator's end.
//! `src/bin/` parses arguments and nothing else.
//!
//! Where to begin: `plan::lifecycle` for what happens to a Job, `plan::evidence` for why it ended so,
//! `runner::exec` for what happens in the pod. ARCHITECTURE.md tells how they speak to each other.
//!
//! What is absent, on purpose: nothing in `api` or `plan` does I/O, asks a clock or draws a random
//! number; nothing in `runner` knows Kubernetes (it is built without the feature `operator`); nobody
//! reads a Secret.

pub mod api;
#[cfg(feature = "operator")]
pub mod cli;
#[cfg(feature = "operator")]
pub mod controller;
#[cfg(feature = "operator")]
pub mod gateway;
#[cfg(feature = "operator")]
pub mod https;
#[cfg(feature = "operator")]
pub mod kubernetes;
pub mod plan;
#[cfg(feature = "operator")]
pub mod probes;
#[cfg(feature = "operator")]
pub mod process;
#[cfg(feature = "runner")]
pub mod runner;
#[cfg(feature = "operator")]
pub mod store;
#[cfg(feature = "operator")]
pub mod uninstall;
