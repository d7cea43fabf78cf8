//! What the controller costs beside Kubernetes' own Job controller: the time from a Job's creation to the
//! sight of its pod, taken in turns on one idle cluster. No pod is ever scheduled, so nothing else runs.
//!
//! `KUBECONFIG=… NAMESPACE=… cargo bench --bench controller`: a cluster with the chart installed, and
//! somebody who may create Agents, Jobs and batch Jobs there. `benches/run` brings one up.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt};
use herdctl::api::{
    agent::{Agent, AgentSpec},
    job::{Job, JobSpec},
    pod_template::PodTemplate,
};
use k8s_openapi::api::{batch::v1::Job as BatchJob, core::v1::Pod};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, PostParams, WatchEvent, WatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

/// Jobs of each kind.
const PAIRS: usize = 100;
/// A pod that has not been seen by then will not come.
const DEADLINE: Duration = Duration::from_secs(20);
/// After a Job is gone, so that its removal is not measured with the next one.
const QUIET: Duration = Duration::from_millis(300);
/// No node has this label.
const NOWHERE: (&str, &str) = ("herdctl.dev.bench", "nowhere");

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    // Watches have a client of their own, so that creations find a connection that is open and idle.
    let watching = Client::try_default().await?;
    let client = Client::try_default().await?;
    let namespace = std::env::var("NAMESPACE").unwrap_or_else(|_| "team-a".to_owned());
    let agents: Api<Agent> = Api::namespaced(client.clone(), &namespace);
    let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace);
    let batch: Api<BatchJob> = Api::namespaced(client.clone(), &namespace);
    let pods: Api<Pod> = Api::namespaced(watching, &namespace);

    let run = std::process::id();
    let agent = agents
        .create(&PostParams::default(), &nowhere(&format!("bench-{run}")))
        .await?;
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for number in 0..PAIRS {
        let name = format!("bench-{run}-{number}");
        let job = Job::new(
            &name,
            JobSpec {
                agent: agent.name_any(),
                ..JobSpec::default()
            },
        );
        ours.push(until_seen(&jobs, &job, &pods, "herdctl.dev/job").await?);
        theirs.push(
            until_seen(
                &batch,
                &batch_job(&name)?,
                &pods,
                "batch.kubernetes.io/job-name",
            )
            .await?,
        );
    }
    agents
        .delete(&agent.name_any(), &DeleteParams::default())
        .await?;

    let (ours, theirs) = (percentiles(ours), percentiles(theirs));
    println!("| figure | ours | batch/v1 | ratio |\n| --- | --- | --- | --- |");
    for (name, ours, theirs) in [("p50", ours.0, theirs.0), ("p99", ours.1, theirs.1)] {
        println!(
            "| Job created → pod seen, {name} of {PAIRS} | {ours:.1} ms | {theirs:.1} ms | {:.2} |",
            ours / theirs
        );
    }
    Ok(())
}

fn nowhere(name: &str) -> Agent {
    let selector = [(NOWHERE.0.to_owned(), NOWHERE.1.to_owned())].into();
    Agent::new(
        name,
        AgentSpec {
            prompt: Some("nothing".to_owned()),
            pod: Some(PodTemplate {
                node_selector: Some(selector),
                ..PodTemplate::default()
            }),
            ..AgentSpec::default()
        },
    )
}

fn batch_job(name: &str) -> Outcome<BatchJob> {
    Ok(serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {"template": {"spec": {
            "restartPolicy": "Never",
            "nodeSelector": {NOWHERE.0: NOWHERE.1},
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "c", "image": "none", "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}],
        }}},
    }))?)
}

/// Milliseconds from sending the creation to the event of the Job's pod; the Job is removed again.
async fn until_seen<K>(api: &Api<K>, object: &K, pods: &Api<Pod>, label: &str) -> Outcome<f64>
where
    K: Resource<DynamicType = ()> + Serialize + DeserializeOwned + Clone + std::fmt::Debug,
{
    let name = object.name_any();
    let selector = WatchParams::default().labels(&format!("{label}={name}"));
    let version = pods
        .list(&kube::api::ListParams::default().limit(1))
        .await?
        .metadata
        .resource_version;
    let mut events = pods
        .watch(&selector, &version.unwrap_or_default())
        .await?
        .boxed();
    let start = Instant::now();
    api.create(&PostParams::default(), object).await?;
    let seen = async {
        while let Some(event) = events.try_next().await? {
            if let WatchEvent::Added(pod) = event {
                return Ok(pod.name_any());
            }
        }
        Err::<_, Box<dyn Error>>("the watch ended".into())
    };
    let pod = tokio::time::timeout(DEADLINE, seen)
        .await
        .map_err(|_| format!("no pod of {name} came"))??;
    let took = start.elapsed().as_secs_f64() * 1e3;
    api.delete(&name, &DeleteParams::background()).await?;
    gone(api, &name).await?;
    gone(pods, &pod).await?;
    tokio::time::sleep(QUIET).await;
    Ok(took)
}

async fn gone<K>(api: &Api<K>, name: &str) -> Outcome<()>
where
    K: Resource + DeserializeOwned + Clone + std::fmt::Debug,
{
    let start = Instant::now();
    while api.get_opt(name).await?.is_some() {
        if start.elapsed() > DEADLINE {
            return Err(format!("{name} is not removed").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// The median and the 99th.
fn percentiles(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_unstable_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}
