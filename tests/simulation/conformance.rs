//! The simulation is worth what its API server is worth: the same random requests are sent to it and to a
//! real one, and both must give the same codes, objects and watch events.
//!
//! The cluster must be one that knows our kinds and has no operator; its kubeconfig is
//! in `CONFORMANCE`. `tests/e2e/run` brings both.

mod servers;
mod steps;
mod texts;

use std::{collections::BTreeMap, env};

use chrono::Utc;
use futures::{StreamExt, stream};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

use super::{
    api::{ApiServer, Key, Request, Resource},
    random::Random,
};

use servers::{Known, comparable, real, told, watched};
use steps::Step;

const SEQUENCES: u64 = 2000;
/// Requests in one sequence.
const LENGTH: u64 = 12;
const NAMESPACE: &str = "default";
const SEED: u64 = 6;
/// Of every so many sequences the events are compared too.
const WATCHED: u64 = 5;
/// How long a watch may last: a busy server tells in longer ones what did not come in a short one.
const WATCH_SECONDS: [u32; 3] = [1, 5, 20];
const SIDE_BY_SIDE: usize = 16;
/// How many differences a failure tells.
const SHOWN: usize = 60;

async fn play(
    client: &Client,
    resource: Resource,
    key: &Key,
    chance: &mut Random,
    watches: bool,
) -> Result<(), String> {
    let mut model = ApiServer::default();
    let home = Key::new(Resource::Namespaces, "", &key.namespace);
    let home = Request::new("POST", &home, "").with(
        "application/json",
        &json!({"metadata": {"name": key.namespace}}),
    );
    model.handle(&home, Utc::now());
    let (mut modelled, mut known) = (Known::default(), Known::default());
    let mut sent = Vec::new();
    for _ in 0..LENGTH {
        let step = Step::random(resource, chance);
        let expected = model.handle(&step.request(&modelled, key), Utc::now());
        let answer = real(client, &step.request(&known, key)).await;
        sent.push(format!("{step:?}"));
        let (wanted, got) = (
            comparable(resource, &expected),
            comparable(resource, &answer),
        );
        if wanted != got {
            return Err(format!(
                "{}, after {}\nmodel: {wanted:?}\nreal:  {got:?}\n       {}",
                key.name,
                sent.join("\n      "),
                answer.body["message"]
            ));
        }
        modelled.hear(&expected);
        known.hear(&answer);
    }
    let (Some(modelled), Some(known), true) = (&modelled.first, &known.first, watches) else {
        return Ok(());
    };
    let mut asked = events_since(&modelled["metadata"]["resourceVersion"]);
    asked.path = Request::new("POST", key, "").path;
    let expected = told(resource, &model.handle(&asked, Utc::now()), &key.name);
    let since = &known["metadata"]["resourceVersion"];
    let since = since.as_str().unwrap_or_default();
    let mut got = Vec::new();
    for seconds in WATCH_SECONDS {
        got = told(
            resource,
            &watched(client, key, since, seconds).await,
            &key.name,
        );
        if expected == got {
            return Ok(());
        }
    }
    Err(format!(
        "{}, after {}: a watch tells\nmodel: {expected:#?}\nreal:  {got:#?}",
        key.name,
        sent.join("\n      "),
    ))
}

fn events_since(version: &Value) -> Request {
    Request {
        method: "GET".to_owned(),
        query: BTreeMap::from([
            ("watch".to_owned(), "true".to_owned()),
            (
                "resourceVersion".to_owned(),
                version.as_str().unwrap_or("0").to_owned(),
            ),
        ]),
        ..Request::default()
    }
}

/// Leaves nothing behind, whatever holds it.
async fn clear(client: &Client, key: &Key) {
    let free = json!({"metadata": {"finalizers": null}});
    let free = Request::new("PATCH", key, "").with("application/merge-patch+json", &free);
    let now = json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0});
    let now = Request::new("DELETE", key, "").with("application/json", &now);
    for request in [free, now] {
        real(client, &request).await;
    }
}

async fn play_and_clear(
    client: Client,
    run: i64,
    number: u64,
    mut chance: Random,
) -> Option<String> {
    let resource = *chance.pick(&[Resource::Jobs, Resource::Jobs, Resource::Pods]);
    // Other names in each run: what an earlier one may have left is not in the way.
    let key = Key::new(resource, NAMESPACE, &format!("conformance-{run}-{number}"));
    // Of a watch a part is asked, since each waits for a second.
    let watches = number.is_multiple_of(WATCHED);
    let result = play(&client, resource, &key, &mut chance, watches).await;
    clear(&client, &key).await;
    result.err()
}

/// Of the cluster.
async fn client() -> Client {
    let kubeconfig = env::var("CONFORMANCE").expect("CONFORMANCE names a kubeconfig");
    let config = Config::from_custom_kubeconfig(
        Kubeconfig::read_from(kubeconfig).unwrap(),
        &KubeConfigOptions::default(),
    )
    .await
    .unwrap();
    Client::try_from(config).unwrap()
}

#[tokio::test]
#[ignore = "needs a cluster without the operator: tests/e2e/run"]
async fn two_thousand_random_sequences_are_answered_as_by_a_real_api_server() {
    let client = client().await;
    let mut chance = Random::new(SEED);
    let run = Utc::now().timestamp();
    let all: Vec<_> = (0..SEQUENCES)
        .map(|number| play_and_clear(client.clone(), run, number, chance.fork()))
        .collect();
    let wrong: Vec<String> = stream::iter(all)
        .buffer_unordered(SIDE_BY_SIDE)
        .filter_map(async |wrong| wrong)
        .collect()
        .await;
    let first: Vec<&str> = wrong.iter().take(SHOWN).map(String::as_str).collect();
    assert!(
        wrong.is_empty(),
        "{} differ, such as\n{}",
        wrong.len(),
        first.join("\n\n")
    );
}
