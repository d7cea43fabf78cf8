//! Namespaces that come and go with a test.

use k8s_openapi::api::{
    core::v1::{Namespace, Secret},
    rbac::v1::RoleBinding,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

use crate::{
    cluster,
    team::{SECRET, SECRET_KEY, Team},
    wait::{RUN, SOON, until_gone, until_true},
};

/// A namespace that a team has to itself for a while.
pub struct Own {
    pub name: &'static str,
    uid: String,
    platform: Client,
}

impl Own {
    pub async fn create(name: String, team: &Team) -> Own {
        // A test's process is short.
        let name: &'static str = Box::leak(name.into_boxed_str());
        let platform = cluster::as_platform().await;
        let namespaces: Api<Namespace> = Api::all(platform.clone());
        let new = serde_json::from_value(json!({"metadata": {"name": name, "labels":
            {"pod-security.kubernetes.io/enforce": "restricted"}}}));
        let created = namespaces
            .create(&PostParams::default(), &new.unwrap())
            .await
            .unwrap();
        let bindings: Api<RoleBinding> = Api::namespaced(platform.clone(), name);
        let binding = serde_json::from_value(json!({
            "metadata": {"name": "dev"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "dev"}],
        }));
        bindings
            .create(&PostParams::default(), &binding.unwrap())
            .await
            .unwrap();
        let secret = serde_json::from_value(json!({"metadata": {"name": SECRET},
            "stringData": {SECRET_KEY: "scripted-text"}}))
        .unwrap();
        let secrets: Api<Secret> = Api::namespaced(team.client.clone(), name);
        until_true("dev may work in it", SOON, || async {
            let made = secrets.create(&PostParams::default(), &secret).await;
            made.map(|_| ()).map_err(|error| error.to_string())
        })
        .await;
        Own {
            name,
            uid: created.uid().unwrap(),
            platform,
        }
    }

    /// Deletes it with all that is in it, and waits until it is gone.
    pub async fn delete(self) {
        let namespaces: Api<Namespace> = Api::all(self.platform);
        namespaces
            .delete(self.name, &DeleteParams::default())
            .await
            .unwrap();
        until_gone(&namespaces, self.name, &self.uid, RUN).await;
    }
}
