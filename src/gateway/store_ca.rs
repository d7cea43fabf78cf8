//! Whom the store's certificate must come from, as the store publishes it. Watched, not mounted: the kubelet
//! brings a change to a running pod only after a minute, and the store's first CA is such a change.

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::{
    api::protocol::CA_KEY,
    kubernetes::{Chain, watch::everything},
};

/// The ConfigMap that the store writes.
#[derive(Clone, Debug)]
pub struct Published {
    pub namespace: String,
    pub config_map: String,
}

/// Follows it for ever. When it is deleted or emptied the last word counts: the store writes it again.
pub async fn follow(client: Client, published: Published, ca: watch::Sender<Option<String>>) {
    let Published {
        namespace,
        config_map,
    } = published;
    let api: Api<ConfigMap> = Api::namespaced(client, &namespace);
    let config = everything().fields(&format!("metadata.name={config_map}"));
    let events = watcher::watcher(api, config).default_backoff();
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(map) | Event::InitApply(map)) => take(map, &ca),
            Ok(_) => {}
            Err(error) => {
                let error = Chain(&error);
                warn!(%error, "ConfigMap {namespace}/{config_map} can't be watched; trying again");
            }
        }
    }
}

fn take(map: ConfigMap, ca: &watch::Sender<Option<String>>) {
    let pem = map.data.and_then(|mut data| data.remove(CA_KEY));
    let Some(pem) = pem.filter(|pem| !pem.trim().is_empty()) else {
        return;
    };
    let changed = ca.send_if_modified(|known| {
        let other = known.as_ref() != Some(&pem);
        *known = Some(pem);
        other
    });
    if changed {
        info!("the output store's CA is known");
    }
}
