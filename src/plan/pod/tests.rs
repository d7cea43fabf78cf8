use k8s_openapi::api::core::v1::{Container, EnvVar, VolumeMount};
use serde_json::json;

use super::*;
use crate::{
    api::{
        job::JobSpec,
        run::{Resume, RunInputs, path},
    },
    plan::facts::SHIP_CONTAINER,
};

fn job() -> Job {
    let mut job = Job::new(
        "hello",
        JobSpec {
            agent: "reviewer".into(),
            ..JobSpec::default()
        },
    );
    job.metadata.namespace = Some("team-a".into());
    job.metadata.uid = Some("job-uid".into());
    job
}

fn settings() -> Settings {
    Settings {
        operator_image: "operator:1".into(),
        agent_image: "agent:1".into(),
        drain_timeout: Duration::from_secs(600),
        allowed_annotations: vec!["note".into(), "example.com/*".into()],
        ..Settings::default()
    }
}

/// The pod of the first attempt of `hello` with an Agent of this spec, with a prompt added.
fn built(agent: serde_json::Value) -> Pod {
    built_for(agent, None)
}

fn built_for(agent: serde_json::Value, resume: Option<&Resume>) -> Pod {
    try_build(agent, resume).unwrap()
}

fn try_build(agent: serde_json::Value, resume: Option<&Resume>) -> Result<Pod, InputsError> {
    let mut agent: AgentSpec = serde_json::from_value(agent).unwrap();
    agent.prompt = Some("do it".into());
    let job = job();
    let deadlines = Deadlines::of(&job.spec, &agent).unwrap();
    let run = RunOf {
        job: "hello",
        attempt: 1,
        session_id: "s-1",
        resume,
    };
    build(PodOf {
        job: &job,
        agent: &agent,
        run,
        deadlines,
        settings: &settings(),
        store_ca: "CA",
    })
}

fn spec(agent: serde_json::Value) -> PodSpec {
    built(agent).spec.unwrap()
}

fn containers(spec: &PodSpec) -> [Container; 2] {
    let ship = spec.init_containers.as_ref().unwrap();
    assert_eq!((ship.len(), spec.containers.len()), (1, 1));
    [ship[0].clone(), spec.containers[0].clone()]
}

fn mounts(container: &Container) -> &[VolumeMount] {
    container.volume_mounts.as_deref().unwrap_or_default()
}

#[test]
fn the_pods_name_follows_from_job_and_attempt_and_its_owner_is_the_job() {
    let meta = built(json!({})).metadata;
    assert_eq!(meta.name.as_deref(), Some("hello-1"));
    let owner = &meta.owner_references.unwrap()[0];
    assert_eq!(
        (owner.uid.as_str(), owner.controller),
        ("job-uid", Some(true))
    );
    assert_eq!(meta.finalizers.unwrap(), [POD_FINALIZER]);
}

#[test]
fn the_prompt_is_in_the_annotation_and_nowhere_in_the_spec() {
    let pod = built(json!({"systemPrompt": "unheard-of"}));
    let inputs: RunInputs =
        serde_json::from_str(&pod.metadata.annotations.as_ref().unwrap()[run::ANNOTATION]).unwrap();
    assert_eq!(
        (inputs.prompt.as_str(), inputs.session_id.as_str()),
        ("do it", "s-1")
    );
    let spec = serde_json::to_string(&pod.spec).unwrap();
    assert!(!spec.contains("do it") && !spec.contains("unheard-of"));
}

#[test]
fn the_agent_never_sees_the_spool_and_can_not_write_where_the_runner_is() {
    let spec = spec(json!({}));
    let [ship, agent] = containers(&spec);
    assert_eq!(
        (ship.name.as_str(), agent.name.as_str()),
        (SHIP_CONTAINER, AGENT_CONTAINER)
    );
    assert!(
        mounts(&agent)
            .iter()
            .all(|mount| mount.mount_path != path::SPOOL)
    );
    let herd = mounts(&agent)
        .iter()
        .find(|mount| mount.mount_path == path::HERD)
        .unwrap();
    assert_eq!(herd.read_only, Some(true));
    assert!(
        mounts(&ship)
            .iter()
            .any(|mount| mount.mount_path == path::SPOOL)
    );
}

#[test]
fn nothing_in_the_pod_has_more_rights_than_pod_security_restricted_allows() {
    let spec = spec(json!({}));
    let security = spec.security_context.as_ref().unwrap();
    assert_eq!(security.run_as_non_root, Some(true));
    assert_eq!(
        security.seccomp_profile.as_ref().unwrap().type_,
        "RuntimeDefault"
    );
    for container in containers(&spec) {
        let own = container.security_context.unwrap();
        assert_eq!(
            own.allow_privilege_escalation,
            Some(false),
            "{}",
            container.name
        );
        assert_eq!(
            own.read_only_root_filesystem,
            Some(true),
            "{}",
            container.name
        );
        assert_eq!(
            own.capabilities.unwrap().drop.unwrap(),
            ["ALL"],
            "{}",
            container.name
        );
    }
    assert_eq!(spec.automount_service_account_token, Some(false));
}

#[test]
fn the_pods_own_deadline_and_grace_stand_behind_the_runners() {
    let spec = spec(json!({"timeout": "10m", "startDeadline": "2m", "cancelGrace": "1.5s"}));
    assert_eq!(spec.active_deadline_seconds, Some(120 + 600 + 61 + 1));
    assert_eq!(spec.termination_grace_period_seconds, Some(602));
}

#[test]
fn what_an_agent_chooses_for_its_pod_is_taken() {
    let pod = built(json!({"pod": {
        "image": "mine:2", "imagePullPolicy": "Always", "imagePullSecrets": [{"name": "pull"}],
        "resources": {"limits": {"memory": "2Gi"}}, "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}], "labels": {"team": "a"},
        "annotations": {"note": "b"}, "securityContext": {"runAsUser": 1234},
    }}));
    assert_eq!(pod.metadata.labels.as_ref().unwrap()["team"], "a");
    assert_eq!(pod.metadata.annotations.as_ref().unwrap()["note"], "b");
    let spec = pod.spec.unwrap();
    let [ship, agent] = containers(&spec);
    assert_eq!(
        (ship.image.as_deref(), agent.image.as_deref()),
        (Some("operator:1"), Some("mine:2"))
    );
    assert_eq!(agent.image_pull_policy.as_deref(), Some("Always"));
    assert_eq!(agent.resources.unwrap().limits.unwrap()["memory"].0, "2Gi");
    assert_eq!(spec.image_pull_secrets.unwrap()[0].name, "pull");
    let nodes = spec.node_selector.unwrap();
    assert_eq!((nodes["disk"].as_str(), nodes.len()), ("fast", 3));
    assert_eq!(spec.tolerations.unwrap()[0].key.as_deref(), Some("gpu"));
    assert_eq!(spec.security_context.unwrap().run_as_user, Some(1234));
}

#[test]
fn an_annotation_that_the_operator_was_not_told_to_allow_is_refused_by_its_key() {
    let with = |key: &str| try_build(json!({"pod": {"annotations": {key: "x"}}}), None);
    for key in ["note", "example.com/a", "example.com/"] {
        with(key).unwrap();
    }
    for key in [
        "container.apparmor.security.beta.kubernetes.io/ship",
        "note2",
        "example.com.evil/a",
        "k8s.v1.cni.cncf.io/networks",
    ] {
        let refused = with(key).unwrap_err();
        assert_eq!(refused, InputsError::Annotation { key: key.into() });
        assert!(refused.to_string().contains(key));
    }
}

#[test]
fn a_pod_goes_to_nodes_that_its_images_are_for_unless_the_agent_says_otherwise() {
    let nodes = |agent| spec(agent).node_selector.unwrap();
    let usual = nodes(json!({}));
    assert_eq!(usual["kubernetes.io/os"], "linux");
    assert_eq!(usual["kubernetes.io/arch"], "amd64");
    let arm = json!({"pod": {"nodeSelector": {"kubernetes.io/arch": "arm64"}}});
    assert_eq!(nodes(arm)["kubernetes.io/arch"], "arm64");
}

#[test]
fn labels_of_ours_win_over_an_agents() {
    let labels = built(json!({"pod": {"labels": {LABEL_JOB: "another"}}}))
        .metadata
        .labels
        .unwrap();
    assert_eq!(labels[LABEL_JOB], "hello");
    assert_eq!(
        (labels[LABEL_AGENT].as_str(), labels[LABEL_ATTEMPT].as_str()),
        ("reviewer", "1")
    );
}

#[test]
fn credentials_reach_the_cli_by_reference_alone() {
    for (kind, variable) in [
        (json!("apiKey"), "ANTHROPIC_API_KEY"),
        (json!("oauthToken"), "CLAUDE_CODE_OAUTH_TOKEN"),
    ] {
        let spec =
            spec(json!({"credentials": {"secretRef": {"name": "s", "key": "k"}, "kind": kind}}));
        let [_, agent] = containers(&spec);
        let env = agent.env.unwrap();
        let found = env.iter().find(|env| env.name == variable).unwrap();
        let reference = found
            .value_from
            .as_ref()
            .unwrap()
            .secret_key_ref
            .as_ref()
            .unwrap();
        assert_eq!(
            (reference.name.as_str(), reference.key.as_str()),
            ("s", "k")
        );
        assert_eq!(found.value, None);
    }
}

#[test]
fn a_variable_of_the_agents_replaces_ours_of_the_same_name() {
    let spec = spec(json!({"env": [{"name": "TMPDIR", "value": "/workspace/tmp"}]}));
    let [_, agent] = containers(&spec);
    let folders: Vec<_> = agent
        .env
        .unwrap()
        .into_iter()
        .filter(|env| env.name == "TMPDIR")
        .collect();
    assert_eq!(folders.len(), 1);
    assert_eq!(folders[0].value.as_deref(), Some("/workspace/tmp"));
}

#[test]
fn the_installs_environment_goes_before_ours_and_after_the_agents_own() {
    let of_all: Vec<EnvVar> = serde_json::from_value(json!([
        {"name": "TMPDIR", "value": "/install"},
        {"name": "ANTHROPIC_API_KEY", "value": "of the install"},
        {"name": "HTTPS_PROXY", "value": "http://install"},
        {"name": "NO_PROXY", "value": "install"},
    ]))
    .unwrap();
    let agent: AgentSpec = serde_json::from_value(json!({
        "credentials": {"secretRef": {"name": "s", "key": "k"}},
        "env": [{"name": "HTTPS_PROXY", "value": "http://agent"}],
    }))
    .unwrap();
    let found = agent::environment(&agent, &of_all);
    let value_of = |name: &str| {
        let mut all = found.iter().filter(|env| env.name == name);
        let one = all.next().unwrap();
        assert!(all.next().is_none(), "{name} stands twice");
        one.value.as_deref()
    };
    assert_eq!(value_of("TMPDIR"), Some("/install"));
    assert_eq!(value_of("NO_PROXY"), Some("install"));
    assert_eq!(value_of("HTTPS_PROXY"), Some("http://agent"));
    assert_eq!(
        value_of("ANTHROPIC_API_KEY"),
        None,
        "it comes from the Secret"
    );
}

#[test]
fn every_scratch_volume_has_a_limit() {
    for volume in spec(json!({})).volumes.unwrap() {
        if let Some(scratch) = volume.empty_dir {
            assert!(scratch.size_limit.is_some(), "{}", volume.name);
        }
    }
}

#[test]
fn only_the_sidecar_has_a_token_and_it_is_good_for_the_store_alone() {
    let spec = spec(json!({}));
    let [ship, agent] = containers(&spec);
    let of = |container: &Container| mounts(container).iter().any(|it| it.name == "store");
    assert!(of(&ship) && !of(&agent));
    assert_eq!(spec.automount_service_account_token, Some(false));
    let tokens: Vec<_> = spec
        .volumes
        .iter()
        .flatten()
        .filter_map(|volume| volume.projected.as_ref()?.sources.as_ref())
        .flatten()
        .filter_map(|source| source.service_account_token.as_ref())
        .collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].audience.as_deref(), Some("herd-store"));
    assert_eq!(
        format!("{}/{}", path::STORE, tokens[0].path),
        path::STORE_TOKEN
    );
}

#[test]
fn the_sidecar_reads_the_agents_home_and_writes_nothing_there() {
    let [ship, _] = containers(&spec(json!({})));
    let home = mounts(&ship).iter().find(|it| it.mount_path == path::HOME);
    assert_eq!(home.unwrap().read_only, Some(true));
}

#[test]
fn where_a_session_goes_on_the_agent_starts_after_its_transcript_is_there() {
    let resume = Resume {
        prompt: "go on".into(),
        required: true,
    };
    let pod = built_for(json!({}), Some(&resume));
    let inputs = &pod.metadata.annotations.as_ref().unwrap()[run::ANNOTATION];
    let inputs: RunInputs = serde_json::from_str(inputs).unwrap();
    assert_eq!(inputs.resume, Some(resume));

    let told = |pod: &Pod| {
        let [ship, _] = containers(pod.spec.as_ref().unwrap());
        let home = mounts(&ship).iter().find(|it| it.mount_path == path::HOME);
        let started = ship.lifecycle.clone().unwrap().post_start.unwrap();
        (
            ship.command.clone().unwrap().contains(&"--resume".into()),
            home.unwrap().read_only,
            started.exec.unwrap().command.unwrap()[2..].join(" "),
        )
    };
    let installs = "/herd/herd-runner --folder /herd-workspace/work";
    let waits = format!("{installs} --wait-for /herd/ship.sock");
    assert_eq!(told(&pod), (true, None, waits));
    let plain = built(json!({}));
    assert_eq!(told(&plain), (false, Some(true), installs.to_owned()));
}

#[test]
fn the_agents_working_directory_is_a_folder_that_its_own_user_makes() {
    let spec = spec(json!({"pod": {"securityContext": {"runAsUser": 1_234_560_000}}}));
    let [ship, agent] = containers(&spec);
    let mount = |container: &Container, at: &str| {
        let mounts = mounts(container).iter();
        let mut of = mounts.filter(|it| it.name == "workspace");
        let found = of.next().cloned().unwrap();
        assert_eq!((found.mount_path.as_str(), of.next()), (at, None));
        found
    };
    let [whole, folder] = [mount(&ship, "/herd-workspace"), mount(&agent, "/workspace")];
    assert_eq!((whole.sub_path, whole.read_only), (None, None));
    let folder = folder.sub_path.unwrap();
    let hook = ship.lifecycle.unwrap().post_start.unwrap().exec.unwrap();
    let made = format!("{}/{folder}", whole.mount_path);
    assert!(hook.command.unwrap().contains(&made));
    assert_eq!(agent.working_dir.as_deref(), Some("/workspace"));
    // Both run as the pod's user.
    let user = spec.security_context.unwrap().run_as_user;
    assert_eq!(user, Some(1_234_560_000));
    for container in [ship.security_context, agent.security_context] {
        assert_eq!(container.unwrap().run_as_user, None);
    }
}

/// What the kubelet makes of a value, by the rules of Kubernetes' package `expansion`.
fn expanded(value: &str) -> String {
    let (mut expanded, mut rest) = (String::new(), value);
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let end = after.strip_prefix('(').and_then(|it| it.find(')'));
        rest = match end {
            _ if after.starts_with('$') => {
                expanded.push('$');
                &after[1..]
            }
            Some(end) => {
                expanded.push_str("SOMETHING ELSE");
                &after[end + 2..]
            }
            None => {
                expanded.push('$');
                after
            }
        };
    }
    expanded + rest
}

#[test]
fn a_variables_value_arrives_as_it_stands_in_the_agent() {
    let values = [
        "$(HOME)/bin:$(OTHER)",
        "pa$$w0rd$$$$x",
        "$(NOPE) $((1+1)) $$(HOME)",
        "100$",
        "$",
        "$$",
        "$ü $( $) ${HOME} `id` \\n \"'",
        "plain",
        "",
    ];
    let env: Vec<_> = (0..)
        .zip(values)
        .map(|(number, value)| json!({"name": format!("V{number}"), "value": value}))
        .collect();
    let spec = spec(json!({"env": env}));
    let [_, agent] = containers(&spec);
    let all = agent.env.unwrap();
    for (number, value) in (0..).zip(values) {
        let name = format!("V{number}");
        let found = all.iter().find(|env| env.name == name).unwrap();
        assert_eq!(expanded(found.value.as_deref().unwrap()), value);
    }
}

#[test]
fn no_word_of_the_sidecars_is_expanded() {
    let mut settings = settings();
    settings.store = "https://$(HOSTNAME).$$".into();
    let job = job();
    let agent = AgentSpec {
        prompt: Some("do it".into()),
        ..AgentSpec::default()
    };
    let pod = build(PodOf {
        job: &job,
        agent: &agent,
        run: RunOf {
            job: "hello",
            attempt: 1,
            session_id: "s-1",
            resume: None,
        },
        deadlines: Deadlines::of(&job.spec, &agent).unwrap(),
        settings: &settings,
        store_ca: "CA",
    })
    .unwrap();
    let [ship, _] = containers(pod.spec.as_ref().unwrap());
    let words = ship.command.unwrap();
    let store = words
        .iter()
        .find(|word| word.starts_with("--store="))
        .unwrap();
    assert_eq!(expanded(store), "--store=https://$(HOSTNAME).$$");
}
