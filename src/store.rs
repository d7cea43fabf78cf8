//! The output store: every line on a volume, acknowledged once it is synced.
//!
//! Files and protocol know nothing of Kubernetes: whose a token is and which Job a name stands for they
//! ask the [`gate::Gate`], and what happened to a record they tell as [`news::News`]. The other half
//! answers and listens: it reviews tokens, watches Jobs, writes their status, and says when a record is
//! to be sealed.

mod append;
mod ca;
mod closing;
pub mod disk;
mod document;
pub mod gate;
mod gatekeeper;
pub mod http;
mod jobs;
mod layout;
mod lines;
mod log;
mod namespaces;
pub mod news;
mod outbox;
mod pods;
mod published;
mod read;
mod record;
pub mod records;
mod recovery;
mod run;
mod sealing;
mod status;
mod sync;
mod tokens;
mod transcript;

pub use self::run::{Options, RunError, run};
