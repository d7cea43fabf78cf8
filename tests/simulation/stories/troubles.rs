//! What a cluster does to a Job: it starts it late, takes its pod, loses its node or the store.

use super::{
    super::{
        api::Resource,
        injected::Injected,
        scenario::{Deed, Refusal, Scenario},
    },
    PAUSED, Story, WORKS, both, paused, story, then,
};

pub fn all() -> Vec<Story> {
    [at_the_start(), disruptions(), nodes(), the_store()].concat()
}

fn at_the_start() -> Vec<Story> {
    let never = both(5, Deed::Silence);
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
            (1, 0, 10, 2),
        ),
        story(
            "it has no room",
            then(&[(5, Deed::Refuse(Refusal::Quota)), (20_000, Deed::Free)]),
            "Starting QuotaExceeded Starting Working Completed",
            (1, 1, 19, 38),
        ),
        story(
            "its quota is new",
            then(&[
                (5, Deed::Refuse(Refusal::UnknownQuota)),
                (20_000, Deed::Free),
            ]),
            "Starting Working Completed",
            (1, 1, 19, 38),
        ),
        story(
            "its namespace is new",
            then(&[(5, Deed::Refuse(Refusal::NoAccount)), (20_000, Deed::Free)]),
            "Starting Working Completed",
            (1, 1, 19, 38),
        ),
        story(
            "a webhook fails",
            then(&[(5, Deed::Refuse(Refusal::Webhook)), (20_000, Deed::Free)]),
            "Starting Working Completed",
            (1, 1, 19, 38),
        ),
        story(
            "it never has room",
            then(&[(5, Deed::Refuse(Refusal::Quota)), (100_000, Deed::Free)]),
            "Starting QuotaExceeded StartTimedOut",
            (1, 0, 18, 2),
        ),
        story(
            "a gate holds it",
            then(&[
                (5, Deed::Inject(Injected::Gate)),
                (20_000, Deed::InjectNothing),
            ]),
            "Starting Scheduling Starting Working Completed",
            (1, 1, 10, 36),
        ),
        story(
            "a gate is never taken off",
            then(&[
                (5, Deed::Inject(Injected::Gate)),
                (100_000, Deed::InjectNothing),
            ]),
            "Starting Scheduling StartTimedOut",
            (1, 0, 10, 2),
        ),
        story(
            "a container before its agent fails",
            then(&[
                (5, Deed::Inject(Injected::FailingInit)),
                (20_000, Deed::InjectNothing),
            ]),
            "Starting InvalidPod",
            (1, 0, 6, 5),
        ),
        story(
            "a container beside its agent never ends",
            then(&[
                (5, Deed::Inject(Injected::Beside)),
                (50_000, Deed::InjectNothing),
            ]),
            "Starting Working Completed",
            (1, 1, 9, 35),
        ),
        story(
            "it is evicted with a container beside it that never ends",
            then(&[
                (5, Deed::Inject(Injected::Beside)),
                (6_000, Deed::EvictPod(0)),
                (80_000, Deed::InjectNothing),
            ]),
            "Starting Working Recovering Starting Working Completed",
            (2, 2, 16, 36),
        ),
        story(
            "it starts at the last moment",
            then(&never).with(&late),
            "Starting Working Completed",
            (1, 1, 7, 2),
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
            "evicted where that is its end",
            then(&[(5, Deed::FailLost), (6_000, Deed::EvictPod(0))]),
            "Starting Working Evicted",
            (1, 1, 9, 5),
        ),
        story(
            "evicted after three pauses",
            Scenario {
                works: Some(4 * WORKS),
                ..then(&paused(3)).with(&[(36_000, Deed::EvictPod(0))])
            },
            &format!(
                "{}Starting Working Recovering Starting Working Completed",
                PAUSED.repeat(3)
            ),
            (5, 5, 47, 129),
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
    vec![
        story(
            "its node removed",
            then(&both(6_000, Deed::RemoveNode)),
            "Starting Working Recovering Starting Working Completed",
            (2, 2, 13, 48),
        ),
        story(
            "cancelled on a silent node that is removed much later",
            longer(
                then(&both(6_000, Deed::Silence))
                    .with(&[(5_000, Deed::StoreGoes), (60_000, Deed::Cancel(0))])
                    .with(&both(290_000, Deed::RemoveNode))
                    .with(&[(290_000, Deed::StoreComes)]),
            ),
            "Starting Working Recovering Cancelled",
            (1, 1, 25, 2),
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
            (1, 1, 9, 2),
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
