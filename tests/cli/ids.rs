//! How Jobs are named by hand.

use serde_json::json;

use crate::cluster::{Cluster, minted};

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
