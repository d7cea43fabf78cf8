//! Tells the judge how each request ends, also when its client just goes away.

use std::sync::Arc;

use crate::App;
use crate::judge::{End, Request, Sighting};

/// A request under way; dropped without a word it ends unanswered.
pub struct Visit {
    app: Arc<App>,
    request: Request,
    end: End,
}

impl Visit {
    pub fn begin(app: Arc<App>, sighting: Sighting) -> Self {
        let request = app.judge().arrives(sighting);
        Self {
            app,
            request,
            end: End::Unanswered,
        }
    }

    /// Earlier requests for the same answer.
    pub fn earlier(&self) -> u64 {
        self.request.earlier
    }

    pub fn end(mut self, end: End) {
        self.end = end;
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.app.judge().ends(&self.request, self.end);
    }
}
