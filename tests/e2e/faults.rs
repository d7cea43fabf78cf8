//! Promise: whatever happens to a run's processes, its pod, its node or what it talks to, the Job ends in
//! one outcome and never has two agents. `tests/FAULTS.md` has a row for each fault.
//!
//! Faults of a node hit the cluster's second node, which only the pods of these tests go to.

mod away;
mod cut_off;
pub mod kubelet;
mod lost_node;
mod processes;
pub mod second_node;
mod taken;
mod two_leaders;
