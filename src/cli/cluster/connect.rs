//! Finds the way to the cluster as kubectl does: the flags, KUBECONFIG, ~/.kube/config, and inside a pod
//! its service account.

use std::{io, path::PathBuf, time::Duration};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use super::{
    Cluster,
    explain::{Request, Scope, explain},
    job_resource,
};
use crate::cli::{error::CliError, name::Name};

/// An API server that does not take the connection is not waited for longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which cluster, as whom, in which namespace.
#[derive(Clone, Debug, clap::Args)]
pub struct Connection {
    /// The namespace. Default: that of the kubeconfig's context
    #[arg(
        short,
        long,
        global = true,
        value_name = "NAME",
        help_heading = "Cluster"
    )]
    namespace: Option<Name>,
    /// The context of the kubeconfig to use
    #[arg(long, global = true, value_name = "NAME", help_heading = "Cluster")]
    context: Option<String>,
    /// The kubeconfig. Default: KUBECONFIG, then ~/.kube/config, then the pod's service account
    #[arg(long, global = true, value_name = "FILE", help_heading = "Cluster")]
    kubeconfig: Option<PathBuf>,
    /// Act as this user; you need the right to impersonate
    #[arg(
        long = "as",
        global = true,
        value_name = "USER",
        help_heading = "Cluster"
    )]
    as_user: Option<String>,
}

impl Connection {
    /// Reads the configuration; nothing is sent yet.
    pub async fn open(&self) -> Result<Cluster, CliError> {
        let mut config = self.config().await?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // None: a follow may be silent for as long as the agent is. Other calls bring their own timeout.
        config.read_timeout = None;
        // What the output API answers is to be told, not to be waited out.
        config.default_retry = false;
        if let Some(user) = &self.as_user {
            config.auth_info.impersonate = Some(user.clone());
        }
        let server = config.cluster_url.to_string();
        let namespace = self
            .namespace
            .as_ref()
            .map_or(config.default_namespace.clone(), ToString::to_string);
        let client = Client::try_from(config).map_err(|error| {
            let request = Request {
                server: &server,
                verb: "connect to",
                resource: "the cluster",
                scope: Scope::Cluster,
                name: None,
            };
            explain(&request, &error)
        })?;
        Ok(Cluster {
            client,
            server,
            namespace,
            jobs: job_resource(),
        })
    }

    async fn config(&self) -> Result<Config, CliError> {
        let kubeconfig = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let kubeconfig = match kubeconfig {
            Ok(kubeconfig) => kubeconfig,
            Err(error) => {
                let asked = self.kubeconfig.is_some() || self.context.is_some();
                let in_pod = || {
                    Config::incluster()
                        .ok()
                        .filter(|_| !asked && is_absent(&error))
                };
                return in_pod().ok_or_else(|| self.unusable(&error));
            }
        };
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|error| self.unusable(&error))
    }

    fn unusable(&self, error: &KubeconfigError) -> CliError {
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        match error {
            KubeconfigError::FindPath => no_kubeconfig("~/.kube/config"),
            KubeconfigError::ReadConfig(cause, path) if cause.kind() == io::ErrorKind::NotFound => {
                no_kubeconfig(&path.display().to_string())
            }
            KubeconfigError::CurrentContextNotSet => {
                CliError::new("the kubeconfig names no current context")
                    .next("name one: --context NAME, or kubectl config use-context NAME")
            }
            KubeconfigError::LoadContext(_) if self.context.is_some() => CliError::new(format!(
                "the kubeconfig has no context {}",
                name(&self.context)
            ))
            .next("see which there are: kubectl config get-contexts"),
            other => CliError::new("the kubeconfig can't be used")
                .because(other)
                .next("see what it holds: kubectl config view"),
        }
    }
}

fn is_absent(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(cause, _) => cause.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

fn no_kubeconfig(path: &str) -> CliError {
    CliError::new(format!("there is no kubeconfig at {path}"))
        .next("name one: --kubeconfig FILE, or KUBECONFIG=FILE; your cluster's documentation says how to get it")
}
