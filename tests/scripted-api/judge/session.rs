//! Tells the processes of one session apart.
//!
//! No header of the Claude CLI names its process, so the judge reasons from what tells processes
//! apart on the wire:
//! - Another source address or another device id (drawn with each fresh home directory) is another
//!   process. Two pods always differ in both.
//! - A TCP connection belongs to one process.
//! - A process asks one thing at a time in its main conversation, and never asks again for what
//!   it was answered in full. A question on a new connection that does either comes from another
//!   process.
//! - A CLI keeps one connection for its main conversation, through errors and minutes of silence.
//!   Any other question on a new connection is counted as unsure, for a test to insist that there
//!   were none, unless the API itself cut the old one or subagents keep the others busy. After some
//!   five idle minutes a CLI does take a new one: unsure, and rightly so.

use std::collections::BTreeMap;

use super::{Agents, Connection, End, Request, Seat, Sighting};

/// Most processes that are told apart in one session.
const MOST_PROCESSES: usize = 100;

/// Most questions whose repetitions are counted; the earliest is forgotten first.
const MOST_QUESTIONS: usize = 1_000;

/// Names a process within a session.
pub type Process = (Seat, usize);

/// What a request on a new connection has to do with a process of the same seat.
#[derive(Debug, PartialEq, Eq)]
enum Claim {
    Own,
    Unsure,
    AnotherProcess,
}

/// Requests under way on a connection.
#[derive(Debug, Default)]
struct Load {
    requests: usize,
    /// Those of the main conversation among them.
    questions: usize,
}

#[derive(Debug, Default)]
struct Traces {
    /// The open connections.
    connections: BTreeMap<Connection, Load>,
    /// The most answers that a question held which was answered in full.
    answered: Option<usize>,
    /// Whether the API cut the latest question off.
    cut: bool,
}

impl Traces {
    fn claim(&self, turns: Option<usize>) -> Claim {
        let loads = || self.connections.values();
        let is_asking = loads().any(|load| load.questions > 0);
        let all_busy = !self.connections.is_empty() && loads().all(|load| load.requests > 0);
        match turns {
            Some(turns) if is_asking || self.answered >= Some(turns) => Claim::AnotherProcess,
            Some(_) if self.cut || all_busy => Claim::Own,
            None if !self.connections.is_empty() => Claim::Own,
            _ => Claim::Unsure,
        }
    }
}

/// What is remembered of a session.
#[derive(Debug, Default)]
pub struct Session {
    processes: BTreeMap<Process, Traces>,
    /// How often each number of answers was asked for.
    asked: BTreeMap<usize, u64>,
    known: Agents,
}

impl Session {
    /// The process that a request comes from.
    pub fn attribute(&mut self, sighting: &Sighting) -> Process {
        let in_seat = || {
            let all = self.processes.iter();
            all.filter(|((seat, _), _)| *seat == sighting.seat)
        };
        let uses = |traces: &Traces| traces.connections.contains_key(&sighting.connection);
        if let Some((process, _)) = in_seat().find(|(_, traces)| uses(traces)) {
            return process.clone();
        }
        // The newest that it can belong to.
        let claims = in_seat().map(|(process, traces)| (process, traces.claim(sighting.turns)));
        let candidate = claims
            .rev()
            .find(|(_, claim)| *claim != Claim::AnotherProcess);
        if let Some((process, claim)) = candidate {
            self.known.unsure += usize::from(claim == Claim::Unsure);
            return process.clone();
        }
        match self.processes.last_key_value() {
            Some((last, _)) if self.processes.len() >= MOST_PROCESSES => last.clone(),
            _ => (sighting.seat.clone(), in_seat().count()),
        }
    }

    /// Takes note that a request of this session is over.
    pub fn end(&mut self, request: &Request, end: End) {
        self.known.under_way = self.known.under_way.saturating_sub(1);
        let Some(traces) = self.processes.get_mut(&request.process) else {
            return;
        };
        if let Some(load) = traces.connections.get_mut(&request.connection) {
            load.requests = load.requests.saturating_sub(1);
            load.questions = load.questions.saturating_sub(request.turns.iter().count());
        }
        if request.turns.is_some() {
            traces.cut = end == End::Cut;
            if end == End::Answered {
                traces.answered = traces.answered.max(request.turns);
            }
        }
    }

    /// Takes note that a connection is gone, if it was one of this session.
    pub fn disconnect(&mut self, connection: Connection) {
        for traces in self.processes.values_mut() {
            traces.connections.remove(&connection);
        }
    }

    /// Enters a request of a process; returns how often the same was asked before.
    pub fn ask(&mut self, process: &Process, sighting: &Sighting) -> u64 {
        let traces = self.processes.entry(process.clone()).or_default();
        let load = traces.connections.entry(sighting.connection).or_default();
        load.requests += 1;
        self.known.requests += 1;
        self.known.under_way += 1;
        let mut earlier = 0;
        if let Some(turns) = sighting.turns {
            load.questions += 1;
            traces.cut = false;
            let asked = self.asked.entry(turns).or_default();
            earlier = *asked;
            *asked += 1;
            if self.asked.len() > MOST_QUESTIONS {
                self.asked.pop_first();
            }
        }
        self.known.together = self.known.together.max(self.connected());
        earlier
    }

    fn connected(&self) -> usize {
        let traces = self.processes.values();
        traces
            .filter(|traces| !traces.connections.is_empty())
            .count()
    }

    pub fn agents(&self) -> Agents {
        Agents {
            processes: self.processes.len(),
            connected: self.connected(),
            ..self.known.clone()
        }
    }
}
