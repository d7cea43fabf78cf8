//! Waiting for a state, by watch and with a deadline; who misses it is told what was seen last.

use std::{fmt::Debug, pin::pin, time::Duration};

use futures::StreamExt;
use kube::{
    Api, Resource, ResourceExt,
    runtime::{WatchStreamExt, watcher::watch_object},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

/// For what the API server and the controller do alone.
pub const SOON: Duration = Duration::from_secs(15);
/// For a pod to start, run the CLI and end, on a machine that is busy with other tests.
pub const RUN: Duration = Duration::from_secs(180);

/// The object, once it is as wanted. `wanted` completes the sentence "… is not".
pub async fn until<K>(
    api: &Api<K>,
    name: &str,
    wanted: &str,
    within: Duration,
    mut holds: impl FnMut(&K) -> bool,
) -> K
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + 'static,
{
    let mut last = "nothing".to_owned();
    let watching = async {
        let mut seen = pin!(watch_object(api.clone(), name).default_backoff());
        loop {
            match seen.next().await.expect("a watch never ends") {
                Ok(Some(object)) if holds(&object) => return object,
                Ok(Some(object)) => last = status_of(&object),
                Ok(None) => last = "no such object".to_owned(),
                Err(error) => last = format!("the watch failed: {error}"),
            }
        }
    };
    match timeout(within, watching).await {
        Ok(object) => object,
        Err(_) => panic!(
            "{} {name} is not {wanted} within {within:?}; last seen: {last}",
            K::kind(&())
        ),
    }
}

/// Returns once there is no object of this name, or another one.
pub async fn until_gone<K>(api: &Api<K>, name: &str, uid: &str, within: Duration)
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + 'static,
{
    let mut last = "nothing".to_owned();
    let watching = async {
        let mut seen = pin!(watch_object(api.clone(), name).default_backoff());
        loop {
            match seen.next().await.expect("a watch never ends") {
                Ok(Some(object)) if object.uid().as_deref() == Some(uid) => {
                    last = serde_json::to_string_pretty(&object).unwrap();
                }
                Ok(_) => return,
                Err(error) => last = format!("the watch failed: {error}"),
            }
        }
    };
    if timeout(within, watching).await.is_err() {
        panic!(
            "{} {name} is still there after {within:?}: {last}",
            K::kind(&())
        );
    }
}

/// For facts that no watch tells: asks again every 100 ms.
pub async fn until_true<F: Future<Output = Result<(), String>>>(
    wanted: &str,
    within: Duration,
    mut ask: impl FnMut() -> F,
) {
    let mut last = "nothing".to_owned();
    let asking = async {
        while let Err(seen) = ask().await {
            last = seen;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    if timeout(within, asking).await.is_err() {
        panic!("it is not so within {within:?} that {wanted}; last seen: {last}");
    }
}

fn status_of<K: Serialize>(object: &K) -> String {
    serde_json::to_string_pretty(&serde_json::to_value(object).unwrap()["status"]).unwrap()
}
