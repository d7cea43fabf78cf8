//! What an attempt goes on with: the session of the attempts before it, or that of another Job, and the
//! words that the agent finds there.

use crate::{
    api::{
        agent::AgentSpec,
        job::{Attempt, Job},
        reason::Reason,
        run::Resume,
    },
    plan::inputs,
};

/// What the agent of a new pod does not find any more.
const NEW_CONTAINER: &str = "Your container is a new one: processes that you had started are gone, and so are files that were not on a volume of their own. Look at what is there before you rely on it, then go on with your task.";

/// How this attempt continues a session; none for the first attempt of a session of its own. It depends
/// only on what is settled before the attempt is intended, so that its pod is the same whenever it is
/// built.
pub(super) fn of(
    job: &Job,
    agent: &AgentSpec,
    number: u32,
    attempts: &[Attempt],
) -> Option<Resume> {
    let earlier = attempts.iter().filter(|attempt| attempt.number < number);
    let acted = earlier
        .clone()
        .any(|attempt| attempt.turns.is_some_and(|turns| turns > 0));
    let continues = job.spec.resume.is_some();
    // An attempt whose agent never ran left its words unheard: they are the next one's. The container of
    // a start that was refused ran, and no agent in it.
    let refused = |attempt: &Attempt| attempt.outcome == Some(Reason::RunnerError);
    let ran = |attempt: &Attempt| {
        attempt.turns.is_some_and(|turns| turns > 0)
            || (attempt.started.is_some() && !refused(attempt))
    };
    let heard = earlier
        .clone()
        .filter(|attempt| ran(attempt) || attempt.outcome == Some(Reason::Suspended))
        .max_by_key(|attempt| attempt.number);
    let prompt = match heard.filter(|_| earlier.clone().any(ran)) {
        Some(attempt) => note(job, attempt),
        None if continues => inputs::opening(&job.spec, agent)?,
        // Nothing has begun in a session of its own: it begins as it was meant to.
        None => return None,
    };
    Some(Resume {
        prompt,
        required: acted || continues,
    })
}

/// What the agent is told after this attempt.
fn note(job: &Job, attempt: &Attempt) -> String {
    if attempt.outcome == Some(Reason::Suspended) {
        return job
            .spec
            .resume_prompt
            .clone()
            .unwrap_or_else(|| format!("You were paused and go on now. {NEW_CONTAINER}"));
    }
    let why = match attempt.outcome {
        Some(Reason::NodeLost) => "the machine that you ran on was lost",
        Some(Reason::Evicted) => "your pod was evicted from the machine that you ran on",
        Some(Reason::PodDeleted) => "your pod was deleted",
        Some(_) | None => "your container could not go on",
    };
    format!("You were interrupted: {why}. {NEW_CONTAINER}")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::api::job::{JobSpec, ResumeFrom};

    const RAN: bool = true;
    const NEVER_RAN: bool = false;

    fn attempts(of: &[(Reason, bool, u64)]) -> Vec<Attempt> {
        let attempt = |(number, (outcome, ran, turns)): (u32, &(Reason, bool, u64))| Attempt {
            number,
            outcome: Some(*outcome),
            started: ran.then_some(DateTime::UNIX_EPOCH),
            turns: Some(*turns),
            ..Attempt::default()
        };
        (1..).zip(of).map(attempt).collect()
    }

    fn resumption(spec: JobSpec, of: &[(Reason, bool, u64)]) -> Option<Resume> {
        let attempts = attempts(of);
        let number = u32::try_from(attempts.len()).unwrap() + 1;
        super::of(
            &Job::new("hello", spec),
            &AgentSpec::default(),
            number,
            &attempts,
        )
    }

    fn spec() -> JobSpec {
        JobSpec {
            prompt: Some("do it".into()),
            resume_prompt: Some("and now this".into()),
            ..JobSpec::default()
        }
    }

    #[test]
    fn the_agent_is_told_why_it_goes_on_and_nothing_that_was_said_goes_unheard() {
        use Reason::{Evicted, NodeLost, PodDeleted, RunnerError, Suspended};
        type Row<'a> = (&'a [(Reason, bool, u64)], Option<(&'a str, bool)>);
        let table: &[Row<'_>] = &[
            (&[], None),
            (
                &[(PodDeleted, RAN, 2)],
                Some(("your pod was deleted", true)),
            ),
            (&[(Evicted, RAN, 2)], Some(("evicted", true))),
            (&[(NodeLost, RAN, 2)], Some(("was lost", true))),
            (&[(NodeLost, RAN, 0)], Some(("was lost", false))),
            (&[(RunnerError, RAN, 2)], Some(("could not go on", true))),
            (&[(PodDeleted, NEVER_RAN, 0)], None),
            (&[(Suspended, RAN, 2)], Some(("and now this", true))),
            (&[(Suspended, NEVER_RAN, 0)], None),
            (
                &[(Suspended, NEVER_RAN, 0), (Evicted, RAN, 0)],
                Some(("evicted", false)),
            ),
            // What was said to an agent that never ran is said to the next.
            (
                &[(Suspended, RAN, 2), (Evicted, NEVER_RAN, 0)],
                Some(("and now this", true)),
            ),
            (
                &[(Suspended, RAN, 2), (Evicted, RAN, 0)],
                Some(("evicted", true)),
            ),
            // A start that was refused: the container ran, no agent heard anything.
            (
                &[(Suspended, RAN, 2), (RunnerError, RAN, 0)],
                Some(("and now this", true)),
            ),
            // Nobody saw it start, and yet it worked.
            (&[(NodeLost, NEVER_RAN, 2)], Some(("was lost", true))),
        ];
        for (of, expected) in table {
            let resume = resumption(spec(), of);
            let told = resume.as_ref().map(|it| (it.prompt.as_str(), it.required));
            match (told, expected) {
                (Some((prompt, required)), Some((words, wanted))) => {
                    assert!(prompt.contains(words), "{of:?}: {prompt}");
                    assert_eq!(required, *wanted, "{of:?}");
                }
                (told, expected) => assert_eq!(told, *expected, "{of:?}"),
            }
        }
    }

    #[test]
    fn a_pause_without_a_prompt_leaves_a_note() {
        let silent = JobSpec {
            resume_prompt: None,
            ..spec()
        };
        let resume = resumption(silent, &[(Reason::Suspended, RAN, 1)]).unwrap();
        assert!(resume.prompt.starts_with("You were paused"), "{resume:?}");
    }

    #[test]
    fn a_job_that_continues_another_begins_with_its_own_prompt_and_needs_the_session() {
        let continuing = JobSpec {
            resume: Some(ResumeFrom {
                job: "earlier".into(),
                across_agents: None,
            }),
            ..spec()
        };
        let expected = Some(Resume {
            prompt: "do it\n\nand now this".into(),
            required: true,
        });
        assert_eq!(resumption(continuing.clone(), &[]), expected);
        let paused = [(Reason::Suspended, NEVER_RAN, 0)];
        assert_eq!(resumption(continuing.clone(), &paused), expected);
        let lost = [(Reason::Evicted, NEVER_RAN, 0)];
        assert_eq!(resumption(continuing.clone(), &lost), expected);
        let refused = [(Reason::RunnerError, RAN, 0)];
        assert_eq!(resumption(continuing.clone(), &refused), expected);
        let ran = resumption(continuing, &[(Reason::Evicted, RAN, 0)]).unwrap();
        assert!(ran.required && ran.prompt.contains("evicted"), "{ran:?}");
    }
}
