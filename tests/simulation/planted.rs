//! The simulation is worth what it finds: every planted bug, each a known one of a known system, within so
//! many seeds.

use super::{bugs::Bug, scenario::Scenario, seeds::parallel, world::run};

/// Within so many seeds each is found.
const SEEDS: u64 = 2_000;

/// The first seed that breaks a rule with this bug, and the rule.
fn found(bug: Bug) -> Option<(u64, String)> {
    (0..SEEDS).find_map(|seed| {
        let mut scenario = Scenario::by_chance(seed);
        scenario.bug = Some(bug);
        Some((seed + 1, run(&scenario).violation?))
    })
}

#[test]
fn every_planted_bug_is_found() {
    let told = parallel(&Bug::ALL, |bug| Some((*bug, found(*bug))));
    for (bug, found) in &told {
        match found {
            Some((seeds, rule)) => println!("{bug:?}: {seeds} seeds: {rule}"),
            None => println!("{bug:?}: not found"),
        }
    }
    let missed: Vec<_> = told.iter().filter(|(_, found)| found.is_none()).collect();
    assert!(missed.is_empty(), "{missed:?}");
}
