//! Who may read what is asked of the cluster's authorizers, briefly remembered, and never guessed.

use std::time::Duration;

use herdctl::gateway::rights::{Answer, NoAnswer, Part};

use crate::ground::{Ground, IMPATIENCE, JOB, UID, log, object};

#[tokio::test]
async fn the_object_and_its_lines_are_two_rights() {
    let ground = Ground::new().await;
    ground.get(&object(JOB)).await;
    ground.get(&log(JOB)).await;
    let asked = ground.words.asked();
    let parts: Vec<Part> = asked.iter().map(|question| question.part).collect();
    assert_eq!(parts, [Part::Object, Part::Log]);
    for question in asked {
        assert_eq!(question.target.namespace, "team-a");
        assert_eq!(question.target.job, JOB);
    }
}

#[tokio::test]
async fn who_may_not_is_told_what_right_is_missing() {
    let ground = Ground::new().await;
    ground.words.no();
    let message = ground.get(&log(JOB)).await.failure(403, "Forbidden");
    for part in [
        "dev",
        "joboutputs/log",
        "herdctl.dev",
        "team-a",
        "no RBAC policy matched",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!message.contains(UID));
    assert_eq!(ground.store.records.queries(), [""; 0]);
}

#[tokio::test]
async fn a_record_that_is_not_there_is_no_secret_only_to_those_who_may_read_it() {
    let ground = Ground::new().await;
    ground.get(&object("job-2")).await.failure(404, "NotFound");
    ground.words.no();
    ground.get(&object("job-2")).await.failure(403, "Forbidden");
}

#[tokio::test]
async fn while_nobody_can_be_asked_nobody_may() {
    let ground = Ground::new().await;
    ground
        .words
        .say(Err(NoAnswer("connection refused".to_owned())));
    let message = ground
        .get(&object(JOB))
        .await
        .failure(503, "ServiceUnavailable");
    assert!(message.contains("connection refused"), "{message}");
    ground.words.say(Ok(Answer::Yes));
    assert_eq!(ground.get(&object(JOB)).await.status, 200);
}

#[tokio::test]
async fn an_answer_is_remembered_for_its_user_and_for_nobody_else() {
    let ground = Ground::with(IMPATIENCE, Duration::from_secs(600)).await;
    ground.get(&object(JOB)).await;
    ground.words.no();
    assert_eq!(ground.get(&object(JOB)).await.status, 200);
    ground.get(&log(JOB)).await.failure(403, "Forbidden");
    ground.get(&object("job-2")).await.failure(403, "Forbidden");
    let mut other = Ground::request(&object(JOB));
    other
        .headers_mut()
        .insert("x-remote-user", "other".parse().unwrap());
    ground.send(other).await.failure(403, "Forbidden");
    let mut fewer = Ground::request(&object(JOB));
    fewer.headers_mut().remove("x-remote-group");
    ground.send(fewer).await.failure(403, "Forbidden");
    assert_eq!(ground.words.asked().len(), 5);
}

#[tokio::test]
async fn a_no_is_remembered_too_and_a_missing_answer_is_not() {
    let ground = Ground::with(IMPATIENCE, Duration::from_secs(600)).await;
    ground.words.say(Err(NoAnswer("timed out".to_owned())));
    ground
        .get(&object(JOB))
        .await
        .failure(503, "ServiceUnavailable");
    ground.words.no();
    ground.get(&object(JOB)).await.failure(403, "Forbidden");
    ground.words.say(Ok(Answer::Yes));
    ground.get(&object(JOB)).await.failure(403, "Forbidden");
}
