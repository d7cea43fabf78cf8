//! Pure decisions. Nothing here knows a client, a clock or a source of chance: what a decision needs
//! comes in as an argument, what it wants done goes out as a value.
//!
//! `lifecycle` asks the questions in their order; `evidence` says what a pod proves and `outcome` what a
//! run's facts mean; `status`, `pod` and `inputs` build what is written.

#[cfg(feature = "operator")]
pub mod admission;
#[cfg(feature = "operator")]
pub mod certificates;
#[cfg(feature = "operator")]
pub mod evidence;
#[cfg(feature = "operator")]
pub mod facts;
#[cfg(feature = "operator")]
pub mod identity;
#[cfg(feature = "operator")]
pub mod inputs;
#[cfg(feature = "operator")]
pub mod json_patch;
#[cfg(feature = "operator")]
pub mod lifecycle;
pub mod outcome;
#[cfg(feature = "operator")]
pub mod pod;
#[cfg(feature = "operator")]
pub mod progress;
#[cfg(feature = "operator")]
pub mod readable;
#[cfg(feature = "operator")]
pub mod record_status;
#[cfg(feature = "operator")]
pub mod redaction;
#[cfg(feature = "operator")]
pub mod refusal;
#[cfg(feature = "operator")]
pub mod refused_write;
#[cfg(feature = "operator")]
pub mod seal;
#[cfg(feature = "operator")]
pub mod settings;
#[cfg(feature = "operator")]
pub mod status;
pub mod tools;
#[cfg(feature = "operator")]
pub mod trouble;
#[cfg(feature = "operator")]
pub mod uninstall;
