//! News on their way to the other half. Whoever writes to the disk never waits for whoever speaks to the
//! API server: news wait here, of how far a record is only the latest.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::mpsc;

use super::gate::RecordKey;
use super::news::News;

/// Takes news; they arrive in order, but for growth, which comes after what weighs more.
#[derive(Debug)]
pub struct Outbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    news: VecDeque<News>,
    grown: HashMap<RecordKey, News>,
    over: bool,
}

impl Outbox {
    /// Starts the thread that hands the news on, until the other half is gone.
    pub fn start(news: mpsc::Sender<News>) -> std::io::Result<Outbox> {
        let shared = Arc::new(Shared::default());
        let outbox = Outbox(Arc::clone(&shared));
        thread::Builder::new()
            .name("news".to_owned())
            .spawn(move || {
                while let Some(next) = shared.next() {
                    if news.blocking_send(next).is_err() {
                        shared.lock().over = true;
                        return;
                    }
                }
            })?;
        Ok(outbox)
    }

    pub fn tell(&self, news: News) {
        let mut waiting = self.0.lock();
        if waiting.over {
            return;
        }
        match news {
            News::Grown { ref record, .. } => {
                waiting.grown.insert(record.clone(), news);
            }
            other => waiting.news.push_back(other),
        }
        self.0.changed.notify_one();
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.changed.notify_one();
    }
}

impl Shared {
    /// Waits for news; none when there will be none any more.
    fn next(&self) -> Option<News> {
        let mut waiting = self.lock();
        loop {
            if let Some(news) = waiting.news.pop_front() {
                return Some(news);
            }
            let grown = waiting.grown.keys().next().cloned();
            if let Some(news) = grown.and_then(|record| waiting.grown.remove(&record)) {
                return Some(news);
            }
            if waiting.over {
                return None;
            }
            waiting = self
                .changed
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
