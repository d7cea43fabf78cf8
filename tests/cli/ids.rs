//! How Jobs are named by hand.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::cluster::{Cluster, USER, World, created_by, expired, minted};

fn three() -> Cluster {
    let cluster = Cluster::start();
    cluster.job(
        &minted("7f3c0a1b"),
        500,
        json!({"phase": "cancelled", "exitReason": "manual_cancel"}),
    );
    cluster.job(
        &minted("7f012222"),
        400,
        json!({"phase": "completed", "exitReason": "success"}),
    );
    cluster.job("nightly", 300, json!({"phase": "running"}));
    cluster.job("nightly-2", 200, json!({"phase": "pending"}));
    cluster
}

async fn shows(cluster: &Cluster, id: &str) -> String {
    let ran = cluster
        .program
        .run(&["jobs", "show", id, "-o", "json"])
        .await
        .exits(0);
    let job: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    job["metadata"]["name"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn any_beginning_that_is_one_jobs_alone_is_enough() {
    let cluster = three();
    for id in ["7f3", "job-7f3c", "7f3c0a1b-", &minted("7f3c0a1b")] {
        assert_eq!(shows(&cluster, id).await, minted("7f3c0a1b"), "{id}");
    }
}

#[tokio::test]
async fn a_whole_name_goes_before_longer_ones() {
    assert_eq!(shows(&three(), "nightly").await, "nightly");
}

#[tokio::test]
async fn a_name_that_a_person_chose_is_never_taken_for_the_beginning_of_another() {
    let cluster = three();
    cluster.change(|world| world.delete("nightly"));
    cluster.job("job-nightly", 100, json!({"phase": "running"}));
    for verb in [
        &["show"][..],
        &["cancel"],
        &["pause"],
        &["resume"],
        &["logs"],
        &["result"],
        &["verify"],
    ] {
        for id in ["nightly", "night", "job-night"] {
            let arguments = [&["jobs"], verb, &[id]].concat();
            let ran = cluster.program.run(&arguments).await.exits(1);
            ran.says(&[
                &format!("error: no job {id} in namespace team-a; nearest: "),
                "nightly-2 (pending for ",
            ]);
        }
    }
    assert_eq!(cluster.count("PATCH") + cluster.count("POST"), 0);
}

#[tokio::test]
async fn a_beginning_that_every_minted_name_has_is_none() {
    let cluster = Cluster::start();
    cluster.job(&minted("7f3c0a1b"), 500, json!({"phase": "running"}));
    for id in ["j", "job", "job-"] {
        let ran = cluster.program.run(&["jobs", "cancel", id]).await.exits(1);
        ran.says(&[&format!("error: no job {id} ")]);
    }
    assert_eq!(cluster.count("PATCH"), 0);
}

#[tokio::test]
async fn last_is_the_newest_and_may_be_an_agents() {
    let cluster = three();
    assert_eq!(shows(&cluster, "@last").await, "nightly-2");
    cluster.change(|world| {
        let mut job = world.jobs["nightly"].clone();
        job["spec"]["agent"] = "planner".into();
        world.put(job);
    });
    assert_eq!(shows(&cluster, "@last:planner").await, "nightly");
    let ran = cluster
        .program
        .run(&["jobs", "show", "@last:nobody"])
        .await
        .exits(1);
    ran.says(&["error: there is no Job of agent nobody in namespace team-a"]);
}

/// The Job is one that this user created with herdctl, so many milliseconds into its second.
fn own(world: &mut World, name: &str, user: &str, milliseconds: i64) {
    let mut job = world.jobs[name].clone();
    created_by(&mut job, user, TimeDelta::milliseconds(milliseconds));
    world.put(job);
}

#[tokio::test]
async fn what_is_changed_as_the_last_is_ones_own() {
    for (verb, status) in [
        ("cancel", json!({"phase": "running"})),
        ("pause", json!({"phase": "running"})),
        (
            "resume",
            json!({"phase": "completed", "startedAt": "2026-01-02T12:00:00Z", "sessionId": "s"}),
        ),
    ] {
        let cluster = Cluster::start();
        cluster.agent("reviewer");
        cluster.job("theirs", 60, status);
        cluster.record("theirs", b"{}\n", true);
        let arguments = ["jobs", verb, "@last"];
        let ran = cluster.program.run(&arguments).await.exits(1);
        ran.says(&[
            "error: @last is theirs (",
            "it is not known who created it",
            &format!("next: if you mean it, name it: herdctl jobs {verb} theirs"),
        ]);
        cluster.change(|world| own(world, "theirs", "jane", 1));
        let ran = cluster.program.run(&arguments).await.exits(1);
        ran.says(&["error: @last is theirs (", "created by jane and not by you"]);
        assert_eq!(
            cluster.count("PATCH") + cluster.count("POST /apis/herdctl.dev"),
            0
        );
        cluster.change(|world| own(world, "theirs", USER, 1));
        cluster.program.run(&arguments).await.exits(0);
    }
}

#[tokio::test]
async fn a_job_that_is_named_is_changed_also_if_somebody_else_created_it() {
    let cluster = three();
    let ran = cluster
        .program
        .run(&["jobs", "cancel", "nightly"])
        .await
        .exits(0);
    ran.prints(&["nightly asked to stop"]);
}

#[tokio::test]
async fn the_last_of_one_second_is_the_one_that_was_created_later() {
    let cluster = Cluster::start();
    for name in ["a", "b", "c"] {
        cluster.job(name, 60, json!({"phase": "running"}));
        let second = cluster.look().jobs["a"]["metadata"]["creationTimestamp"].clone();
        cluster.change(|world| {
            let mut job: Value = world.jobs[name].clone();
            job["metadata"]["creationTimestamp"] = second;
            world.put(job);
        });
    }
    let ran = cluster
        .program
        .run(&["jobs", "show", "@last"])
        .await
        .exits(1);
    ran.says(&[
        "error: the last 3 Jobs in namespace team-a were created in the same second:\n  a, created ",
        "next: name the one that you mean",
    ]);
    cluster.change(|world| {
        for (name, milliseconds) in [("a", 20), ("b", 900), ("c", 100)] {
            own(world, name, USER, milliseconds);
        }
    });
    assert_eq!(shows(&cluster, "@last").await, "b");
    let list = cluster
        .program
        .run(&["jobs", "list", "-o", "name"])
        .await
        .exits(0);
    let names: Vec<&str> = list
        .stdout
        .lines()
        .map(|line| &line[line.len() - 1..])
        .collect();
    assert_eq!(names, ["b", "c", "a"]);
    cluster
        .program
        .run(&["jobs", "cancel", "@last"])
        .await
        .exits(0);
    assert_eq!(cluster.look().jobs["b"]["spec"]["cancel"], true);
}

#[tokio::test]
async fn the_last_is_known_right_after_it_was_created() {
    let cluster = Cluster::start();
    cluster.agent("reviewer");
    // The tests' API server says the same time of all that is created.
    cluster
        .program
        .run(&["run", "reviewer", "--name", "z"])
        .await
        .exits(0);
    cluster
        .program
        .run(&["run", "reviewer", "--name", "a"])
        .await
        .exits(0);
    let by = cluster.look().jobs["a"]["metadata"]["annotations"]["herdctl.dev/created-by"].clone();
    assert_eq!(by, USER);
    assert_eq!(shows(&cluster, "@last").await, "a");
}

#[tokio::test]
async fn names_are_taken_as_kubectl_and_a_list_print_them() {
    for kind in ["hj", "job", "jobs", "job.herdctl.dev", "jobs.herdctl.dev"] {
        let cluster = three();
        for verb in ["show", "logs", "pause", "cancel"] {
            let id = format!("{kind}/nightly");
            cluster.program.run(&["jobs", verb, &id]).await.exits(0);
        }
    }
    let cluster = three();
    let list = cluster
        .program
        .run(&["jobs", "list", "-o", "name"])
        .await
        .exits(0);
    let names: Vec<&str> = list.stdout.lines().collect();
    let all = [&["jobs", "show"], &names[..]].concat();
    let ran = cluster.program.run(&all).await.exits(0);
    let shown: Vec<&str> = ran
        .stdout
        .lines()
        .filter(|line| line.contains("agent reviewer"))
        .collect();
    assert_eq!((names.len(), shown.len()), (4, 4), "{ran:#?}");
    let json = [&["jobs", "show", "-o", "json"], &names[..]].concat();
    let ran = cluster.program.run(&json).await.exits(0);
    let list: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn one_of_several_that_is_not_there_hides_none_of_the_others() {
    let ran = three()
        .program
        .run(&["jobs", "show", "nowhere", "nightly"])
        .await
        .exits(1);
    ran.prints(&["running"])
        .says(&["error: no job nowhere in namespace team-a"]);
}

#[tokio::test]
async fn a_list_of_names_whose_next_page_has_expired_begins_again() {
    let cluster = three();
    cluster.fail("continue=", 2, 410, expired());
    assert_eq!(shows(&cluster, "@last").await, "nightly-2");
    assert_eq!(shows(&cluster, "7f3").await, minted("7f3c0a1b"));
}

#[tokio::test]
async fn an_ambiguous_beginning_lists_its_jobs() {
    let ran = three().program.run(&["jobs", "show", "7f"]).await.exits(1);
    let (newer, older) = (minted("7f012222"), minted("7f3c0a1b"));
    let told = ran
        .says(&[
            "error: 7f is the beginning of 2 Jobs in namespace team-a:",
            &newer,
            &older,
            "type more",
        ])
        .stderr;
    assert!(told.find(&newer) < told.find(&older), "{told}");
}

#[tokio::test]
async fn a_wrong_id_names_the_nearest_and_how_they_are() {
    let ran = three()
        .program
        .run(&["jobs", "cancel", "7f3d"])
        .await
        .exits(1);
    ran.says(&["error: no job 7f3d in namespace team-a; nearest: 7f3c0a1b (cancelled), 7f012222 (completed)", "jobs list"]);
}

#[tokio::test]
async fn what_could_be_a_path_is_no_id() {
    let cluster = three();
    for id in ["../pods", "a/b", "%2e%2e", "", "A"] {
        cluster.program.run(&["jobs", "show", id]).await.exits(2);
    }
    assert_eq!(cluster.look().requests, [""; 0]);
}
