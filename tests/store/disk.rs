//! Disks that lose what they took.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::Utc;
use herdctl::api::protocol::RefusalReason;
use herdctl::store::disk::{Disk, Volume};
use herdctl::store::records::{Records, StoreError};
use tokio::sync::{mpsc, oneshot};

use crate::lines::lines;
use crate::server::{LIMITS, Server, shipper};

/// Fails at its syncs from some time on.
struct Failing(Arc<AtomicBool>);

impl Failing {
    fn sync(&self, then: impl FnOnce(&mut Volume) -> io::Result<()>) -> io::Result<()> {
        if self.0.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(5));
        }
        then(&mut Volume)
    }
}

impl Disk for Failing {
    fn write(&mut self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        Volume.write(file, bytes, at)
    }

    fn sync_file(&mut self, file: &File) -> io::Result<()> {
        self.sync(|volume| volume.sync_file(file))
    }

    fn sync_folder(&mut self, folder: &File) -> io::Result<()> {
        self.sync(|volume| volume.sync_folder(folder))
    }

    fn sync_volume(&mut self, folder: &File) -> io::Result<()> {
        self.sync(|volume| volume.sync_volume(folder))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_sync_should_have_kept_is_never_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let fails = Arc::new(AtomicBool::new(false));
    let (told, news) = mpsc::channel(1000);
    let (failed, failure) = oneshot::channel();
    let disk = Box::new(Failing(Arc::clone(&fails)));
    let fail = move |error: io::Error| failed.send(error.raw_os_error()).unwrap();
    let records = Records::open_on(folder.path(), disk, told, Utc::now, fail).unwrap();
    let server = Server::with(records, news, folder.path(), LIMITS).await;
    let mut ship = server.connect().await;
    let at = ship.append("job", 1, (0, 0), lines(1)).await.length();

    fails.store(true, Ordering::SeqCst);
    let lost = ship.append("job", 1, (at, at), lines(1)).await;
    assert_eq!(lost.reason(), RefusalReason::Retry);
    assert_eq!(
        failure.await.unwrap(),
        Some(5),
        "the process is told to end"
    );
    fails.store(false, Ordering::SeqCst);
    for _ in 0..3 {
        let after = ship.append("job", 1, (at, at), lines(1)).await;
        assert_eq!(
            after.reason(),
            RefusalReason::Retry,
            "and nothing is tried again"
        );
    }
    assert_eq!(
        ship.log("job", "").await.body,
        lines(1),
        "nobody reads what is not safe"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_has_one_store() {
    let server = Server::start().await;
    let (told, _news) = mpsc::channel(1);
    let second = Records::open(&server.path(""), told, Utc::now);
    assert!(matches!(second, Err(StoreError::Locked(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_that_a_power_cut_left_is_cut_off_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("ns/jobs/job/output.jsonl");
    let said = lines(3) + "{\"half";
    {
        let server = Server::at(folder.path()).await;
        server
            .connect()
            .await
            .append("job", 1, (0, 0), said.clone())
            .await
            .length();
    }
    let mut bytes = said.clone().into_bytes();
    bytes.extend([0; 5000]);
    bytes.extend(b"behind the hole");
    std::fs::write(&output, bytes).unwrap();
    let server = crate::seal::until_free(folder.path()).await;
    let mut ship = server.connect().await;
    assert_eq!(ship.take_up("job", 1).await.length(), said.len() as u64);
    assert_eq!(std::fs::read(&output).unwrap(), said.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_record_that_can_not_be_read_stops_no_other() {
    let folder = tempfile::tempdir().unwrap();
    {
        let server = Server::at(folder.path()).await;
        for job in ["good", "bad"] {
            server
                .connect()
                .await
                .append(job, 1, (0, 0), lines(1))
                .await
                .length();
        }
    }
    crate::seal::until_free(folder.path()).await;
    std::fs::write(folder.path().join("ns/jobs/bad/job.json"), "{").unwrap();
    let server = crate::seal::until_free(folder.path()).await;
    let mut ship = server.connect().await;
    let at = lines(1).len() as u64;
    assert_eq!(
        ship.append("good", 1, (at, at), lines(1)).await.length(),
        2 * at
    );
    assert_eq!(
        ship.append("bad", 1, (at, at), lines(1)).await.reason(),
        RefusalReason::Retry
    );
    assert_eq!(
        std::fs::read(folder.path().join("ns/jobs/bad/output.jsonl")).unwrap(),
        lines(1).as_bytes()
    );
}

/// Holds its syncs up until it is let go, so that what is asked meanwhile comes in one round.
struct Slow {
    begun: std::sync::mpsc::Sender<()>,
    let_go: std::sync::mpsc::Receiver<()>,
}

impl Slow {
    fn wait(&self) {
        // Whoever has gone holds nothing up.
        let _ = self.begun.send(());
        let _ = self.let_go.recv();
    }
}

impl Disk for Slow {
    fn write(&mut self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        Volume.write(file, bytes, at)
    }

    fn sync_file(&mut self, file: &File) -> io::Result<()> {
        self.wait();
        Volume.sync_file(file)
    }

    fn sync_folder(&mut self, folder: &File) -> io::Result<()> {
        self.wait();
        Volume.sync_folder(folder)
    }

    fn sync_volume(&mut self, folder: &File) -> io::Result<()> {
        self.wait();
        Volume.sync_volume(folder)
    }
}

#[tokio::test]
async fn two_jobs_of_one_name_that_come_at_once_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (began, begun) = std::sync::mpsc::channel();
    let (go, let_go) = std::sync::mpsc::channel();
    let slow = Box::new(Slow {
        begun: began,
        let_go,
    });
    let (told, _news) = mpsc::channel(1000);
    go.send(()).unwrap();
    let records = Records::open_on(folder.path(), slow, told, Utc::now, drop).unwrap();
    begun.recv().unwrap();
    let first = tokio::spawn({
        let records = Arc::clone(&records);
        async move { records.take_up(shipper("first", 1)).await }
    });
    while begun.try_recv().is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let old = shipper("job", 1);
    let mut new = old.clone();
    new.record.job_uid = "second".to_owned();
    let body = bytes::Bytes::from(lines(1));
    // Both wait for the disk before it is let go for good.
    let both = [old.clone(), new.clone()].map(|shipper| {
        let (records, body) = (Arc::clone(&records), body.clone());
        tokio::spawn(async move { records.append(shipper, 0, 0, body).await })
    });
    tokio::task::yield_now().await;
    drop(go);
    first.await.unwrap().unwrap();
    let [one, other] = both;
    assert!(one.await.unwrap().is_ok());
    let refusal = other.await.unwrap().unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::Retry);
    assert!(records.append(new, 0, 0, body.clone()).await.is_ok());
    let jobs = folder.path().join("ns/jobs");
    for job in ["job", "job.uid-job"] {
        let output = std::fs::read(jobs.join(job).join("output.jsonl")).unwrap();
        assert_eq!(output, body, "{job}");
    }
}
