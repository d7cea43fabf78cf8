//! The pod of one attempt: the agent's container, and the sidecar that owns the spool. Everything in it
//! follows from the Job, its captured Agent and the operator's settings.

mod agent;
mod ship;
mod volumes;

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{
    api::core::v1::{
        Capabilities, LocalObjectReference, Pod, PodSecurityContext, PodSpec, SeccompProfile,
        SecurityContext,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::Resource;

use super::{
    facts::AGENT_CONTAINER,
    inputs::{InputsError, RunOf, inputs},
    settings::{Deadlines, Settings},
};
use crate::api::{
    agent::AgentSpec,
    job::{Job, POD_FINALIZER, STORE_CA_ANNOTATION},
    pod_template::PodTemplate,
    run,
};

/// Pods carry the names of what they belong to under these keys.
pub const LABEL_AGENT: &str = "herdctl.dev/agent";
pub const LABEL_JOB: &str = "herdctl.dev/job";
pub const LABEL_ATTEMPT: &str = "herdctl.dev/attempt";
/// The UID of the Job. It says whose the pod is also when its owner reference has been taken off, as a
/// deletion with `--cascade=orphan` does.
pub const LABEL_JOB_UID: &str = "herdctl.dev/job-uid";

/// kubectl logs, exec and attach go to this annotation's container.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// User and group of agents that choose none.
const DEFAULT_ID: i64 = 1000;

/// The nodes for which our images are built.
const NODES: [(&str, &str); 2] = [
    ("kubernetes.io/os", "linux"),
    ("kubernetes.io/arch", "amd64"),
];

/// How long the pod's own deadline stands behind the runner's.
const BACKSTOP: Duration = Duration::from_secs(60);

/// What a pod is built from.
#[derive(Clone, Copy, Debug)]
pub struct PodOf<'a> {
    pub job: &'a Job,
    pub agent: &'a AgentSpec,
    pub run: RunOf<'a>,
    pub deadlines: Deadlines,
    pub settings: &'a Settings,
    /// The store's CA certificates (PEM).
    pub store_ca: &'a str,
}

impl PodOf<'_> {
    /// The pod's agent continues a session.
    fn resumes(&self) -> bool {
        self.run.resume.is_some()
    }
}

/// The name of an attempt's pod. It follows from the Job and the number, so that creating it twice is a
/// conflict and never a second pod.
pub fn name(job: &str, attempt: u32) -> String {
    format!("{job}-{attempt}")
}

/// Builds the pod.
pub fn build(of: PodOf<'_>) -> Result<Pod, InputsError> {
    let template = of.agent.pod.clone().unwrap_or_default();
    Ok(Pod {
        metadata: metadata(of, &template)?,
        spec: Some(spec(of, &template)),
        ..Pod::default()
    })
}

fn metadata(of: PodOf<'_>, template: &PodTemplate) -> Result<ObjectMeta, InputsError> {
    let mut labels = template.labels.clone().unwrap_or_default();
    labels.extend([
        (LABEL_AGENT.to_owned(), of.job.spec.agent.clone()),
        (LABEL_JOB.to_owned(), of.run.job.to_owned()),
        (LABEL_ATTEMPT.to_owned(), of.run.attempt.to_string()),
    ]);
    let uid = of.job.metadata.uid.clone();
    labels.extend(uid.map(|uid| (LABEL_JOB_UID.to_owned(), uid)));
    let mut annotations = template.annotations.clone().unwrap_or_default();
    if let Some(key) = annotations
        .keys()
        .find(|key| !of.settings.allows_annotation(key))
    {
        return Err(InputsError::Annotation { key: key.clone() });
    }
    annotations.insert(DEFAULT_CONTAINER.to_owned(), AGENT_CONTAINER.to_owned());
    annotations.insert(
        run::ANNOTATION.to_owned(),
        inputs(of.run, &of.job.spec, of.agent, of.deadlines)?,
    );
    annotations.insert(STORE_CA_ANNOTATION.to_owned(), of.store_ca.to_owned());
    Ok(ObjectMeta {
        name: Some(name(of.run.job, of.run.attempt)),
        namespace: of.job.metadata.namespace.clone(),
        labels: Some(labels),
        annotations: Some(annotations),
        owner_references: of.job.controller_owner_ref(&()).map(|owner| vec![owner]),
        finalizers: Some(vec![POD_FINALIZER.to_owned()]),
        ..ObjectMeta::default()
    })
}

fn spec(of: PodOf<'_>, template: &PodTemplate) -> PodSpec {
    let Deadlines {
        timeout,
        stall_timeout: _,
        start,
        cancel_grace,
    } = of.deadlines;
    PodSpec {
        init_containers: Some(vec![ship::container(of)]),
        containers: vec![agent::container(of.agent, template, of.settings)],
        volumes: Some(volumes::all()),
        restart_policy: Some("Never".to_owned()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(seconds(cancel_grace + of.settings.drain_timeout)),
        active_deadline_seconds: Some(seconds(start + timeout + cancel_grace + BACKSTOP)),
        security_context: Some(pod_security(template)),
        image_pull_secrets: template.image_pull_secrets.as_ref().map(|secrets| {
            secrets
                .iter()
                .map(|secret| LocalObjectReference {
                    name: secret.name.clone(),
                })
                .collect()
        }),
        node_selector: Some(node_selector(template)),
        tolerations: template.tolerations.clone(),
        ..PodSpec::default()
    }
}

/// A text as it must stand in a variable, command or argument so that it arrives as it is: Kubernetes makes
/// `$$` one dollar sign and puts values in the place of `$(NAME)`.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// A cluster may have nodes of other kinds, on which nothing of our images runs.
fn node_selector(template: &PodTemplate) -> BTreeMap<String, String> {
    let ours = NODES.map(|(label, value)| (label.to_owned(), value.to_owned()));
    let mut labels = BTreeMap::from(ours);
    labels.extend(template.node_selector.clone().unwrap_or_default());
    labels
}

/// Whole seconds, rounded up: a deadline may be late, never early.
fn seconds(duration: Duration) -> i64 {
    let whole = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    whole.saturating_add(i64::from(duration.subsec_nanos() > 0))
}

fn pod_security(template: &PodTemplate) -> PodSecurityContext {
    let chosen = template.security_context.clone().unwrap_or_default();
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: chosen.run_as_user.or(Some(DEFAULT_ID)),
        run_as_group: chosen.run_as_group.or(Some(DEFAULT_ID)),
        fs_group: chosen.fs_group.or(Some(DEFAULT_ID)),
        supplemental_groups: chosen.supplemental_groups,
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        ..PodSecurityContext::default()
    }
}

/// What Pod Security's level "restricted" asks of every container.
fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            ..Capabilities::default()
        }),
        read_only_root_filesystem: Some(true),
        ..SecurityContext::default()
    }
}

#[cfg(test)]
mod tests;
