//! Many seeds. One that fails is made as small as it gets, and tells how to see it again.

use std::{
    env,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use super::{scenario::Scenario, world::run};

/// So many are tried when nobody says how many.
const SEEDS: u64 = 10_000;

/// What was said of each of these, on all processors.
pub fn parallel<T: Sync, R: Send>(of: &[T], try_one: impl Fn(&T) -> Option<R> + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut said = Vec::new();
        while let Some(one) = of.get(next.fetch_add(1, Ordering::Relaxed)) {
            said.extend(try_one(one));
        }
        said
    };
    let threads = thread::available_parallelism().map_or(2, std::num::NonZero::get);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    })
}

/// The parts of a failing scenario without which it does not fail.
fn shrink(scenario: &Scenario) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..scenario.parts()).collect();
    let mut place = 0;
    while place < kept.len() {
        let mut fewer = kept.clone();
        fewer.remove(place);
        if run(&scenario.only(&fewer)).violation.is_some() {
            kept = fewer;
        } else {
            place += 1;
        }
    }
    kept
}

/// What is to be said of a seed that fails.
fn told(scenario: &Scenario, violation: &str) -> String {
    let kept = shrink(scenario);
    let list: Vec<String> = kept.iter().map(usize::to_string).collect();
    let smaller = scenario.only(&kept);
    format!(
        "seed {}: {violation}\n  with {:?} {:?}\n  SEED={} KEEP={} cargo test --test simulation replay -- --ignored --nocapture",
        scenario.seed,
        smaller.deeds,
        smaller.faults,
        scenario.seed,
        list.join(",")
    )
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

#[test]
fn no_seed_breaks_a_rule() {
    let first = number("FIRST").unwrap_or(0);
    let seeds: Vec<u64> = (first..first + number("SEEDS").unwrap_or(SEEDS)).collect();
    let start = Instant::now();
    let broken = parallel(&seeds, |seed| {
        let scenario = Scenario::by_chance(*seed);
        let violation = run(&scenario).violation?;
        Some((scenario, violation))
    });
    let took = start.elapsed().as_secs_f64();
    println!(
        "{} seeds in {took:.1} s: {:.0} a second",
        seeds.len(),
        seeds.len() as f64 / took
    );
    let some: Vec<String> = broken
        .iter()
        .take(8)
        .map(|(it, why)| told(it, why))
        .collect();
    assert!(
        broken.is_empty(),
        "{} seeds fail\n{}",
        broken.len(),
        some.join("\n")
    );
}

#[test]
#[ignore = "tells one seed: SEED=n KEEP=0,3,…"]
fn replay() {
    let mut scenario = Scenario::by_chance(number("SEED").unwrap_or(0));
    if let Ok(kept) = env::var("KEEP") {
        let kept: Vec<usize> = kept.split(',').filter_map(|it| it.parse().ok()).collect();
        scenario = scenario.only(&kept);
    }
    scenario.told = true;
    let report = run(&scenario);
    println!(
        "{scenario:#?}\n{}\n{:?}",
        report.lines.join("\n"),
        report.violation
    );
    assert_eq!(report.violation, None);
}
