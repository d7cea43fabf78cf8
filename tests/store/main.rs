//! The store's files and protocol, without a cluster: a fake gate lets in whom the tests want, all else
//! is as it ships. What a store keeps is looked at in its files.
//!
//! The tests with a full disk mount a tmpfs, so they run as root.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's failure is a panic"
)]

mod attempts;
mod bad_input;
mod crowd;
mod disk;
mod follow;
mod full;
mod kill;
mod lines;
mod model;
mod names;
mod protocol;
mod seal;
mod server;
mod session;
mod starting;
mod tally;
