//! Promise: many Jobs and many faults together, in an order that nobody chose, leave each Job with an
//! outcome that its faults allow, nothing lost, nothing run twice and nothing behind. `make soak` runs it.

mod fault;
mod job;

use std::{
    env, fmt,
    str::FromStr,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures::future::join_all;
use herdctl::plan::pod::LABEL_JOB;
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams},
};
use proptest::test_runner::{RngAlgorithm, TestRng};
use rand::Rng;
use tokio::sync::Mutex;

use self::{
    fault::Faults,
    job::{Agents, Ledger},
};
use crate::{
    faults::{kubelet::killed_as_the_agent_starts, second_node::SecondNode},
    team::Team,
    wait::{RUN, until_true},
};

/// So many Jobs are there at a time; each costs half a second of a core to start.
const SIDE_BY_SIDE: usize = 8;
/// How long a Job may take to end after the last fault, or after it began; the longest run is within that.
const STUCK: Duration = Duration::from_secs(60);

const KUBELET_KILLS: u32 = 200;

/// A number from the environment, for longer and shorter soaks.
fn given<N: FromStr<Err: fmt::Debug>>(variable: &str, otherwise: N) -> N {
    env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

fn chance(seed: u64) -> TestRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half an hour: make soak"]
async fn three_hundred_jobs_survive_two_hundred_faults() {
    let jobs = given("SOAK_JOBS", 300);
    let faults = given("SOAK_FAULTS", 200);
    let seed = given("SOAK_SEED", u64::from(std::process::id()));
    eprintln!("{jobs} Jobs, {faults} faults, SOAK_SEED={seed}");
    let node = SecondNode::take().await;
    let team = Team::alone().await;
    let agents = Agents::create(&team).await;
    let ledger = Ledger::default();
    let begun = AtomicUsize::new(0);
    let picks = Mutex::new(chance(seed));

    let working = async {
        let worker = |_| async {
            while begun.fetch_add(1, Ordering::Relaxed) < jobs {
                let pick = picks.lock().await.next_u64();
                job::run(&team, &agents, pick, &ledger).await;
            }
        };
        join_all((0..SIDE_BY_SIDE).map(worker)).await;
    };
    let harming = async {
        let mut harm = Faults::new(&team, &node, &ledger, chance(!seed));
        for _ in 0..faults {
            harm.next().await;
        }
        (Instant::now(), harm.made)
    };
    let ((), (last_fault, made)) = tokio::join!(working, harming);
    eprintln!("Faults made: {made:?}\n{ledger}");
    ledger.judge(&team, last_fault, STUCK).await;
    assert_all_goes(&team, &ledger).await;
    node.end().await;
}

#[tokio::test]
#[ignore = "takes ten minutes: make soak"]
async fn a_kubelet_that_is_killed_two_hundred_times_makes_no_second_agent() {
    killed_as_the_agent_starts(KUBELET_KILLS).await;
}

/// Deleted, the Jobs go with their pods; no finalizer holds one back.
async fn assert_all_goes(team: &Team, ledger: &Ledger) {
    let names = ledger.names();
    for job in &names {
        let deleted = team.jobs().delete(job, &DeleteParams::default()).await;
        drop(deleted.unwrap());
    }
    let pods = ListParams::default().labels(LABEL_JOB);
    until_true("all Jobs and pods are gone", RUN, || async {
        let jobs = team.jobs().list(&ListParams::default()).await.unwrap();
        let pods = team.pods().list(&pods).await.unwrap();
        let of_pods = pods.iter().filter_map(|pod| pod.labels().get(LABEL_JOB));
        let left: Vec<String> = jobs
            .iter()
            .map(|job| job.name_any())
            .chain(of_pods.cloned())
            .collect();
        match left.iter().filter(|name| names.contains(name)).count() {
            0 => Ok(()),
            left => Err(format!("{left} Jobs and pods are left")),
        }
    })
    .await;
}
