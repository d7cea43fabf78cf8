//! Everything that was ever said about the Jobs of a namespace, for promises about the way and not the end.

use std::{
    pin::pin,
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use herdctl::api::job::{Job, JobStatus};
use kube::{
    ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tokio::task::JoinHandle;

use crate::{
    status::status,
    team::Team,
    wait::{SOON, until_true},
};

/// A watch that remembers. It ends when dropped.
pub struct History {
    seen: Arc<Mutex<Vec<Job>>>,
    watching: JoinHandle<()>,
}

impl Team {
    /// Remembers every status of every Job from now on.
    pub fn follow(&self) -> History {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (jobs, pages) = (self.jobs(), Arc::clone(&seen));
        let watching = tokio::spawn(async move {
            let mut events = pin!(watcher(jobs, watcher::Config::default()).default_backoff());
            while let Some(event) = events.next().await {
                let job = match event {
                    Ok(
                        watcher::Event::Apply(job)
                        | watcher::Event::InitApply(job)
                        | watcher::Event::Delete(job),
                    ) => job,
                    Ok(watcher::Event::Init | watcher::Event::InitDone) => continue,
                    Err(error) => panic!("the watch failed: {error}"),
                };
                pages.lock().unwrap().push(job);
            }
        });
        History { seen, watching }
    }
}

impl History {
    /// The Job's statuses in their order, up to its end, which this watch may see later than another.
    pub async fn of(&self, job: &str) -> Vec<JobStatus> {
        until_true("the end was seen", SOON, || async {
            let last = self.so_far(job).pop();
            if last.as_ref().is_some_and(JobStatus::is_final) {
                Ok(())
            } else {
                Err(format!("{last:?}"))
            }
        })
        .await;
        self.so_far(job)
    }

    fn so_far(&self, job: &str) -> Vec<JobStatus> {
        assert!(!self.watching.is_finished(), "the watch ended early");
        let seen = self.seen.lock().unwrap();
        let mine = seen.iter().filter(|seen| seen.name_any() == job);
        mine.map(status).collect()
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.watching.abort();
    }
}
