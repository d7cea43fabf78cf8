//! Disks that are full: whoever finds no room waits, and nobody else's record suffers.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Command;

use herdctl::api::protocol::{MAX_APPEND_BYTES, RefusalReason};
use herdctl::store::news::News;
use herdctl::store::records::StoreError;

use crate::lines::{closing, line, lines};
use crate::server::{Server, key};

/// A small volume, taken away at the end.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Small {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(folder.path());
        assert!(mount.status().unwrap().success(), "mounting takes root");
        Small(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves no room for a byte; what it gives makes room again.
    fn fill(&self) -> impl FnOnce() {
        let ballast = self.path().join(".ballast");
        let mut file = File::create(&ballast).unwrap();
        while io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
        move || std::fs::remove_file(ballast).unwrap()
    }

    /// Leaves no room for a file or folder, but may rename what there is.
    fn forbid_new_files(&self) {
        let volume = rustix::fs::statvfs(self.path()).unwrap();
        self.remount(&format!("nr_inodes={}", volume.f_files - volume.f_ffree));
    }

    fn remount(&self, options: &str) {
        let mut remount = Command::new("mount");
        remount.args(["-o", &format!("remount,{options}")]);
        assert!(remount.arg(self.path()).status().unwrap().success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: a server of the test may still have files open.
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_goes_on_by_itself_when_it_has_room() {
    let volume = Small::mount();
    let mut server = Server::at(volume.path()).await;
    let mut ship = server.connect().await;
    let body = vec![b'x'; MAX_APPEND_BYTES];
    let mut at = 0;
    let refusal = loop {
        let answer = ship.append("job", 1, (at, at), body.clone()).await;
        if answer.status != 200 {
            break answer.refusal();
        }
        at = answer.length();
    };
    assert_eq!(refusal.reason, RefusalReason::Full);
    assert!(at > 4 * 1024 * 1024, "{at}");
    let again = ship.append("job", 1, (at, at), body.clone()).await;
    assert_eq!(again.reason(), RefusalReason::Full);
    let new = ship.append("other", 1, (0, 0), body.clone()).await;
    assert_eq!(new.reason(), RefusalReason::Full);
    assert_eq!(
        ship.take_up("job", 1).await.length(),
        at,
        "it is as long as it was"
    );
    assert_eq!(
        ship.log("job", "tail=0").await.body.len() as u64,
        at,
        "and can be read"
    );
    let sealed = server.records.seal(&key("ns", "job"), closing()).await;
    assert!(matches!(sealed, Err(StoreError::Refused(_))) || sealed.is_ok());

    let other = ship.append("third", 1, (0, 0), "x\n").await;
    let told = server
        .hear(|news| match news {
            News::Stalled { record, message } => Some((record.job, message)),
            _ => None,
        })
        .await;
    assert_eq!(told.0, "job");
    assert!(told.1.contains("full"), "{}", told.1);
    drop(other);

    volume.remount("size=32m");
    assert_eq!(
        ship.append("other", 1, (0, 0), body.clone()).await.length(),
        body.len() as u64
    );
    let resumed = server
        .hear(|news| match news {
            // Its line may have found room from the start.
            News::Resumed { record } if record.job == "third" => None,
            News::Resumed { record } => Some(record.job),
            News::Stalled { record, .. } if record.job == "job" => panic!("told twice"),
            _ => None,
        })
        .await;
    assert_eq!(resumed, "other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_for_which_there_was_no_room_owns_nothing() {
    let volume = Small::mount();
    let server = Server::at(volume.path()).await;
    let mut ship = server.connect().await;
    ship.append("other", 1, (0, 0), "x\n").await.length();
    let make_room = volume.fill();
    assert_eq!(ship.take_up("job", 1).await.reason(), RefusalReason::Full);
    let sealed = server.records.seal(&key("ns", "third"), closing()).await;
    assert!(matches!(sealed, Err(StoreError::Refused(_))), "{sealed:?}");
    make_room();
    server.gate.name("ns", "job", "uid-ns", Some("second"));
    let new = lines(3);
    ship.append("job", 1, (0, 0), new.clone()).await.length();
    let sealed = server.records.seal(&key("ns", "job"), closing()).await;
    assert_eq!(sealed.unwrap().lines, 1, "nothing ever came of the old one");
    let at = new.len() as u64;
    ship.append("job", 1, (at, at), line(4)).await.length();
    assert_eq!(ship.log("job", "").await.body, new + &line(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_set_aside_for_one_without_room_is_sealed_where_it_lies() {
    let volume = Small::mount();
    let server = Server::at(volume.path()).await;
    let mut ship = server.connect().await;
    ship.append("job", 1, (0, 0), lines(1)).await.length();
    volume.forbid_new_files();
    server.gate.name("ns", "job", "uid-ns", Some("second"));
    assert_eq!(ship.take_up("job", 1).await.reason(), RefusalReason::Full);
    assert!(server.path("ns/jobs/job.uid-job").exists(), "it is aside");
    volume.remount("nr_inodes=10000");
    let new = lines(3);
    ship.append("job", 1, (0, 0), new.clone()).await.length();
    let sealed = server.records.seal(&key("ns", "job"), closing()).await;
    let path = sealed.unwrap().path;
    assert!(path.ends_with("ns/jobs/job.uid-job/output.jsonl"), "{path}");
    let kept = std::fs::read_to_string(path).unwrap();
    assert!(kept.starts_with(&lines(1)), "{kept}");
    assert_eq!(ship.log("job", "").await.body, new);
    assert_eq!(server.read("ns/jobs/job/output.jsonl"), new.as_bytes());
    assert_eq!(server.job_json("ns", "job")["uid"], "second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_was_set_aside_for_one_without_room_goes_on_where_it_lies() {
    let volume = Small::mount();
    let server = Server::at(volume.path()).await;
    let mut ship = server.connect().await;
    ship.append("job", 1, (0, 0), lines(1)).await.length();
    volume.forbid_new_files();
    server.gate.name("ns", "job", "second", Some("uid-job"));
    assert_eq!(ship.take_up("job", 1).await.reason(), RefusalReason::Full);
    volume.remount("nr_inodes=10000");
    let new = lines(3);
    ship.append("job", 1, (0, 0), new.clone()).await.length();
    let sealed = server.records.seal(&key("ns", "job"), closing()).await;
    let path = sealed.unwrap().path;
    assert!(path.ends_with("ns.uid-ns/jobs/job/output.jsonl"), "{path}");
    assert_eq!(server.read("ns/jobs/job/output.jsonl"), new.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waited_for_room_at_another_store_is_told_that_there_is_some() {
    let folder = tempfile::tempdir().unwrap();
    let at = {
        let server = Server::at(folder.path()).await;
        let mut ship = server.connect().await;
        ship.append("job", 1, (0, 0), lines(1)).await.length()
    };
    let mut server = crate::seal::until_free(folder.path()).await;
    let mut ship = server.connect().await;
    for (job, at) in [("job", at), ("new", 0)] {
        assert_eq!(ship.take_up(job, 1).await.length(), at);
        let sent = ship.append(job, 1, (at, at), lines(1)).await.length();
        ship.append(job, 1, (sent, sent), line(2)).await.length();
    }
    for job in ["job", "new"] {
        let resumed = server
            .hear(|news| match news {
                News::Resumed { record } => Some(record.job),
                _ => None,
            })
            .await;
        assert_eq!(resumed, job, "once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_is_not_told_before_its_lines_have_room() {
    let volume = Small::mount();
    let output = volume.path().join("ns/jobs/job/output.jsonl");
    // The closing lines begin a page of their own.
    let said = "x".repeat(4095) + "\n";
    let (whole, sealed) = {
        let server = Server::at(volume.path()).await;
        let mut ship = server.connect().await;
        ship.append("job", 1, (0, 0), said.clone()).await.length();
        let sealed = server.records.seal(&key("ns", "job"), closing()).await;
        (std::fs::read(&output).unwrap(), sealed.unwrap())
    };
    std::fs::write(&output, &said).unwrap();
    let make_room = volume.fill();
    let server = crate::seal::until_free(volume.path()).await;
    let early = server.records.seal(&key("ns", "job"), closing()).await;
    assert!(matches!(early, Err(StoreError::Refused(_))), "{early:?}");
    make_room();
    let again = server.records.seal(&key("ns", "job"), closing()).await;
    assert_eq!(again.unwrap(), sealed);
    assert_eq!(std::fs::read(&output).unwrap(), whole);
}
