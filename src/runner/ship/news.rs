//! What `ship`'s threads have to tell its loop: a channel whose receiver can be waited for together with
//! signals and connections.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc;

use rustix::event::{EventfdFlags, eventfd};

/// What happened elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// The session's transcript is where the CLI looks for it, as far as there is one.
    Restored,
    /// The store has nothing against a start of the agent, or gives no clear answer.
    MayStart,
    /// The store says that this attempt is over.
    Fenced,
    /// `exec` is gone.
    RunnerGone,
    /// Nothing more will be sent to the store.
    Shipped,
}

/// The end that threads speak into.
#[derive(Clone, Debug)]
pub struct Teller {
    queue: mpsc::Sender<News>,
    bell: Arc<OwnedFd>,
}

/// The end that the loop hears; readable when there is something.
#[derive(Debug)]
pub struct Ear {
    queue: mpsc::Receiver<News>,
    bell: Arc<OwnedFd>,
}

/// A new channel.
pub fn channel() -> io::Result<(Teller, Ear)> {
    let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let (sender, receiver) = mpsc::channel();
    let teller = Teller {
        queue: sender,
        bell: Arc::clone(&bell),
    };
    let ear = Ear {
        queue: receiver,
        bell,
    };
    Ok((teller, ear))
}

impl Teller {
    pub fn tell(&self, news: News) {
        // It fails when the loop has ended, and then nobody wants to know.
        let _ = self.queue.send(news);
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }
}

impl Ear {
    /// The next news, if there are any. The bell is silenced before the queue is read, so that what
    /// comes in between rings it anew.
    pub fn next(&self) -> Option<News> {
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        self.queue.try_recv().ok()
    }
}

impl AsFd for Ear {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn rings(ear: &Ear) -> bool {
        let now = Timespec::default();
        poll(&mut [PollFd::new(ear, PollFlags::IN)], Some(&now)).unwrap() == 1
    }

    #[test]
    fn the_bell_rings_until_everything_is_heard() {
        let (teller, ear) = channel().unwrap();
        assert!(!rings(&ear));
        let other = teller.clone();
        thread::spawn(move || other.tell(News::Fenced))
            .join()
            .unwrap();
        teller.tell(News::Shipped);
        assert!(rings(&ear));
        assert_eq!(ear.next(), Some(News::Fenced));
        assert_eq!(ear.next(), Some(News::Shipped));
        assert_eq!(ear.next(), None);
        assert!(!rings(&ear));
    }
}
