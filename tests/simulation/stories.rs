//! Stories: what somebody does to a Job, and how it must end. A seed tries anything and can only ask whether
//! a rule is broken; here the end is known, so that what is merely late, or done for another reason, is found
//! too.

mod refusals;
mod removals;
mod troubles;
mod wishes;

use super::{
    scenario::{Deed, Scenario},
    world::{Report, run},
};

/// One story, and what it comes to if nothing else happens.
#[derive(Clone)]
pub struct Story {
    pub name: &'static str,
    pub scenario: Scenario,
    /// The reasons that the Job's status names one after the other; of each Job, if there are several.
    told: String,
    attempts: usize,
    /// So many agents begin.
    starts: usize,
    /// So many requests it takes.
    calls: u64,
    /// The last Job has ended so many seconds after the last deed, at the latest.
    within: u64,
}

/// How long agents work in a story, in milliseconds, if they are let.
const WORKS: u64 = 30_000;

/// Compares what a run came to with what is told of it.
fn differs(story: &Story) -> Option<String> {
    let Report {
        violation,
        paths,
        attempts,
        starts,
        calls,
        ended,
        lines,
        ..
    } = run(&Scenario {
        told: true,
        ..story.scenario.clone()
    });
    let last = story.scenario.deeds.iter().map(|(at, _)| *at).max();
    let within = (ended.saturating_sub(last.unwrap_or(0))).div_ceil(1_000);
    let came = (paths.join(" | "), attempts, starts, calls, violation);
    let told = (
        story.told.clone(),
        story.attempts,
        story.starts,
        story.calls,
        None,
    );
    let late = within > story.within;
    (came != told || late).then(|| {
        format!(
            "{}: {came:?} within {within} s, and not {told:?} within {} s\n{}",
            story.name,
            story.within,
            lines.join("\n")
        )
    })
}

#[test]
fn every_story_ends_as_it_must() {
    let wrong: Vec<String> = all().iter().filter_map(differs).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Does these things to one Job whose agent works for [`WORKS`].
fn then(deeds: &[(u64, Deed)]) -> Scenario {
    Scenario {
        works: Some(WORKS),
        ..Scenario::calm(7).with(deeds)
    }
}

/// Suspends it so many times, for five seconds each.
fn paused(times: u64) -> Vec<(u64, Deed)> {
    let pause = |n| {
        [
            (4_000 + n * 10_000, Deed::Suspend(0)),
            (9_000 + n * 10_000, Deed::Resume(0)),
        ]
    };
    (0..times).flat_map(pause).collect()
}

/// What comes of it each time, if its agent works.
const PAUSED: &str = "Starting Working Suspending Suspended ";

/// The same with both nodes.
fn both(at: u64, deed: fn(usize) -> Deed) -> [(u64, Deed); 2] {
    [(at, deed(0)), (at, deed(1))]
}

fn story(
    name: &'static str,
    scenario: Scenario,
    told: &str,
    (attempts, starts, calls, within): (usize, usize, u64, u64),
) -> Story {
    Story {
        name,
        scenario,
        told: told.to_owned(),
        attempts,
        starts,
        calls,
        within,
    }
}

/// The stories.
pub fn all() -> Vec<Story> {
    [
        wishes::all(),
        troubles::all(),
        removals::all(),
        refusals::all(),
    ]
    .concat()
}
