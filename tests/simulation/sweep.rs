//! The exhaustive sweep: every story, with every fault at every single request.

use super::{
    faults::Fault,
    seeds::parallel,
    stories::{self, Story},
    world::run,
};

/// A story of more requests is the same again and again.
const MOST_CALLS: u64 = 60;

#[test]
fn a_fault_at_every_single_request_changes_nothing_that_matters() {
    let mut runs = Vec::new();
    for Story { name, scenario, .. } in stories::all() {
        let undisturbed = run(&scenario);
        if undisturbed.calls > MOST_CALLS {
            continue;
        }
        for call in 1..=undisturbed.calls {
            for fault in Fault::ALL {
                let mut scenario = scenario.clone();
                scenario.faults.insert(call, fault);
                if matches!(fault, Fault::Sleeps(_)) {
                    // Another takes over meanwhile.
                    scenario.controllers = 2;
                }
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
