//! Kubernetes Events: the few changes that a person wants to find in `kubectl describe` and
//! `kubectl events`. They are sent beside the work: a lost Event is a pity, a late status is not.

use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tracing::warn;

use crate::{
    api::{
        job::{Job, JobStatus},
        reason::{Phase, Reason},
        text::Clean,
    },
    kubernetes::{Chain, call::call},
    plan::status,
};

/// What `kubectl events` shows as the source.
const REPORTER: &str = "herd-controller";

/// The API server takes no longer ones.
const MAX_NOTE_BYTES: usize = 1024;

/// Sends Events.
#[derive(Clone)]
pub struct Announcer {
    recorder: Recorder,
}

/// One thing worth telling.
#[derive(Debug, PartialEq, Eq)]
struct Note {
    type_: Kind,
    reason: String,
    message: Clean,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Normal,
    Warning,
}

impl Announcer {
    pub fn new(client: Client, instance: String) -> Self {
        let reporter = Reporter {
            controller: REPORTER.to_owned(),
            instance: Some(instance),
        };
        Announcer {
            recorder: Recorder::new(client, reporter),
        }
    }

    /// Tells what a written status brought.
    pub fn changed(&self, before: &Job, after: &Job) {
        let empty = JobStatus::default();
        let (old, new) = (
            before.status.as_ref().unwrap_or(&empty),
            after.status.as_ref().unwrap_or(&empty),
        );
        if let Some(note) = note(old, new) {
            self.send(note, after);
        }
    }

    /// Tells that a pod is let go although its record was not sealed in time.
    pub fn unsealed(&self, job: &Job) {
        let note = Note {
            type_: Kind::Warning,
            reason: "OutputUnsealed".to_owned(),
            message: "the pod was let go before its output was sealed: what the output store does not have yet is lost; look at the output store".into(),
        };
        self.send(note, job);
    }

    /// Tells that the API server refuses a write, and that somebody may change that.
    pub fn refused<K: Resource<DynamicType = ()>>(&self, about: &K, message: &str) {
        let note = Note {
            type_: Kind::Warning,
            reason: "WriteRefused".to_owned(),
            message: Clean::line(message, MAX_NOTE_BYTES),
        };
        self.send(note, about);
    }

    fn send<K: Resource<DynamicType = ()>>(&self, note: Note, about: &K) {
        let recorder = self.recorder.clone();
        let reference = about.object_ref(&());
        let name = reference.name.clone();
        tokio::spawn(async move {
            let event = Event {
                type_: match note.type_ {
                    Kind::Normal => EventType::Normal,
                    Kind::Warning => EventType::Warning,
                },
                reason: note.reason,
                note: Some(Clean::line(&note.message, MAX_NOTE_BYTES).into()),
                action: "Reconcile".to_owned(),
                secondary: None,
            };
            if let Err(error) = call("send the Event", recorder.publish(&event, &reference)).await {
                warn!(error = %Chain(&error), object = name, "an Event is lost");
            }
        });
    }
}

fn note(old: &JobStatus, new: &JobStatus) -> Option<Note> {
    let phase = new.phase?;
    let message = new.message.clone().unwrap_or_default();
    let reason = new.reason?;
    // Starting is said of a pod that is on its way and of one that something keeps.
    let told = |it: &JobStatus| (it.phase, it.reason, status::waits_for(it).is_some());
    match phase {
        _ if told(old) == told(new) => None,
        Phase::Pending if reason == Reason::Starting && status::waits_for(new).is_none() => None,
        // Wanted, or going on by itself.
        Phase::Pending if matches!(reason, Reason::Suspended | Reason::Recovering) => Some(Note {
            type_: Kind::Normal,
            reason: reason.to_string(),
            message,
        }),
        Phase::Pending => Some(Note {
            type_: Kind::Warning,
            reason: reason.to_string(),
            message,
        }),
        Phase::Running if reason == Reason::Working => Some(Note {
            type_: Kind::Normal,
            reason: "Started".to_owned(),
            message,
        }),
        Phase::Running => Some(Note {
            type_: Kind::Normal,
            reason: reason.to_string(),
            message,
        }),
        Phase::Completed | Phase::Cancelled => {
            Some(finished(Kind::Normal, phase, reason, &message))
        }
        Phase::Failed => Some(finished(Kind::Warning, phase, reason, &message)),
    }
}

fn finished(type_: Kind, phase: Phase, reason: Reason, message: &str) -> Note {
    Note {
        type_,
        reason: "Finished".to_owned(),
        message: Clean::line(&format!("{phase} {reason}: {message}"), MAX_NOTE_BYTES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::job::Attempt;

    fn status(phase: Phase, reason: Reason) -> JobStatus {
        JobStatus {
            phase: Some(phase),
            reason: Some(reason),
            message: Some("m".into()),
            ..JobStatus::default()
        }
    }

    fn told(old: &JobStatus, new: &JobStatus) -> Option<(Kind, String)> {
        note(old, new).map(|note| (note.type_, note.reason))
    }

    #[test]
    fn starts_ends_and_troubles_are_told_once() {
        let kept = status(Phase::Pending, Reason::Starting);
        let attempt = Attempt {
            pod: "hello-1".into(),
            ..Attempt::default()
        };
        let pending = JobStatus {
            message: Some(Clean::line(&status::on_its_way("hello-1"), 99)),
            attempts: vec![attempt],
            ..kept.clone()
        };
        let pull = status(Phase::Pending, Reason::ImagePull);
        let runs = status(Phase::Running, Reason::Working);
        let done = status(Phase::Completed, Reason::Completed);
        let failed = status(Phase::Failed, Reason::MaxTurns);
        assert_eq!(told(&JobStatus::default(), &pending), None);
        let warned = Some((Kind::Warning, "Starting".into()));
        assert_eq!(told(&pending, &kept), warned);
        assert_eq!(told(&kept, &kept), None);
        assert_eq!(told(&kept, &pending), None);
        assert_eq!(
            told(&pending, &pull),
            Some((Kind::Warning, "ImagePull".into()))
        );
        assert_eq!(told(&pull, &pull), None);
        assert_eq!(told(&pull, &runs), Some((Kind::Normal, "Started".into())));
        for reason in [Reason::Suspended, Reason::Recovering] {
            let waits = status(Phase::Pending, reason);
            let expected = Some((Kind::Normal, reason.to_string()));
            assert_eq!(told(&runs, &waits), expected);
            assert_eq!(told(&waits, &waits), None);
            assert_eq!(told(&waits, &runs), Some((Kind::Normal, "Started".into())));
        }
        assert_eq!(told(&runs, &done), Some((Kind::Normal, "Finished".into())));
        assert_eq!(told(&done, &done), None);
        assert_eq!(
            told(&runs, &failed),
            Some((Kind::Warning, "Finished".into()))
        );
    }
}
