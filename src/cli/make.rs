//! Creates a Job: once, also where the answer is lost, since a second one would be a second run.

use chrono::Utc;
use kube::ResourceExt;
use uuid::Uuid;

use super::{
    cluster::{Cluster, Lookup, NotMade, Write},
    created,
    error::CliError,
    id,
    out::Out,
    prompt,
    view::{JobView, MINTED, short},
};
use crate::api::{
    agent::Agent,
    job::{JOB_FINALIZER, Job, JobSpec},
};

/// Whose name a new Job has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// The person's own: there may be a Job of that name.
    Chosen(String),
    /// Made for this one Job.
    Minted,
}

impl Named {
    pub fn manifest(&self, cluster: &Cluster, spec: JobSpec) -> Job {
        let name = match self {
            Named::Chosen(name) => name.clone(),
            Named::Minted => format!("{MINTED}{}", Uuid::new_v4()),
        };
        let mut job = Job::new(&name, spec);
        job.metadata.namespace = Some(cluster.namespace.clone());
        // Saves the controller a request before the first attempt.
        job.metadata.finalizers = Some(vec![JOB_FINALIZER.into()]);
        job
    }

    pub async fn make(&self, cluster: &Cluster, job: &Job) -> Result<JobView, CliError> {
        let mut job = job.clone();
        // Where it is not known who creates it, it is not the last one of anybody's.
        if let Some(user) = cluster.user().await {
            job.metadata.annotations = Some(created::annotations(&user, Utc::now()));
        }
        match cluster.create(&job, Write::Real).await {
            Err(NotMade::Open(error)) => self.look_for(cluster, &job.name_any(), error).await,
            made => Ok(made?),
        }
    }

    /// The Job whose making was not answered. Nothing says to try again as long as there may be one.
    async fn look_for(
        &self,
        cluster: &Cluster,
        name: &str,
        error: CliError,
    ) -> Result<JobView, CliError> {
        match cluster.job(name).await {
            Ok(Some(job)) if *self == Named::Minted => Ok(job),
            Ok(None) => Err(error),
            Ok(Some(_)) | Err(_) => Err(error
                .leads_to(format!("it is not known whether Job {name} was created"))
                .next(format!(
                    "check before you try again: {{program}} jobs show {}",
                    short(name)
                ))),
        }
    }
}

/// The Agent, where it may be read. A Job may come before its Agent; a person who types a name has mistyped it.
pub async fn check_agent(
    cluster: &Cluster,
    job: &JobSpec,
    out: &mut Out,
) -> Result<Option<Agent>, CliError> {
    let (name, namespace) = (&job.agent, &cluster.namespace);
    match cluster.agent(name).await? {
        Lookup::Found(agent) if agent.spec.prompt.is_none() && job.prompt.is_none() => {
            return Err(
                CliError::usage(format!("agent {name} has no prompt of its own"))
                    .next("say what it is to do: --prompt TEXT, --prompt @FILE or --prompt -"),
            );
        }
        Lookup::Found(agent) => {
            if let Some(prompt) = agent.spec.prompt.as_ref().filter(|_| job.prompt.is_none()) {
                prompt::warn_of_command(prompt, "the Agent's prompt", out);
            }
            return Ok(Some(agent));
        }
        Lookup::Hidden => return Ok(None),
        Lookup::Absent => {}
    }
    cluster.check_namespace().await?;
    // Where the kind itself is missing, this says so.
    let names = cluster.agent_names().await?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let near = id::nearest(name, &names);
    let what = format!("no agent {name} in namespace {namespace}");
    let what = if near.is_empty() {
        what
    } else {
        format!("{what}; nearest: {}", near.join(", "))
    };
    Err(CliError::new(what).next("kubectl get agents shows all; another namespace: -n NAME"))
}
