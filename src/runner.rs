//! What runs inside an agent's pod, as one small static program.

pub mod exec;
pub mod handover;
pub mod install;
mod session;
pub mod ship;
pub mod signals;
pub mod translate;
