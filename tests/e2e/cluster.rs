//! The cluster under test: where its files are, who may act on it, and whose turn it is.

use std::{env, path::PathBuf, sync::LazyLock};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static TURNS: LazyLock<RwLock<()>> = LazyLock::new(RwLock::default);

/// Held by a test while it uses the cluster.
pub enum Turn {
    /// Other tests run meanwhile.
    Shared {
        _guard: RwLockReadGuard<'static, ()>,
    },
    /// No other test runs: for those that stop the controller or count its requests.
    Alone {
        _guard: RwLockWriteGuard<'static, ()>,
    },
}

impl Turn {
    pub async fn shared() -> Turn {
        Turn::Shared {
            _guard: TURNS.read().await,
        }
    }

    pub async fn alone() -> Turn {
        Turn::Alone {
            _guard: TURNS.write().await,
        }
    }
}

/// The value of a variable that `tests/e2e/run` sets.
fn given(variable: &str) -> String {
    env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: start these tests by tests/e2e/run"))
}

/// The cluster's name, which is also in the name of its cgroup.
pub fn name() -> String {
    given("E2E_CLUSTER")
}

/// The folder with the cluster's kubeconfigs, certificates, logs and volumes.
pub fn state() -> PathBuf {
    given("E2E_STATE").into()
}

/// The kubeconfig of the user `dev`.
pub fn dev_kubeconfig() -> PathBuf {
    state().join("kubeconfig-dev")
}

/// Where kubectl may remember what it learnt of this cluster.
pub fn kubectl_cache() -> PathBuf {
    state().join("kubectl-cache")
}

/// The API server's audit log, a line a request.
pub fn audit_log() -> PathBuf {
    state().join("log/audit.log")
}

/// The name that the API server gives the service account of the operator's part, such as `store`.
pub fn user(part: &str) -> String {
    given(&format!("E2E_{}_USER", part.to_uppercase()))
}

/// A client of the user `dev`.
pub async fn dev() -> Client {
    Client::try_from(config(Kubeconfig::read_from(dev_kubeconfig()).unwrap()).await).unwrap()
}

/// A client with the rights of the controller, by a token of its service account.
pub async fn as_controller() -> Client {
    by_token(given("E2E_CONTROLLER_TOKEN")).await
}

/// A client of whoever makes namespaces and gives rights in them; no test acts as an administrator.
pub async fn as_platform() -> Client {
    by_token(given("E2E_PLATFORM_TOKEN")).await
}

/// A client of whoever this token belongs to.
pub async fn by_token(token: String) -> Client {
    let mut config = config(Kubeconfig::read_from(dev_kubeconfig()).unwrap()).await;
    config.auth_info = serde_json::from_value(serde_json::json!({"token": token})).unwrap();
    Client::try_from(config).unwrap()
}

/// The namespace of the operator's own pods.
pub fn system_namespace() -> String {
    given("E2E_SYSTEM_NAMESPACE")
}

/// The program `herdctl`.
pub fn herdctl() -> PathBuf {
    given("E2E_HERDCTL").into()
}

async fn config(kubeconfig: Kubeconfig) -> Config {
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap()
}
