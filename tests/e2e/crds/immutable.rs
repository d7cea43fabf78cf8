//! A Job is one run: what it asks for can't be changed, and a cancellation can't be taken back.

use herdctl::api::{
    job::{Job, ResumeFrom},
    reason::Reason,
};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::fields;
use crate::team::{Team, unique};

async fn change(jobs: &Api<Job>, name: &str, spec: Value) -> kube::Result<Job> {
    let trial = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    jobs.patch(name, &trial, &Patch::Merge(json!({"spec": spec})))
        .await
}

/// Each change is refused for the field that it touches.
async fn assert_fixed(jobs: &Api<Job>, name: &str, changes: Vec<(&str, Value, &str)>) {
    for (what, spec, field) in changes {
        match change(jobs, name, spec).await {
            Ok(_) => panic!("{what} was accepted"),
            Err(error) => assert_eq!(fields(&error), [field], "{what}: {error}"),
        }
    }
}

#[tokio::test]
async fn nothing_that_a_job_says_can_be_changed_or_taken_out() {
    let team = Team::shared().await;
    let name = team
        .job_with(&unique("nobody"), |spec| {
            spec.model = Some("opus".to_owned());
            spec.timeout = Some("1h".into());
            spec.output_schema = Some("{}".into());
            spec.resume = Some(ResumeFrom {
                job: "earlier".to_owned(),
                across_agents: None,
            });
        })
        .await;
    let changes = vec![
        ("another Agent", json!({"agent": "other"}), "spec.agent"),
        (
            "another prompt",
            json!({"prompt": "Do something else."}),
            "spec.prompt",
        ),
        ("no prompt", json!({"prompt": null}), "spec.prompt"),
        ("another model", json!({"model": "haiku"}), "spec.model"),
        ("no model", json!({"model": null}), "spec.model"),
        ("another timeout", json!({"timeout": "2h"}), "spec.timeout"),
        (
            "the same timeout in other words",
            json!({"timeout": "60m"}),
            "spec.timeout",
        ),
        ("no timeout", json!({"timeout": null}), "spec.timeout"),
        (
            "another schema",
            json!({"outputSchema": "{ }"}),
            "spec.outputSchema",
        ),
        (
            "no schema",
            json!({"outputSchema": null}),
            "spec.outputSchema",
        ),
        (
            "another Job to continue",
            json!({"resume": {"job": "other"}}),
            "spec.resume",
        ),
        ("no Job to continue", json!({"resume": null}), "spec.resume"),
    ];
    assert_fixed(&team.jobs(), &name, changes).await;
}

#[tokio::test]
async fn nothing_can_be_added_to_what_a_job_says() {
    let team = Team::shared().await;
    let name = team
        .job_with(&unique("nobody"), |spec| spec.prompt = None)
        .await;
    let changes = vec![
        (
            "a prompt",
            json!({"prompt": "Do something."}),
            "spec.prompt",
        ),
        ("a model", json!({"model": "haiku"}), "spec.model"),
        ("a timeout", json!({"timeout": "2h"}), "spec.timeout"),
        (
            "a schema",
            json!({"outputSchema": "{}"}),
            "spec.outputSchema",
        ),
        (
            "a Job to continue",
            json!({"resume": {"job": "other"}}),
            "spec.resume",
        ),
    ];
    assert_fixed(&team.jobs(), &name, changes).await;
}

#[tokio::test]
async fn a_cancellation_can_not_be_taken_back() {
    let team = Team::shared().await;
    let name = team.job(&unique("nobody")).await;
    change(&team.jobs(), &name, json!({"cancel": false}))
        .await
        .expect("cancel: false changes nothing");
    team.cancel(&name).await;
    let changes = vec![
        ("cancel: false", json!({"cancel": false}), "spec.cancel"),
        ("no cancel", json!({"cancel": null}), "spec.cancel"),
    ];
    assert_fixed(&team.jobs(), &name, changes).await;
}

#[tokio::test]
async fn a_job_is_suspended_and_goes_on_as_often_as_one_likes() {
    let team = Team::shared().await;
    let name = team.job(&unique("nobody")).await;
    for spec in [
        json!({"suspend": true}),
        json!({"suspend": false}),
        json!({"suspend": true}),
        json!({"suspend": null}),
    ] {
        change(&team.jobs(), &name, spec.clone())
            .await
            .unwrap_or_else(|error| panic!("{spec}: {error}"));
        team.change(&name, spec).await;
    }
}

#[tokio::test]
async fn a_job_that_has_ended_can_not_be_suspended_any_more() {
    let team = Team::shared().await;
    let name = team.job(&unique("nobody")).await;
    team.change(&name, json!({"suspend": true})).await;
    team.pending(&name, Reason::Suspended).await;
    team.cancel(&name).await;
    team.finished(&name).await;
    team.change(&name, json!({"suspend": false})).await;
    let again = vec![("a suspension", json!({"suspend": true}), "spec.suspend")];
    assert_fixed(&team.jobs(), &name, again).await;
}

#[tokio::test]
async fn a_resume_prompt_comes_with_the_end_of_a_suspension_and_at_no_other_time() {
    let team = Team::shared().await;
    let name = team.job(&unique("nobody")).await;
    let field = "spec.resumePrompt";
    let prompt = json!({"resumePrompt": "Go on."});
    let both = |suspend: bool| json!({"suspend": suspend, "resumePrompt": "Go on."});
    team.pending(&name, Reason::AgentNotFound).await;
    let early = vec![
        ("a prompt for a Job that waits", prompt.clone(), field),
        ("a prompt with a suspension", both(true), field),
        ("a prompt with suspend: false", both(false), field),
    ];
    assert_fixed(&team.jobs(), &name, early).await;
    team.change(&name, json!({"suspend": true})).await;
    team.pending(&name, Reason::Suspended).await;
    let while_suspended = vec![
        ("a prompt for a suspended Job", prompt, field),
        ("a prompt and still suspended", both(true), field),
    ];
    assert_fixed(&team.jobs(), &name, while_suspended).await;
    change(
        &team.jobs(),
        &name,
        json!({"suspend": null, "resumePrompt": "Go on."}),
    )
    .await
    .expect("suspend can be taken out too");
    team.change(&name, both(false)).await;
    team.pending(&name, Reason::AgentNotFound).await;
    let late = vec![
        ("another prompt", json!({"resumePrompt": "Stop."}), field),
        ("no prompt", json!({"resumePrompt": null}), field),
    ];
    assert_fixed(&team.jobs(), &name, late).await;
}
