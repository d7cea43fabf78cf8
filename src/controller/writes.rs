//! Writes as a pass sends them: one that the API server refused is left alone for a while, and the people
//! whose object it is hear of it by an Event. A status that is never taken is written as far as it can be.

use std::time::Duration;

use kube::{Resource, ResourceExt};
use tracing::warn;

use super::{
    reconcile::{Context, ReconcileError},
    refusals::LAST,
};
use crate::{
    api::job::{Job, JobStatus},
    kubernetes::{Chain, call::CallError},
    plan::{
        refused_write::{self, Refused, Write},
        status::unwritten,
    },
};

/// What came of a write.
pub enum Sent<T> {
    Done(T),
    /// It was refused, now or a short while ago; it may be tried again after this time.
    Refused(Duration),
}

/// A write of one object.
#[derive(Clone, Copy)]
pub struct Of<'a> {
    pub write: Write,
    /// The UID of the object that is written.
    pub uid: &'a str,
    /// The pod that it is about, if it is about one.
    pub pod: &'a str,
}

/// Sends a write, unless it was refused a short while ago. `about` is the object at which people look.
pub async fn send<T, K: Resource<DynamicType = ()>>(
    of: Of<'_>,
    about: &K,
    context: &Context,
    request: impl Future<Output = Result<T, CallError>>,
) -> Result<Sent<T>, ReconcileError> {
    if let Some((left, _)) = context.refusals.left(of.uid, of.write) {
        return Ok(Sent::Refused(left));
    }
    match request.await {
        Ok(done) => {
            context.refusals.taken(of.uid, of.write);
            Ok(Sent::Done(done))
        }
        Err(error) => match refused(&error) {
            Some((why, words)) => Ok(Sent::Refused(note(of, about, context, why, &words, &error))),
            None => Err(error.into()),
        },
    }
}

/// What came of writing a status.
pub enum Written {
    Job(Box<Job>),
    /// It was refused; it may be tried again after this time.
    Refused(Duration),
    /// It can't be written, and the Job is to go all the same: it is treated as if it had this status.
    AsIf(Box<JobStatus>),
}

/// Writes a status or, if that is never taken, what can be written of the Job's end.
pub async fn write_status(
    job: &Job,
    next: &JobStatus,
    context: &Context,
) -> Result<Written, ReconcileError> {
    let uid = job.uid().unwrap_or_default();
    let of = Of {
        write: Write::Status,
        uid: &uid,
        pod: "",
    };
    if let Some((left, why)) = context.refusals.left(&uid, Write::Status) {
        return Ok(unwritten(job, next, context, why, left));
    }
    let first = match context.cluster.write_status(job, next).await {
        Ok(written) => return Ok(done(of, written, context)),
        Err(error) => error,
    };
    let Some((why, words)) = refused(&first) else {
        return Err(first.into());
    };
    let ended = job.status.as_ref().is_some_and(JobStatus::is_final);
    if ended || why == Refused::ByTheCluster {
        let wait = note(of, job, context, why, &words, &first);
        return Ok(unwritten(job, next, context, why, wait));
    }
    let reduced = unwritten::reduced(job, next, &words, (context.clock)());
    match context.cluster.write_status(job, &reduced).await {
        Ok(written) => {
            warn!(job = job.name_any(), namespace = job.namespace(), error = %Chain(&first), "a status is never taken; the Job has ended with what could be written");
            Ok(done(of, written, context))
        }
        Err(error) => {
            let Some((why, words)) = refused(&error) else {
                return Err(error.into());
            };
            let wait = note(of, job, context, why, &words, &error);
            Ok(unwritten(job, next, context, why, wait))
        }
    }
}

fn done(of: Of<'_>, written: Job, context: &Context) -> Written {
    context.refusals.taken(of.uid, of.write);
    Written::Job(Box::new(written))
}

/// A deletion does not wait for a status that can never be written.
fn unwritten(
    job: &Job,
    next: &JobStatus,
    context: &Context,
    why: Refused,
    wait: Duration,
) -> Written {
    let goes = job.metadata.deletion_timestamp.is_some();
    if !goes || why == Refused::ByTheCluster {
        return Written::Refused(wait);
    }
    let as_if = unwritten::as_if_written(job, next, (context.clock)());
    Written::AsIf(Box::new(as_if))
}

fn refused(error: &CallError) -> Option<(Refused, String)> {
    let status = error.status()?;
    let why = refused_write::why(status.code, &status.message)?;
    Some((why, status.message.clone()))
}

/// Remembers a refusal, and tells of it; answers when the write may be tried again.
fn note<K: Resource<DynamicType = ()>>(
    of: Of<'_>,
    about: &K,
    context: &Context,
    why: Refused,
    words: &str,
    error: &CallError,
) -> Duration {
    let noted = context.refusals.note(of.uid, of.write, why);
    let name = about.meta().name.clone().unwrap_or_default();
    warn!(object = name, namespace = about.meta().namespace, pod = of.pod, error = %Chain(error), again_in = ?noted.wait, "the API server refuses a write");
    if noted.tell {
        let told = refused_write::told(of.write, of.pod, words, LAST.as_secs() / 60);
        context.announcer.refused(about, &told);
    }
    noted.wait
}
