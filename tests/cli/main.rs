//! The program `herdctl` as a person runs it, against an API server of the tests' own: what it says when
//! something is wrong, what it prints, its exit codes, and that a follow neither loses nor repeats a line.

mod cancelling;
mod cluster;
mod connecting;
mod doctor;
mod errors;
mod following;
mod golden;
mod help;
mod ids;
mod listing;
mod objects;
mod pausing;
mod program;
mod record;
mod rendering;
mod resuming;
mod running;
mod server;
mod showing;
mod terminal;
mod verifying;
