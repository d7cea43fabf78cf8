//! The exhaustive sweep: every scenario, with every fault at every single request.

use super::{
    faults::Fault,
    scenario::{Deed, Scenario},
    seeds::parallel,
    world::run,
};

fn scenarios() -> Vec<(&'static str, Scenario)> {
    let then = |deeds: &[(u64, Deed)]| Scenario::calm(7).with(deeds);
    vec![
        ("runs", then(&[])),
        ("cancelled at once", then(&[(30, Deed::Cancel(0))])),
        ("cancelled while it runs", then(&[(4_000, Deed::Cancel(0))])),
        (
            "deleted while it runs",
            then(&[(4_000, Deed::DeleteJob(0))]),
        ),
        (
            "deleted and made again",
            then(&[
                (4_000, Deed::DeleteJob(0)),
                (5_000, Deed::CreateJob(0)),
                (40_000, Deed::CreateJob(0)),
            ]),
        ),
        (
            "deleted after its end",
            then(&[(60_000, Deed::DeleteJob(0))]),
        ),
        ("its pod deleted", then(&[(4_000, Deed::DeletePod(0))])),
        ("its pod forced away", then(&[(4_000, Deed::ForcePod(0))])),
        ("its pod stripped", then(&[(4_000, Deed::StripPod(0))])),
        ("evicted", then(&[(4_000, Deed::EvictPod(0))])),
        (
            "node removed",
            then(&[(4_000, Deed::RemoveNode(0)), (4_000, Deed::RemoveNode(1))]),
        ),
        (
            "node silent and back",
            then(&[
                (4_000, Deed::Silence(0)),
                (4_000, Deed::Silence(1)),
                (100_000, Deed::Return(0)),
                (100_000, Deed::Return(1)),
            ]),
        ),
        (
            "store away",
            then(&[(1_000, Deed::StoreGoes), (50_000, Deed::StoreComes)]),
        ),
        ("started twice", then(&[(4_000, Deed::StartTwice(0))])),
        ("certificates renewed", then(&[(4_000, Deed::RenewCa)])),
        (
            "suspended and resumed",
            then(&[(4_000, Deed::Suspend(0)), (30_000, Deed::Resume(0))]),
        ),
    ]
}

#[test]
fn a_fault_at_every_single_request_changes_nothing_that_matters() {
    let mut runs = Vec::new();
    for (name, scenario) in scenarios() {
        let undisturbed = run(&scenario);
        assert_eq!(undisturbed.violation, None, "{name}");
        for call in 1..=undisturbed.calls {
            for fault in Fault::ALL {
                let mut scenario = scenario.clone();
                scenario.faults.insert(call, fault);
                runs.push((name, call, fault, scenario));
            }
        }
    }
    let broken = parallel(&runs, |(name, call, fault, scenario)| {
        let violation = run(scenario).violation?;
        Some(format!("{name}, {fault:?} at request {call}: {violation}"))
    });
    println!("{} runs", runs.len());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
