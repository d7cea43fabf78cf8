//! herdctl connects as kubectl does: both run with the same kubeconfig, environment and flags against servers
//! and proxies of the test's own, and what arrived there is compared. `tests/connect/run` makes the network
//! and the names that this needs; without them the test fails.

mod authority;
mod proxies;
mod row;
mod rows;
mod servers;
mod world;

use std::collections::BTreeSet;

use world::World;

/// A row, and how the two programs differ in it.
fn differing(name: &str, words: &str) -> String {
    format!("{name}:\n{words}")
}

#[tokio::test(flavor = "multi_thread")]
async fn herdctl_connects_as_kubectl_does() {
    let world = World::start().await;
    let rows = rows::all(&world);
    let names: BTreeSet<&str> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len(), "two rows have one name");
    assert!(rows.len() >= 30, "only {} rows", rows.len());
    let mut faults = Vec::new();
    for row in &rows {
        let (kubectl, herdctl) = (row.run_kubectl(&world).await, row.run_herdctl(&world).await);
        let verdict = row.compare(&kubectl, &herdctl);
        println!(
            "{} {}",
            if verdict.is_ok() { "ok  " } else { "BAD " },
            row.name
        );
        if let Err(words) = verdict {
            faults.push(differing(row.name, &words));
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {} rows:\n{}",
        faults.len(),
        rows.len(),
        faults.join("\n")
    );
}
