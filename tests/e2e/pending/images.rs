//! Jobs whose image can't be had.

use herdctl::api::reason::{ExitReason, Reason};

use super::{PROMISED, containers, lag, waits_for};
use crate::{
    status::{assert_ended, only_attempt, status},
    team::Team,
};

async fn job_with_image(team: &Team, image: &str) -> String {
    let agent = team
        .agent_with("text", |spec| {
            spec.pod.as_mut().unwrap().image = Some(image.to_owned())
        })
        .await;
    team.job(&agent).await
}

#[tokio::test]
async fn an_image_that_is_not_there_is_named_within_two_seconds_of_the_kubelets_word() {
    let team = Team::shared().await;
    let image = "localhost/no-such-image:1";
    let job = job_with_image(&team, image).await;
    let pod = format!("{job}-1");
    let lag = lag(&team, &job, &pod, Reason::ImagePull, |pod| {
        waits_for(pod, &["ErrImagePull", "ImagePullBackOff"])
    })
    .await;
    assert!(lag < PROMISED, "{lag:?} after the kubelet's word");
    let waiting = team.pending(&job, Reason::ImagePull).await;
    let message = status(&waiting).message.unwrap();
    assert!(message.contains(image), "{message}");
    let stuck = team.pods().get(&only_attempt(&waiting).pod).await.unwrap();
    assert!(
        containers(&stuck)
            .iter()
            .all(|container| container.restart_count == 0),
        "{stuck:#?}"
    );
    team.cancel(&job).await;
    team.finished(&job).await;
}

#[tokio::test]
async fn a_text_that_is_no_image_name_ends_the_job_with_the_field() {
    let team = Team::shared().await;
    let image = "No Image Name";
    let job = job_with_image(&team, image).await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Error, Reason::InvalidPod);
    let message = status(&done).message.unwrap();
    assert!(
        message.contains(image) && message.contains("spec.pod.image"),
        "{message}"
    );
}

#[tokio::test]
async fn an_image_that_does_not_come_in_time_ends_the_job_and_is_named() {
    let team = Team::shared().await;
    let image = "localhost/no-such-image:2";
    let agent = team
        .agent_with("text", |spec| {
            spec.pod.as_mut().unwrap().image = Some(image.to_owned());
            spec.start_deadline = Some("25s".into());
        })
        .await;
    let job = team.job(&agent).await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Error, Reason::ImageUnavailable);
    let message = status(&done).message.unwrap();
    assert!(message.contains(image), "{message}");
}
