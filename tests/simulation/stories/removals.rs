//! Jobs and pods that are deleted, and those who meddle with them.

use super::{
    super::{
        faults::Fault,
        scenario::{Deed, Likeness, Scenario},
    },
    Story, both, story, then,
};

pub fn all() -> Vec<Story> {
    [deletions(), meddling()].concat()
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
            "deleted while its output waits for the store",
            then(&[
                (20_000, Deed::StoreGoes),
                (40_000, Deed::DeleteJob(0)),
                (200_000, Deed::StoreComes),
            ]),
            "Starting Working Completed",
            (1, 1, 16, 2),
        ),
        story(
            "its pod deleted while its output waits for the store",
            then(&[
                (20_000, Deed::StoreGoes),
                (40_000, Deed::DeletePod(0)),
                (400_000, Deed::StoreComes),
            ]),
            "Starting Working Completed",
            (1, 1, 14, 2),
        ),
        story(
            "deleted after its pod's end without the store, and made again",
            then(&[
                (20_000, Deed::StoreGoes),
                (120_000, Deed::DeleteJob(0)),
                (121_000, Deed::CreateAgain(0)),
                (170_000, Deed::StoreComes),
            ]),
            "Starting Working Completed | Starting Working Completed",
            (2, 2, 27, 2),
        ),
        story(
            "its output waits for the store for too long",
            then(&[(20_000, Deed::StoreGoes), (400_000, Deed::StoreComes)]),
            "Starting Working Completed",
            (1, 1, 9, 2),
        ),
        story(
            "its namespace deleted",
            then(&[(6_000, Deed::DeleteNamespace)]),
            "Starting Working JobDeleted",
            (1, 1, 14, 7),
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
    let stays = then(&both(6_000, Deed::Silence))
        .with(&[(6_500, Deed::StripJob(0)), (6_600, Deed::CreateAgain(0))]);
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
            (1, 1, 13, 2),
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
            (1, 1, 16, 2),
        ),
        story(
            "stripped",
            then(&[(6_000, Deed::StripJob(0))]),
            "Starting Working",
            (1, 1, 9, 2),
        ),
        story(
            "stripped while requests fail",
            Scenario {
                faults: (8..12).map(|call| (call, Fault::Refused(500))).collect(),
                ..then(&[(6_000, Deed::StripJob(0))])
            },
            "Starting Working",
            (1, 1, 13, 2),
        ),
        story(
            "made again while its pod stays, and cancelled",
            stays.clone().with(&[(60_000, Deed::Cancel(0))]),
            "Starting Working | Starting Cancelled",
            (2, 1, 20, 3),
        ),
        story(
            "made again while its pod stays, and deleted",
            stays.with(&[(60_000, Deed::DeleteJob(0))]),
            "Starting Working | Starting JobDeleted",
            (2, 1, 23, 3),
        ),
        story(
            "stripped and made again",
            then(&[(6_000, Deed::StripJob(0)), (6_100, Deed::CreateAgain(0))]),
            "Starting Working | Starting Working Completed",
            (2, 2, 20, 37),
        ),
        story(
            "its pod made anew after its end, and then deleted",
            then(&[
                (32_000, Deed::StoreGoes),
                (36_900, Deed::Pause(0, 9_000)),
                (37_000, Deed::ReplacePod(0)),
                (48_000, Deed::DeleteJob(0)),
                (80_000, Deed::StoreComes),
            ]),
            "Starting Working Completed",
            (1, 2, 15, 2),
        ),
        story(
            "stripped with its pod and made again at once",
            Scenario {
                lag: 2,
                ..then(&[
                    (5, Deed::DeleteAgent),
                    (20_000, Deed::CreateAgent),
                    (20_118, Deed::StripPod(0)),
                    (20_119, Deed::StripJob(0)),
                    (20_120, Deed::CreateAgain(0)),
                ])
            },
            "AgentNotFound Starting | Starting Working Completed",
            (2, 1, 10, 34),
        ),
        story(
            "another's finalizer before ours",
            then(&[
                (6_000, Deed::Hold(0)),
                (60_000, Deed::DeleteJob(0)),
                (70_000, Deed::Unhold(0)),
            ]),
            "Starting Working Completed",
            (1, 1, 11, 2),
        ),
    ]
}
