//! Keeps the latest request of each session, so that a test can see what an Agent's fields, such
//! as its system prompt, came to at the API: nothing else gets to see them.

use std::collections::{HashMap, VecDeque};

use crate::conversation::Conversation;

/// Most sessions whose request is kept; the oldest is forgotten first.
const MOST_SESSIONS: usize = 128;

/// Most bytes that are kept of a text.
const MOST_BYTES: usize = 256 << 10;

/// The latest requests by session.
#[derive(Default)]
pub struct Notebook {
    requests: HashMap<String, Conversation>,
    order: VecDeque<String>,
}

impl Notebook {
    pub fn enter(&mut self, session: &str, mut said: Conversation) {
        let texts = [&mut said.prompt, &mut said.system];
        for text in texts.into_iter().chain(&mut said.tool_result) {
            text.truncate(text.floor_char_boundary(MOST_BYTES));
        }
        if self.requests.insert(session.to_owned(), said).is_some() {
            return;
        }
        self.order.push_back(session.to_owned());
        if self.order.len() > MOST_SESSIONS
            && let Some(oldest) = self.order.pop_front()
        {
            self.requests.remove(&oldest);
        }
    }

    pub fn latest(&self, session: &str) -> Option<&Conversation> {
        self.requests.get(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saying(prompt: &str) -> Conversation {
        Conversation {
            prompt: prompt.to_owned(),
            ..Conversation::default()
        }
    }

    #[test]
    fn the_latest_request_of_a_session_is_kept() {
        let mut notebook = Notebook::default();
        notebook.enter("a", saying("one"));
        notebook.enter("a", saying("two"));
        notebook.enter("b", saying("three"));
        assert_eq!(notebook.latest("a"), Some(&saying("two")));
        assert_eq!(notebook.latest("c"), None);
    }

    #[test]
    fn memory_is_bounded_in_sessions_and_in_text() {
        let mut notebook = Notebook::default();
        for n in 0..MOST_SESSIONS + 10 {
            notebook.enter(&n.to_string(), saying(&"é".repeat(MOST_BYTES)));
        }
        assert_eq!(notebook.requests.len(), MOST_SESSIONS);
        assert_eq!(notebook.latest("9"), None);
        assert_eq!(notebook.latest("10").unwrap().prompt.len(), MOST_BYTES);
    }
}
