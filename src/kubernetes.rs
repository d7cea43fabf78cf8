//! How our servers speak to the Kubernetes API: one way to connect, a timeout on every call, watches that
//! notice a dead connection, and patches that carry their precondition.

pub mod apply;
pub mod backoff;
pub mod call;
pub mod watch;

use std::time::Duration;

use kube::{Client, Config};

use crate::api::text::{Clean, LONGEST};

/// A request that is not answered, other than a watch, is given up by the connection too.
const READ_TIMEOUT: Duration = Duration::from_secs(75);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("found no way to the Kubernetes API: run inside a cluster, or set KUBECONFIG")]
    Config(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("failed to set up the client for the Kubernetes API")]
    Client(#[source] Box<kube::Error>),
}

/// A client by what the pod or KUBECONFIG says. It sends nothing yet.
pub async fn connect() -> Result<Client, ConnectError> {
    let mut config = Config::infer()
        .await
        .map_err(|error| ConnectError::Config(Box::new(error)))?;
    config.read_timeout = Some(READ_TIMEOUT);
    Client::try_from(config).map_err(|error| ConnectError::Client(Box::new(error)))
}

/// An error with everything that caused it, for a log line. Some of it are an API server's or a proxy's words.
pub struct Chain<'a>(pub &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut words = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            words.push_str(&format!(": {error}"));
            cause = error.source();
        }
        Clean::line(&words, LONGEST).fmt(f)
    }
}
