//! How soon people learn what happens in a pod, beside Kubernetes' own Job controller where it knows the
//! same: from the end of the program to the final status, and from a line of the agent to a follower.
//!
//! `KUBECONFIG=… NAMESPACE=… cargo bench --bench record`: a cluster with the chart and the scripted API
//! installed (all clocks are one machine's), and somebody with the role edit there. `benches/run` brings
//! one up.

use std::{error::Error, time::Duration};

use chrono::{DateTime, Utc};
use futures::{AsyncBufReadExt, Stream, TryStreamExt};
use herdctl::api::{
    job::{Job, JobSpec},
    verdict::Verdict,
};
use k8s_openapi::api::{batch::v1::Job as BatchJob, core::v1::Pod};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
    runtime::watcher::{self, Event},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Jobs of each kind.
const PAIRS: usize = 40;
/// The run that is followed says a line a second, two minutes long.
const SLOW: &str = "slow-120";
/// A run of a few lines that is not over by then will not be.
const DEADLINE: Duration = Duration::from_secs(60);
/// The followed run takes two minutes.
const FOLLOW_DEADLINE: Duration = Duration::from_secs(300);

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let client = Client::try_default().await?;
    let namespace = std::env::var("NAMESPACE").unwrap_or_else(|_| "team-a".to_owned());
    let image = std::env::var("AGENT_IMAGE")?;
    let agents: Api<herdctl::api::agent::Agent> = Api::namespaced(client.clone(), &namespace);
    let run = std::process::id();
    for scenario in ["text", SLOW] {
        let agent = serde_json::from_value(agent(&format!("bench-{run}-{scenario}"), scenario))?;
        agents.create(&PostParams::default(), &agent).await?;
    }

    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for number in 0..PAIRS {
        let name = format!("bench-{run}-{number}");
        ours.push(our_end(&client, &namespace, &name, &format!("bench-{run}-text")).await?);
        theirs.push(batch_end(&client, &namespace, &name, &image).await?);
    }
    let lines = line_delays(&client, &namespace, &format!("bench-{run}-{SLOW}")).await?;

    println!("| figure | ours | batch/v1 | ratio |\n| --- | --- | --- | --- |");
    let (ours, theirs) = (percentiles(ours), percentiles(theirs));
    for (name, ours, theirs) in [("p50", ours.0, theirs.0), ("p99", ours.1, theirs.1)] {
        println!(
            "| program's exit → final status, {name} of {PAIRS} | {ours:.0} ms | {theirs:.0} ms | {:.2} |",
            ours / theirs
        );
    }
    let count = lines.len();
    let lines = percentiles(lines);
    for (name, delay) in [("p50", lines.0), ("p99", lines.1)] {
        println!("| line → follower, {name} of {count} | {delay:.0} ms | | |");
    }
    for scenario in ["text", SLOW] {
        agents
            .delete(&format!("bench-{run}-{scenario}"), &DeleteParams::default())
            .await?;
    }
    Ok(())
}

fn agent(name: &str, scenario: &str) -> Value {
    json!({
        "apiVersion": "herdctl.dev/v1alpha1", "kind": "Agent",
        "metadata": {"name": name},
        "spec": {
            "prompt": "go",
            "model": format!("scripted-{scenario}"),
            "credentials": {"secretRef": {"name": "scripted-api", "key": "key"}},
            "env": [{"name": "ANTHROPIC_BASE_URL", "value": "http://scripted-api:8080"}],
        },
    })
}

/// Milliseconds from the agent's end, by the runner's clock, to the sight of the final status.
async fn our_end(client: &Client, namespace: &str, name: &str, agent: &str) -> Outcome<f64> {
    let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
    let job = Job::new(
        name,
        JobSpec {
            agent: agent.to_owned(),
            ..JobSpec::default()
        },
    );
    let seen = until(&jobs, job, |job| {
        job.status.as_ref().is_some_and(|status| status.is_final())
    })
    .await?;
    let status = seen.0.status.unwrap_or_default();
    let report = status.report.ok_or("the Job ended without a report")?;
    let verdict: Verdict = serde_json::from_str(&report.verdict)?;
    let ended = verdict.ended_at.ok_or("the verdict has no end")?;
    Ok(milliseconds(ended, seen.1))
}

/// The same for a Job of Kubernetes' own, whose program writes down when it ends.
async fn batch_end(client: &Client, namespace: &str, name: &str, image: &str) -> Outcome<f64> {
    let jobs: Api<BatchJob> = Api::namespaced(client.clone(), namespace);
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let job = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {"template": {"spec": {
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "c", "image": image,
                "command": ["sh", "-c", "date +%s%3N >/dev/termination-log"],
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}],
        }}},
    }))?;
    let done = |job: &BatchJob| {
        let conditions = job
            .status
            .iter()
            .flat_map(|it| it.conditions.iter())
            .flatten();
        let mut conditions = conditions;
        conditions.any(|it| it.type_ == "Complete" && it.status == "True")
    };
    let (_, seen) = until(&jobs, job, done).await?;
    let of_it = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={name}"));
    let pod = serde_json::to_value(pods.list(&of_it).await?.items.first())?;
    let ended: i64 = pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"]
        .as_str()
        .ok_or("the pod left no message")?
        .trim()
        .parse()?;
    jobs.delete(name, &DeleteParams::background()).await?;
    let ended = DateTime::from_timestamp_millis(ended).ok_or("no time")?;
    Ok(milliseconds(ended, seen))
}

/// Creates an object and waits for what is to be seen; when it was.
async fn until<K>(api: &Api<K>, object: K, seen: impl Fn(&K) -> bool) -> Outcome<(K, DateTime<Utc>)>
where
    K: Resource + serde::Serialize + DeserializeOwned + Clone + std::fmt::Debug + Send + 'static,
{
    let name = object.name_any();
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = std::pin::pin!(watcher::watcher(api.clone(), only));
    filled(&mut events).await?;
    api.create(&PostParams::default(), &object).await?;
    let wait = async {
        while let Some(event) = events.try_next().await? {
            let now = Utc::now();
            if let Event::Apply(object) | Event::InitApply(object) = event
                && seen(&object)
            {
                return Ok((object, now));
            }
        }
        Err::<_, Box<dyn Error>>("the watch ended".into())
    };
    tokio::time::timeout(DEADLINE, wait)
        .await
        .map_err(|_| format!("{name} is not over after {} s", DEADLINE.as_secs()))?
}

async fn filled<K>(
    events: &mut (impl Stream<Item = Result<Event<K>, watcher::Error>> + Unpin),
) -> Outcome<()> {
    while let Some(event) = events.try_next().await? {
        if matches!(event, Event::InitDone) {
            return Ok(());
        }
    }
    Err("the watch ended".into())
}

/// Milliseconds from each line's timestamp to its arrival at a follower.
async fn line_delays(client: &Client, namespace: &str, agent: &str) -> Outcome<Vec<f64>> {
    let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
    let job = Job::new(
        agent,
        JobSpec {
            agent: agent.to_owned(),
            ..JobSpec::default()
        },
    );
    jobs.create(&PostParams::default(), &job).await?;
    let path = format!(
        "/apis/herdctl.dev/output-v1/namespaces/{namespace}/joboutputs/{agent}/log?follow=true"
    );
    let request = http::Request::get(path).body(Vec::new())?;
    let mut lines = client.request_stream(request).await?.lines();
    let mut delays = Vec::new();
    let read = async {
        while let Some(line) = lines.try_next().await? {
            let now = Utc::now();
            let event: Value = serde_json::from_str(&line)?;
            // The first lines come while the follower connects.
            if event["type"] == "output" && event["seq"].as_u64() > Some(20) {
                let left: DateTime<Utc> = serde_json::from_value(event["timestamp"].clone())?;
                delays.push(milliseconds(left, now));
            }
        }
        Ok::<_, Box<dyn Error>>(())
    };
    tokio::time::timeout(FOLLOW_DEADLINE, read)
        .await
        .map_err(|_| "the followed run does not end")??;
    Ok(delays)
}

fn milliseconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).as_seconds_f64() * 1e3
}

/// The median and the 99th.
fn percentiles(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_unstable_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}
