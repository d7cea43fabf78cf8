//! What people ask of a Job: to stop, to pause, to end with its Agent.

use super::{
    super::{
        api::Resource,
        faults::Fault,
        scenario::{Deed, Scenario},
    },
    Story, both, paused, story, then,
};

pub fn all() -> Vec<Story> {
    [stops(), continuations(), pauses(), lapses(), agents()].concat()
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
            (1, 1, 9, 2),
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

fn continuations() -> Vec<Story> {
    vec![
        story(
            "continued after its end",
            then(&[(60_000, Deed::Continue(0))]),
            "Starting Working Completed | Starting Working Completed",
            (2, 2, 14, 34),
        ),
        story(
            "continued while it runs",
            then(&[(6_000, Deed::Continue(0))]),
            "Starting Working Completed | ResumeFailed",
            (1, 1, 9, 30),
        ),
        story(
            "continued after nothing",
            then(&[(12, Deed::Cancel(0)), (20_000, Deed::Continue(0))]),
            "Cancelled | ResumeFailed",
            (0, 0, 3, 3),
        ),
        story(
            "continued though its agent never began",
            then(&[(2_500, Deed::Cancel(0)), (20_000, Deed::Continue(0))]),
            "Starting Cancelled | ResumeFailed",
            (1, 0, 11, 3),
        ),
    ]
}

fn pauses() -> Vec<Story> {
    let never = both(5, Deed::Silence);
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
            "finished as it is to stop",
            Scenario {
                seed: 8,
                ..then(&[(6_000, Deed::Suspend(0)), (6_150, Deed::Resume(0))])
            },
            "Starting Working Suspending Completed",
            (1, 1, 12, 4),
        ),
        story(
            "resumed while it stops",
            Scenario {
                seed: 9,
                ..then(&[(6_000, Deed::Suspend(0)), (6_150, Deed::Resume(0))])
            },
            "Starting Working Suspending Suspended Starting Working Completed",
            (2, 2, 16, 36),
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
            "evicted in its sixty-fourth attempt",
            then(&never)
                .with(&paused(63))
                .with(&both(632_000, Deed::Return))
                .with(&[(642_000, Deed::EvictPod(0))]),
            &format!(
                "{}Starting Working Evicted",
                "Starting Suspended ".repeat(63)
            ),
            (64, 1, 484, 7),
        ),
        story(
            "suspended sixty-six times",
            then(&never).with(&paused(66)),
            &format!("{}ResumeFailed", "Starting Suspended ".repeat(64)),
            (64, 0, 484, 2),
        ),
    ]
}

/// The lease runs out in the middle of something.
fn lapses() -> Vec<Story> {
    let muted = then(&[
        (5_000, Deed::Mute(0, 60_000)),
        (19_000, Deed::Cancel(0)),
        (70_000, Deed::Heal),
    ]);
    let given = then(&[(5_000, Deed::GiveLease(0)), (8_000, Deed::Cancel(0))]);
    vec![
        story(
            "cancelled while the lease runs out",
            Scenario {
                faults: [(6, Fault::Slow(9_000))].into(),
                ..muted
            },
            "Starting Working Cancelling Cancelled",
            (1, 1, 8, 2),
        ),
        story(
            "cancelled when the lease was given to another",
            Scenario {
                controllers: 2,
                ..given
            },
            "Starting Working Cancelling Cancelled",
            (1, 1, 12, 10),
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
