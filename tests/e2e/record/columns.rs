//! Promise: kubectl tells how a run goes while it goes: turns rise, cost comes, the end is waited for.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use crate::{
    cluster,
    kubectl::kubectl_ok,
    record::run::Run,
    status::{status, told},
    team::Team,
    wait::{RUN, until},
};

/// A Bash call that takes three seconds; the store tells of the progress each five.
const PAUSE: &str = "timeout 3 tail -f /dev/null; true";

#[tokio::test]
async fn turns_rise_in_a_watch_during_a_run_and_the_cost_comes_with_the_result() {
    let team = Team::shared().await;
    let run = Run::commands(&team, &[PAUSE; 6]).await;
    let mut command = Command::new("kubectl");
    command
        .args(["get", "hj", &run.job, "--watch"])
        .env("KUBECONFIG", cluster::dev_kubeconfig())
        .env("KUBECACHEDIR", cluster::kubectl_cache())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut watch = command.spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let heading = lines.next_line().await.unwrap().unwrap();
    let columns: Vec<&str> = heading.split_whitespace().collect();
    assert_eq!(
        columns,
        [
            "NAME", "STATUS", "EXIT", "REASON", "AGENT", "TURNS", "COST", "AGE"
        ]
    );
    // Of TURNS and COST what is there; kubectl does not keep its columns where they were.
    let agent = team.get(&run.job).await.spec.agent;
    let cells = |line: &str| {
        let (_, after) = line.split_once(&agent).unwrap();
        let mut cells: Vec<f64> = after
            .split_whitespace()
            .map_while(|cell| cell.parse().ok())
            .collect();
        cells.truncate(2);
        cells
    };
    let mut seen = Vec::new();
    let watching = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            seen.push(cells(&line));
            if line.contains("completed") && cells(&line).len() == 2 {
                return;
            }
        }
    };
    assert!(
        timeout(RUN, watching).await.is_ok(),
        "no end with a cost: {seen:?}"
    );
    let turns: Vec<f64> = seen
        .iter()
        .filter_map(|cells| cells.first().copied())
        .collect();
    assert!(turns.is_sorted(), "{seen:?}");
    let mut different = turns.clone();
    different.dedup();
    assert!(different.len() >= 3, "turns rose less than twice: {seen:?}");
    assert_eq!(turns.last(), Some(&7.0), "{seen:?}");
    assert!(seen.last().unwrap()[1] > 0.0, "{seen:?}");
}

#[tokio::test]
async fn the_end_is_waited_for_and_told_in_full() {
    let team = Team::shared().await;
    let job = team.job(&team.agent("tools-3").await).await;
    let name = format!("hj/{job}");
    kubectl_ok(
        &["wait", "--for=condition=Finished", &name, "--timeout=180s"],
        "",
    )
    .await;
    let done = until(&team.jobs(), &job, "sealed", RUN, |job| {
        crate::record::proof::is_sealed(&status(job))
    })
    .await;
    let progress = status(&done).progress.unwrap_or_default();
    assert_eq!(progress.turns, 4, "{}", told(&done));
    assert!(
        progress.cost_usd.is_some_and(|cost| cost > 0.0),
        "{}",
        told(&done)
    );
    assert!(
        progress.input_tokens > 0 && progress.output_tokens > 0,
        "{}",
        told(&done)
    );
    assert_eq!(
        progress.last_tool.as_deref(),
        Some("Bash"),
        "{}",
        told(&done)
    );
    let line = kubectl_ok(&["get", &name, "--no-headers"], "").await;
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(
        &cells[1..4],
        ["completed", "success", "Completed"],
        "{line}"
    );
    assert_eq!(cells[5], "4", "{line}");
}
