//! The agent's container: the user's image under our runner.

use k8s_openapi::api::core::v1::{
    ConfigMapKeySelector, Container, EnvVar as PodEnvVar, EnvVarSource, ObjectFieldSelector,
    SecretKeySelector,
};

use super::{container_security, literal, volumes};
use crate::{
    api::{
        agent::{AgentSpec, Credentials, EnvSource, EnvVar, KeyReference},
        pod_template::PodTemplate,
        run::path,
    },
    plan::{facts::AGENT_CONTAINER, settings::Settings},
};

/// The CLI's own switches: its program is part of the image and never updates itself, and nothing goes
/// out but what the model's API needs.
const CLI_SWITCHES: [(&str, &str); 2] = [
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ("DISABLE_AUTOUPDATER", "1"),
];

/// What programs call the user that the agent runs as.
const USER: &str = "agent";

pub(super) fn container(
    agent: &AgentSpec,
    template: &PodTemplate,
    settings: &Settings,
) -> Container {
    Container {
        name: AGENT_CONTAINER.to_owned(),
        image: Some(
            template
                .image
                .clone()
                .unwrap_or_else(|| settings.agent_image.clone()),
        ),
        image_pull_policy: template
            .image_pull_policy
            .map(|policy| policy.as_str().to_owned()),
        command: Some(vec![path::RUNNER.to_owned(), "exec".to_owned()]),
        working_dir: Some(path::WORKSPACE.to_owned()),
        env: Some(environment(agent, &settings.agent_env)),
        resources: template
            .resources
            .clone()
            .or_else(|| settings.agent_resources.clone()),
        volume_mounts: Some(volumes::of_agent()),
        security_context: Some(container_security()),
        ..Container::default()
    }
}

/// The more special goes before the more general, and no variable stands twice: the Agent's own, then its
/// credentials, then those of the install, then ours.
pub(super) fn environment(agent: &AgentSpec, of_all: &[PodEnvVar]) -> Vec<PodEnvVar> {
    let places = [
        ("HOME", path::HOME),
        // A user id of an Agent's choice has no name of its own in the image.
        ("USER", USER),
        ("LOGNAME", USER),
        ("TMPDIR", volumes::TMP_PATH),
    ];
    let mut environment: Vec<PodEnvVar> = places
        .into_iter()
        .chain(CLI_SWITCHES)
        .map(|(name, value)| PodEnvVar {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            value_from: None,
        })
        .collect();
    let credentials = agent.credentials.as_ref().map(credentials);
    let chosen = agent.env.iter().flatten().map(variable);
    for more in of_all.iter().cloned().chain(credentials).chain(chosen) {
        environment.retain(|other| other.name != more.name);
        environment.push(more);
    }
    environment
}

fn credentials(credentials: &Credentials) -> PodEnvVar {
    PodEnvVar {
        name: credentials.kind.unwrap_or_default().variable().to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: credentials.secret_ref.name.clone(),
                key: credentials.secret_ref.key.clone(),
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
    }
}

fn variable(env: &EnvVar) -> PodEnvVar {
    PodEnvVar {
        name: env.name.clone(),
        value: env.value.as_deref().map(literal),
        value_from: env.value_from.as_ref().map(source),
    }
}

fn source(source: &EnvSource) -> EnvVarSource {
    EnvVarSource {
        secret_key_ref: source.secret_key_ref.as_ref().map(
            |KeyReference {
                 name,
                 key,
                 optional,
             }| {
                SecretKeySelector {
                    name: name.clone(),
                    key: key.clone(),
                    optional: *optional,
                }
            },
        ),
        config_map_key_ref: source.config_map_key_ref.as_ref().map(
            |KeyReference {
                 name,
                 key,
                 optional,
             }| ConfigMapKeySelector {
                name: name.clone(),
                key: key.clone(),
                optional: *optional,
            },
        ),
        field_ref: source.field_ref.as_ref().map(|field| ObjectFieldSelector {
            field_path: field.field_path.clone(),
            ..ObjectFieldSelector::default()
        }),
        ..EnvVarSource::default()
    }
}
