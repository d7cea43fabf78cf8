//! `jobs verify`: one changed byte is found, and told where.

use serde_json::json;

use crate::{
    cluster::{Cluster, minted},
    record::{close, segment, status_of},
};

fn sealed() -> (Cluster, Vec<u8>) {
    let cluster = Cluster::start();
    let (segment, verdict) = segment("subagent");
    let bytes = close(segment, &verdict);
    cluster.job("j", 60, status_of(&bytes, &verdict));
    cluster.record("j", &bytes, true);
    (cluster, bytes)
}

#[tokio::test]
async fn an_untouched_record_agrees() {
    let (cluster, bytes) = sealed();
    let ran = cluster.program.run(&["jobs", "verify", "j"]).await.exits(0);
    let hex = crate::record::hex(&bytes);
    let ran = ran.prints(&[
        "✔ attempt 1: 16 lines, sha256 ",
        "✔ the 17 lines before the last: sha256 ",
        &format!("✔ the whole file: sha256 {hex}"),
    ]);
    ran.says(&["j is as it was recorded: 18 lines, "]);
}

#[tokio::test]
async fn a_flipped_bit_anywhere_is_a_difference() {
    let (cluster, bytes) = sealed();
    for at in [10, bytes.len() / 2, bytes.len() - 80] {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        cluster.record("j", &altered, true);
        let ran = cluster.program.run(&["jobs", "verify", "j"]).await.exits(1);
        ran.prints(&["✖ the whole file: sha256 is "])
            .says(&["error: the output of j is not what was recorded"]);
    }
}

#[tokio::test]
async fn a_job_that_goes_on_is_not_proved_yet() {
    let cluster = Cluster::start();
    let (segment, _) = segment("success");
    cluster.job("j", 60, json!({"phase": "running"}));
    cluster.record("j", &segment, false);
    let ran = cluster.program.run(&["jobs", "verify", "j"]).await.exits(1);
    ran.prints(&["✔ attempt 1: 7 lines"])
        .says(&["the output of j is not sealed yet (running)"]);
}

#[tokio::test]
async fn an_agent_that_works_is_not_said_to_have_ended() {
    let cluster = Cluster::start();
    let (segment, _) = segment("success");
    let begun = &segment[..segment.len() / 2];
    let whole_lines = begun.iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    cluster.job("j", 60, json!({"phase": "running"}));
    cluster.record("j", &begun[..whole_lines], false);
    let ran = cluster.program.run(&["jobs", "verify", "j"]).await.exits(1);
    assert!(!ran.stdout.contains("ended"), "{ran:#?}");
    assert!(!ran.stdout.contains("deleted"), "{ran:#?}");
    ran.prints(&[
        "· attempt 1: it has no verdict yet",
        "· the whole file: the Job's status does not have its digest yet",
    ]);
}

#[tokio::test]
async fn the_record_of_a_deleted_job_is_checked_against_itself() {
    let (cluster, _) = sealed();
    cluster.change(|world| world.delete("j"));
    let ran = cluster.program.run(&["jobs", "verify", "j"]).await.exits(0);
    ran.prints(&["✔ attempt 1", "· the whole file: its Job was deleted"]);
}

#[tokio::test]
async fn a_deleted_jobs_record_goes_before_a_job_whose_id_it_begins() {
    let (cluster, bytes) = sealed();
    cluster.change(|world| {
        world.delete("j");
        let record = world.records.remove("j").unwrap();
        world.records.insert("7f3c".into(), record);
    });
    cluster.job(&minted("7f3c0a1b"), 60, json!({"phase": "running"}));
    let (other, _) = segment("success");
    cluster.record(&minted("7f3c0a1b"), &other, false);
    let logs = ["jobs", "logs", "7f3c", "-o", "jsonl"];
    let ran = cluster.program.run(&logs).await.exits(0);
    assert_eq!(ran.stdout.as_bytes(), bytes);
    let ran = cluster
        .program
        .run(&["jobs", "verify", "7f3c"])
        .await
        .exits(0);
    ran.says(&["7f3c is as it was recorded"]);
    let ran = cluster
        .program
        .run(&["jobs", "result", "7f3c"])
        .await
        .exits(0);
    assert_eq!(ran.stdout, "C\n");
    // Where there is no such record, the beginning is enough.
    cluster.change(|world| world.records.remove("7f3c"));
    let ran = cluster.program.run(&logs).await.exits(0);
    assert_eq!(ran.stdout.as_bytes(), other);
}
