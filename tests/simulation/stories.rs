//! Stories: what somebody does to a Job, and how it must end. A seed tries anything and can only ask whether
//! a rule is broken; here the end is known, so that what is merely late, or done for another reason, is found
//! too.

use super::{
    api::Resource,
    faults::Fault,
    scenario::{Deed, Likeness, Scenario},
    world::{Report, run},
};

/// One story, and what it comes to if nothing else happens.
#[derive(Clone)]
pub struct Story {
    pub name: &'static str,
    pub scenario: Scenario,
    /// The reasons that the Job's status names one after the other; of each Job that had the name.
    told: String,
    attempts: usize,
    /// So many agents begin.
    starts: usize,
    /// So many requests it takes.
    calls: u64,
    /// All is settled so many seconds after the last deed, at the latest.
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
        at_the_start(),
        stops(),
        pauses(),
        agents(),
        disruptions(),
        nodes(),
        the_store(),
        deletions(),
        meddling(),
    ]
    .concat()
}

fn at_the_start() -> Vec<Story> {
    let never = [(5, Deed::Silence(0)), (5, Deed::Silence(1))];
    let late = [
        (58_000, Deed::Return(0)),
        (58_000, Deed::Return(1)),
        (57_000, Deed::Pause(0, 8_000)),
        (100_000, Deed::Heal),
    ];
    vec![
        story(
            "it runs",
            then(&[]),
            "Starting Working Completed",
            (1, 1, 8, 35),
        ),
        story(
            "it never starts",
            then(&never).with(&[(100_000, Deed::Return(0))]),
            "Starting StartTimedOut",
            (1, 0, 8, 2),
        ),
        story(
            "it starts at the last moment",
            then(&never).with(&late),
            "Starting Working Completed",
            (1, 1, 7, 2),
        ),
    ]
}

fn stops() -> Vec<Story> {
    vec![
        story(
            "cancelled before anybody looks",
            then(&[(12, Deed::Cancel(0))]),
            "Cancelled",
            (0, 0, 1, 4),
        ),
        story(
            "cancelled before its agent begins",
            then(&[(2_500, Deed::Cancel(0))]),
            "Starting Cancelled",
            (1, 0, 9, 5),
        ),
        story(
            "cancelled",
            then(&[(6_000, Deed::Cancel(0))]),
            "Starting Working Cancelling Cancelled",
            (1, 1, 11, 3),
        ),
        story(
            "cancelled while it is suspended",
            then(&[(6_000, Deed::Suspend(0)), (30_000, Deed::Cancel(0))]),
            "Starting Working Suspending Suspended Cancelled",
            (1, 1, 13, 3),
        ),
        story(
            "cancelled after its end",
            then(&[(60_000, Deed::Cancel(0))]),
            "Starting Working Completed",
            (1, 1, 8, 2),
        ),
        story(
            "cancelled while its pod is on its way",
            Scenario {
                faults: [(3, Fault::Slow(60_000))].into(),
                ..then(&[
                    (5, Deed::Silence(0)),
                    (5, Deed::Silence(1)),
                    (4_000, Deed::Cancel(0)),
                    (100_000, Deed::Return(0)),
                ])
            },
            "Starting Cancelled",
            (1, 0, 7, 2),
        ),
    ]
}

fn pauses() -> Vec<Story> {
    let never = [(5, Deed::Silence(0)), (5, Deed::Silence(1))];
    let often: Vec<(u64, Deed)> = (0..66)
        .flat_map(|n| {
            [
                (4_000 + n * 10_000, Deed::Suspend(0)),
                (9_000 + n * 10_000, Deed::Resume(0)),
            ]
        })
        .collect();
    vec![
        story(
            "suspended before anybody looks",
            then(&[(12, Deed::Suspend(0)), (20_000, Deed::Resume(0))]),
            "Suspended Starting Working Completed",
            (1, 1, 7, 34),
        ),
        story(
            "suspended and resumed",
            then(&[(6_000, Deed::Suspend(0)), (30_000, Deed::Resume(0))]),
            "Starting Working Suspending Suspended Starting Working Completed",
            (2, 2, 17, 34),
        ),
        story(
            "suspended for good",
            then(&[(6_000, Deed::Suspend(0))]),
            "Starting Working Suspending Suspended",
            (1, 1, 12, 2),
        ),
        story(
            "suspended before its agent begins",
            then(&[(2_500, Deed::Suspend(0)), (30_000, Deed::Resume(0))]),
            "Starting Suspended Starting Working Completed",
            (2, 1, 15, 34),
        ),
        story(
            "resumed while it stops",
            Scenario {
                seed: 8,
                ..then(&[(6_000, Deed::Suspend(0)), (6_150, Deed::Resume(0))])
            },
            "Starting Working Suspending Suspended Starting Working Completed",
            (2, 2, 17, 37),
        ),
        story(
            "suspended for longer than a start may take",
            then(&never).with(&[
                (4_000, Deed::Suspend(0)),
                (90_000, Deed::Resume(0)),
                (91_000, Deed::Return(0)),
            ]),
            "Starting Suspended Starting Working Completed",
            (2, 1, 15, 37),
        ),
        story(
            "suspended on a silent node at its start deadline",
            then(&[
                (2_150, Deed::Silence(0)),
                (2_150, Deed::Silence(1)),
                (55_000, Deed::Suspend(0)),
                (100_000, Deed::Return(0)),
                (100_000, Deed::Return(1)),
                (120_000, Deed::Resume(0)),
            ]),
            "Starting Recovering Suspended Starting Working Completed",
            (2, 1, 21, 33),
        ),
        story(
            "suspended sixty-six times",
            then(&never).with(&often),
            &format!("{}ResumeFailed", "Starting Suspended ".repeat(64)),
            (64, 0, 488, 2),
        ),
    ]
}

fn agents() -> Vec<Story> {
    vec![
        story(
            "there is no Agent yet",
            then(&[(5, Deed::DeleteAgent), (20_000, Deed::CreateAgent)]),
            "AgentNotFound Starting Working Completed",
            (1, 1, 8, 34),
        ),
        story(
            "its Agent deleted",
            then(&[(6_000, Deed::DeleteAgent)]),
            "Starting Working Cancelling AgentDeleted",
            (1, 1, 12, 3),
        ),
        story(
            "its Agent deleted while it is suspended",
            then(&[(6_000, Deed::Suspend(0)), (30_000, Deed::DeleteAgent)]),
            "Starting Working Suspending Suspended AgentDeleted",
            (1, 1, 14, 3),
        ),
        story(
            "its Agent made anew",
            then(&[(6_000, Deed::DeleteAgent), (6_001, Deed::CreateAgent)]),
            "Starting Working Cancelling AgentDeleted",
            (1, 1, 13, 12),
        ),
        story(
            "its Agent edited",
            then(&[(6_000, Deed::EditAgent)]),
            "Starting Working Completed",
            (1, 1, 7, 30),
        ),
        story(
            "Agents listed as they were before",
            then(&[(6_000, Deed::ListAgain(0, Resource::Agents, 1_000))]),
            "Starting Working Completed",
            (1, 1, 9, 30),
        ),
    ]
}

fn disruptions() -> Vec<Story> {
    vec![
        story(
            "evicted",
            then(&[(6_000, Deed::EvictPod(0))]),
            "Starting Working Recovering Starting Working Completed",
            (2, 2, 14, 36),
        ),
        story(
            "preempted",
            then(&[(6_000, Deed::PreemptPod(0))]),
            "Starting Working Recovering Starting Working Completed",
            (2, 2, 14, 36),
        ),
        story(
            "evicted by its kubelet",
            then(&[(6_000, Deed::PressPod(0))]),
            "Starting Working Recovering Starting Working Completed",
            (2, 2, 13, 33),
        ),
        story(
            "evicted again and again",
            Scenario {
                seed: 8,
                ..then(&[
                    (6_000, Deed::EvictPod(0)),
                    (26_000, Deed::EvictPod(0)),
                    (45_500, Deed::EvictPod(0)),
                ])
            },
            "Starting Working Recovering Starting Working Recovering Starting Working Evicted",
            (3, 3, 24, 5),
        ),
        story(
            "its pod deleted",
            Scenario {
                seed: 8,
                ..then(&[(6_200, Deed::DeletePod(0))])
            },
            "Starting Working Recovering Starting Working Completed",
            (2, 2, 13, 38),
        ),
        story(
            "its pod forced away",
            then(&[(6_000, Deed::ForcePod(0))]),
            "Starting Working Recovering Starting Working Completed",
            (2, 2, 16, 37),
        ),
        story(
            "started twice",
            then(&[(6_000, Deed::StartTwice(0))]),
            "Starting Working Recovering Starting Working Completed",
            (2, 2, 13, 38),
        ),
        story(
            "pods listed as they were before",
            then(&[(6_000, Deed::ListAgain(0, Resource::Pods, 1_000))]),
            "Starting Working Completed",
            (1, 1, 8, 29),
        ),
        story(
            "Jobs listed as they were before",
            then(&[(6_000, Deed::ListAgain(0, Resource::Jobs, 1_000))]),
            "Starting Working Completed",
            (1, 1, 10, 30),
        ),
        story(
            "evicted, and pods listed as they were before",
            then(&[
                (5_000, Deed::StoreGoes),
                (6_000, Deed::EvictPod(0)),
                (12_000, Deed::ListAgain(0, Resource::Pods, 1_000)),
                (30_000, Deed::StoreComes),
            ]),
            "Starting Working Recovering Starting Working Completed",
            (2, 2, 16, 35),
        ),
    ]
}

fn nodes() -> Vec<Story> {
    let longer = |scenario| Scenario {
        works: Some(10 * WORKS),
        ..scenario
    };
    let both = |at, deed: fn(usize) -> Deed| [(at, deed(0)), (at, deed(1))];
    vec![
        story(
            "its node removed",
            then(&both(6_000, Deed::RemoveNode)),
            "Starting Working Recovering Starting Working Completed",
            (2, 2, 13, 48),
        ),
        story(
            "its node out of service",
            then(&both(6_000, Deed::TaintNode)),
            "Starting Working Recovering Starting Working Completed",
            (2, 2, 13, 48),
        ),
        story(
            "its node started again",
            then(&both(6_000, Deed::Restart)),
            "Starting Working Recovering Starting Working Completed",
            (2, 2, 13, 36),
        ),
        story(
            "its node silent and back",
            longer(then(&both(6_000, Deed::Silence)).with(&both(100_000, Deed::Return))),
            "Starting Working Recovering Starting Working Completed",
            (2, 2, 26, 310),
        ),
        story(
            "cancelled while its node is silent",
            longer(
                then(&both(6_000, Deed::Silence))
                    .with(&[(60_000, Deed::Cancel(0))])
                    .with(&both(150_000, Deed::Return)),
            ),
            "Starting Working Recovering Cancelled",
            (1, 1, 21, 2),
        ),
        story(
            "suspended while its node is silent",
            longer(
                then(&both(6_000, Deed::Silence))
                    .with(&[(60_000, Deed::Suspend(0))])
                    .with(&both(150_000, Deed::Return)),
            ),
            "Starting Working Recovering Suspended",
            (1, 1, 23, 2),
        ),
    ]
}

fn the_store() -> Vec<Story> {
    vec![
        story(
            "the store away",
            then(&[(1_000, Deed::StoreGoes), (60_000, Deed::StoreComes)]),
            "Starting Working Completed",
            (1, 1, 8, 2),
        ),
        story(
            "certificates renewed",
            then(&[(6_000, Deed::RenewCa)]),
            "Starting Working Completed",
            (1, 1, 8, 29),
        ),
        story(
            "certificates renewed while the store is away",
            then(&[
                (5_000, Deed::StoreGoes),
                (36_000, Deed::RenewCa),
                (60_000, Deed::StoreComes),
            ]),
            "Starting Working Completed",
            (1, 1, 8, 2),
        ),
    ]
}

fn deletions() -> Vec<Story> {
    vec![
        story(
            "deleted before anybody looks",
            then(&[(12, Deed::DeleteJob(0))]),
            "",
            (0, 0, 0, 40),
        ),
        story(
            "deleted before its agent begins",
            then(&[(2_500, Deed::DeleteJob(0))]),
            "Starting JobDeleted",
            (1, 0, 11, 5),
        ),
        story(
            "deleted",
            then(&[(6_000, Deed::DeleteJob(0))]),
            "Starting Working Cancelling JobDeleted",
            (1, 1, 11, 3),
        ),
        story(
            "deleted and made again",
            then(&[(6_000, Deed::DeleteJob(0)), (6_100, Deed::CreateAgain(0))]),
            "Starting Working Cancelling JobDeleted | Starting Working Completed",
            (2, 2, 17, 38),
        ),
        story(
            "deleted and made again at once",
            then(&[(2_600, Deed::DeleteJob(0)), (2_650, Deed::CreateAgain(0))]),
            "Starting JobDeleted | Starting Working Completed",
            (2, 1, 17, 35),
        ),
        story(
            "deleted and made again while its pod is new",
            then(&[
                (5, Deed::DeleteAgent),
                (20_000, Deed::CreateAgent),
                (20_500, Deed::DeleteJob(0)),
                (20_550, Deed::CreateAgain(0)),
            ]),
            "AgentNotFound Starting JobDeleted | Starting Working Completed",
            (2, 1, 18, 35),
        ),
        story(
            "deleted after its end",
            then(&[(60_000, Deed::DeleteJob(0))]),
            "Starting Working Completed",
            (1, 1, 10, 2),
        ),
        story(
            "its namespace deleted",
            then(&[(6_000, Deed::DeleteNamespace)]),
            "Starting Working JobDeleted",
            (1, 1, 13, 7),
        ),
        story(
            "its namespace deleted while it is suspended",
            then(&[(6_000, Deed::Suspend(0)), (30_000, Deed::DeleteNamespace)]),
            "Starting Working Suspending Suspended JobDeleted",
            (1, 1, 19, 3),
        ),
    ]
}

fn meddling() -> Vec<Story> {
    let taken = |likeness| then(&[(5, Deed::Stranger(0, likeness))]);
    vec![
        story(
            "its pod's name taken",
            taken(Likeness::Name),
            "Starting InvalidPod",
            (1, 0, 6, 4),
        ),
        story(
            "its pod's name taken, with our label",
            taken(Likeness::Labels),
            "Starting InvalidPod",
            (1, 0, 6, 4),
        ),
        story(
            "its pod's name taken while it is suspended",
            then(&[
                (6_000, Deed::Suspend(0)),
                (25_000, Deed::Stranger(0, Likeness::Labels)),
                (30_000, Deed::Resume(0)),
            ]),
            "Starting Working Suspending Suspended Starting Working Completed",
            (2, 2, 17, 33),
        ),
        story(
            "its pod's name taken after its end",
            then(&[
                (60_000, Deed::DeletePod(0)),
                (65_000, Deed::Stranger(0, Likeness::Labels)),
                (70_000, Deed::DeleteJob(0)),
            ]),
            "Starting Working Completed",
            (1, 1, 12, 2),
        ),
        story(
            "its pod stripped",
            then(&[(20_000, Deed::StripPod(0))]),
            "Starting Working PodDeleted",
            (1, 1, 9, 3),
        ),
        story(
            "its pod stripped before its agent begins",
            then(&[(2_500, Deed::StripPod(0))]),
            "Starting PodDeleted",
            (1, 0, 9, 11),
        ),
        story(
            "its pod stripped as soon as it is made",
            Scenario {
                lag: 2,
                ..then(&[
                    (5, Deed::DeleteAgent),
                    (20_000, Deed::CreateAgent),
                    (20_118, Deed::StripPod(0)),
                ])
            },
            "AgentNotFound Starting PodDeleted",
            (1, 0, 7, 8),
        ),
        story(
            "its pod replaced",
            then(&[(6_000, Deed::ReplacePod(0))]),
            "Starting Working PodDeleted",
            (1, 1, 13, 3),
        ),
        story(
            "its pod replaced while it is suspended",
            then(&[
                (6_000, Deed::Suspend(0)),
                (8_000, Deed::ReplacePod(0)),
                (30_000, Deed::Resume(0)),
            ]),
            "Starting Working Suspending Suspended PodDeleted",
            (1, 1, 15, 2),
        ),
        story(
            "stripped",
            then(&[(6_000, Deed::StripJob(0))]),
            "Starting Working",
            (1, 1, 9, 2),
        ),
        story(
            "stripped and made again",
            then(&[(6_000, Deed::StripJob(0)), (6_100, Deed::CreateAgain(0))]),
            "Starting Working | Starting Working Completed",
            (2, 2, 18, 36),
        ),
        story(
            "another's finalizer before ours",
            then(&[
                (6_000, Deed::Hold(0)),
                (60_000, Deed::DeleteJob(0)),
                (70_000, Deed::Unhold(0)),
            ]),
            "Starting Working Completed",
            (1, 1, 9, 2),
        ),
    ]
}
