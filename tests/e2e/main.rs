//! The promises of the operator, tried on a real cluster with the real Claude CLI: one file a promise,
//! and beside them what they share. Started by `tests/e2e/run`, which builds the cluster, installs the
//! chart and hands both over by environment variables.
//!
//! After the install nobody but the chart's service accounts and the user `dev` acts, who holds the
//! built-in role `edit` in three namespaces, and for what a cluster's operators do the account `platform`:
//! make namespaces and policies, care for nodes, scale the controller. Tests run side by side, so each takes names of its own; those
//! that stop or count what all share take the cluster for themselves (see [`cluster::Turn`]).

// What the tests share.
mod audit;
mod cluster;
mod controller;
mod history;
mod judge;
mod kubectl;
mod moments;
mod node;
mod own;
mod status;
mod team;
mod wait;

// One file a promise.
mod container;
mod crashes;
mod crds;
mod endings;
mod faults;
mod foreign;
mod going_on;
mod injected;
mod outcomes;
mod pending;
mod ports;
mod record;
mod refused;
mod requests;
mod rights;
mod runs;
mod sessions;
mod soak;
mod together;
