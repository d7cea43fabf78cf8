use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, State as Shared},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, patch},
};
use json_patch::Patch;
use kube::Config;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::api::{
    job::{Attempt, JobSpec, JobStatus},
    reason::{ExitReason, Phase, Reason},
    verdict::{Segment, StoppedBy, Verdict},
};
use crate::plan::seal::Came;

const PATIENCE: Duration = Duration::from_secs(10);

/// An API server that has one Job and takes patches of its status.
struct Server {
    job: Mutex<Value>,
    patches: AtomicUsize,
    /// So many patches are answered with an error first.
    failures: AtomicUsize,
    /// How often somebody asked for the Job itself.
    lookups: AtomicUsize,
}

impl Server {
    fn job(&self) -> Job {
        serde_json::from_value(self.job.lock().unwrap().clone()).unwrap()
    }

    /// Somebody else changes the Job.
    fn change(&self, change: impl FnOnce(&mut JobStatus)) -> Arc<Job> {
        let mut job = self.job();
        change(job.status.as_mut().unwrap());
        let version: u64 = job.resource_version().unwrap().parse().unwrap();
        job.metadata.resource_version = Some((version + 1).to_string());
        *self.job.lock().unwrap() = serde_json::to_value(&job).unwrap();
        Arc::new(job)
    }
}

/// The Job's metadata; nothing where the Job is null.
async fn look_up(Shared(server): Shared<Arc<Server>>, headers: HeaderMap) -> Response {
    server.lookups.fetch_add(1, Ordering::Relaxed);
    assert!(
        headers["accept"]
            .to_str()
            .unwrap()
            .contains("as=PartialObjectMetadata")
    );
    let metadata = server.job.lock().unwrap()["metadata"].clone();
    if metadata.is_null() {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "m", "reason": "NotFound", "code": 404});
        return (StatusCode::NOT_FOUND, Json(status)).into_response();
    }
    let object = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata});
    Json(object).into_response()
}

async fn take(
    Shared(server): Shared<Arc<Server>>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
    Json(operations): Json<Patch>,
) -> Response {
    assert_eq!((namespace.as_str(), name.as_str()), ("team-a", "hello"));
    assert_eq!(headers["content-type"], "application/json-patch+json");
    server.patches.fetch_add(1, Ordering::Relaxed);
    let refuse = |code: StatusCode, reason: &str| {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "m", "reason": reason, "code": code.as_u16()});
        (code, Json(status)).into_response()
    };
    let failing = server
        .failures
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        });
    if failing.is_ok() {
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
    }
    let mut job = server.job.lock().unwrap();
    let mut patched = job.clone();
    if json_patch::patch(&mut patched, &operations).is_err() {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "Invalid");
    }
    let version: u64 = patched["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    patched["metadata"]["resourceVersion"] = (version + 1).to_string().into();
    *job = patched.clone();
    Json(patched).into_response()
}

#[derive(Default)]
struct Volume {
    sealed: Mutex<Vec<Closing>>,
    unsealed: AtomicBool,
}

impl Sealer for Volume {
    fn unsealed(&self) -> Vec<RecordKey> {
        let there = self.unsealed.load(Ordering::Relaxed);
        there.then(key).into_iter().collect()
    }

    fn path(&self, _: &RecordKey) -> String {
        "/data/team-a/jobs/hello/output.jsonl".into()
    }

    async fn seal(&self, sealed: &RecordKey, closing: Closing) -> Result<Sealed, SealError> {
        assert_eq!(*sealed, key());
        self.sealed.lock().unwrap().push(closing);
        self.unsealed.store(false, Ordering::Relaxed);
        Ok(Sealed {
            path: "/data/team-a/jobs/hello/output.jsonl".into(),
            bytes: 100,
            lines: 4,
            sha256: "ab".repeat(32),
            missing: 0,
            at: time(),
            altered: None,
            came: [(
                1,
                Came {
                    bytes: 90,
                    spoken: true,
                },
            )]
            .into(),
        })
    }
}

/// A steward between a server and a volume.
struct World {
    server: Arc<Server>,
    volume: Arc<Volume>,
    news: mpsc::Sender<News>,
    changes: mpsc::Sender<Change>,
}

impl World {
    async fn with(job: Job, cached: Vec<Job>) -> World {
        let server = Arc::new(Server {
            job: Mutex::new(serde_json::to_value(&job).unwrap()),
            patches: AtomicUsize::new(0),
            failures: AtomicUsize::new(0),
            lookups: AtomicUsize::new(0),
        });
        let path = "/apis/herdctl.dev/v1alpha1/namespaces/{namespace}/jobs/{name}";
        let router = Router::new()
            .route(path, get(look_up))
            .route(&format!("{path}/status"), patch(take))
            .with_state(Arc::clone(&server));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, router).into_future());
        let url = format!("http://{address}").parse().unwrap();
        let client = Client::try_from(Config::new(url)).unwrap();
        let volume = Arc::<Volume>::default();
        let steward = Steward {
            client: client.clone(),
            sealer: Arc::clone(&volume),
            jobs: Jobs::holding(cached),
            pods: Arc::new(Pods::new(client.clone())),
            namespaces: Arc::new(Namespaces::new(client)),
            clock: time,
        };
        let (news, told) = mpsc::channel(8);
        let (changes, seen) = mpsc::channel(8);
        tokio::spawn(steward.run(told, seen));
        World {
            server,
            volume,
            news,
            changes,
        }
    }

    async fn hear(&self, news: News) {
        self.news.send(news).await.unwrap();
    }

    async fn see(&self, change: Change) {
        self.changes.send(change).await.unwrap();
    }

    fn patches(&self) -> usize {
        self.server.patches.load(Ordering::Relaxed)
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, waiting).await.is_ok(),
        "not within {PATIENCE:?}: {what}"
    );
}

fn time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn key() -> RecordKey {
    RecordKey {
        namespace: "team-a".into(),
        namespace_uid: "ns-uid".into(),
        job: "hello".into(),
        job_uid: "job-uid".into(),
    }
}

fn running() -> Job {
    let mut job = Job::new(
        "hello",
        JobSpec {
            agent: "reviewer".into(),
            ..JobSpec::default()
        },
    );
    job.metadata.namespace = Some("team-a".into());
    job.metadata.uid = Some("job-uid".into());
    job.metadata.resource_version = Some("1".into());
    job.status = Some(JobStatus {
        phase: Some(Phase::Running),
        attempts: vec![Attempt {
            number: 1,
            pod: "hello-1".into(),
            uid: Some("pod-uid".into()),
            intended: time(),
            started: Some(time()),
            ..Attempt::default()
        }],
        ..JobStatus::default()
    });
    job
}

fn complete(status: &mut JobStatus) {
    status.phase = Some(Phase::Completed);
    status.exit_reason = Some(ExitReason::Success);
    status.reason = Some(Reason::Completed);
}

fn verdict() -> News {
    News::Verdict {
        record: key(),
        attempt: 1,
        pod_uid: "pod-uid".into(),
        at: time(),
        verdict: Box::new(Verdict {
            phase: Phase::Completed,
            exit_reason: ExitReason::Success,
            reason: Reason::Completed,
            message: "done".into(),
            result: None,
            exit: None,
            stopped_by: StoppedBy::Nobody,
            turns: 1,
            cost_usd: None,
            cost_before_usd: None,
            usage: Default::default(),
            session_id: None,
            started_at: None,
            ended_at: None,
            segment: Segment::default(),
            text: None,
            stderr: None,
        }),
    }
}

fn is_reported(server: &Server) -> bool {
    server.job().status.unwrap().report.is_some()
}

fn is_sealed(server: &Server) -> bool {
    ledger::is_done(&server.job())
}

#[tokio::test]
async fn a_run_costs_one_request_for_its_verdict_and_one_for_its_seal() {
    let world = World::with(running(), vec![running()]).await;
    world.see(Change::Seen(running().into())).await;
    world.hear(verdict()).await;
    until("the report", || is_reported(&world.server)).await;
    assert_eq!(world.patches(), 1);
    let job = world.server.change(complete);
    world.see(Change::Seen(job)).await;
    until("the seal", || is_sealed(&world.server)).await;
    assert_eq!(world.patches(), 2);
    let sealed = world.volume.sealed.lock().unwrap();
    assert_eq!(sealed.len(), 1);
    assert!(sealed[0].spoken && sealed[0].reason == Some(Reason::Completed));
}

#[tokio::test]
async fn what_the_server_refuses_is_said_again() {
    let world = World::with(running(), vec![running()]).await;
    world.server.failures.store(2, Ordering::Relaxed);
    world.see(Change::Seen(running().into())).await;
    world.hear(verdict()).await;
    until("the report", || is_reported(&world.server)).await;
    assert_eq!(world.patches(), 3);
}

#[tokio::test]
async fn a_verdict_that_was_tried_on_an_old_job_arrives_on_the_new_one() {
    let world = World::with(running(), vec![running()]).await;
    let job = world.server.change(|status| {
        let mut other = status.attempts[0].clone();
        other.number = 2;
        status.attempts.insert(0, other);
    });
    world.see(Change::Seen(running().into())).await;
    world.hear(verdict()).await;
    until("the first try", || world.patches() == 1).await;
    assert!(!is_reported(&world.server));
    world.see(Change::Seen(job)).await;
    until("the report", || is_reported(&world.server)).await;
}

#[tokio::test]
async fn the_record_of_a_job_that_went_while_nobody_looked_is_sealed() {
    let mut another = running();
    another.metadata.uid = Some("another".into());
    for now in [Value::Null, serde_json::to_value(another).unwrap()] {
        let world = World::with(running(), Vec::new()).await;
        *world.server.job.lock().unwrap() = now;
        world.volume.unsealed.store(true, Ordering::Relaxed);
        world.see(Change::Complete).await;
        until("the seal", || {
            !world.volume.sealed.lock().unwrap().is_empty()
        })
        .await;
        let reason = world.volume.sealed.lock().unwrap()[0].reason;
        assert_eq!(reason, Some(Reason::JobDeleted));
        assert_eq!(world.patches(), 0);
    }
}

#[tokio::test]
async fn a_job_that_the_watch_could_not_read_is_not_taken_for_deleted() {
    let world = World::with(running(), Vec::new()).await;
    world.volume.unsealed.store(true, Ordering::Relaxed);
    world.see(Change::Complete).await;
    until("the question", || {
        world.server.lookups.load(Ordering::Relaxed) == 1
    })
    .await;
    // It can be read again, and goes on as if nothing had been.
    world.see(Change::Seen(running().into())).await;
    world.hear(verdict()).await;
    until("the report", || is_reported(&world.server)).await;
    assert!(world.volume.sealed.lock().unwrap().is_empty());
    let job = world.server.change(complete);
    world.see(Change::Seen(job)).await;
    until("the seal", || is_sealed(&world.server)).await;
    let reason = world.volume.sealed.lock().unwrap()[0].reason;
    assert_eq!(reason, Some(Reason::Completed));
}

#[tokio::test]
async fn the_record_of_a_deleted_job_is_sealed_from_its_last_status() {
    let world = World::with(running(), vec![running()]).await;
    world.volume.unsealed.store(true, Ordering::Relaxed);
    world.see(Change::Seen(running().into())).await;
    let last = world.server.change(|status| {
        complete(status);
        status.message = Some("as it was".into());
    });
    world.see(Change::Deleted(last)).await;
    until("the seal", || {
        !world.volume.sealed.lock().unwrap().is_empty()
    })
    .await;
    let message = world.volume.sealed.lock().unwrap()[0].message.clone();
    assert_eq!(message.as_deref(), Some("as it was"));
}
