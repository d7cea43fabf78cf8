//! Whose a token is. The API server says so, and its word is remembered for minutes: every append carries
//! a token. When it does not answer, those whom it knew go on for a while, and nobody new comes in.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::{Api, Client, api::PostParams};
use moka::future::Cache;
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
/// A review is worth nothing any more; the sum of the two above, in the cache's own measure.
const FORGOTTEN: Duration = Duration::from_secs(15 * 60);
/// So many tokens are remembered; each costs some 400 bytes.
const MAX_REMEMBERED: u64 = 20_000;
/// For so many seconds after a question without an answer, those who are known go on unasked.
const AWAY_SECONDS: i64 = 10;
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
    /// Only while the API server does not answer.
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
    reviews: Cache<Hash, Review>,
    seats: Semaphore,
    /// In Unix seconds; 0 is never.
    unanswered_at: AtomicI64,
    clock: fn() -> DateTime<Utc>,
}

impl Tokens {
    pub fn new(client: Client, clock: fn() -> DateTime<Utc>) -> Self {
        Tokens {
            api: Api::all(client),
            reviews: Cache::builder()
                .max_capacity(MAX_REMEMBERED)
                .time_to_live(FORGOTTEN)
                .build(),
            seats: Semaphore::new(CONCURRENCY),
            unanswered_at: AtomicI64::new(0),
            clock,
        }
    }

    /// Who holds this token, by what was said of it in the last minutes.
    pub async fn holder(&self, token: &str) -> Result<Identity, Refusal> {
        self.find(token, &[Worth::Fresh]).await
    }

    /// The same, but asked anew.
    pub async fn holder_now(&self, token: &str) -> Result<Identity, Refusal> {
        self.find(token, &[]).await
    }

    /// `enough` is what spares the API server the question.
    async fn find(&self, token: &str, enough: &[Worth]) -> Result<Identity, Refusal> {
        let now = (self.clock)();
        let claims = identity::claims(token, now)?;
        let hash: Hash = Sha256::digest(token).into();
        let known = self
            .reviews
            .get(&hash)
            .await
            .filter(|review| review.worth(now) != Worth::Nothing);
        if let Some(review) = &known
            && (enough.contains(&review.worth(now)) || self.is_away(now))
        {
            return Ok(review.identity.clone());
        }
        match self.ask(token).await {
            Ok(status) => self.note(hash, &status, claims, now).await,
            Err(error) => {
                warn!(error = %Chain(&error), "a token can't be reviewed");
                self.unanswered_at.store(now.timestamp(), Ordering::Relaxed);
                known.map(|review| review.identity).ok_or_else(unanswered)
            }
        }
    }

    /// Nobody who is known waits for an API server that did not answer a moment ago.
    fn is_away(&self, now: DateTime<Utc>) -> bool {
        now.timestamp() - self.unanswered_at.load(Ordering::Relaxed) < AWAY_SECONDS
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

    async fn note(
        &self,
        hash: Hash,
        status: &TokenReviewStatus,
        claims: Claims,
        now: DateTime<Utc>,
    ) -> Result<Identity, Refusal> {
        match identity::identity(status) {
            Ok(identity) => {
                let review = Review {
                    identity: identity.clone(),
                    at: now,
                    expires: claims.expires,
                };
                self.reviews.insert(hash, review).await;
                Ok(identity)
            }
            Err(refusal) => {
                self.reviews.invalidate(&hash).await;
                Err(refusal)
            }
        }
    }
}

fn unanswered() -> Refusal {
    Refusal::new(
        RefusalReason::Retry,
        "the API server does not say whose this token is; try again",
    )
}

#[cfg(test)]
mod tests;
