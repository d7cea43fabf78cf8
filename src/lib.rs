//! The map of the house.
//!
//! `api` says what things look like, `plan` decides, and everything else carries decisions out:
//! `controller` on the cluster, `runner` inside an agent's pod. `src/bin/` parses arguments and
//! nothing else.
//!
//! What is absent, on purpose: nothing in `api` or `plan` does I/O, asks a clock or draws a random
//! number; nothing in `runner` knows Kubernetes (it is built without the feature `operator`); nobody
//! reads a Secret.

#![warn(clippy::expect_used, clippy::unwrap_used)]

pub mod api;
#[cfg(feature = "operator")]
pub mod controller;
pub mod plan;
#[cfg(feature = "runner")]
pub mod runner;
