//! The table.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    row::Row,
    world::{SECURE, World},
};

mod files;
mod impersonation;
mod plugins;
mod pods;
mod proxies;
mod servers;
mod users;

/// The API server's name, and a proxy's.
const API: &str = "api.connect.test";
const PROXY: &str = "proxy.connect.test";

pub fn all(world: &World) -> Vec<Row> {
    let parts = [
        servers::rows,
        users::rows,
        plugins::rows,
        impersonation::rows,
        proxies::rows,
        files::rows,
        pods::rows,
    ];
    parts.iter().flat_map(|part| part(&Kit { world })).collect()
}

/// What rows are made of.
struct Kit<'a> {
    world: &'a World,
}

impl Kit<'_> {
    fn secure(&self) -> String {
        format!("https://{API}:{SECURE}")
    }

    fn ca(&self) -> String {
        STANDARD.encode(&self.world.authority.pem)
    }

    /// The cluster, with these fields besides or instead.
    fn cluster(&self, more: Value) -> Value {
        laid_over(
            json!({"server": self.secure(), "certificate-authority-data": self.ca()}),
            more,
        )
    }

    fn config(&self, cluster: Value, user: Value) -> Value {
        kubeconfig(cluster, user)
    }

    /// The usual cluster with this user.
    fn user(&self, user: Value) -> Value {
        kubeconfig(self.cluster(json!({})), user)
    }

    /// The usual user with this cluster.
    fn of(&self, more: Value) -> Value {
        kubeconfig(self.cluster(more), token())
    }

    fn usual(&self) -> Value {
        self.of(json!({}))
    }
}

fn token() -> Value {
    json!({"token": "t0ken"})
}

fn kubeconfig(cluster: Value, user: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "team-a"}}],
    })
}

/// The fields of both; a null takes one away.
fn laid_over(mut below: Value, above: Value) -> Value {
    json_patch::merge(&mut below, &above);
    below
}
