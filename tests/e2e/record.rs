//! Promises about the record: all that an agent said is on the store's volume, byte for byte, and can be
//! read by whoever may, whatever is killed, full or away meanwhile.

// What these tests share.
mod call;
pub mod faults;
pub mod proof;
pub mod reader;
pub mod run;
mod volume;

// One file a promise.
mod attack;
mod bad_input;
mod columns;
mod disk;
mod following;
mod names;
mod readers;
mod ship_crashes;
mod store_crashes;
mod syncs;
mod tokens;
mod whole;
