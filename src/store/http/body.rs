//! The bodies of requests: as long as they may be, in time, and not too many at once.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::api::protocol::{MAX_APPEND_BYTES, Refusal, RefusalReason};
use crate::store::record::HOLE;

/// A line or two never wait behind large bodies, which may come slowly. They fit into what a connection
/// takes anyway.
const SMALL_KIB: u64 = 8;

/// A body that makes no progress for so long is given up.
const STALLED: Duration = Duration::from_secs(30);

/// A whole body takes at most so long: that is 2 kB/s.
const WHOLE: Duration = Duration::from_secs(120);

/// What is not wanted is still read, so that its sender gets to reading the answer: for so long, and so
/// many bytes.
const UNWANTED: Duration = Duration::from_secs(5);
const UNWANTED_BYTES: usize = 16 * 1024 * 1024;

/// Bytes to be kept, and the room that they take.
pub struct Taken<'a> {
    pub bytes: Bytes,
    pub room: SemaphorePermit<'a>,
}

/// Reads a body of lines.
pub async fn take(mut body: Body, room: &Semaphore) -> Result<Taken<'_>, Refusal> {
    let taken = take_whole(&mut body, room).await;
    if taken.is_err() {
        pass_over(body).await;
    }
    taken
}

async fn take_whole<'a>(body: &mut Body, room: &'a Semaphore) -> Result<Taken<'a>, Refusal> {
    let size = body.size_hint();
    if size.lower() > MAX_APPEND_BYTES as u64 {
        return Err(too_large());
    }
    let most = size.upper().unwrap_or(u64::MAX);
    let most = most.min(MAX_APPEND_BYTES as u64);
    let kibibytes = most.div_ceil(1024).saturating_sub(SMALL_KIB);
    let kibibytes = u32::try_from(kibibytes).unwrap_or_default();
    let stopping = |_| Refusal::new(RefusalReason::Retry, "the store is stopping");
    let room = room.acquire_many(kibibytes).await.map_err(stopping)?;
    let capacity = usize::try_from(size.lower()).unwrap_or_default();
    let read = timeout(WHOLE, read(body, capacity)).await;
    let bytes = read.map_err(|_| slow())??;
    if memchr::memchr(HOLE, &bytes).is_some() {
        let message = "the body holds a NUL byte: lines are JSON texts, which have none";
        return Err(Refusal::new(RefusalReason::BadRequest, message));
    }
    Ok(Taken { bytes, room })
}

/// Reads a body that will not be kept.
pub async fn pass_over(mut body: Body) {
    let over = async {
        let mut passed = 0;
        while let Some(Ok(frame)) = body.frame().await {
            passed += frame.data_ref().map_or(0, Bytes::len);
            if passed > UNWANTED_BYTES {
                return;
            }
        }
    };
    // Whoever is slower does without the answer.
    let _ = timeout(UNWANTED, over).await;
}

async fn read(body: &mut Body, capacity: usize) -> Result<Bytes, Refusal> {
    let mut bytes = BytesMut::with_capacity(capacity);
    loop {
        let frame = timeout(STALLED, body.frame()).await.map_err(|_| slow())?;
        let Some(frame) = frame else {
            return Ok(bytes.freeze());
        };
        let broken = |_| Refusal::new(RefusalReason::BadRequest, "the body broke off");
        let data = frame.map_err(broken)?.into_data().unwrap_or_default();
        if bytes.len() + data.len() > MAX_APPEND_BYTES {
            return Err(too_large());
        }
        bytes.extend_from_slice(&data);
    }
}

fn too_large() -> Refusal {
    let message = format!("a body has at most {MAX_APPEND_BYTES} bytes");
    Refusal::new(RefusalReason::TooLarge, message)
}

fn slow() -> Refusal {
    Refusal::new(RefusalReason::Retry, "the body came too slowly")
}
