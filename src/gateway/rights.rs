//! May this user read that? The API server has asked itself the same before it sent the request on; the
//! gateway asks again, and goes on asking while a follower reads.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use kube::{Api, Client, api::PostParams};
use moka::future::Cache;

use super::{
    identity::User,
    names::{LOG, PLURAL, Target, VERSION},
    status::{Refused, StatusReason},
};
use crate::{
    api::GROUP,
    kubernetes::{Chain, call::call},
};

/// Both answers, yes and no, are used again for so long.
pub const REMEMBERED: Duration = Duration::from_secs(10);
/// Answers that are kept; the oldest go first.
const KEPT: u64 = 10_000;

/// A user wants to get a JobOutput, or its lines.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    pub user: User,
    pub target: Target,
    pub part: Part,
}

/// What of a JobOutput.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    Object,
    Log,
}

/// The answer; why not, where the cluster's authorizers said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No { why: String },
}

/// The cluster's authorizers could not be asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(pub String);

/// Whoever knows what users may; a trait so that everything around it can be tried without a cluster.
pub trait Authorizer: Send + Sync + 'static {
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Answer, NoAnswer>>;
}

/// Asks the API server by SubjectAccessReview.
pub struct Reviews(pub Client);

impl Authorizer for Reviews {
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Answer, NoAnswer>> {
        let review = review(question);
        async move {
            let api: Api<SubjectAccessReview> = Api::all(self.0.clone());
            let parameters = PostParams::default();
            let reviewed = call("review access", api.create(&parameters, &review))
                .await
                .map_err(|error| NoAnswer(Chain(&error).to_string()))?;
            Ok(answer(reviewed.status.unwrap_or_default()))
        }
        .boxed()
    }
}

fn review(question: &Question) -> SubjectAccessReview {
    let Question { user, target, part } = question;
    let attributes = ResourceAttributes {
        verb: Some("get".to_owned()),
        group: Some(GROUP.to_owned()),
        version: Some(VERSION.to_owned()),
        resource: Some(PLURAL.to_owned()),
        subresource: (*part == Part::Log).then(|| LOG.to_owned()),
        namespace: Some(target.namespace.clone()),
        name: Some(target.job.clone()),
        ..ResourceAttributes::default()
    };
    SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(user.name.clone()),
            uid: user.uid.clone(),
            groups: Some(user.groups.clone()),
            extra: Some(user.extra.clone()),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    }
}

fn answer(status: SubjectAccessReviewStatus) -> Answer {
    if status.allowed && status.denied != Some(true) {
        Answer::Yes
    } else {
        let why = status
            .reason
            .or(status.evaluation_error)
            .unwrap_or_default();
        Answer::No { why }
    }
}

/// Remembers answers for a short time, and asks once where many ask the same together.
#[derive(Clone)]
pub struct Rights {
    authorizer: Arc<dyn Authorizer>,
    answers: Cache<Question, Answer>,
}

impl Rights {
    /// Answers are used again for so long.
    pub fn new(authorizer: Arc<dyn Authorizer>, remembered: Duration) -> Rights {
        Rights {
            authorizer,
            answers: Cache::builder()
                .max_capacity(KEPT)
                .time_to_live(remembered)
                .build(),
        }
    }

    /// The cluster's answer, at most as old as answers are remembered.
    pub async fn ask(&self, question: &Question) -> Result<Answer, NoAnswer> {
        let asked = self.authorizer.ask(question);
        let answer = self.answers.try_get_with_by_ref(question, asked).await;
        answer.map_err(|error| NoAnswer::clone(&error))
    }

    /// Refuses with 403 what the user may not, and with 503 where nobody knows.
    pub async fn require(&self, question: &Question) -> Result<(), Refused> {
        match self.ask(question).await {
            Ok(Answer::Yes) => Ok(()),
            Ok(Answer::No { why }) => Err(forbidden(question, &why)),
            Err(error) => Err(StatusReason::ServiceUnavailable.because(format!(
                "could not ask the API server whether user {:?} may read this ({error}); try again",
                question.user.name
            ))),
        }
        .map_err(|refused| refused.about(&question.target))
    }
}

fn forbidden(question: &Question, why: &str) -> Refused {
    let Question { user, target, part } = question;
    let resource = match part {
        Part::Object => PLURAL.to_owned(),
        Part::Log => format!("{PLURAL}/{LOG}"),
    };
    let why = if why.is_empty() {
        String::new()
    } else {
        format!(" ({why})")
    };
    StatusReason::Forbidden.because(format!(
        "{PLURAL}.{GROUP} {job:?} is forbidden: User {user:?} cannot get resource {resource:?} in API group \
         {GROUP:?} in the namespace {namespace:?}{why}. Ask for a role there with get on {resource}",
        job = target.job,
        user = user.name,
        namespace = target.namespace,
    ))
}
