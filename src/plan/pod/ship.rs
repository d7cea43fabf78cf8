//! The sidecar: it brings the runner into the pod and owns the spool. It is the operator's image, not
//! the user's.

use k8s_openapi::api::core::v1::{Container, ExecAction, Lifecycle, LifecycleHandler};

use super::{PodOf, container_security, literal, volumes};
use crate::{api::run::path, plan::facts::SHIP_CONTAINER};

/// Where the runner stands in the operator's image.
const RUNNER_IN_IMAGE: &str = "/usr/local/bin/herd-runner";

pub(super) fn container(of: PodOf<'_>) -> Container {
    let settings = of.settings;
    Container {
        name: SHIP_CONTAINER.to_owned(),
        image: Some(settings.operator_image.clone()),
        image_pull_policy: settings.image_pull_policy.clone(),
        command: Some(command(of)),
        // A native sidecar: started before the agent, ended after it.
        restart_policy: Some("Always".to_owned()),
        lifecycle: Some(Lifecycle {
            // The kubelet starts the agent only when this has returned, so its program is there, its working
            // directory, and the transcript of a session that goes on.
            post_start: Some(LifecycleHandler {
                exec: Some(ExecAction {
                    command: Some(installation(of)),
                }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        resources: Some(settings.ship_resources.clone()),
        volume_mounts: Some(volumes::of_ship(of.resumes())),
        security_context: Some(container_security()),
        ..Container::default()
    }
}

fn installation(of: PodOf<'_>) -> Vec<String> {
    let workspace = format!("{}/{}", path::WORKSPACE_VOLUME, path::WORKSPACE_FOLDER);
    let mut words = vec![RUNNER_IN_IMAGE, "install", path::RUNNER];
    words.extend(["--folder", &workspace]);
    if of.resumes() {
        // `ship` opens it when the transcript is restored.
        words.extend(["--wait-for", path::SOCKET]);
    }
    words.into_iter().map(str::to_owned).collect()
}

fn command(of: PodOf<'_>) -> Vec<String> {
    let namespace = of.job.metadata.namespace.as_deref().unwrap_or_default();
    let attempt = of.run.attempt.to_string();
    let arguments = [
        ("--store", of.settings.store.as_str()),
        ("--namespace", namespace),
        ("--job", of.run.job),
        ("--attempt", &attempt),
        ("--session-id", of.run.session_id),
    ];
    [RUNNER_IN_IMAGE.to_owned(), "ship".to_owned()]
        .into_iter()
        .chain(arguments.map(|(name, value)| format!("{name}={}", literal(value))))
        .chain(of.resumes().then(|| "--resume".to_owned()))
        .collect()
}
