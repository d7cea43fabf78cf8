//! Promise: every line of a run is in the file on the volume, once and in order, and whoever reads it by
//! the Kubernetes API gets the same bytes.

use std::time::Duration;

use herdctl::api::reason::{ExitReason, Reason};
use serde_json::Value;

use crate::{
    record::{
        proof::{Rebuilt, Sealed},
        reader,
        run::Run,
    },
    status::{assert_ended, status},
    team::{Team, namespace::TEAM_A},
    wait::until,
};

const BLOCKS: usize = 5000;
const CALLS: usize = 200;
/// So many calls, beside other tests.
const LONG: Duration = Duration::from_secs(600);
/// More than the runner puts into one event, and than one append takes.
const LARGE: usize = 10 << 20;

#[tokio::test]
async fn five_thousand_blocks_and_two_hundred_calls_are_there_once_and_in_order() {
    let team = Team::shared().await;
    let run = Run::start(&team, &format!("numbered-{BLOCKS}x{CALLS}")).await;
    until(&team.jobs(), &run.job, "finished", LONG, |job| {
        status(job).is_final()
    })
    .await;
    let sealed = run.sealed().await;
    assert_ended(&sealed.job, ExitReason::Success, Reason::Completed);
    sealed.assert_intact();
    sealed.assert_blocks(BLOCKS, 0);
    sealed.assert_calls(CALLS);
    assert_cli_lines(&sealed);
    let served = reader::output(&team.client, TEAM_A, &run.job).await;
    assert!(served == Ok(sealed.bytes), "the gateway serves other bytes");
}

/// The CLI's own lines, rebuilt: its `init`, a line for each block and call, its `result`.
fn assert_cli_lines(sealed: &Sealed) {
    let lines: Vec<&Value> = sealed
        .lines
        .iter()
        .map(|line| match line {
            Rebuilt::Json(_, json) => json,
            Rebuilt::Bytes(bytes) => panic!("the CLI wrote {}", String::from_utf8_lossy(bytes)),
        })
        .collect();
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).count();
    assert_eq!(
        (of("assistant"), of("user"), of("result")),
        (BLOCKS + CALLS, CALLS, 1)
    );
    assert_eq!(lines.last().unwrap()["type"], "result");
    assert_eq!(lines.last().unwrap()["num_turns"], CALLS + 1);
    let sessions: Vec<&Value> = lines.iter().map(|line| &line["session_id"]).collect();
    assert!(sessions.iter().all(|session| *session == sessions[0]));
}

#[tokio::test]
async fn a_text_of_ten_megabytes_is_there_whole() {
    let team = Team::shared().await;
    let run = Run::start(&team, &format!("blocks-2x{LARGE}")).await;
    let sealed = run.sealed().await;
    assert_ended(&sealed.job, ExitReason::Success, Reason::Completed);
    sealed.assert_intact();
    sealed.assert_blocks(2, 0);
    assert!(sealed.texts().iter().all(|text| text.len() == LARGE));
}

#[tokio::test]
async fn the_output_is_the_same_while_the_pod_runs_after_it_and_after_its_containers() {
    let team = Team::shared().await;
    let run = Run::start(&team, "slow-8").await;
    run.tells("block 4 of 8").await;
    let early = reader::output(&team.client, TEAM_A, &run.job)
        .await
        .unwrap();
    assert!(early.ends_with(b"\n") && early.len() > 1000);
    let sealed = run.sealed().await;
    assert!(
        sealed.bytes.starts_with(&early),
        "what was read has changed"
    );
    run.remove_pod().await;
    let late = reader::output(&team.client, TEAM_A, &run.job).await;
    assert!(
        late.as_ref() == Ok(&sealed.bytes),
        "after the pod it reads otherwise"
    );
    let left = crate::node::processes(&format!("/pod{}", run.pod_uid));
    assert!(left.is_empty(), "{left:?}");
}
