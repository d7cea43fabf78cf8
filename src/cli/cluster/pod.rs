//! The way to the cluster from inside one of its pods: by its service account.

use std::{env, fs, path::Path};

use kube::Config;

use super::{
    certificates::authorities,
    connect::{Settings, Who, environment_proxy},
    impersonation::Impersonation,
    kubeconfig::{
        Entry,
        file::{self, User},
    },
    login::{Login, Means},
    server::Server,
    transport::Way,
};
use crate::cli::error::CliError;

/// Where a pod finds its service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// What a pod is given: none outside of one.
pub fn settings(acts_as: &Impersonation) -> Result<Option<Settings>, CliError> {
    let folder = Path::new(SERVICE_ACCOUNT);
    let get = |name: &str| env::var(name).ok();
    let token = folder.join("token");
    let Some(server) = Server::of_pod(get).filter(|_| token.is_file()) else {
        return Ok(None);
    };
    let place = format!("service account of this pod ({})", folder.display());
    let acts = acts_as.with(None, &place)?;
    let mut config = Config::new(server.address.clone());
    let named = get("POD_NAMESPACE").filter(|namespace| !namespace.is_empty());
    let namespace = named.or_else(|| {
        let read = fs::read_to_string(folder.join("namespace")).ok();
        read.map(|text| text.trim().to_owned())
            .filter(|namespace| !namespace.is_empty())
    });
    if let Some(namespace) = namespace {
        config.default_namespace = namespace;
    }
    let authority = folder.join("ca.crt");
    if authority.is_file() {
        let cluster = Entry {
            value: file::Cluster {
                certificate_authority: Some(authority.display().to_string()),
                ..file::Cluster::default()
            },
            file: authority.clone(),
        };
        config.root_cert = authorities(&cluster, "of this pod")?.map(|all| all.certificates);
        // A follow may outlive it: the kubelet writes the next one there.
        config.root_cert_file = Some(authority);
    }
    let user = Entry {
        value: User {
            token_file: Some(token.display().to_string()),
            ..User::default()
        },
        file: token,
    };
    let login = Login::of_user(&user, &place)?;
    Ok(Some(Settings {
        way: Way {
            proxy: environment_proxy(&server)?,
            config,
            server_name: None,
            login,
            identity: None,
            acts_as: acts.headers,
        },
        who: Who {
            place,
            means: Means::TokenFile,
            acts_as: acts.user,
        },
    }))
}
