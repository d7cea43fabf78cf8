//! Finds the way to the cluster as kubectl does: the flags, KUBECONFIG, ~/.kube/config, and inside a pod
//! its service account. A table test compares each step with kubectl itself (tests/connect).

use std::{env, path::PathBuf};

use kube::Config;
use rustls::pki_types::ServerName;

use super::{
    Cluster,
    certificates::{authorities, identity},
    impersonation::Impersonation,
    job_resource,
    kubeconfig::{
        Chosen, Entry, Kubeconfig, Sources,
        file::{self, User},
    },
    login::{Login, Means, basic},
    plugin::{Plugin, Stdin},
    pod,
    proxy::{Environment, Proxy},
    server::Server,
    transport::Way,
    warnings::Warnings,
};
use crate::cli::{error::CliError, name::Name};

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
    #[command(flatten)]
    acts_as: Impersonation,
}

/// Who asks, for messages about rights and logins.
#[derive(Clone, Debug)]
pub struct Who {
    /// `user dev in /home/dev/.kube/config`.
    pub place: String,
    pub means: Means,
    pub acts_as: Option<String>,
}

impl Connection {
    /// Reads the configuration and logs in; a login plugin may ask a person. Nothing is sent yet.
    pub async fn open(&self, stdin: Stdin, warnings: &Warnings) -> Result<Cluster, CliError> {
        let settings = self.settings(stdin)?;
        settings.way.login.show().await?;
        settings.cluster(warnings)
    }

    /// The same for what asks nobody.
    pub fn look(&self, warnings: &Warnings) -> Result<Cluster, CliError> {
        self.settings(Stdin::Taken)?.cluster(warnings)
    }

    fn settings(&self, stdin: Stdin) -> Result<Settings, CliError> {
        let sources = Sources::find(self.kubeconfig.as_deref())?;
        let kubeconfig = Kubeconfig::read(&sources)?;
        let settings = match kubeconfig.choose(self.context.as_deref())? {
            Some(chosen) => of_context(&chosen, &self.acts_as, stdin)?,
            None => {
                pod::settings(&self.acts_as)?.ok_or_else(|| kubeconfig.names_nothing(&sources))?
            }
        };
        let namespace = self.namespace.as_ref().map(ToString::to_string);
        Ok(match namespace {
            Some(namespace) => settings.in_namespace(namespace),
            None => settings,
        })
    }
}

/// A way to the cluster that nobody has gone yet.
pub struct Settings {
    pub way: Way,
    pub who: Who,
}

impl Settings {
    fn in_namespace(mut self, namespace: String) -> Self {
        self.way.config.default_namespace = namespace;
        self
    }

    fn cluster(self, warnings: &Warnings) -> Result<Cluster, CliError> {
        let server = self.way.config.cluster_url.to_string();
        let namespace = self.way.config.default_namespace.clone();
        let client = self.way.open(warnings.clone()).map_err(|error| {
            CliError::new("failed to connect to the cluster")
                .because(super::explain::deepest(&error))
                .next("see what the kubeconfig says of it: kubectl config view --minify")
        })?;
        Ok(Cluster {
            client,
            server,
            namespace,
            who: self.who,
            jobs: job_resource(),
        })
    }
}

/// What a context of a kubeconfig means.
fn of_context(
    chosen: &Chosen,
    acts_as: &Impersonation,
    stdin: Stdin,
) -> Result<Settings, CliError> {
    let cluster = &chosen.cluster.value;
    let cluster_place = format!(
        "cluster {} in {}",
        chosen.cluster_name,
        chosen.cluster.file.display()
    );
    let Some(text) = file::set(&cluster.server) else {
        return Err(CliError::new(format!("the {cluster_place} has no server"))
            .next("fetch the kubeconfig of this cluster again, or name another: --context NAME"));
    };
    let server = Server::parse(text).map_err(|why| {
        CliError::new(format!("server of the {cluster_place} can't be used"))
            .because(why)
            .next("correct it, or fetch the kubeconfig of this cluster again")
    })?;
    let proxy = match file::set(&cluster.proxy_url) {
        Some(text) => Some(Proxy::of_kubeconfig(text).map_err(|why| {
            CliError::new(format!("proxy-url of the {cluster_place} can't be used"))
                .because(why)
                .next("correct it in the kubeconfig")
        })?),
        None => environment_proxy(&server)?,
    };
    let user = user(chosen, &server)?;
    let place = match &chosen.user {
        Some(user) => format!("user {} in {}", chosen.user_name, user.file.display()),
        None => format!(
            "context {} in {}",
            chosen.context,
            chosen.context_file.display()
        ),
    };
    let acts = acts_as.with(chosen.user.as_ref().map(|user| &user.value), &place)?;
    let mut config = Config::new(server.address.clone());
    if let Some(namespace) = &chosen.namespace {
        config.default_namespace.clone_from(namespace);
    }
    let secure = server.is_secure();
    let mut trusted = None;
    if secure {
        trusted = authorities(&chosen.cluster, &chosen.cluster_name)?;
        config.root_cert = trusted.as_ref().map(|all| all.certificates.clone());
        config.accept_invalid_certs = cluster.insecure_skip_tls_verify == Some(true);
    }
    let server_name = file::set(&cluster.tls_server_name).map(|name| {
        ServerName::try_from(name.to_owned()).map_err(|_| {
            CliError::new(format!(
                "tls-server-name of the {cluster_place} is neither a name nor an address"
            ))
            .next("correct it in the kubeconfig")
        })
    });
    let server_name = server_name.transpose()?;
    let identity = if secure {
        identity(&user, &place)?
    } else {
        None
    };
    let plugin = plugin(
        chosen,
        &user,
        trusted.as_ref().map(|all| &all.pem[..]),
        stdin,
        &place,
    )?;
    let mut login = if secure {
        Login::of_user(&user, &place)?
    } else {
        Login::None
    };
    if let (Login::None, Some((name, password))) = (&login, &server.login) {
        login = Login::Header(basic(name, password));
    }
    let means = match means(&login, identity.is_some()) {
        Means::Nothing if !secure && user.value.has_credentials() => Means::Unsent,
        means => means,
    };
    // Whoever has something else to show is not asked to log in.
    let (login, means) = match plugin.filter(|_| secure && means == Means::Nothing) {
        Some(plugin) => (Login::of_plugin(plugin), Means::Plugin),
        None => (login, means),
    };
    Ok(Settings {
        way: Way {
            config,
            server_name,
            proxy,
            login,
            identity,
            acts_as: acts.headers,
        },
        who: Who {
            place,
            means,
            acts_as: acts.user,
        },
    })
}

/// The context's user. A server without TLS is shown nothing, so there it may be missing.
fn user(chosen: &Chosen, server: &Server) -> Result<Entry<User>, CliError> {
    match &chosen.user {
        Some(user) => Ok(user.clone()),
        None if chosen.user_name.is_empty() || !server.is_secure() => Ok(Entry::default()),
        None => Err(CliError::new(format!(
            "the context {} in {} names the user {}, which is not there",
            chosen.context,
            chosen.context_file.display(),
            chosen.user_name
        ))
        .next("log in again, as your cluster's documentation says, or name another context: --context NAME")),
    }
}

fn plugin(
    chosen: &Chosen,
    user: &Entry<User>,
    authorities: Option<&[u8]>,
    stdin: Stdin,
    place: &str,
) -> Result<Option<Plugin>, CliError> {
    let Some(exec) = &user.value.exec else {
        return Ok(None);
    };
    if user.value.auth_provider.is_some() {
        return Err(CliError::new(format!(
            "exec and auth-provider are both set for the {place}"
        ))
        .next("take auth-provider out of the kubeconfig"));
    }
    let command = file::set(&exec.command).unwrap_or_default();
    // A bare name is looked for in PATH.
    let command = if command.contains(std::path::MAIN_SEPARATOR) {
        user.path(command).display().to_string()
    } else {
        command.to_owned()
    };
    let plugin = Plugin::new(exec, command, stdin, place)?;
    if exec.provide_cluster_info != Some(true) {
        return Ok(Some(plugin));
    }
    let plugin = plugin.with_cluster(&chosen.cluster.value, authorities);
    Ok(Some(plugin))
}

/// The proxy that the environment names for this server.
pub fn environment_proxy(server: &Server) -> Result<Option<Proxy>, CliError> {
    let environment = Environment::of(|name| env::var(name).ok());
    environment.proxy(&server.address).map_err(|variable| {
        CliError::new(format!("{variable} names no proxy"))
            .because("it must be a URL like http://proxy.example.com:3128")
            .next(format!(
                "correct it; or leave the proxy out for this server: NO_PROXY={}",
                server.address.host().unwrap_or_default()
            ))
    })
}

fn means(login: &Login, identity: bool) -> Means {
    match login {
        Login::Plugin { .. } => Means::Plugin,
        Login::File { .. } => Means::TokenFile,
        Login::Header(header) if header.as_bytes().starts_with(b"Basic") => Means::Password,
        Login::Header(_) => Means::Token,
        Login::None if identity => Means::Certificate,
        Login::None => Means::Nothing,
    }
}
