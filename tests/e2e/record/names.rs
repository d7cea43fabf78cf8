//! Promise: a name that comes back has a record of its own, and never the one that the name had before.

use herdctl::api::job::{Job, JobSpec};
use kube::{ResourceExt, api::PostParams};

use crate::{
    own::Own,
    record::{
        proof::{self, Sealed},
        reader, volume,
    },
    team::{Team, namespace::TEAM_A, unique},
    wait::{RUN, until_gone},
};

/// Runs a Job of this name that says this, to its seal.
async fn say(team: &Team, namespace: &str, agent: &str, job: &str, text: &str) -> Sealed {
    create(team, agent, job, &format!("SAY: {text}")).await;
    let sealed = proof::sealed(team, namespace, job).await;
    assert_eq!(sealed.texts(), [text]);
    sealed
}

async fn create(team: &Team, agent: &str, job: &str, prompt: &str) -> Job {
    let spec = JobSpec {
        agent: agent.to_owned(),
        prompt: Some(prompt.to_owned()),
        ..JobSpec::default()
    };
    let new = Job::new(job, spec);
    team.jobs()
        .create(&PostParams::default(), &new)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_job_of_the_same_name_begins_a_record_of_its_own() {
    let team = Team::shared().await;
    let agent = team.agent("text").await;
    let name = unique("again");
    let first = say(&team, TEAM_A, &agent, &name, "the first").await;
    team.delete(&name).await;
    until_gone(&team.jobs(), &name, &first.job.uid().unwrap(), RUN).await;
    // Without a Job of the name, the record is still there to be read.
    let kept = reader::output(&team.client, TEAM_A, &name).await;
    assert!(
        kept.as_ref() == Ok(&first.bytes),
        "the record went with its Job"
    );
    let key = unique("again");
    let waiting = team.agent(&format!("wait-for-release-{key}")).await;
    create(&team, &waiting, &name, "wait").await;
    team.running(&name).await;
    volume::tells(TEAM_A, &name, "\"subtype\":\"init\"").await;
    let while_it_runs = reader::output(&team.client, TEAM_A, &name).await.unwrap();
    assert!(!String::from_utf8_lossy(&while_it_runs).contains("the first"));
    team.release(&key).await;
    let second = proof::sealed(&team, TEAM_A, &name).await;
    assert_eq!(second.texts(), ["Released."]);
    let served = reader::output(&team.client, TEAM_A, &name).await;
    assert!(served == Ok(second.bytes), "another record is served");
}

/// Before the new Job has said a word, its namesake's words are not shown in its place.
#[tokio::test]
async fn a_job_that_has_no_record_yet_shows_nobody_elses() {
    let team = Team::shared().await;
    let agent = team.agent("text").await;
    let name = unique("again");
    let first = say(&team, TEAM_A, &agent, &name, "the first").await;
    team.delete(&name).await;
    until_gone(&team.jobs(), &name, &first.job.uid().unwrap(), RUN).await;
    create(&team, &unique("nobody"), &name, "wait").await;
    let read = reader::output(&team.client, TEAM_A, &name).await;
    let read = read.map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(matches!(read.as_deref(), Err(404) | Ok("")), "{read:?}");
    team.cancel(&name).await;
}

#[tokio::test]
async fn a_namespace_of_the_same_name_has_none_of_the_old_ones_records() {
    let team = Team::shared().await;
    let own = Own::create(unique("own"), &team).await;
    let name = own.name;
    let mine = team.elsewhere(name);
    let agent = mine.agent("text").await;
    let first = say(&mine, name, &agent, "job", "a secret of the first").await;
    let other = say(&mine, name, &agent, "other", "another secret").await;
    own.delete().await;
    let own = Own::create(name.to_owned(), &team).await;
    for job in ["job", "other"] {
        assert_eq!(
            reader::output(&mine.client, name, job).await,
            Err(404),
            "{job}"
        );
    }
    let agent = mine.agent("text").await;
    let second = say(&mine, name, &agent, "job", "of the second").await;
    let served = reader::output(&mine.client, name, "job").await;
    assert!(served == Ok(second.bytes.clone()) && second.bytes != first.bytes);
    assert_eq!(reader::output(&mine.client, name, "other").await, Err(404));
    assert_ne!(other.job.uid(), second.job.uid());
    own.delete().await;
}
