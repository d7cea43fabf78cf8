//! Verbs over several Jobs: all are tried, each error is told at once, and the worst is the exit code.

use std::time::Duration;

use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, timeout_at},
};

use super::{
    cluster::Cluster,
    error::CliError,
    exit::Exit,
    id::{self, JobId},
    out::Out,
    stages,
    view::{JobView, short},
};

/// The worst that happened so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worst(pub Exit);

impl Worst {
    pub fn add(&mut self, error: &CliError, out: &mut Out) {
        out.complain(error);
        // A usage error weighs more than any other, and a reader who left is no error.
        let code = error.exit_code();
        if self.0 != Exit::Usage && code != Exit::Done {
            self.0 = code;
        }
    }

    fn gave_up(&mut self) {
        if self.0 == Exit::Done {
            self.0 = Exit::GaveUp;
        }
    }
}

/// The Jobs that were named, each once, to be changed by this verb.
pub async fn named(
    cluster: &Cluster,
    ids: &[JobId],
    verb: &str,
    worst: &mut Worst,
    out: &mut Out,
) -> Vec<JobView> {
    let mut jobs: Vec<JobView> = Vec::new();
    for id in ids {
        match id::find_to_change(cluster, id, verb).await {
            Ok(job) if jobs.iter().all(|known| known.name() != job.name()) => jobs.push(job),
            Ok(_) => {}
            Err(error) => worst.add(&error, out),
        }
    }
    jobs
}

/// What is waited for.
pub struct Wait {
    pub at_most: Duration,
    pub is_so: fn(&JobView) -> bool,
    /// Tells how it became so; none for a Job that was deleted.
    pub tell: fn(&JobView, Option<&JobView>, &mut Out) -> Result<(), CliError>,
    /// The words for a Job that did not get there in time.
    pub not_yet: &'static str,
    /// The words for a person who leaves earlier.
    pub left: &'static str,
}

impl Wait {
    pub async fn for_all(
        &self,
        cluster: &Cluster,
        jobs: &[JobView],
        worst: &mut Worst,
        out: &mut Out,
    ) {
        tokio::select! {
            () = self.for_each(cluster, jobs, worst, out) => return,
            () = interrupted() => {}
        }
        out.say(&format!("left; {}", self.left));
        worst.0 = Exit::Left;
    }

    async fn for_each(
        &self,
        cluster: &Cluster,
        jobs: &[JobView],
        worst: &mut Worst,
        out: &mut Out,
    ) {
        let until = Instant::now() + self.at_most;
        for job in jobs {
            let told = match self.for_one(cluster, job.name(), until).await {
                Ok(Waited::Is(now)) => {
                    (self.tell)(job, now.as_deref(), out).and_then(|()| out.flush())
                }
                Err(error) => Err(error),
                Ok(Waited::GaveUp) => {
                    out.warn(&format!("{} {}", short(job.name()), self.not_yet));
                    worst.gave_up();
                    continue;
                }
            };
            if let Err(error) = told {
                worst.add(&error, out);
            }
        }
    }

    /// The time that one Job takes may use up all of it: whether the next is so is looked at all the same.
    async fn for_one(
        &self,
        cluster: &Cluster,
        name: &str,
        until: Instant,
    ) -> Result<Waited, CliError> {
        match timeout_at(until, stages::until(cluster, name, self.is_so)).await {
            Ok(now) => Ok(Waited::Is(now?.map(Box::new))),
            Err(_) => match cluster.job(name).await {
                Ok(now) if now.as_ref().is_none_or(self.is_so) => Ok(Waited::Is(now.map(Box::new))),
                Ok(_) | Err(_) => Ok(Waited::GaveUp),
            },
        }
    }
}

/// Ends when the person presses Ctrl-C; never, where that can't be known.
async fn interrupted() {
    match signal(SignalKind::interrupt()) {
        Ok(mut pressed) => {
            pressed.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

/// What came of waiting for a Job.
enum Waited {
    /// It is so, or was deleted.
    Is(Option<Box<JobView>>),
    GaveUp,
}
