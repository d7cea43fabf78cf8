//! What the loop of `ship` tells its courier. It never waits for the courier, who may wait for the store,
//! and however much happens meanwhile, it is one note: go and look.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The note on the courier's desk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// Ask the store whether the agent may start.
    pub ask: bool,
    /// The spool is handed over: ship it.
    pub handed_over: bool,
    /// `exec` is gone: what is in the spool now is all there will be.
    pub last: bool,
    /// There may be more in the spool.
    more: bool,
}

/// The desk.
#[derive(Debug, Default)]
pub struct Orders {
    note: Mutex<Note>,
    changed: Condvar,
}

impl Orders {
    pub fn ask(&self) {
        self.write(|note| note.ask = true);
    }

    pub fn hand_over(&self) {
        self.write(|note| note.handed_over = true);
    }

    pub fn look(&self) {
        self.write(|note| note.more = true);
    }

    pub fn finish(&self) {
        self.write(|note| note.last = true);
    }

    /// What is known now. Whatever is written from here on is news to [`Orders::wait`].
    pub fn read(&self) -> Note {
        let mut note = self.lock();
        let read = *note;
        note.ask = false;
        note.more = false;
        read
    }

    /// Waits until there is something that `read` did not tell, or the time has come.
    pub fn wait(&self, read: Note, until: Option<Instant>) {
        let is_known = |now: &mut Note| {
            !now.ask && !now.more && now.handed_over == read.handed_over && now.last == read.last
        };
        let note = self.lock();
        // Poisoned or not, a note is a few flags.
        match until {
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                drop(self.changed.wait_timeout_while(note, left, is_known));
            }
            None => drop(self.changed.wait_while(note, is_known)),
        }
    }

    fn write(&self, change: impl FnOnce(&mut Note)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Note> {
        self.note.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_a_look_is_not_waited_for() {
        let orders = Orders::default();
        orders.look();
        let read = orders.read();
        orders.look();
        orders.wait(read, None);
        let read = orders.read();
        orders.finish();
        orders.wait(read, None);
        assert!(orders.read().last);
    }

    #[test]
    fn a_question_is_read_once_and_an_end_stays() {
        let orders = Orders::default();
        orders.ask();
        orders.finish();
        assert!(orders.read().ask);
        let again = orders.read();
        assert!(!again.ask && again.last);
    }
}
