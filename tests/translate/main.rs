//! The translator against recorded streams of the real CLI and against everything that no CLI should
//! write: whatever comes, the events are valid, complete and the same however the bytes arrive.

mod captures;
mod properties;
mod record;
mod strange_bytes;
