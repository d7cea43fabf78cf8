//! What people, the API server and our own processes say to each other: plain types, no I/O.

#[cfg(feature = "operator")]
pub mod agent;
#[cfg(feature = "operator")]
pub mod crds;
#[cfg(feature = "operator")]
pub mod duration;
pub mod event;
#[cfg(feature = "operator")]
pub mod job;
#[cfg(feature = "operator")]
pub mod json;
pub mod permission_mode;
#[cfg(feature = "operator")]
pub mod pod_template;
pub mod protocol;
pub mod reason;
#[cfg(feature = "operator")]
pub mod record;
pub mod run;
pub mod runner_exit;
pub mod text;
pub mod verdict;

/// The API group of every kind of ours.
pub const GROUP: &str = "herdctl.dev";
