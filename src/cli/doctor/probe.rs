//! Whether a namespace takes a pod of ours: one that does nothing is sent as a dry run, so that Pod Security,
//! quotas, limit ranges and policies have their say, and none is made.

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::PostParams, core::Status};

use super::look::{Gap, Look, Operator};
use crate::{
    api::{agent::AgentSpec, job::Job, job::JobSpec, text::Clean},
    cli::cluster::{CALL_TIMEOUT, explain::deepest},
    plan::{
        inputs::RunOf,
        pod::{PodOf, build},
        settings::{Deadlines, Settings},
    },
};

const NAME: &str = "herdctl-doctor";
const MAX_REFUSAL: usize = 512;

/// What came of the dry run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probed {
    Taken,
    /// In these words.
    Refused(String),
    /// There is nowhere to take it.
    NoNamespace,
}

/// Sends the dry run. None where no such pod can be built.
pub async fn try_pod(client: &Client, namespace: &str, operator: &Look<Operator>) -> Look<Probed> {
    let Some(pod) = pod(&settings(operator)) else {
        return Ok(None);
    };
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let answer = tokio::time::timeout(CALL_TIMEOUT, pods.create(&params, &pod)).await;
    match answer {
        Ok(Ok(_)) => Ok(Some(Probed::Taken)),
        // RBAC's words; a refusal of the pod itself has others.
        Ok(Err(kube::Error::Api(status)))
            if status.is_forbidden() && status.message.contains("cannot create resource") =>
        {
            Err(Gap::Hidden(format!("create pods in {namespace}")))
        }
        Ok(Err(kube::Error::Api(status))) if is_of_namespace(&status) => {
            Ok(Some(Probed::NoNamespace))
        }
        Ok(Err(kube::Error::Api(status))) if status.is_not_found() => Ok(None),
        Ok(Err(kube::Error::Api(status))) if status.code < 500 => Ok(Some(Probed::Refused(
            Clean::line(&status.message, MAX_REFUSAL).into(),
        ))),
        Ok(Err(error)) => Err(Gap::Failed(deepest(&error))),
        Err(_) => Err(Gap::Failed("no answer".into())),
    }
}

fn is_of_namespace(status: &Status) -> bool {
    let details = status.details.as_ref();
    status.is_not_found() && details.is_some_and(|details| details.kind == "namespaces")
}

/// What the controller was started with, as far as it can be seen.
fn settings(operator: &Look<Operator>) -> Settings {
    let arguments: &[String] = match operator {
        Ok(Some(operator)) => operator
            .part("controller")
            .map_or(&[], |part| &part.arguments),
        Ok(None) | Err(_) => &[],
    };
    let value = |name: &str| {
        let mut values = arguments.iter();
        values.find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='))
    };
    let resources = |name: &str| serde_json::from_str(value(name)?).ok();
    let image = |name: &str| value(name).unwrap_or("localhost/image").to_owned();
    Settings {
        operator_image: image("--operator-image"),
        agent_image: image("--agent-image"),
        agent_resources: resources("--agent-resources"),
        ship_resources: resources("--ship-resources").unwrap_or_default(),
        ..Settings::default()
    }
}

/// The pod of an Agent that leaves everything out; without an owner, which would have to exist, and without the
/// marks of an agent's pod, which only the controller may set.
fn pod(settings: &Settings) -> Option<Pod> {
    let job = Job::new(
        NAME,
        JobSpec {
            agent: NAME.into(),
            prompt: Some("nothing".into()),
            ..JobSpec::default()
        },
    );
    let agent = AgentSpec::default();
    let mut pod = build(PodOf {
        job: &job,
        agent: &agent,
        run: RunOf {
            job: NAME,
            attempt: 1,
            session_id: NAME,
            resume: None,
        },
        deadlines: Deadlines::of(&job.spec, &agent).ok()?,
        settings,
        store_ca: "",
    })
    .ok()?;
    pod.metadata.owner_references = None;
    pod.metadata.finalizers = None;
    pod.metadata.labels = None;
    pod.metadata.annotations = None;
    Some(pod)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pod_that_is_tried_holds_nothing_and_belongs_to_nothing() {
        let pod = pod(&Settings::default()).unwrap();
        assert_eq!(
            (pod.metadata.finalizers, pod.metadata.owner_references),
            (None, None)
        );
        assert_eq!(pod.metadata.name.as_deref(), Some("herdctl-doctor-1"));
    }
}
