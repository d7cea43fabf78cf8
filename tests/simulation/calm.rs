//! Runs in which nothing goes wrong, and that a run is always the same.

use super::{scenario::Scenario, world::run};

#[test]
fn a_job_runs_to_its_end_with_five_requests() {
    let mut scenario = Scenario::calm(1);
    scenario.told = true;
    let report = run(&scenario);
    let story = report.lines.join("\n");
    assert_eq!(report.violation, None, "{story}");
    // One more puts the finalizer on the Job.
    assert_eq!(report.calls, 6, "{story}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..50 {
        let scenario = Scenario::by_chance(seed);
        let (first, second) = (run(&scenario), run(&scenario));
        assert_eq!(
            (first.digest, first.calls),
            (second.digest, second.calls),
            "seed {seed}"
        );
    }
}
