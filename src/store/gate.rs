//! What the store's files need to know of the cluster, as questions: who sends this, and which Job does
//! a name stand for now? Asked through a trait, so that the protocol can be tried without a cluster.

use std::future::Future;

use crate::api::protocol::Refusal;

/// A record belongs to one Job object of one namespace object: when a name comes back with another UID,
/// it is another record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordKey {
    pub namespace: String,
    pub namespace_uid: String,
    /// The Job's name, which is its id.
    pub job: String,
    pub job_uid: String,
}

/// Somebody who may feed an attempt's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shipper {
    pub record: RecordKey,
    pub attempt: u32,
    /// The UID of the pod that its token is bound to.
    pub pod_uid: String,
    /// The Agent's name: the readable log is filed under it.
    pub agent: String,
    /// The Job is final, and its agent never started: a stream that has begun may bring its rest, and none
    /// may begin.
    pub ended: bool,
    /// Whose session the Job continues, where it is another Job's.
    pub resumes: Option<Source>,
}

/// The Job whose session another one of its namespace continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub job: String,
    pub job_uid: String,
    /// It is final, as far as is known.
    pub ended: bool,
}

/// Answers for the cluster.
pub trait Gate: Send + Sync + 'static {
    /// May the holder of this token feed the stream of this attempt now? `Fenced` when the attempt or
    /// the Job is over, `Retry` when the attempt is not known yet.
    fn shipper(
        &self,
        token: &str,
        namespace: &str,
        job: &str,
        attempt: u32,
    ) -> impl Future<Output = Result<Shipper, Refusal>> + Send;

    /// May the holder of this token read for others?
    fn reader(&self, token: &str) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// The Job that the name stands for now, if there is one; else only the namespace's UID is known,
    /// and `job_uid` is None: the newest record of that name in it is meant.
    fn whose(
        &self,
        namespace: &str,
        job: &str,
    ) -> impl Future<Output = Result<Named, Refusal>> + Send;
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub namespace_uid: String,
    pub job_uid: Option<String>,
}
