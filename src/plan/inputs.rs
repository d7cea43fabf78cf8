//! What one attempt is run with: the captured Agent and the Job's own wishes, made into the one file
//! that the runner reads.

use crate::{
    api::{
        agent::AgentSpec,
        job::JobSpec,
        run::{self, KeyFrom, Resume, RunInputs, SetBy},
    },
    plan::settings::Deadlines,
};

/// Why a Job can't be run as it stands.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputsError {
    #[error(
        "neither the Job nor Agent {agent} has a prompt: set spec.prompt of the Agent, the Job then starts by itself"
    )]
    NoPrompt { agent: String },
    #[error("{field} holds nothing but blanks: write a prompt there and create another Job")]
    Blank { field: String },
    #[error(
        "the prompts of the Job and its Agent are too large together: {bytes} bytes with all inputs, at most {max} fit; shorten spec.prompt, spec.resumePrompt, spec.systemPrompt or spec.appendSystemPrompt and create another Job"
    )]
    TooLarge { bytes: usize, max: usize },
    #[error(
        "{field} of the Agent holds a NUL character, which the CLI can't be given: take it out and create another Job"
    )]
    Nul { field: &'static str },
    #[error(
        "the annotation {key} in spec.pod.annotations of the Agent is not allowed on this cluster: take it out and create another Job, or have the operator's administrator add it to the chart's value agent.allowedAnnotations"
    )]
    Annotation { key: String },
    #[error("the inputs can't be written as JSON: {0}")]
    NotJson(String),
    #[error(
        "spec.outputSchema of the {whose} is no JSON Schema: {why}; put it right and create another Job"
    )]
    BadSchema { whose: &'static str, why: String },
}

/// Who the inputs are for.
#[derive(Clone, Copy, Debug)]
pub struct RunOf<'a> {
    pub job: &'a str,
    pub attempt: u32,
    pub session_id: &'a str,
    /// Present where the session is continued.
    pub resume: Option<&'a Resume>,
}

/// What the agent of a new session is told: also what a person said while the Job was paused before anything
/// had begun.
pub fn opening(job: &JobSpec, agent: &AgentSpec) -> Option<String> {
    let task = job.prompt.clone().or_else(|| agent.prompt.clone())?;
    Some(match &job.resume_prompt {
        Some(said) => format!("{task}\n\n{said}"),
        None => task,
    })
}

/// The annotation's text for one attempt.
pub fn inputs(
    run: RunOf<'_>,
    job: &JobSpec,
    agent: &AgentSpec,
    deadlines: Deadlines,
) -> Result<String, InputsError> {
    let opening = opening(job, agent).ok_or_else(|| InputsError::NoPrompt {
        agent: job.agent.clone(),
    })?;
    not_blank(job, agent)?;
    no_nul(agent)?;
    let inputs = RunInputs {
        job: run.job.to_owned(),
        agent: job.agent.clone(),
        attempt: run.attempt,
        session_id: run.session_id.to_owned(),
        // A session that must go on does not begin.
        prompt: match run.resume {
            Some(resume) if resume.required => String::new(),
            Some(_) | None => opening,
        },
        resume: run.resume.cloned(),
        output_schema: schema(job, agent)?,
        system_prompt: agent.system_prompt.clone(),
        append_system_prompt: agent.append_system_prompt.clone(),
        model: job.model.clone().or_else(|| agent.model.clone()),
        model_of: model_of(job, agent),
        base_url_from: base_url_from(agent),
        key_from: key_from(agent),
        fallback_model: agent.fallback_model.clone(),
        max_turns: agent.max_turns,
        max_budget_usd: agent.max_budget_usd,
        permission_mode: agent.permission_mode.unwrap_or_default(),
        tools: agent.tools.clone().unwrap_or_default(),
        timeout: deadlines.timeout,
        stall_timeout: deadlines.stall_timeout,
        cancel_grace: deadlines.cancel_grace,
    };
    let text =
        serde_json::to_string(&inputs).map_err(|error| InputsError::NotJson(error.to_string()))?;
    if text.len() > run::MAX_BYTES {
        return Err(InputsError::TooLarge {
            bytes: text.len(),
            max: run::MAX_BYTES,
        });
    }
    Ok(text)
}

/// The CLI ends with an error if its prompt is blank.
fn not_blank(job: &JobSpec, agent: &AgentSpec) -> Result<(), InputsError> {
    let task = match &job.prompt {
        Some(own) => ("spec.prompt of the Job".to_owned(), Some(own)),
        None => (
            format!("spec.prompt of Agent {}", job.agent),
            agent.prompt.as_ref(),
        ),
    };
    let said = (
        "spec.resumePrompt of the Job".to_owned(),
        job.resume_prompt.as_ref(),
    );
    let is_blank = |text: &str| text.chars().all(|c| c.is_whitespace() || c == '\u{feff}');
    match [task, said]
        .into_iter()
        .find(|(_, text)| text.is_some_and(|it| is_blank(it)))
    {
        Some((field, _)) => Err(InputsError::Blank { field }),
        None => Ok(()),
    }
}

/// What goes to the CLI as an argument ends at the first NUL.
fn no_nul(agent: &AgentSpec) -> Result<(), InputsError> {
    let tools = agent.tools.as_ref();
    let lists = [
        (
            "spec.tools.available",
            tools.and_then(|it| it.available.as_ref()),
        ),
        (
            "spec.tools.allowed",
            tools.and_then(|it| it.allowed.as_ref()),
        ),
        ("spec.tools.denied", tools.and_then(|it| it.denied.as_ref())),
    ];
    let prompts = [
        ("spec.systemPrompt", agent.system_prompt.iter()),
        ("spec.appendSystemPrompt", agent.append_system_prompt.iter()),
    ];
    let in_prompts = prompts
        .into_iter()
        .flat_map(|(field, texts)| texts.map(move |text| (field, text)));
    let in_lists = lists
        .into_iter()
        .flat_map(|(field, texts)| texts.into_iter().flatten().map(move |text| (field, text)));
    match in_prompts
        .chain(in_lists)
        .find(|(_, text)| text.contains('\0'))
    {
        Some((field, _)) => Err(InputsError::Nul { field }),
        None => Ok(()),
    }
}

fn model_of(job: &JobSpec, agent: &AgentSpec) -> Option<SetBy> {
    let of_agent = || agent.model.as_ref().map(|_| SetBy::Agent);
    job.model.as_ref().map(|_| SetBy::Job).or_else(of_agent)
}

fn key_from(agent: &AgentSpec) -> KeyFrom {
    let mut set = agent.env.iter().flatten();
    if set.any(|it| run::KEYS.contains(&it.name.as_str())) {
        return KeyFrom::Env;
    }
    match agent.credentials {
        Some(_) => KeyFrom::Credentials,
        None => KeyFrom::Nothing,
    }
}

fn base_url_from(agent: &AgentSpec) -> Option<String> {
    let mut set = agent.env.iter().flatten();
    let from = set.rfind(|it| it.name == run::BASE_URL)?;
    let from = from.value_from.as_ref()?;
    let (kind, key) = match (&from.secret_key_ref, &from.config_map_key_ref) {
        (Some(key), _) => ("Secret", key),
        (None, key) => ("ConfigMap", key.as_ref()?),
    };
    Some(format!("{kind} {}, key {}", key.name, key.key))
}

/// The schema of the result. The CLI takes any JSON object for one; with anything else it would not start.
fn schema(job: &JobSpec, agent: &AgentSpec) -> Result<Option<String>, InputsError> {
    let (whose, text) = match (&job.output_schema, &agent.output_schema) {
        (Some(own), _) => ("Job", own),
        (None, Some(agents)) => ("Agent", agents),
        (None, None) => return Ok(None),
    };
    let why = match serde_json::from_str(text) {
        Ok(serde_json::Value::Object(_)) => return Ok(Some(text.clone())),
        Ok(_) => "it must be a JSON object".to_owned(),
        Err(error) => format!("it is not JSON, {error}"),
    };
    Err(InputsError::BadSchema { whose, why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::run::Tools;

    const RUN: RunOf<'static> = RunOf {
        job: "hello",
        attempt: 1,
        session_id: "s-1",
        resume: None,
    };

    fn text(job: &JobSpec, agent: &AgentSpec) -> Result<String, InputsError> {
        inputs(RUN, job, agent, Deadlines::of(job, agent).unwrap())
    }

    fn job() -> JobSpec {
        JobSpec {
            agent: "reviewer".into(),
            ..JobSpec::default()
        }
    }

    #[test]
    fn who_set_the_model_and_where_a_base_url_is_kept_are_passed_on() {
        let with = |of_job: Option<&str>, of_agent: Option<&str>, from: serde_json::Value| {
            let job = JobSpec {
                model: of_job.map(str::to_owned),
                prompt: Some("p".into()),
                ..job()
            };
            let agent = AgentSpec {
                model: of_agent.map(str::to_owned),
                env: serde_json::from_value(from).unwrap(),
                ..AgentSpec::default()
            };
            let inputs: RunInputs = serde_json::from_str(&text(&job, &agent).unwrap()).unwrap();
            (inputs.model_of, inputs.base_url_from)
        };
        let key = |kind: &str| serde_json::json!([{"name": "ANTHROPIC_BASE_URL", "valueFrom": {kind: {"name": "gw", "key": "url"}}}]);
        let plain = serde_json::json!([{"name": "ANTHROPIC_BASE_URL", "value": "http://gw"}]);
        for (of_job, of_agent, from, expected) in [
            (Some("a"), Some("b"), plain, (Some(SetBy::Job), None)),
            (
                None,
                Some("b"),
                key("secretKeyRef"),
                (Some(SetBy::Agent), Some("Secret gw, key url")),
            ),
            (
                None,
                None,
                key("configMapKeyRef"),
                (None, Some("ConfigMap gw, key url")),
            ),
        ] {
            let (model_of, from) = with(of_job, of_agent, from);
            assert_eq!((model_of, from.as_deref()), expected);
        }
    }

    #[test]
    fn a_prompt_of_blanks_is_refused_by_its_field() {
        let with = |own: Option<&str>, agents: Option<&str>, said: Option<&str>| {
            let job = JobSpec {
                prompt: own.map(str::to_owned),
                resume_prompt: said.map(str::to_owned),
                ..job()
            };
            let agent = AgentSpec {
                prompt: agents.map(str::to_owned),
                ..AgentSpec::default()
            };
            text(&job, &agent)
                .map(|_| ())
                .map_err(|error| error.to_string())
        };
        for blank in [" ", "\n\t", "\u{feff}\r\n", "\u{3000}\u{a0}"] {
            for (own, agents, said, field) in [
                (Some(blank), Some("a"), None, "spec.prompt of the Job"),
                (None, Some(blank), None, "spec.prompt of Agent reviewer"),
                (Some("a"), None, Some(blank), "spec.resumePrompt of the Job"),
            ] {
                let error = with(own, agents, said).unwrap_err();
                assert!(error.starts_with(field), "{error}");
            }
        }
        assert_eq!(with(Some("a"), Some(" "), None), Ok(()));
    }

    #[test]
    fn which_field_gives_the_key_is_passed_on() {
        let with = |spec: serde_json::Value| {
            let agent: AgentSpec = serde_json::from_value(spec).unwrap();
            let job = JobSpec {
                prompt: Some("p".into()),
                ..job()
            };
            let inputs: RunInputs = serde_json::from_str(&text(&job, &agent).unwrap()).unwrap();
            inputs.key_from
        };
        let credentials = serde_json::json!({"secretRef": {"name": "claude", "key": "apiKey"}});
        let env = serde_json::json!([{"name": "ANTHROPIC_AUTH_TOKEN", "value": "x"}]);
        assert_eq!(with(serde_json::json!({})), KeyFrom::Nothing);
        assert_eq!(
            with(serde_json::json!({"credentials": credentials})),
            KeyFrom::Credentials
        );
        assert_eq!(
            with(serde_json::json!({"credentials": credentials, "env": env})),
            KeyFrom::Env
        );
    }

    #[test]
    fn the_jobs_prompt_and_model_win_over_the_agents() {
        let agent = AgentSpec {
            prompt: Some("agent's".into()),
            model: Some("sonnet".into()),
            ..AgentSpec::default()
        };
        let own = JobSpec {
            prompt: Some("job's".into()),
            model: Some("opus".into()),
            ..job()
        };
        let read = |text: String| serde_json::from_str::<RunInputs>(&text).unwrap();
        let inputs = read(text(&own, &agent).unwrap());
        assert_eq!(
            (inputs.prompt.as_str(), inputs.model.as_deref()),
            ("job's", Some("opus"))
        );
        let inputs = read(text(&job(), &agent).unwrap());
        assert_eq!(
            (inputs.prompt.as_str(), inputs.model.as_deref()),
            ("agent's", Some("sonnet"))
        );
    }

    #[test]
    fn a_schema_is_the_jobs_or_the_agents_and_must_be_a_json_object() {
        let with = |own: Option<&str>, agents: Option<&str>| {
            let job = JobSpec {
                prompt: Some("do it".into()),
                output_schema: own.map(Into::into),
                ..job()
            };
            let agent = AgentSpec {
                output_schema: agents.map(Into::into),
                ..AgentSpec::default()
            };
            text(&job, &agent).map(|text| {
                let inputs: RunInputs = serde_json::from_str(&text).unwrap();
                inputs.output_schema
            })
        };
        let (one, other) = (r#"{"type":"object"}"#, r#"{"type":"array"}"#);
        for (own, agents, expected) in [
            (None, None, Ok(None)),
            (None, Some(one), Ok(Some(one))),
            (Some(other), Some(one), Ok(Some(other))),
            (Some(other), Some("{"), Ok(Some(other))),
            (Some("[1]"), Some(one), Err("of the Job")),
            (None, Some("{"), Err("of the Agent")),
        ] {
            match (with(own, agents), expected) {
                (Ok(found), Ok(wanted)) => assert_eq!(found.as_deref(), wanted),
                (Err(error), Err(words)) => {
                    assert!(error.to_string().contains(words), "{error}");
                }
                (found, wanted) => panic!("{found:?} is not {wanted:?}"),
            }
        }
    }

    #[test]
    fn a_continued_run_says_with_what_it_goes_on() {
        let resume = Resume {
            prompt: "go on".into(),
            required: true,
        };
        let run = RunOf {
            resume: Some(&resume),
            ..RUN
        };
        let own = JobSpec {
            prompt: Some("do it".into()),
            ..job()
        };
        let agent = AgentSpec::default();
        let text = inputs(run, &own, &agent, Deadlines::of(&own, &agent).unwrap()).unwrap();
        let inputs: RunInputs = serde_json::from_str(&text).unwrap();
        assert_eq!(inputs.resume, Some(resume));
    }

    #[test]
    fn a_run_without_any_prompt_is_refused_by_the_agents_name() {
        let error = text(&job(), &AgentSpec::default()).unwrap_err();
        assert_eq!(
            error,
            InputsError::NoPrompt {
                agent: "reviewer".into()
            }
        );
    }

    #[test]
    fn a_nul_that_no_argument_can_hold_is_named_by_its_field() {
        let with_prompt = AgentSpec {
            append_system_prompt: Some("a\0b".into()),
            ..AgentSpec::default()
        };
        let with_tools = AgentSpec {
            tools: Some(Tools {
                denied: Some(vec!["Bash".into(), "a\0".into()]),
                ..Tools::default()
            }),
            ..AgentSpec::default()
        };
        let own = JobSpec {
            prompt: Some("do it\0".into()),
            ..job()
        };
        assert!(
            text(&own, &AgentSpec::default()).is_ok(),
            "standard input holds it"
        );
        for (agent, field) in [
            (with_prompt, "spec.appendSystemPrompt"),
            (with_tools, "spec.tools.denied"),
        ] {
            assert_eq!(text(&own, &agent), Err(InputsError::Nul { field }));
        }
    }

    #[test]
    fn the_largest_prompt_of_wide_characters_fits() {
        let own = JobSpec {
            prompt: Some("é".repeat(98_304 / 2)),
            ..job()
        };
        assert!(text(&own, &AgentSpec::default()).is_ok());
    }

    #[test]
    fn inputs_beyond_the_annotation_are_refused() {
        let large = Some("x".repeat(98_304));
        let agent = AgentSpec {
            prompt: large.clone(),
            system_prompt: large.clone(),
            append_system_prompt: large,
            ..AgentSpec::default()
        };
        assert!(matches!(
            text(&job(), &agent),
            Err(InputsError::TooLarge { .. })
        ));
    }
}
