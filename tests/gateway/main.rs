//! The gateway as a whole, over real TLS: in front of it a front proxy with a CA of its own, behind it a
//! store that a test can fill, kill and start again, beside it an authorizer that a test gives its words.

mod certificates;
mod client;
mod discovery;
mod errors;
mod fake_api;
mod fake_store;
mod following;
mod ground;
mod identity;
mod registration;
mod rights;
mod trust;
