//! Promise: what is missing or wrong is said with the field, the cause and the next step, within two
//! seconds of the kubelet's or the API server's word; what can heal starts by itself, and nothing
//! crash-loops.

mod images;
mod missing;
mod refused;
mod room;
