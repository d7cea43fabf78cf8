//! Asks something of a Job by its spec. What is asked depends on how the Job is, so the change is made only
//! to the Job that was looked at; where it has moved on meanwhile, it is looked at again.

use serde_json::Value;

use super::{
    cluster::Cluster,
    error::CliError,
    view::{JobView, short},
};

/// A Job's status changes every few seconds; whoever loses so often is not unlucky.
const TRIES: usize = 16;

/// What came of it.
#[derive(Debug)]
pub enum Asked {
    Now(JobView),
    /// There was nothing to change.
    Before(JobView),
}

/// Makes the change to the spec that `wanted` finds right for the Job as it is.
pub async fn ask(
    cluster: &Cluster,
    mut job: JobView,
    wanted: impl Fn(&JobView) -> Result<Option<Value>, CliError>,
) -> Result<Asked, CliError> {
    for _ in 0..TRIES {
        let Some(spec) = wanted(&job)? else {
            return Ok(Asked::Before(job));
        };
        match cluster.change(&job, &spec).await? {
            Some(changed) => return Ok(Asked::Now(changed)),
            None => job = again(cluster, &job).await?,
        }
    }
    Err(CliError::new(format!(
        "{} changes all the time: it was not changed by this",
        short(job.name())
    ))
    .next("try again"))
}

/// The Job as it is now; a later one of its name is another.
async fn again(cluster: &Cluster, job: &JobView) -> Result<JobView, CliError> {
    let now = cluster.job(job.name()).await?;
    let same = now.filter(|now| now.0.metadata.uid == job.0.metadata.uid);
    same.ok_or_else(|| CliError::new(format!("{} has just been deleted", short(job.name()))))
}
