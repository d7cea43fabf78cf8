//! What the API server does not take, for a while or for good, and what then becomes of the Job; and pods that
//! are out of reach of what looks after them.

use super::{
    super::{
        collector::Cascade,
        refusals::Forbidden,
        scenario::{Deed, Scenario},
    },
    Story, story, then,
};

pub fn all() -> Vec<Story> {
    [policies(), sizes(), cascades(), labels()].concat()
}

fn policies() -> Vec<Story> {
    let forbidden = |from, what, deeds: &[(u64, Deed)], until| {
        then(deeds).with(&[(from, Deed::Forbid(what)), (until, Deed::Allow)])
    };
    vec![
        story(
            "its pod can't be let go",
            forbidden(6_000, Forbidden::PodUpdates, &[], 200_000),
            "Starting Working Completed",
            (1, 1, 15, 2),
        ),
        story(
            "its pod can't be let go, and it is deleted",
            forbidden(
                6_000,
                Forbidden::PodUpdates,
                &[(7_000, Deed::DeleteJob(0))],
                60_000,
            ),
            "Starting Working Cancelling JobDeleted",
            (1, 1, 20, 2),
        ),
        story(
            "its pod can't be deleted",
            forbidden(
                5_000,
                Forbidden::PodDeletions,
                &[(6_000, Deed::Cancel(0))],
                20_000,
            ),
            "Starting Working Cancelling Cancelled",
            (1, 1, 15, 12),
        ),
        story(
            "its pod can't be given new certificates",
            forbidden(
                1_500,
                Forbidden::PodUpdates,
                &[(1_600, Deed::RenewCa)],
                60_000,
            ),
            "Starting Working Completed",
            (1, 1, 13, 2),
        ),
        story(
            "its status can't be written for a while",
            forbidden(6_000, Forbidden::Statuses, &[], 60_000),
            "Starting Working Completed",
            (1, 1, 13, 22),
        ),
        story(
            "it can't be held for a while",
            forbidden(5, Forbidden::Jobs, &[], 20_000),
            "Starting Working Completed",
            (1, 1, 11, 38),
        ),
        story(
            "it can't be let go for a while",
            forbidden(
                6_000,
                Forbidden::Jobs,
                &[(7_000, Deed::DeleteJob(0))],
                60_000,
            ),
            "Starting Working Cancelling JobDeleted",
            (1, 1, 26, 2),
        ),
        story(
            "its namespace is deleted while its pod can't be let go",
            forbidden(
                6_000,
                Forbidden::PodUpdates,
                &[(7_000, Deed::DeleteNamespace)],
                60_000,
            ),
            "Starting Working Completed",
            (1, 1, 20, 2),
        ),
        story(
            "its pod can't be let go, and it is gone",
            forbidden(
                6_000,
                Forbidden::PodUpdates,
                &[(7_000, Deed::StripJob(0))],
                60_000,
            ),
            "Starting Working",
            (1, 1, 21, 2),
        ),
    ]
}

fn sizes() -> Vec<Story> {
    vec![
        story(
            "it is too large with its Agent",
            then(&[
                (5, Deed::Burden),
                (6, Deed::Limit(16_000)),
                (60_000, Deed::Allow),
            ]),
            "InvalidPod",
            (0, 0, 5, 2),
        ),
        story(
            "its outcome is too large",
            then(&[
                (5, Deed::Burden),
                (20_000, Deed::Limit(16_000)),
                (200_000, Deed::Allow),
            ]),
            "Starting Working Completed",
            (1, 1, 8, 2),
        ),
        story(
            "nothing can be written for a while",
            then(&[(6_000, Deed::Limit(0)), (60_000, Deed::Allow)]),
            "Starting Working Completed",
            (1, 1, 19, 22),
        ),
        story(
            "nothing can be written, and it is deleted",
            then(&[
                (6_000, Deed::Limit(0)),
                (10_000, Deed::DeleteJob(0)),
                (200_000, Deed::Allow),
            ]),
            "Starting Working",
            (1, 1, 18, 2),
        ),
    ]
}

fn cascades() -> Vec<Story> {
    let deleted = |at, cascade| then(&[(at, Deed::Cascade(0, cascade))]);
    vec![
        story(
            "deleted, its pod orphaned",
            deleted(6_000, Cascade::Orphan),
            "Starting Working Cancelling JobDeleted",
            (1, 1, 13, 11),
        ),
        story(
            "deleted, its pod orphaned before it starts",
            deleted(2_500, Cascade::Orphan),
            "Starting JobDeleted",
            (1, 0, 11, 2),
        ),
        story(
            "deleted, its pod first",
            deleted(6_000, Cascade::Foreground),
            "Starting Working Cancelling JobDeleted",
            (1, 1, 13, 2),
        ),
        story(
            "orphaned while its output waits for the store",
            then(&[
                (20_000, Deed::StoreGoes),
                (40_000, Deed::Cascade(0, Cascade::Orphan)),
                (400_000, Deed::StoreComes),
            ]),
            "Starting Working Completed",
            (1, 1, 15, 2),
        ),
        story(
            "its pod orphaned, and its Job stripped",
            then(&[
                (6_000, Deed::Cascade(0, Cascade::Orphan)),
                (6_100, Deed::Pause(0, 10_000)),
                (9_500, Deed::StripJob(0)),
            ]),
            "Starting Working",
            (1, 1, 12, 2),
        ),
        story(
            "its pod orphaned, and made again",
            then(&[
                (6_000, Deed::Cascade(0, Cascade::Orphan)),
                (6_100, Deed::CreateAgain(0)),
            ]),
            "Starting Working Cancelling JobDeleted | Starting Working Completed",
            (2, 2, 18, 38),
        ),
    ]
}

fn labels() -> Vec<Story> {
    vec![
        story(
            "its pod's label taken off",
            then(&[(6_000, Deed::Unlabel(0))]),
            "Starting Working Completed",
            (1, 1, 10, 29),
        ),
        story(
            "its pod's label taken off, and deleted",
            then(&[(6_000, Deed::Unlabel(0)), (7_000, Deed::DeleteJob(0))]),
            "Starting Working Cancelling JobDeleted",
            (1, 1, 17, 2),
        ),
        story(
            "its pod's label taken off, and its Job stripped",
            then(&[(6_000, Deed::Unlabel(0)), (6_500, Deed::StripJob(0))]),
            "Starting Working",
            (1, 1, 10, 2),
        ),
        story(
            "its pod's label taken off while it waits for the store, and its pod deleted",
            then(&[
                (20_000, Deed::StoreGoes),
                (40_000, Deed::Unlabel(0)),
                (41_000, Deed::DeletePod(0)),
                (60_000, Deed::StoreComes),
            ]),
            "Starting Working Completed",
            (1, 1, 9, 2),
        ),
        story(
            "its pod's label and owner taken off, and its Job stripped",
            Scenario {
                lag: 2,
                ..then(&[
                    (6_000, Deed::Cascade(0, Cascade::Orphan)),
                    (6_001, Deed::Pause(0, 20_000)),
                    (9_500, Deed::Unlabel(0)),
                    (9_501, Deed::StripJob(0)),
                ])
            },
            "Starting Working",
            (1, 1, 9, 2),
        ),
    ]
}
