//! Whose a token is. The API server says so, and its word is remembered for minutes: every append carries
//! a token. When it does not answer, those whom it knew go on for a while, and nobody new comes in.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::{Api, Client, api::PostParams};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tracing::warn;

use crate::{
    api::protocol::{AUDIENCE, Refusal, RefusalReason},
    kubernetes::{
        Chain,
        call::{CallError, call},
    },
    plan::identity::{self, Claims, Identity},
};

/// How long a review counts.
const FRESH: TimeDelta = TimeDelta::minutes(5);
/// How much longer while the API server does not answer.
const GRACE: TimeDelta = TimeDelta::minutes(10);
/// So many tokens are remembered; each costs some 300 bytes.
const MAX_REMEMBERED: usize = 20_000;
/// So many tokens are reviewed at the same time; others wait.
const CONCURRENCY: usize = 32;

type Hash = [u8; 32];

/// What the API server said of a token.
#[derive(Clone)]
struct Review {
    identity: Identity,
    at: DateTime<Utc>,
    expires: DateTime<Utc>,
}

/// How much a remembered review is worth.
#[derive(Debug, PartialEq, Eq)]
enum Worth {
    Fresh,
    /// Only while the API server is away.
    Stale,
    Nothing,
}

impl Review {
    fn worth(&self, now: DateTime<Utc>) -> Worth {
        let age = now - self.at;
        if self.expires <= now || age > FRESH + GRACE {
            Worth::Nothing
        } else if age > FRESH {
            Worth::Stale
        } else {
            Worth::Fresh
        }
    }
}

/// Reviews tokens and remembers what came of it.
pub struct Tokens {
    api: Api<TokenReview>,
    /// By the token's SHA-256: a token itself is kept nowhere.
    reviews: Mutex<HashMap<Hash, Review>>,
    seats: Semaphore,
    clock: fn() -> DateTime<Utc>,
}

impl Tokens {
    pub fn new(client: Client, clock: fn() -> DateTime<Utc>) -> Self {
        Tokens {
            api: Api::all(client),
            reviews: Mutex::default(),
            seats: Semaphore::new(CONCURRENCY),
            clock,
        }
    }

    /// Who holds this token.
    pub async fn holder(&self, token: &str) -> Result<Identity, Refusal> {
        let now = (self.clock)();
        let claims = identity::claims(token, now)?;
        let hash: Hash = Sha256::digest(token).into();
        if let Some(identity) = self.remembered(&hash, &[Worth::Fresh], now) {
            return Ok(identity);
        }
        match self.ask(token).await {
            Ok(status) => self.note(hash, &status, claims, now),
            Err(error) => self
                .remembered(&hash, &[Worth::Fresh, Worth::Stale], now)
                .ok_or_else(|| {
                    warn!(error = %Chain(&error), "a token can't be reviewed");
                    unanswered()
                }),
        }
    }

    async fn ask(&self, token: &str) -> Result<TokenReviewStatus, CallError> {
        // It is never closed.
        let _seat = self.seats.acquire().await;
        let review = TokenReview {
            spec: TokenReviewSpec {
                audiences: Some(vec![AUDIENCE.to_owned()]),
                token: Some(token.to_owned()),
            },
            ..TokenReview::default()
        };
        let answer = call(
            "review a token",
            self.api.create(&PostParams::default(), &review),
        )
        .await?;
        Ok(answer.status.unwrap_or_default())
    }

    fn note(
        &self,
        hash: Hash,
        status: &TokenReviewStatus,
        claims: Claims,
        now: DateTime<Utc>,
    ) -> Result<Identity, Refusal> {
        let identity = identity::identity(status);
        let mut reviews = self.reviews.lock().unwrap_or_else(PoisonError::into_inner);
        match &identity {
            Ok(identity) => {
                make_room(&mut reviews, now);
                let review = Review {
                    identity: identity.clone(),
                    at: now,
                    expires: claims.expires,
                };
                reviews.insert(hash, review);
            }
            Err(_) => drop(reviews.remove(&hash)),
        }
        identity
    }

    fn remembered(&self, hash: &Hash, worth: &[Worth], now: DateTime<Utc>) -> Option<Identity> {
        let reviews = self.reviews.lock().unwrap_or_else(PoisonError::into_inner);
        let review = reviews.get(hash)?;
        worth
            .contains(&review.worth(now))
            .then(|| review.identity.clone())
    }
}

/// Forgets what is worth nothing and, where that is not enough, the oldest half.
fn make_room(reviews: &mut HashMap<Hash, Review>, now: DateTime<Utc>) {
    if reviews.len() < MAX_REMEMBERED {
        return;
    }
    reviews.retain(|_, review| review.worth(now) != Worth::Nothing);
    if reviews.len() < MAX_REMEMBERED {
        return;
    }
    let mut times: Vec<_> = reviews.values().map(|review| review.at).collect();
    let middle = times.len() / 2;
    let (_, median, _) = times.select_nth_unstable(middle);
    let median = *median;
    reviews.retain(|_, review| review.at > median);
}

fn unanswered() -> Refusal {
    Refusal {
        reason: RefusalReason::Retry,
        message: "the API server does not say whose this token is; try again".to_owned(),
        length: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn review(minutes_ago: i64, left: i64) -> Review {
        Review {
            identity: Identity {
                username: "system:serviceaccount:team-a:default".into(),
                uid: "sa".into(),
                pod: None,
            },
            at: now() - TimeDelta::minutes(minutes_ago),
            expires: now() + TimeDelta::minutes(left),
        }
    }

    #[test]
    fn a_review_ages_and_never_outlives_its_token() {
        for (minutes_ago, left, worth) in [
            (0, 60, Worth::Fresh),
            (5, 60, Worth::Fresh),
            (6, 60, Worth::Stale),
            (15, 60, Worth::Stale),
            (16, 60, Worth::Nothing),
            (0, 0, Worth::Nothing),
            (6, 0, Worth::Nothing),
        ] {
            assert_eq!(
                review(minutes_ago, left).worth(now()),
                worth,
                "{minutes_ago}"
            );
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_newest_stay() {
        let key = |index: usize| -> Hash { Sha256::digest(index.to_le_bytes()).into() };
        let mut reviews: HashMap<Hash, Review> = (0..MAX_REMEMBERED)
            .map(|index| (key(index), review(if index == 7 { 0 } else { 4 }, 60)))
            .collect();
        make_room(&mut reviews, now());
        assert!(reviews.len() < MAX_REMEMBERED);
        assert!(reviews.contains_key(&key(7)));
    }
}
