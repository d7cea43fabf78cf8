//! The lines of a record on their way to a reader. Nothing is kept: what was sent is counted, and when
//! the store goes away in the middle it is asked again from there on. While the reader takes nothing,
//! nothing is taken from the store. The reader's right is looked at again and again; without it the
//! answer is broken off, which no client takes for its end.

mod leave;
mod source;

use std::{sync::Arc, time::Duration};

use axum::{body::Body, http::HeaderValue, response::Response};
use bytes::Bytes;
use futures::future::BoxFuture;
use tracing::info;

use self::source::Source;
use super::{
    parameters::Wanted,
    rights::{Question, Rights},
    store::{Store, StoreError},
};
use crate::api::protocol::{BEGINS, RECORD_UID};

/// How long what may take. Arguments so that a test need not wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Between two looks at a reader's right.
    pub recheck: Duration,
    /// A reader whose right nobody can confirm reads on for so long.
    pub unconfirmed: Duration,
    /// A follow that begins waits so long for a store that is away.
    pub begin: Duration,
    /// An answer that is no follow waits so long for a store that went away in the middle.
    pub resume: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            recheck: Duration::from_secs(30),
            unconfirmed: Duration::from_secs(60),
            begin: Duration::from_secs(30),
            resume: Duration::from_secs(10),
        }
    }
}

/// Why an answer was broken off.
#[derive(Debug, thiserror::Error)]
pub enum BrokenOff {
    #[error("the reader's right to read this was taken away")]
    Revoked,
    #[error("nobody could confirm the reader's right for too long: {0}")]
    Unconfirmed(String),
    #[error("the record's name has come back as another Job's")]
    AnotherJob,
    #[error("the store went away, and nothing says where the lines began")]
    PlaceUnknown,
    #[error("the output store answers, and no more lines come: {0}")]
    NoMore(String),
    #[error("the output store went on at byte {got}, not at byte {wanted}")]
    WrongPlace { wanted: u64, got: u64 },
    #[error(transparent)]
    Store(StoreError),
}

/// Who reads what, by whose leave.
pub struct Reader {
    pub question: Question,
    pub wanted: Wanted,
    pub rights: Rights,
    pub store: Arc<Store>,
    pub patience: Patience,
}

impl Reader {
    /// Opens the record; his right to it was confirmed just now. Errors here are still answers. The answer
    /// says where it begins and of which Job it is, as the store's does: a reader who loses us goes on from
    /// there.
    pub async fn begin(self) -> Result<Response, StoreError> {
        let Patience {
            begin,
            resume,
            recheck,
            unconfirmed,
        } = self.patience;
        let target = self.question.target.clone();
        let leave = leave::end(self.rights, self.question.clone(), recheck, unconfirmed);
        let source = Source::open(self.store, target, self.wanted, begin, resume).await?;
        let begins = source.place().map(HeaderValue::from);
        let uid = source.uid().and_then(|uid| HeaderValue::from_str(uid).ok());
        let stream = Stream {
            source,
            leave: Box::pin(leave),
            question: self.question,
        };
        let parts = futures::stream::try_unfold(stream, Stream::next);
        let mut answer = Response::new(Body::from_stream(parts));
        for (name, value) in [(BEGINS, begins), (RECORD_UID, uid)] {
            if let Some(value) = value {
                answer.headers_mut().insert(name, value);
            }
        }
        Ok(answer)
    }
}

/// An answer on its way.
struct Stream {
    source: Source,
    /// Ends when the reader may not read on. Kept from one piece to the next, or a question that takes
    /// longer than a piece would never be answered.
    leave: BoxFuture<'static, BrokenOff>,
    question: Question,
}

impl Stream {
    /// The next bytes and what comes after them; None at the end.
    async fn next(mut self) -> Result<Option<(Bytes, Stream)>, BrokenOff> {
        let next = tokio::select! {
            biased;
            why = &mut self.leave => Err(why),
            next = self.source.next() => next,
        };
        match next {
            Ok(next) => Ok(next.map(|bytes| (bytes, self))),
            Err(why) => {
                let Question { user, target, .. } = &self.question;
                let (namespace, job) = (&target.namespace, &target.job);
                info!(user = user.name, namespace, job, %why, "an answer was broken off");
                Err(why)
            }
        }
    }
}
