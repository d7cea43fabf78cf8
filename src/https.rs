//! HTTPS for our servers: axum over rustls, with limits that a hostile client meets first.
