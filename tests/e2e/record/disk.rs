//! Promise: a full disk stops the record and nothing else; with room again, nothing is lost or torn.

use herdctl::api::{
    job::{ConditionStatus, ConditionType},
    reason::{ExitReason, Reason},
};
use serde_json::Value;

use crate::{
    record::{faults::SmallDisk, run::Run, volume},
    status::{assert_ended, condition, status, told},
    team::{Team, namespace::TEAM_A},
    wait::{RUN, until},
};

const MIB: u64 = 1 << 20;
const FREE: u64 = 8 * MIB;

#[tokio::test]
async fn a_disk_that_is_full_and_freed_again_has_all_of_it() {
    let team = Team::alone().await;
    let disk = SmallDisk::begin(FREE).await;
    let run = Run::start(&team, "blocks-400x65536").await;
    let waits = |state| {
        move |job: &herdctl::api::job::Job| {
            condition(job, ConditionType::OutputStalled).unwrap_or(ConditionStatus::False) == state
        }
    };
    let stalled = until(
        &team.jobs(),
        &run.job,
        "stalled",
        RUN,
        waits(ConditionStatus::True),
    )
    .await;
    let conditions = status(&stalled).conditions;
    let message = conditions
        .iter()
        .find(|condition| condition.type_ == ConditionType::OutputStalled)
        .map(|condition| condition.message.as_str());
    assert!(
        message.is_some_and(|message| message.contains("disk") || message.contains("full")),
        "{}",
        told(&stalled)
    );
    assert_whole_lines(&run.job);
    disk.grow(1024 * MIB);
    let sealed = run.sealed().await;
    assert_ended(&sealed.job, ExitReason::Success, Reason::Completed);
    sealed.assert_intact();
    sealed.assert_blocks(400, 0);
    until(
        &team.jobs(),
        &run.job,
        "going on",
        RUN,
        waits(ConditionStatus::False),
    )
    .await;
    disk.end().await;
    let after = volume::output(TEAM_A, &run.job);
    assert!(
        after == sealed.bytes,
        "the test lost the record on its way back"
    );
}

/// Of what is there all but the last line, which an append may have cut, is an event.
fn assert_whole_lines(job: &str) {
    let output = volume::output(TEAM_A, job);
    let end = output.iter().rposition(|byte| *byte == b'\n').unwrap();
    for line in output[..end].split(|byte| *byte == b'\n') {
        let event: Value = serde_json::from_slice(line).unwrap();
        assert!(event["seq"].is_u64(), "{event}");
    }
}
