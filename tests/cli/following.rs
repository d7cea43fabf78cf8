//! A follow shows every line once, whatever restarts on the way, and ends with the last.

use serde_json::json;

use crate::{
    cluster::{Cluster, minted, no_record, status},
    record::{close, segment, status_of},
};

const ARGUMENTS: [&str; 6] = ["jobs", "logs", "7f3c", "-f", "-o", "jsonl"];

/// A pending Job, and the record that it will have.
fn pending() -> (Cluster, String, Vec<u8>) {
    let cluster = Cluster::start();
    let name = minted("7f3c0a1b");
    cluster.job(&name, 60, json!({"phase": "pending"}));
    let (segment, verdict) = segment("subagent");
    (cluster, name, close(segment, &verdict))
}

#[tokio::test]
async fn it_begins_while_the_job_is_pending_and_ends_with_the_last_line() {
    let (cluster, name, bytes) = pending();
    // The store has not heard of the Job yet.
    cluster.fail("/log", 2, 404, no_record(&name));
    let mut logs = cluster.program.start(&ARGUMENTS);
    cluster
        .until("asked until the store knows the Job", |world| {
            world
                .requests
                .iter()
                .filter(|request| request.contains("/log"))
                .count()
                >= 3
        })
        .await;
    let first = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    // The second line is torn when it comes.
    cluster.record(&name, &bytes[..first + 5], false);
    assert_eq!(logs.line().await.as_bytes(), &bytes[..first]);
    cluster.append(&name, &bytes[first + 5..], false);
    // Not sealed yet in the store's own words: the line itself is the end.
    let ran = logs.rest().await.exits(0);
    assert_eq!(ran.stdout.as_bytes(), &bytes[first..]);
    assert_eq!(ran.stderr, "");
}

#[tokio::test]
async fn answers_that_break_off_anywhere_lose_and_repeat_nothing() {
    let (cluster, name, bytes) = pending();
    cluster.record(&name, &bytes, true);
    cluster.change(|world| {
        let record = world.records.get_mut(&name).unwrap();
        record.cuts = [1, 7, 0, 500, 0, 3, 2_000].into();
    });
    let ran = cluster.program.run(&ARGUMENTS).await.exits(0);
    assert_eq!(ran.stdout.as_bytes(), bytes);
    assert!(cluster.count("/log") >= 8);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_gone_on_with_also_without_follow() {
    let (cluster, name, bytes) = pending();
    cluster.record(&name, &bytes, true);
    cluster.change(|world| world.records.get_mut(&name).unwrap().cuts = [100].into());
    let ran = cluster
        .program
        .run(&["jobs", "logs", "7f3c", "-o", "jsonl"])
        .await
        .exits(0);
    assert_eq!(ran.stdout.as_bytes(), bytes);
}

#[tokio::test]
async fn a_tail_goes_on_where_it_was() {
    let (cluster, name, bytes) = pending();
    let half = bytes[..bytes.len() / 2]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .unwrap()
        + 1;
    cluster.record(&name, &bytes[..half], false);
    cluster.change(|world| world.records.get_mut(&name).unwrap().cuts = [40, 40].into());
    let mut logs = cluster
        .program
        .start(&[&ARGUMENTS[..], &["--tail", "1"]].concat());
    let last = bytes[..half - 1]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .unwrap()
        + 1;
    assert_eq!(logs.line().await.as_bytes(), &bytes[last..half]);
    cluster.append(&name, &bytes[half..], true);
    assert_eq!(logs.rest().await.exits(0).stdout.as_bytes(), &bytes[half..]);
}

#[tokio::test]
async fn a_restart_of_the_api_server_is_crossed_and_told_once() {
    let (mut cluster, name, bytes) = pending();
    let half = bytes.len() / 2;
    cluster.record(&name, &bytes[..half], false);
    let mut logs = cluster.program.start(&ARGUMENTS);
    let first = logs.line().await;
    cluster.stop();
    cluster.append(&name, &bytes[half..], true);
    logs.tells("the API server does not answer").await;
    cluster.start_again();
    let ran = logs.rest().await.exits(0);
    assert_eq!([first.as_bytes(), ran.stdout.as_bytes()].concat(), bytes);
    let told = ran.stderr.matches("the API server does not answer").count();
    assert_eq!(told, 1, "{ran:#?}");
    ran.says(&["waiting for it; 7f3c0a1b continues", "it answers again"]);
}

#[tokio::test]
async fn a_gateway_or_store_that_is_away_is_waited_for() {
    let (cluster, name, bytes) = pending();
    cluster.record(&name, &bytes, true);
    let away = status(
        503,
        "ServiceUnavailable",
        "no answer",
        json!({"kind": "joboutputs", "name": name}),
    );
    cluster.fail("/log", 3, 503, "service unavailable");
    cluster.fail("/log", 3, 503, away);
    let ran = cluster.program.run(&ARGUMENTS).await.exits(0);
    assert_eq!(ran.stdout.as_bytes(), bytes);
    assert!(ran.stderr.contains("does not answer"), "{ran:#?}");
}

#[tokio::test]
async fn a_short_outage_is_not_worth_a_word() {
    let (cluster, name, bytes) = pending();
    cluster.record(&name, &bytes, true);
    cluster.fail("/log", 1, 503, "service unavailable");
    let ran = cluster.program.run(&ARGUMENTS).await.exits(0);
    assert_eq!(ran.stderr, "");
}

#[tokio::test]
async fn a_right_that_is_taken_away_ends_it() {
    let (cluster, name, bytes) = pending();
    cluster.record(&name, &bytes[..bytes.len() / 2], false);
    cluster.change(|world| world.records.get_mut(&name).unwrap().cuts = [200].into());
    let words = "User \"jane\" cannot get resource \"joboutputs/log\"";
    cluster.fail(
        "offset=200",
        99,
        403,
        status(403, "Forbidden", words, json!({"kind": "joboutputs"})),
    );
    let logs = cluster.program.start(&ARGUMENTS);
    // An API server that has just started says so too: it is believed after ten seconds.
    logs.rest()
        .await
        .exits(1)
        .says(&["you may not get joboutputs/log"]);
}

#[tokio::test]
async fn a_name_that_comes_back_as_another_job_is_not_read_on() {
    let (cluster, name, bytes) = pending();
    cluster.record(&name, &bytes[..300], false);
    let mut logs = cluster.program.start(&ARGUMENTS);
    logs.line().await;
    cluster.change(|world| {
        let record = world.records.remove(&name).unwrap();
        world.records.insert(
            name.clone(),
            crate::cluster::Record {
                uid: Some("another".into()),
                ..record
            },
        );
        world.epoch += 1;
    });
    logs.rest()
        .await
        .exits(1)
        .says(&["was deleted, and another of this name has been made since"]);
}

#[tokio::test]
async fn a_job_that_is_deleted_before_its_first_line_ends_it() {
    let (cluster, name, _) = pending();
    cluster.fail("/log", 1, 404, no_record(&name));
    let logs = cluster.program.start(&ARGUMENTS);
    cluster
        .until("asked", |world| {
            world
                .requests
                .iter()
                .any(|request| request.contains("/log"))
        })
        .await;
    cluster.change(|world| world.delete(&name));
    logs.rest()
        .await
        .exits(1)
        .says(&["has been deleted before it had any output"]);
}

#[tokio::test]
async fn a_sealed_record_whose_end_was_skipped_ends_it_too() {
    let (cluster, name, bytes) = pending();
    cluster.record(&name, &bytes, true);
    let ran = cluster
        .program
        .run(&[&ARGUMENTS[..], &["--tail", "0"]].concat())
        .await
        .exits(0);
    assert_eq!(ran.stdout, "");
}

#[tokio::test]
async fn ctrl_c_leaves_the_job_running() {
    let (cluster, name, bytes) = pending();
    cluster.record(&name, &bytes[..300], false);
    let mut logs = cluster.program.start(&ARGUMENTS);
    logs.line().await;
    logs.interrupt();
    logs.rest().await.exits(130).says(&["7f3c0a1b continues"]);
    assert_eq!(cluster.count("PATCH"), 0);
}

#[tokio::test]
async fn a_finished_job_is_followed_to_its_end_at_once() {
    let (cluster, name, _) = pending();
    let (segment, verdict) = segment("success");
    let bytes = close(segment, &verdict);
    cluster.job(&name, 60, status_of(&bytes, &verdict));
    cluster.record(&name, &bytes, true);
    let ran = cluster.program.run(&ARGUMENTS).await.exits(0);
    assert_eq!(ran.stdout.as_bytes(), bytes);
}

#[tokio::test]
async fn a_record_that_always_breaks_off_is_given_up_unless_it_is_followed() {
    let (cluster, name, bytes) = pending();
    cluster.job(&name, 60, json!({"phase": "completed"}));
    cluster.record(&name, &bytes, true);
    cluster.change(|world| {
        let record = world.records.get_mut(&name).unwrap();
        // A piece, and then never more.
        record.cuts = [100; 3].into_iter().chain([0; 1_000]).collect();
    });
    let program = &cluster.program;
    let run = async |verb: &str| program.run(&["jobs", verb, "7f3c"]).await.exits(1);
    let (logs, verify, result) = tokio::join!(run("logs"), run("verify"), run("result"));
    for ran in [logs, verify, result] {
        ran.says(&[
            "error: can't read the output of job-7f3c0a1b",
            "next: the Job continues, and its output is kept; try again, or wait: herdctl jobs logs -f 7f3c0a1b",
        ]);
    }
}

#[tokio::test]
async fn a_quiet_agent_does_not_keep_it_secret_that_somebody_is_back() {
    let (mut cluster, name, bytes) = pending();
    let first = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    cluster.record(&name, &bytes[..first], false);
    let mut logs = cluster.program.start(&ARGUMENTS);
    logs.line().await;
    cluster.stop();
    logs.tells("the API server does not answer").await;
    cluster.start_again();
    // Not a byte came since.
    logs.tells("it answers again").await;
    cluster.append(&name, &bytes[first..], true);
    assert_eq!(
        logs.rest().await.exits(0).stdout.as_bytes(),
        &bytes[first..]
    );
}

#[tokio::test]
async fn a_name_without_a_job_or_a_record_says_where_to_look() {
    let (cluster, name, _) = pending();
    cluster.fail("/log", 1, 404, no_record(&name));
    let ran = cluster
        .program
        .run(&["jobs", "logs", "7f3c"])
        .await
        .exits(1);
    ran.says(&[
        "there is no output of job-7f3c0a1b",
        "next: see why: herdctl jobs show 7f3c0a1b",
    ]);
}

#[tokio::test]
async fn a_pause_is_told_while_nothing_comes() {
    let cluster = Cluster::start();
    cluster.job("j", 60, json!({"phase": "running"}));
    let (segment, _) = segment("sigterm_bash");
    cluster.record("j", &segment, false);
    let mut logs = cluster.program.start(&["jobs", "logs", "j", "-f"]);
    cluster
        .until("the Job is watched", |world| {
            world
                .requests
                .iter()
                .any(|request| request.contains("watch=true"))
        })
        .await;
    cluster.job("j", 60, json!({"phase": "running", "reason": "Suspending"}));
    cluster.change(|world| {
        let mut job = world.jobs["j"].clone();
        job["spec"]["suspend"] = true.into();
        job["status"] =
            json!({"phase": "pending", "reason": "Suspended", "message": "paused by spec.suspend"});
        world.put(job);
    });
    logs.tells("paused by spec.suspend").await;
    logs.interrupt();
    logs.rest().await.exits(130);
}

#[tokio::test]
async fn the_output_of_a_paused_job_says_how_it_goes_on() {
    let cluster = Cluster::start();
    cluster.job("j", 60, json!({"phase": "pending", "reason": "Suspended"}));
    cluster.change(|world| {
        let mut job = world.jobs["j"].clone();
        job["spec"]["suspend"] = true.into();
        world.put(job);
    });
    let (segment, _) = segment("sigterm_bash");
    cluster.record("j", &segment, false);
    let ran = cluster.program.run(&["jobs", "logs", "j"]).await.exits(0);
    ran.says(&["it is suspended; continue it with herdctl jobs resume j"]);
}
