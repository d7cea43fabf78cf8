//! The judge of double runs: counts the agent processes that ever talked to the API in a session.
//! How it tells one process from another stands in `session`.

mod session;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use serde::Serialize;

use session::{Process, Session};

/// Most sessions that are remembered; the oldest is forgotten first.
const MOST_SESSIONS: usize = 10_000;

/// Names a TCP connection.
pub type Connection = u64;

/// Where a process runs: its address, and the id that the CLI draws for each fresh home.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat {
    pub address: IpAddr,
    pub device: Option<String>,
}

/// A request as the judge sees it.
#[derive(Debug, Clone)]
pub struct Sighting {
    pub session: String,
    pub seat: Seat,
    pub connection: Connection,
    /// Answers that the conversation holds; none for a subagent's, whose conversation is another.
    pub turns: Option<usize>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A whole message was sent.
    Answered,
    /// An error was sent, or the client went away first.
    Unanswered,
    /// The API cut the connection.
    Cut,
}

/// What is known of a session.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Agents {
    /// Agent processes, of which it is certain that they are different ones.
    pub processes: usize,
    /// Requests that may have come from one more process each.
    pub unsure: usize,
    /// Processes that have a connection open.
    pub connected: usize,
    /// Most processes that had a connection open at one time.
    pub together: usize,
    /// Requests so far, those of subagents too.
    pub requests: u64,
    /// Requests that are not ended.
    pub under_way: usize,
}

/// All sessions together.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    pub sessions: usize,
    pub processes: usize,
    pub connected: usize,
    pub under_way: usize,
}

/// Remembers the sessions.
#[derive(Debug, Default)]
pub struct Judge {
    sessions: HashMap<String, Session>,
    order: VecDeque<String>,
}

/// A request under way, to be ended once.
#[derive(Debug, Clone)]
pub struct Request {
    session: String,
    process: Process,
    connection: Connection,
    turns: Option<usize>,
    /// Earlier requests of this session for the same answer.
    pub earlier: u64,
}

impl Judge {
    /// Takes note of a request.
    pub fn arrives(&mut self, sighting: Sighting) -> Request {
        if !self.sessions.contains_key(&sighting.session) {
            self.remember(&sighting.session);
        }
        let session = self.sessions.entry(sighting.session.clone()).or_default();
        let process = session.attribute(&sighting);
        let earlier = session.ask(&process, &sighting);
        Request {
            session: sighting.session,
            process,
            connection: sighting.connection,
            turns: sighting.turns,
            earlier,
        }
    }

    fn remember(&mut self, session: &str) {
        if self.order.len() >= MOST_SESSIONS
            && let Some(oldest) = self.order.pop_front()
        {
            self.sessions.remove(&oldest);
        }
        self.order.push_back(session.to_owned());
    }

    /// Takes note that a request is over.
    pub fn ends(&mut self, request: &Request, end: End) {
        if let Some(session) = self.sessions.get_mut(&request.session) {
            session.end(request, end);
        }
    }

    /// Takes note that a connection is gone, whoever closed it.
    pub fn disconnects(&mut self, connection: Connection) {
        for session in self.sessions.values_mut() {
            session.disconnect(connection);
        }
    }

    /// What is known of a session; of an unknown one, that nobody came.
    pub fn agents(&self, session: &str) -> Agents {
        self.sessions
            .get(session)
            .map(Session::agents)
            .unwrap_or_default()
    }

    /// What is known of all sessions.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            sessions: self.sessions.len(),
            ..Totals::default()
        };
        for agents in self.sessions.values().map(Session::agents) {
            totals.processes += agents.processes;
            totals.connected += agents.connected;
            totals.under_way += agents.under_way;
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn pod(n: u8) -> Seat {
        Seat {
            address: Ipv4Addr::new(10, 0, 0, n).into(),
            device: Some(format!("device {n}")),
        }
    }

    fn question(seat: Seat, connection: Connection, turns: usize) -> Sighting {
        Sighting {
            session: "s".to_owned(),
            seat,
            connection,
            turns: Some(turns),
        }
    }

    fn asks(judge: &mut Judge, seat: Seat, connection: Connection, turns: usize, end: End) {
        let request = judge.arrives(question(seat, connection, turns));
        judge.ends(&request, end);
    }

    /// Processes, unsure, together.
    fn counts(judge: &Judge) -> (usize, usize, usize) {
        let agents = judge.agents("s");
        (agents.processes, agents.unsure, agents.together)
    }

    #[test]
    fn nobody_came_to_an_unknown_session() {
        assert_eq!(Judge::default().agents("s"), Agents::default());
    }

    #[test]
    fn a_conversation_on_one_connection_is_one_process_with_its_retries() {
        let mut judge = Judge::default();
        asks(&mut judge, pod(1), 1, 0, End::Unanswered);
        asks(&mut judge, pod(1), 1, 0, End::Unanswered);
        asks(&mut judge, pod(1), 1, 0, End::Answered);
        asks(&mut judge, pod(1), 1, 1, End::Answered);
        assert_eq!(counts(&judge), (1, 0, 1));
        assert_eq!(judge.agents("s").requests, 4);
    }

    #[test]
    fn two_pods_are_two_processes_one_after_the_other_or_together() {
        let mut judge = Judge::default();
        asks(&mut judge, pod(1), 1, 0, End::Answered);
        judge.disconnects(1);
        asks(&mut judge, pod(2), 2, 1, End::Answered);
        assert_eq!(counts(&judge), (2, 0, 1));
        asks(&mut judge, pod(1), 3, 5, End::Answered);
        assert_eq!(judge.agents("s").together, 2);
    }

    #[test]
    fn a_fresh_home_in_the_same_pod_is_another_process() {
        let mut judge = Judge::default();
        asks(&mut judge, pod(1), 1, 0, End::Answered);
        judge.disconnects(1);
        let fresh = Seat {
            device: Some("fresh".to_owned()),
            ..pod(1)
        };
        asks(&mut judge, fresh, 2, 0, End::Answered);
        assert_eq!(counts(&judge), (2, 0, 1));
    }

    #[test]
    fn who_asks_again_for_what_was_answered_is_another_process() {
        let mut judge = Judge::default();
        asks(&mut judge, pod(1), 1, 0, End::Answered);
        asks(&mut judge, pod(1), 2, 0, End::Answered);
        assert_eq!(counts(&judge), (2, 0, 2));
        // Each goes on with its own connection.
        asks(&mut judge, pod(1), 1, 1, End::Answered);
        asks(&mut judge, pod(1), 2, 1, End::Answered);
        assert_eq!(counts(&judge), (2, 0, 2));
    }

    #[test]
    fn who_asks_while_another_question_is_under_way_is_another_process() {
        let mut judge = Judge::default();
        let first = judge.arrives(question(pod(1), 1, 0));
        asks(&mut judge, pod(1), 2, 0, End::Answered);
        judge.ends(&first, End::Answered);
        assert_eq!(counts(&judge), (2, 0, 2));
    }

    #[test]
    fn a_new_connection_without_need_is_unsure() {
        for end in [End::Unanswered, End::Answered] {
            let mut judge = Judge::default();
            asks(&mut judge, pod(1), 1, 0, end);
            judge.disconnects(1);
            asks(&mut judge, pod(1), 2, 1, End::Answered);
            assert_eq!(counts(&judge), (1, 1, 1), "{end:?}");
        }
    }

    #[test]
    fn coming_back_after_the_api_cut_the_connection_is_no_new_process() {
        let mut judge = Judge::default();
        asks(&mut judge, pod(1), 1, 0, End::Cut);
        judge.disconnects(1);
        asks(&mut judge, pod(1), 2, 0, End::Answered);
        assert_eq!(counts(&judge), (1, 0, 1));
    }

    #[test]
    fn subagents_with_connections_of_their_own_are_no_processes() {
        let mut judge = Judge::default();
        asks(&mut judge, pod(1), 1, 0, End::Answered);
        let subagent = |connection| Sighting {
            turns: None,
            ..question(pod(1), connection, 0)
        };
        let first = judge.arrives(subagent(1));
        let second = judge.arrives(subagent(2));
        asks(&mut judge, pod(1), 3, 1, End::Answered);
        judge.ends(&first, End::Answered);
        judge.ends(&second, End::Answered);
        assert_eq!(counts(&judge), (1, 0, 1));
    }

    #[test]
    fn connected_and_under_way_fall_when_processes_leave() {
        let mut judge = Judge::default();
        let request = judge.arrives(question(pod(1), 1, 0));
        let agents = judge.agents("s");
        assert_eq!((agents.connected, agents.under_way), (1, 1));
        judge.ends(&request, End::Unanswered);
        judge.disconnects(1);
        let agents = judge.agents("s");
        assert_eq!(
            (agents.connected, agents.under_way, agents.processes),
            (0, 0, 1)
        );
        assert_eq!(judge.totals().processes, 1);
    }

    #[test]
    fn requests_for_the_same_answer_are_numbered_across_processes() {
        let mut judge = Judge::default();
        let earlier: Vec<_> = [(1, 0), (1, 0), (2, 1), (2, 0)]
            .map(|(n, turns)| judge.arrives(question(pod(n), n.into(), turns)).earlier)
            .into();
        assert_eq!(earlier, [0, 1, 0, 2]);
    }

    #[test]
    fn the_oldest_session_is_forgotten_first() {
        let mut judge = Judge::default();
        for n in 0..=MOST_SESSIONS {
            let session = n.to_string();
            judge.arrives(Sighting {
                session,
                ..question(pod(1), 1, 0)
            });
        }
        assert_eq!(judge.totals().sessions, MOST_SESSIONS);
        assert_eq!(judge.agents("0").processes, 0);
        assert_eq!(judge.agents("1").processes, 1);
    }
}
