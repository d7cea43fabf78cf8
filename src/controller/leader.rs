//! Who may write. One replica holds the lease; what counts is not what the lease's manager believes but
//! when the API server last took a renewal of ours, as the Lease object itself tells: a manager that
//! gets no answers goes on believing.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use futures::StreamExt;
use k8s_openapi::{api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::MicroTime};
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use kube_lease_manager::{LeaseManagerBuilder, LeaseManagerError};
use tokio::{sync::watch, time::Instant};
use tracing::{info, warn};

use crate::kubernetes::watch::everything;

/// How long a lease lasts without a renewal: as long as a crashed leader is waited for.
const DURATION: Duration = Duration::from_secs(20);
/// Renewed this long before it ends.
const GRACE: Duration = Duration::from_secs(15);
/// A pod's creation can carry no precondition, so it keeps clear of the lease's end by the time that a
/// call may take.
const CREATE_MARGIN: Duration = Duration::from_secs(10);
/// How long to wait before the lease's manager is started again.
const RETRY: Duration = Duration::from_secs(5);

/// Where the lease is and who asks for it.
#[derive(Clone, Debug)]
pub struct LeaseOptions {
    pub namespace: String,
    pub name: String,
    /// Unique among the replicas: the pod's name.
    pub identity: String,
}

/// Tells whether this replica leads, and each time that it begins to.
#[derive(Clone, Debug, Default)]
pub struct Leader {
    reign: Arc<Mutex<Reign>>,
    again: watch::Sender<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Reign {
    /// When the API server last took a renewal.
    renewed: Option<Instant>,
    /// When it began.
    began: Option<Instant>,
}

impl Leader {
    /// Each step of `again` has all Jobs looked at.
    pub fn new(again: watch::Sender<u64>) -> Leader {
        Leader {
            reign: Arc::default(),
            again,
        }
    }

    /// True while the lease holds: writes with a precondition may go out.
    pub fn may_write(&self) -> bool {
        self.age().is_some_and(|age| age < DURATION)
    }

    /// True while a call that starts now ends before the lease does.
    pub fn may_create(&self) -> bool {
        self.age().is_some_and(|age| age + CREATE_MARGIN < DURATION)
    }

    /// How long a pod may still appear that an earlier process of this replica had asked for: one that
    /// crashes leaves the lease to the next at once, and a creation on its way. That there is no pod proves
    /// nothing until then.
    pub fn awaits_creations(&self) -> Option<Duration> {
        let since = self.reign().began?.elapsed();
        CREATE_MARGIN
            .checked_sub(since)
            .filter(|left| !left.is_zero())
    }

    fn age(&self) -> Option<Duration> {
        self.reign().renewed.map(|at| at.elapsed())
    }

    /// The lease was renewed so long `ago`; we may hear of it late. Jobs that were looked at while we could
    /// not write, whoever held it, were left alone: their turn is now.
    pub fn renew(&self, ago: Duration) {
        let begins = !self.may_write();
        let now = Instant::now();
        let mut reign = self.reign();
        reign.renewed = now.checked_sub(ago);
        if begins {
            reign.began = Some(now);
        }
        drop(reign);
        if begins {
            info!("leading");
            self.again.send_modify(|steps| *steps += 1);
        }
    }

    /// Another replica holds the lease.
    pub fn lose(&self) {
        *self.reign() = Reign::default();
    }

    fn reign(&self) -> MutexGuard<'_, Reign> {
        self.reign.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the lease as long as it can, gives it back when `stop` turns true.
pub async fn hold(
    client: Client,
    options: LeaseOptions,
    leader: Leader,
    stop: watch::Receiver<bool>,
) {
    let watching = tokio::spawn(watch_lease(client.clone(), options.clone(), leader.clone()));
    while !*stop.borrow() {
        if let Err(error) = manage(client.clone(), &options, stop.clone()).await {
            warn!(%error, lease = options.name, "the lease can't be managed; trying again");
            tokio::time::sleep(RETRY).await;
        }
    }
    watching.abort();
    leader.lose();
}

async fn manage(
    client: Client,
    options: &LeaseOptions,
    mut stop: watch::Receiver<bool>,
) -> Result<(), LeaseManagerError> {
    let manager = LeaseManagerBuilder::new(client, options.name.clone())
        .with_namespace(options.namespace.clone())
        .with_identity(options.identity.clone())
        .with_duration(DURATION.as_secs())
        .with_grace(GRACE.as_secs())
        .build()
        .await?;
    let (held, mut task) = manager.watch().await;
    tokio::select! {
        biased;
        ended = &mut task => return ended.map_or(Ok(()), |result| result.map(drop)),
        _ = stop.wait_for(|stop| *stop) => {}
    }
    // Closing the channel makes the manager release the lease.
    drop(held);
    task.await.map_or(Ok(()), |result| result.map(drop))
}

async fn watch_lease(client: Client, options: LeaseOptions, leader: Leader) {
    let api: Api<Lease> = Api::namespaced(client, &options.namespace);
    let config = everything().fields(&format!("metadata.name={}", options.name));
    let mut leases = watcher(api, config)
        .default_backoff()
        .applied_objects()
        .boxed();
    let mut last: Option<MicroTime> = None;
    let mut leads = false;
    while let Some(event) = leases.next().await {
        let lease = match event {
            Ok(lease) => lease.spec.unwrap_or_default(),
            Err(error) => {
                warn!(%error, "the lease can't be watched");
                continue;
            }
        };
        let ours = lease.holder_identity.as_deref() == Some(options.identity.as_str());
        if !ours {
            leader.lose();
        } else if lease.renew_time != last {
            leader.renew(ago(lease.renew_time.as_ref()));
        }
        last = lease.renew_time;
        if !ours && leads {
            warn!(holder = lease.holder_identity, "another replica leads now");
        }
        leads = ours;
    }
}

/// How long ago we renewed it, by this machine's clock, which wrote that time. One that was put back since
/// then makes it look new.
fn ago(renewed: Option<&MicroTime>) -> Duration {
    let renewed = renewed.map(|time| SystemTime::from(time.0));
    let age = renewed.and_then(|renewed| SystemTime::now().duration_since(renewed).ok());
    age.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::{SignedDuration, Timestamp};

    use super::*;

    /// A leader whose lease was renewed so long ago.
    fn renewed(ago: Duration) -> Leader {
        let leader = Leader::default();
        leader.renew(ago);
        leader
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_was_let_run_out_begins_anew_when_it_is_renewed() {
        let leader = Leader::default();
        for (passed, begun) in [(DURATION, 1), (DURATION / 2, 1), (DURATION, 2)] {
            tokio::time::advance(passed).await;
            leader.renew(Duration::ZERO);
            assert_eq!(*leader.again.borrow(), begun);
        }
    }

    #[test]
    fn a_renewal_that_is_heard_of_late_counts_from_when_it_was_made() {
        let late = Leader::default();
        late.renew(DURATION - CREATE_MARGIN);
        assert_eq!((late.may_write(), late.may_create()), (true, false));
        late.renew(DURATION);
        assert!(!late.may_write());
        assert_eq!(*late.again.borrow(), 1);
        let time = MicroTime(Timestamp::now() - SignedDuration::from_secs(5));
        assert!(ago(Some(&time)) >= Duration::from_secs(5));
        let ahead = MicroTime(Timestamp::now() + SignedDuration::from_secs(5));
        assert_eq!(ago(Some(&ahead)), Duration::ZERO);
    }

    #[test]
    fn creating_stops_before_writing_does_and_both_before_the_lease_ends() {
        let may = |leader: Leader| (leader.may_write(), leader.may_create());
        assert_eq!(may(Leader::default()), (false, false));
        assert_eq!(may(renewed(Duration::ZERO)), (true, true));
        assert_eq!(may(renewed(DURATION - CREATE_MARGIN)), (true, false));
        assert_eq!(may(renewed(DURATION)), (false, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_leader_waits_for_creations_that_one_before_it_may_have_asked_for() {
        let leader = Leader::default();
        assert_eq!(leader.awaits_creations(), None);
        leader.renew(Duration::ZERO);
        assert_eq!(leader.awaits_creations(), Some(CREATE_MARGIN));
        tokio::time::advance(CREATE_MARGIN / 2).await;
        leader.renew(Duration::ZERO);
        assert_eq!(leader.awaits_creations(), Some(CREATE_MARGIN / 2));
        tokio::time::advance(CREATE_MARGIN / 2).await;
        assert_eq!(leader.awaits_creations(), None);
        tokio::time::advance(DURATION).await;
        leader.renew(Duration::ZERO);
        assert_eq!(leader.awaits_creations(), Some(CREATE_MARGIN));
    }
}
