//! Names come back; records do not.

use herdctl::api::protocol::{self, RECORD_UID};

use crate::lines::{closing, lines};
use crate::server::{READER, Server, key};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_the_same_name_has_its_own_record_and_the_old_one_is_never_served() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.append("job", 1, (0, 0), "old\n").await.length();
    server
        .records
        .seal(&key("ns", "job"), closing())
        .await
        .unwrap();

    server.gate.name("ns", "job", "uid-ns", Some("second"));
    assert_eq!(client.log("job", "").await.body, "", "nothing yet");
    let info = client
        .send("GET", &protocol::record("ns", "job"), Some(READER), "")
        .await;
    assert_eq!(info.body, r#"{"job":null,"bytes":0,"sealed":false}"#);
    client.append("job", 1, (0, 0), "new\n").await.length();
    let log = client.log("job", "").await;
    assert_eq!(
        (&log.body[..], &log.headers[RECORD_UID]),
        (&b"new\n"[..], &"second".parse().unwrap())
    );
    let aside = server.read("ns/jobs/job.uid-job/output.jsonl");
    assert!(aside.starts_with(b"old\n"));
    assert!(server.path("ns/logs/agent/job.uid-job.log").exists());

    server.gate.name("ns", "job", "uid-ns", None);
    assert_eq!(
        client.log("job", "").await.body,
        "new\n",
        "the newest of that name"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_record_is_sealed_where_it_was_set_aside() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.append("job", 1, (0, 0), lines(1)).await.length();
    server.gate.name("ns", "job", "uid-ns", Some("second"));
    client.append("job", 1, (0, 0), lines(2)).await.length();
    assert_eq!(server.records.known().len(), 2);
    let sealed = server
        .records
        .seal(&key("ns", "job"), closing())
        .await
        .unwrap();
    assert!(
        sealed.path.ends_with("ns/jobs/job.uid-job/output.jsonl"),
        "{}",
        sealed.path
    );
    assert_eq!(sealed.lines, 2);
    assert_eq!(client.log("job", "").await.body, lines(2));
    assert!(server.path("ns/logs/agent/job.uid-job.log").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_of_the_same_name_has_its_own_tree() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::at(folder.path()).await;
    let mut client = server.connect().await;
    client.append("job", 1, (0, 0), "old\n").await.length();
    for uid in [None, Some("uid-job")] {
        server.gate.name("ns", "job", "second", uid);
        let log = client.log("job", "").await;
        assert_ne!(log.body, "old\n");
        assert_eq!(log.status, if uid.is_none() { 404 } else { 200 });
    }
    client.append("job", 1, (0, 0), "new\n").await.length();
    assert_eq!(client.log("job", "").await.body, "new\n");
    assert_eq!(server.read("ns.uid-ns/jobs/job/output.jsonl"), b"old\n");

    drop((client, server));
    server = crate::seal::until_free(folder.path()).await;
    assert_eq!(
        server.records.known().len(),
        2,
        "both go on after a restart"
    );
    let sealed = server
        .records
        .seal(&key("ns", "job"), closing())
        .await
        .unwrap();
    assert!(
        sealed.path.ends_with("ns.uid-ns/jobs/job/output.jsonl"),
        "{}",
        sealed.path
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_namespace_is_settled_while_the_new_one_works() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    server.gate.name("ns", "job", "second", Some("uid-job"));
    client.append("job", 1, (0, 0), "new\n").await.length();
    for job in ["never-ran", "never-ran-either"] {
        let old = key("ns", job);
        server.records.seal(&old, closing()).await.unwrap();
        assert_eq!(client.append("job", 1, (4, 4), "new\n").await.length(), 8);
        server.gate.name("ns", job, "second", Some("uid-job"));
        assert_eq!(client.log(job, "").await.body, "", "not the new owner's");
        client.append(job, 1, (0, 0), "own\n").await.length();
        assert_eq!(client.log(job, "").await.body, "own\n");
    }
    assert_eq!(client.log("job", "").await.body, "new\nnew\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_leads_out_of_its_place() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for name in [
        "..",
        "%2e%2e",
        "%2e%2e%2fx",
        "a%2fb",
        "a.b",
        "A",
        "%00",
        "-a",
        &"a".repeat(64),
    ] {
        for path in [
            format!("/v1/namespaces/{name}/jobs/job"),
            format!("/v1/namespaces/ns/jobs/{name}"),
        ] {
            let put = client
                .send("PUT", &format!("{path}/attempts/1"), Some("pod-1"), "")
                .await;
            let got = client
                .send("GET", &format!("{path}/log"), Some(READER), "")
                .await;
            assert_eq!((put.status, got.status), (400, 400), "{path}");
            put.refusal();
        }
    }
    assert_eq!(std::fs::read_dir(server.path("")).unwrap().count(), 0);
}
