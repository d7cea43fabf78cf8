//! Brings the spool to the store, in a thread of its own: the store may be slow or away, and the loop of
//! `ship` must go on hearing signals and the runner.
//!
//! All its state is where the store is, and that it asks the store: so a `ship` that was killed comes
//! back and goes on. One append is under way at a time, and what is written meanwhile goes in the next.
//! An error that may pass is waited out, for as long as we are left alive.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::news::{News, Teller};
use super::orders::Orders;
use super::patience::Patience;
use super::say;
use super::segment::Segment;
use super::spool::Spool;
use super::store::{CALL_TIMEOUT, No, Store};
use super::transcript::{Transcript, Trouble};
use crate::api::protocol::MAX_APPEND_BYTES;

/// The store has this long for a clear answer to whether an agent may start; without one it starts.
pub const ASKING: Duration = Duration::from_secs(2);

/// Why nothing more is sent.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("everything is in the output store")]
    Done,
    #[error("{0}; nothing more is sent")]
    Refused(No),
    #[error(
        "the output store has {0} bytes, where the spool doesn't reach: one of them lost what it \
         held; nothing more is sent"
    )]
    Apart(u64),
}

/// What a step brought.
enum Step {
    /// The store's position is known.
    Opened,
    /// It has more than before.
    Appended,
    /// Everything that there is, is in the store.
    AtEnd,
}

/// Why a step brought nothing.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] No),
    #[error("the spool can't be read: {0}")]
    Spool(#[from] std::io::Error),
    #[error(transparent)]
    Stop(Stop),
}

/// The courier at work.
#[derive(Debug)]
pub struct Courier {
    orders: Arc<Orders>,
    news: Teller,
    spool: Spool,
    store: Store,
    transcript: Transcript,
    /// The session goes on here, and its transcript is still to be restored.
    restores: bool,
    /// The length that the store acknowledged; none when it must be asked.
    position: Option<u64>,
    buffer: Vec<u8>,
    /// What was said last about an obstacle, so that each is said once.
    said: Option<String>,
}

impl Courier {
    pub fn new(
        spool: Spool,
        store: Store,
        transcript: Transcript,
        restores: bool,
        news: Teller,
    ) -> Courier {
        Courier {
            orders: Arc::default(),
            news,
            spool,
            store,
            transcript,
            restores,
            position: None,
            buffer: vec![0; MAX_APPEND_BYTES],
            said: None,
        }
    }

    /// Starts the thread; the orders are how it is told what to do.
    pub fn start(self) -> std::io::Result<Arc<Orders>> {
        let orders = Arc::clone(&self.orders);
        thread::Builder::new()
            .name("courier".to_owned())
            .spawn(move || self.work())?;
        Ok(orders)
    }

    fn work(mut self) {
        if self.restores {
            self.restore();
            self.news.tell(News::Restored);
        }
        loop {
            let note = self.orders.read();
            if note.ask {
                self.ask();
            }
            if note.handed_over {
                break;
            }
            self.orders.wait(note, None);
        }
        let stop = self.ship();
        if let Stop::Refused(No::Fenced(_)) = stop {
            self.news.tell(News::Fenced);
        }
        say(&stop.to_string());
        self.news.tell(News::Shipped);
    }

    /// Brings the session's transcript into the agent's home, however long the store is away: an agent that
    /// began without it would know nothing of what it has done. Whether it may begin at all is asked later.
    fn restore(&mut self) {
        let mut patience = Patience::new();
        let mut said = None;
        loop {
            let trouble = match self.transcript.restore(&mut self.store, &mut self.buffer) {
                Ok(bytes) => {
                    return say(&format!(
                        "the session's transcript is restored: {bytes} bytes"
                    ));
                }
                Err(trouble) => trouble,
            };
            let sentence = format!("the session's transcript is not restored: {trouble}");
            if let Trouble::Store(No::Absent(_) | No::Fenced(_) | No::Forbidden(_)) = trouble {
                return say(&sentence);
            }
            if said.as_ref() != Some(&sentence) {
                say(&format!("{sentence}; trying again"));
                said = Some(sentence);
            }
            thread::sleep(patience.pause());
        }
    }

    /// Asks the store whether the agent may start.
    fn ask(&mut self) {
        let until = Instant::now() + ASKING;
        let mut patience = Patience::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let error = match self.store.open(left) {
                Ok(position) => {
                    self.position = Some(position.length);
                    return self.news.tell(News::MayStart);
                }
                Err(error) => error,
            };
            if let No::Fenced(_) | No::Forbidden(_) = error {
                say(&format!("{error}; the agent is not started"));
                return self.news.tell(News::Fenced);
            }
            let pause = patience.pause();
            if Instant::now() + pause >= until {
                say(&format!("{error}; the agent starts without its word"));
                return self.news.tell(News::MayStart);
            }
            thread::sleep(pause);
        }
    }

    fn ship(&mut self) -> Stop {
        let mut patience = Patience::new();
        let mut segment = None;
        loop {
            // Read before the spool is: what is found then is all that was written before the end.
            let note = self.orders.read();
            match self.step(&mut segment, note.last) {
                Ok(Step::Opened) => {}
                Ok(Step::Appended) => patience = Patience::new(),
                Ok(Step::AtEnd) if note.last => return Stop::Done,
                // The CLI writes its transcript also when it says nothing.
                Ok(Step::AtEnd) => self.orders.wait(note, self.transcript.next_look()),
                Err(Failure::Stop(stop)) => return stop,
                Err(Failure::Store(error @ (No::Fenced(_) | No::Altered(_)))) => {
                    return Stop::Refused(error);
                }
                Err(error) => {
                    if let Failure::Store(No::Gap(length)) = error {
                        self.position = Some(length);
                        segment = None;
                    }
                    self.say_once(&error);
                    thread::sleep(patience.pause());
                }
            }
        }
    }

    fn step(&mut self, segment: &mut Option<Segment>, is_last: bool) -> Result<Step, Failure> {
        let (Some(position), Some(segment)) = (self.position, segment.as_mut()) else {
            let position = match self.position {
                Some(position) => position,
                None => self.store.open(CALL_TIMEOUT)?.length,
            };
            self.take_position(segment.insert(Segment::open(&self.spool)?), position)?;
            return Ok(Step::Opened);
        };
        let (count, is_end) = segment.ahead(position, self.buffer.len())?;
        // With the verdict the record may be closed: what belongs to it comes before. One that is written
        // meanwhile is left for the next time.
        if is_end {
            self.finish_transcript()?;
        }
        let count = segment.read(position, &mut self.buffer[..count])?;
        if count == 0 {
            match is_last {
                true if segment.has_verdict()? => {}
                true => self.finish_transcript()?,
                false => self.transcript.keep_up(&mut self.store, &mut self.buffer),
            }
            return Ok(Step::AtEnd);
        }
        let position = self.store.append(position, &self.buffer[..count])?.length;
        self.take_position(segment, position)?;
        self.transcript.keep_up(&mut self.store, &mut self.buffer);
        Ok(Step::Appended)
    }

    /// Sends what is left of the transcript, which must not lack because the store comes back just after it was
    /// tried. A store that is there and does not take it holds nothing up.
    fn finish_transcript(&mut self) -> Result<(), No> {
        if !self.transcript.finish(&mut self.store, &mut self.buffer) {
            self.store.open(CALL_TIMEOUT)?;
            self.transcript.finish(&mut self.store, &mut self.buffer);
        }
        Ok(())
    }

    /// Goes on from where the store says that it is.
    fn take_position(&mut self, segment: &mut Segment, position: u64) -> Result<(), Failure> {
        if !segment.reaches(position)? {
            return Err(Failure::Stop(Stop::Apart(position)));
        }
        self.position = Some(position);
        if self.said.take().is_some() {
            say("the output store takes output again");
        }
        if let Err(error) = segment.release(position) {
            say(&format!(
                "can't take out of the spool what the store has: {error}; it may become full"
            ));
        }
        Ok(())
    }

    fn say_once(&mut self, error: &Failure) {
        let error = error.to_string();
        if self.said.as_ref() != Some(&error) {
            say(&format!("{error}; waiting"));
            self.said = Some(error);
        }
    }
}
