//! The ConfigMap that says whom to trust. Only the store writes it; somebody who empties it finds it filled
//! again. The object itself comes with the install: the store has no right to create one.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::PostParams,
    runtime::{WatchStreamExt, watcher},
};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::{
    api::protocol::CA_KEY,
    kubernetes::{
        Chain, backoff,
        call::{CallError, call},
        watch::{everything, readable},
    },
    store::status::FIELD_MANAGER,
};

/// Where the authorities are published.
#[derive(Clone, Debug)]
pub struct Publication {
    pub namespace: String,
    pub config_map: String,
    /// Becomes true once they are.
    pub done: Arc<AtomicBool>,
}

/// Keeps the ConfigMap as it should be, for as long as there is a bundle.
pub async fn publish(client: Client, to: Publication, mut bundle: watch::Receiver<String>) {
    let api: Api<ConfigMap> = Api::namespaced(client, &to.namespace);
    let config = everything().fields(&format!("metadata.name={}", to.config_map));
    let mut changes = watcher::watcher(api.clone(), config)
        .default_backoff()
        .touched_objects()
        .filter_map(|change| std::future::ready(readable(change)))
        .boxed();
    let mut failures = 0;
    loop {
        let wanted = bundle.borrow_and_update().clone();
        match put(&api, &to.config_map, &wanted).await {
            Ok(()) => {
                to.done.store(true, Ordering::Relaxed);
                failures = 0;
                if !changed(&mut changes, &mut bundle).await {
                    return;
                }
            }
            Err(error) => {
                warn!(error = %Chain(&error), config_map = to.config_map, "the store's CA is not published; trying again");
                backoff::pause(failures).await;
                failures += 1;
            }
        }
    }
}

/// Waits until somebody touches the ConfigMap or there is another bundle; false when the store ends.
async fn changed(
    objects: &mut (impl Stream<Item = ConfigMap> + Unpin),
    bundle: &mut watch::Receiver<String>,
) -> bool {
    tokio::select! {
        _ = objects.next() => true,
        changed = bundle.changed() => changed.is_ok(),
    }
}

/// Writes the bundle if it is not what is there, over exactly what was read.
async fn put(api: &Api<ConfigMap>, name: &str, bundle: &str) -> Result<(), CallError> {
    let mut object = call("read the ConfigMap", api.get(name)).await?;
    let wanted = BTreeMap::from([(CA_KEY.to_owned(), bundle.to_owned())]);
    if object.data.as_ref() == Some(&wanted) {
        return Ok(());
    }
    object.data = Some(wanted);
    let params = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    // It carries the resourceVersion that was read.
    call("write the ConfigMap", api.replace(name, &params, &object)).await?;
    info!(config_map = name, "the store's CA is published");
    Ok(())
}
