//! What happens to the requests of controllers on their way: most arrive, some are lost, and some are
//! answered to nobody.

use tokio::sync::oneshot;

use super::{
    api::{Answer, Request, Resource, failure},
    wire::{Call, Process},
    world::{Event, World},
};

/// Lists are numbered from here, so that no fault of a scenario is theirs.
const FIRST_LIST: u64 = 1_000_000;
/// How long one is on its way, in milliseconds.
const LIST: u64 = 20;

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The controller is killed before the request arrives, which it never does.
    CrashBefore,
    /// And after the API server has done what was asked.
    CrashAfter,
    /// It never arrives, and nobody says so.
    RequestLost,
    /// It is done, and nobody says so.
    AnswerLost,
    /// The connection breaks before it is done.
    Reset,
    /// And after.
    ResetAfter,
    /// It is answered with this code and not done.
    Refused(u16),
    /// It is done, and answered with 500 all the same.
    FailsAfter,
    /// It is done, and the controller stands still for so many milliseconds before it hears of it.
    Sleeps(u64),
    /// It is up to so many milliseconds on its way; whoever asked may have given up by then.
    Slow(u64),
}

impl Fault {
    pub const ALL: [Fault; 14] = [
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::RequestLost,
        Fault::AnswerLost,
        Fault::Reset,
        Fault::ResetAfter,
        Fault::Refused(409),
        Fault::Refused(429),
        Fault::Refused(500),
        Fault::FailsAfter,
        Fault::Sleeps(40_000),
        Fault::Slow(3_000),
        Fault::Slow(9_000),
        Fault::Slow(60_000),
    ];
}

/// A request between its controller and the API server.
pub struct Pending {
    pub from: Process,
    request: Request,
    reply: Option<oneshot::Sender<Answer>>,
    pub answer: Option<Answer>,
    fault: Option<Fault>,
}

impl World {
    /// A controller has sent a request.
    pub fn called(&mut self, call: Call) {
        self.check_lease(call.from, &call.request);
        self.check_request(call.from, &call.request);
        let lists = call.request.target().is_some_and(|it| it.name.is_none());
        let number = if lists && call.request.method == "GET" {
            self.lists += 1;
            FIRST_LIST + self.lists
        } else {
            self.calls += 1;
            self.calls
        };
        let fault = self.scenario.faults.get(&number).copied();
        self.pending.insert(
            number,
            Pending {
                from: call.from,
                request: call.request,
                reply: Some(call.answer),
                answer: None,
                fault,
            },
        );
        match fault {
            Some(Fault::Slow(time)) => self.after(time / 4, time, Event::Commit(number)),
            _ => self.on_its_way(number, Event::Commit(number)),
        }
    }

    /// A list draws nothing by chance: it may come at any time, and must not change what else happens.
    fn on_its_way(&mut self, number: u64, event: Event) {
        if number > FIRST_LIST {
            self.at(self.now + LIST, event);
        } else {
            self.after(1, 60, event);
        }
    }

    /// A request arrives, or what becomes of it happens.
    pub fn commit(&mut self, number: u64) {
        let Some(pending) = self.pending.get(&number) else {
            return;
        };
        let (from, fault, mut request) = (pending.from, pending.fault, pending.request.clone());
        match fault {
            Some(Fault::CrashBefore) => {
                self.pending.remove(&number);
                return self.crash_of(from);
            }
            Some(Fault::RequestLost) => return self.forget(number),
            Some(Fault::Reset) => {
                self.pending.remove(&number);
                return;
            }
            Some(Fault::Refused(code)) => {
                let reason = match code {
                    409 => "Conflict",
                    429 => "TooManyRequests",
                    _ => "InternalError",
                };
                return self.reply(number, &request, failure(code, reason, "trouble"));
            }
            _ => {}
        }
        let bent = self.bend(from, &mut request);
        self.inject(&mut request);
        let time = self.time();
        let checked = self.before(&request);
        let answer = bent
            .or_else(|| self.takes_no_pod(&request))
            .or_else(|| self.forbids(&request))
            .unwrap_or_else(|| self.api.handle(&request, time));
        self.note_refusal(from, &request, &answer);
        self.after_commit(&request, &answer, checked);
        self.trace(format!(
            "controller {} #{number} {} {} {}",
            from.controller, request.method, request.path, answer.code
        ));
        match fault {
            Some(Fault::CrashAfter) => {
                self.pending.remove(&number);
                self.crash_of(from);
            }
            Some(Fault::AnswerLost) => self.forget(number),
            Some(Fault::Sleeps(time)) => {
                self.controllers[from.controller].paused_until = self.now + time;
                self.reply(number, &request, answer);
            }
            Some(Fault::ResetAfter) => {
                self.pending.remove(&number);
            }
            Some(Fault::FailsAfter) => {
                let failed = failure(500, "InternalError", "etcdserver: request timed out");
                self.reply(number, &request, failed);
            }
            _ => self.reply(number, &request, answer),
        }
    }

    fn takes_no_pod(&self, request: &Request) -> Option<Answer> {
        let pods = request.target()?.resource == Resource::Pods;
        let creates = pods && request.method == "POST";
        let (code, reason, words) = self.refusal.filter(|_| creates)?.answer();
        Some(failure(code, reason, words))
    }

    fn reply(&mut self, number: u64, request: &Request, mut answer: Answer) {
        self.bend_answer(request, &mut answer);
        self.pending_answer(number, answer);
        self.on_its_way(number, Event::Answer(number));
    }

    /// An answer arrives.
    pub fn answer(&mut self, number: u64) {
        let Some(pending) = self.pending.remove(&number) else {
            return;
        };
        if let (Some(reply), Some(answer)) = (pending.reply, pending.answer) {
            // Whoever asked may have given up.
            if reply.send(answer.clone()).is_ok() && self.lives(pending.from) {
                self.learn_creation(pending.from, &pending.request, &answer);
            }
        }
    }

    /// Nobody will hear of it: the connection stays open, and silent.
    fn forget(&mut self, number: u64) {
        if let Some(pending) = self.pending.get_mut(&number) {
            pending.fault = None;
            pending.answer = None;
        }
    }

    fn crash_of(&mut self, process: Process) {
        if self.lives(process) {
            self.crash(process.controller);
        }
    }
}
