//! `herdctl doctor --fix`: what the uninstall's hook would have done, for an operator that is gone.

use std::time::Duration;

use super::look::Seen;
use crate::{
    cli::{cluster::Cluster, error::CliError, exit::Exit, out::Out, style::Sign},
    plan::uninstall::RunningJobs,
    uninstall::{self, API_SERVICE, Options, some_of},
};

/// Long enough for pods to end, short enough for a person who waits.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Mends what can be mended here, after a yes.
pub async fn fix(
    seen: &Seen,
    cluster: &Cluster,
    yes: bool,
    out: &mut Out,
) -> Result<Exit, CliError> {
    match &seen.operator {
        Ok(None) => {}
        Ok(Some(operator)) => {
            return Err(CliError::new(format!(
                "an operator is installed in namespace {}: it removes its own finalizers",
                operator.namespace
            ))
            .next("do what the lines above say; or remove it first: helm uninstall"));
        }
        Err(_) => {
            return Err(CliError::new(
                "you may not see whether an operator is installed, and with one nothing may be removed",
            )
            .next("ask an administrator of the cluster to run herdctl doctor --fix"));
        }
    }
    let plan = plan(seen)?;
    if plan.is_empty() {
        out.say("there is nothing to fix");
        return Ok(Exit::Done);
    }
    for line in &plan {
        out.say(&format!("  {line}"));
    }
    if !yes {
        if !out.can_ask() {
            return Err(CliError::usage("this would change the cluster as listed")
                .next("add --yes if that is meant"));
        }
        if !out.confirm("do this, in all namespaces?")? {
            return Err(CliError::new("nothing was changed"));
        }
    }
    let options = Options {
        controller: None,
        running: RunningJobs::Suspend,
        timeout: TIMEOUT,
    };
    let arrow = out.style.sign(Sign::Arrow);
    let mut lines = Ok(());
    let outcome = uninstall::run(cluster.client.clone(), options, |line| {
        let told = out
            .line(&format!("{arrow} {line}"))
            .and_then(|()| out.flush());
        lines = std::mem::replace(&mut lines, Ok(())).and(told);
    })
    .await;
    lines?;
    if outcome.undone.is_empty() {
        return Ok(Exit::Done);
    }
    let failed = CliError::new("not everything could be fixed");
    Err(outcome
        .undone
        .iter()
        .fold(failed, CliError::because)
        .next("you need the rights to list and patch jobs.herdctl.dev and pods, to delete pods, and to delete apiservices, in all namespaces"))
}

fn plan(seen: &Seen) -> Result<Vec<String>, CliError> {
    let mut plan = Vec::new();
    if matches!(seen.api_service, Ok(Some(_))) {
        plan.push(format!(
            "remove the APIService {API_SERVICE}, which has no Service"
        ));
    }
    if let Ok(Some(open)) = &seen.open
        && !open.is_empty()
    {
        let names: Vec<String> = open
            .iter()
            .map(|job| format!("{}/{}", job.namespace(), job.name()))
            .collect();
        plan.push(format!(
            "pause Jobs that have not ended, and end their pods: {}",
            some_of(&names)
        ));
    }
    match &seen.held {
        Ok(held) => {
            let held = held.as_deref().unwrap_or_default();
            if !held.is_empty() {
                plan.push(format!(
                    "remove our finalizer from {} Jobs and pods",
                    held.len()
                ));
            }
        }
        Err(_) => {
            return Err(
                CliError::new("you may not list Jobs and pods in all namespaces")
                    .next("ask an administrator of the cluster to run herdctl doctor --fix"),
            );
        }
    }
    Ok(plan)
}
