//! The lines of one record from the store, one after the other and each once, however often the store
//! goes away between them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::BrokenOff;
use crate::gateway::{
    names::Target,
    parameters::Wanted,
    store::{Lines, Store, StoreError},
};

/// A store that is away is asked again after this, then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// An answer that is no follow has no reason to pause for longer.
const STORE_SILENCE: Duration = Duration::from_secs(30);

/// What is read, and how far it is.
pub struct Source {
    store: Arc<Store>,
    target: Target,
    follow: bool,
    /// An answer that is no follow waits so long for a store that went away in the middle.
    resume: Duration,
    /// The byte of the record that comes next, where that is known.
    place: Option<u64>,
    /// Of the Job whose record it is, where the store said.
    uid: Option<String>,
    /// None while the store is away.
    lines: Option<Incoming>,
    /// Since when no more lines come, because it is away or breaks off again and again.
    away: Option<Instant>,
    pause: Pause,
}

impl Source {
    /// Opens the record. A follow waits for a store that is just away, for at most `begin`.
    pub async fn open(
        store: Arc<Store>,
        target: Target,
        wanted: Wanted,
        begin: Duration,
        resume: Duration,
    ) -> Result<Source, StoreError> {
        let until = Instant::now() + begin;
        let query = wanted.to_store();
        let mut pause = Pause::default();
        let lines = loop {
            match store.lines(&target, &query).await {
                Ok(lines) => break lines,
                Err(error) if wanted.follow && error.passes() && Instant::now() < until => {
                    debug!(%error, "a follow waits for the store");
                    pause.wait().await;
                }
                Err(error) => return Err(error),
            }
        };
        Ok(Source {
            store,
            target,
            follow: wanted.follow,
            resume,
            place: lines.begins.or(wanted.begins()),
            uid: lines.uid,
            lines: Some(lines.body),
            away: None,
            pause: Pause::default(),
        })
    }

    /// The byte of the record that comes next, where that is known.
    pub fn place(&self) -> Option<u64> {
        self.place
    }

    /// The UID of the Job whose record it is, where the store said.
    pub fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }

    /// The next bytes of the record; None at its end. To be awaited to its end: dropped halfway, a pause
    /// or a question to the store would begin anew.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BrokenOff> {
        loop {
            let Some(lines) = &mut self.lines else {
                self.reconnect().await?;
                continue;
            };
            match frame(lines, self.follow).await {
                Frame::Bytes(bytes) => {
                    self.place = self.place.map(|place| place + bytes.len() as u64);
                    self.pause = Pause::default();
                    self.away = None;
                    return Ok(Some(bytes));
                }
                Frame::End if self.is_the_end().await? => return Ok(None),
                Frame::End => self.lost("it ended before the record did".to_owned())?,
                Frame::Broken(why) => self.lost(why)?,
            }
        }
    }

    fn lost(&mut self, why: String) -> Result<(), BrokenOff> {
        self.lines = None;
        let since = *self.away.get_or_insert_with(Instant::now);
        if !self.follow && since.elapsed() >= self.resume {
            return Err(BrokenOff::NoMore(why));
        }
        debug!(why, "the store went away; asking again");
        Ok(())
    }

    /// The store ends a follow when the record is sealed; a store that stops may look the same.
    async fn is_the_end(&self) -> Result<bool, BrokenOff> {
        let Some(place) = self.place.filter(|_| self.follow) else {
            return Ok(true);
        };
        match self.store.info(&self.target).await {
            Ok(info) => Ok(info.sealed && info.bytes <= place),
            Err(error) if error.passes() => Ok(false),
            Err(error) => Err(BrokenOff::Store(error)),
        }
    }

    /// Asks the store for what comes next, after a pause.
    async fn reconnect(&mut self) -> Result<(), BrokenOff> {
        let place = self.place.ok_or(BrokenOff::PlaceUnknown)?;
        let since = *self.away.get_or_insert_with(Instant::now);
        self.pause.wait().await;
        let rest = Wanted {
            follow: self.follow,
            offset: Some(place),
            ..Wanted::default()
        };
        match self.store.lines(&self.target, &rest.to_store()).await {
            Ok(lines) => self.go_on(lines, place),
            Err(error) if error.passes() && (self.follow || since.elapsed() < self.resume) => {
                debug!(%error, "the store is still away");
                Ok(())
            }
            Err(error) => Err(BrokenOff::Store(error)),
        }
    }

    fn go_on(&mut self, lines: Lines, place: u64) -> Result<(), BrokenOff> {
        if self.uid.is_some() && lines.uid.is_some() && self.uid != lines.uid {
            return Err(BrokenOff::AnotherJob);
        }
        match lines.begins {
            Some(got) if got != place => Err(BrokenOff::WrongPlace { wanted: place, got }),
            _ => {
                self.lines = Some(lines.body);
                Ok(())
            }
        }
    }
}

/// What came from the store.
enum Frame {
    Bytes(Bytes),
    End,
    Broken(String),
}

async fn frame(lines: &mut Incoming, follow: bool) -> Frame {
    loop {
        let next = if follow {
            lines.frame().await
        } else {
            match timeout(STORE_SILENCE, lines.frame()).await {
                Ok(next) => next,
                Err(_) => return Frame::Broken("nothing came for too long".to_owned()),
            }
        };
        match next {
            None => return Frame::End,
            Some(Err(error)) => return Frame::Broken(error.to_string()),
            // What is no data are trailers; they say nothing here.
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) if !bytes.is_empty() => return Frame::Bytes(bytes),
                _ => {}
            },
        }
    }
}

/// How long to wait before the store is asked again; longer each time, and not all readers together.
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Pause(FIRST_PAUSE)
    }
}

impl Pause {
    async fn wait(&mut self) {
        let pause = self.0;
        self.0 = (pause * 2).min(LAST_PAUSE);
        sleep(pause.mul_f64(0.5 + chance() / 2.0)).await;
    }
}

/// Between 0 and 1.
fn chance() -> f64 {
    let (_, low) = uuid::Uuid::new_v4().as_u64_pair();
    f64::from(low as u32) / f64::from(u32::MAX)
}
