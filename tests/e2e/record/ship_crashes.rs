//! Promise: what the runner took from the agent reaches the record, whoever of the pod is killed.

use herdctl::api::{
    job::{ConditionStatus, ConditionType, Job},
    reason::{ExitReason, Phase, Reason},
};
use kube::api::DeleteParams;
use rustix::process::Signal;

use crate::{
    node,
    record::{proof, run::Run, volume},
    status::{assert_ended, condition, session, status, told},
    team::{Team, namespace::TEAM_A, unique},
    wait::{RUN, SOON, until, until_true},
};

const KILLS: usize = 20;
/// How often an agent may end later than the next sidecar starts.
const TRIES: u32 = 10;

#[tokio::test]
async fn a_sidecar_that_is_killed_twenty_times_during_a_run_brings_all_of_it() {
    let team = Team::shared().await;
    let run = Run::start(&team, "slow-150").await;
    let mut length = 0;
    for _ in 0..KILLS {
        length = run.grows(length).await;
        assert!(run.ship().await.signal(Signal::KILL));
    }
    assert!(
        !status(&team.get(&run.job).await).is_final(),
        "the run was too short"
    );
    let sealed = run.sealed().await;
    assert_ended(&sealed.job, ExitReason::Success, Reason::Completed);
    sealed.assert_intact();
    sealed.assert_blocks(150, 0);
}

#[tokio::test]
async fn a_sidecar_that_is_killed_before_it_hands_the_spool_over_starts_again() {
    let team = Team::shared().await;
    let agent = team.agent("slow-3").await;
    let job = team.job(&agent).await;
    let pod_uid = until_pod(&team, &job).await;
    let ship = until_ship(&pod_uid).await;
    assert!(
        node::runner(&pod_uid, "exec").is_empty(),
        "the agent's container was faster"
    );
    assert!(ship.signal(Signal::KILL));
    let sealed = proof::sealed(&team, TEAM_A, &job).await;
    assert_ended(&sealed.job, ExitReason::Success, Reason::Completed);
    sealed.assert_blocks(3, 0);
}

/// A kubelet starts no sidecar beside a container that has ended.
#[tokio::test]
async fn a_run_that_ends_while_its_sidecar_is_dead_waits_for_the_next_one() {
    let team = Team::shared().await;
    for _ in 0..TRIES {
        let key = unique("sidecar");
        let run = Run::start(&team, &format!("wait-for-release-{key}")).await;
        let waits = ends_without_ship(&team, &run, &key).await;
        let sealed = run.sealed().await;
        assert_ended(&sealed.job, ExitReason::Success, Reason::Completed);
        sealed.assert_intact();
        if waits {
            return;
        }
    }
    panic!("in {TRIES} tries a sidecar was there before the agent had left");
}

/// Kills the sidecar and lets the agent end. True: the runner waits for the next one; false: that was there too
/// soon to tell.
async fn ends_without_ship(team: &Team, run: &Run<'_>, key: &str) -> bool {
    team.asks(&session(&team.get(&run.job).await)).await;
    kill_ships_until_they_pause(run).await;
    team.release(key).await;
    until_true("the agent has left", RUN, || async {
        match node::agent_processes(&run.pod_uid) {
            left if left.is_empty() => Ok(()),
            working => Err(format!("{working:?}")),
        }
    })
    .await;
    let waits = !node::runner(&run.pod_uid, "exec").is_empty();
    let is_next_there = !node::runner(&run.pod_uid, "ship").is_empty();
    let arrived = String::from_utf8(volume::output(TEAM_A, &run.job)).unwrap();
    let is_late = is_next_there || arrived.contains("Released.");
    assert!(waits || is_late, "the runner has left");
    !is_late
}

/// A kubelet starts no sidecar in a pod that is being deleted either.
#[tokio::test]
async fn what_a_dead_sidecar_had_not_sent_when_its_pod_was_deleted_is_counted() {
    let team = Team::shared().await;
    for _ in 0..TRIES {
        let run = Run::start(&team, "slow-15").await;
        run.tells("block 2 of 15").await;
        kill_ships_until_they_pause(&run).await;
        let arrived = volume::output(TEAM_A, &run.job).len() as u64;
        let deleted = team.pods().delete(&run.pod, &DeleteParams::default()).await;
        drop(deleted.unwrap());
        let sealed = |job: &Job| proof::is_sealed(&status(job));
        let job = until(&team.jobs(), &run.job, "sealed", RUN, sealed).await;
        assert_ended(&job, ExitReason::Success, Reason::Completed);
        let whole = told(&job);
        let intact = condition(&job, ConditionType::OutputIntact);
        let status = status(&job);
        let [first, _second] = status.attempts.as_slice() else {
            panic!("not two attempts: {whole}")
        };
        assert_eq!(first.outcome, Some(Reason::PodDeleted), "{whole}");
        let missing = status.output.unwrap().missing;
        if missing == Some(0) {
            assert_eq!(intact, Some(ConditionStatus::True), "{whole}");
            continue;
        }
        let lost = first.recorded.unwrap() - arrived;
        assert_eq!(missing, Some(lost), "{whole}");
        assert_eq!(intact, Some(ConditionStatus::False), "{whole}");
        return;
    }
    panic!("in {TRIES} tries the next sidecar was there before its pod was deleted");
}

/// Returns when the kubelet pauses before it starts the next one: for two seconds on this cluster, in which an
/// agent mostly ends.
async fn kill_ships_until_they_pause(run: &Run<'_>) {
    const STARTS_BEFORE: i32 = 2;
    until_true("the kubelet pauses", RUN, || async {
        for ship in node::runner(&run.pod_uid, "ship") {
            ship.signal(Signal::KILL);
        }
        let status = run.pod().await.status.unwrap();
        let containers = status.init_container_statuses.unwrap_or_default();
        let ship = containers.iter().find(|it| it.name == "ship");
        let pauses = ship.is_some_and(|it| {
            let state = it.state.as_ref();
            it.restart_count >= STARTS_BEFORE && state.is_some_and(|it| it.waiting.is_some())
        });
        if pauses {
            Ok(())
        } else {
            Err(format!("{ship:?}"))
        }
    })
    .await;
}

async fn until_pod(team: &Team, job: &str) -> String {
    let has_pod = |pod: &k8s_openapi::api::core::v1::Pod| pod.metadata.uid.is_some();
    let pod = until(&team.pods(), &format!("{job}-1"), "there", SOON, has_pod).await;
    pod.metadata.uid.unwrap()
}

/// Looks all the time: it has some tens of milliseconds to live before the agent's container starts.
async fn until_ship(pod_uid: &str) -> node::Process {
    let until = std::time::Instant::now() + RUN;
    loop {
        if let Some(ship) = node::runner(pod_uid, "ship").pop() {
            return ship;
        }
        assert!(
            std::time::Instant::now() < until,
            "no sidecar within {RUN:?}"
        );
        tokio::task::yield_now().await;
    }
}

/// What a kernel does on cgroup v2 when a container has used up its memory. The agent has forged a good
/// last word before.
#[tokio::test]
async fn an_agent_whose_container_is_killed_whole_is_on_record_up_to_then_and_no_success() {
    let team = Team::shared().await;
    let run = Run::commands(
        &team,
        &[
            r#"printf '{"phase":"completed","exitReason":"success","reason":"Completed","message":"fine","stoppedBy":"nobody","exit":{"code":0},"segment":{"bytes":1,"lines":1,"sha256":""}}' > /dev/termination-log; cat /dev/termination-log"#,
            "timeout 600 tail -f /dev/null",
        ],
    )
    .await;
    run.tells("tail -f /dev/null").await;
    let exec = run.exec().await;
    until_true("the agent runs its command", RUN, || async {
        let container = exec.container();
        if container.iter().any(|process| process.name == "tail") {
            Ok(())
        } else {
            Err(format!("{container:?}"))
        }
    })
    .await;
    let container = exec.container();
    for process in &container {
        process.signal(Signal::KILL);
    }
    let sealed = run.sealed().await;
    let whole = told(&sealed.job);
    let status = status(&sealed.job);
    assert_eq!(status.phase, Some(Phase::Failed), "{whole}");
    assert_eq!(status.exit_reason, Some(ExitReason::Error), "{whole}");
    assert!(
        matches!(
            status.reason,
            Some(Reason::AgentCrashed | Reason::OomKilled)
        ),
        "{whole}"
    );
    assert_eq!(sealed.of("tool_use").len(), 2);
    assert_eq!(sealed.of("tool_result").len(), 1);
    assert!(sealed.notes("verdict").is_empty());
    let last_two: Vec<_> = sealed.events.iter().rev().take(2).collect();
    assert_eq!(
        (&last_two[1]["type"], &last_two[0]["type"]),
        (&"error".into(), &"complete".into())
    );
}

/// Every second that the agent's container is not there, the spool is: nothing of it needs the agent.
#[tokio::test]
async fn output_that_was_not_shipped_when_the_container_was_killed_is_shipped_afterwards() {
    let team = Team::shared().await;
    let run = Run::start(&team, "slow-600").await;
    run.tells("block 3 of 600").await;
    let ship = run.ship().await;
    assert!(ship.signal(Signal::STOP));
    let length = volume::output(TEAM_A, &run.job).len();
    let container = run.exec().await.container();
    until_true("the agent says more", RUN, || async {
        let said = reading_of(&run).await;
        if said.contains("block 6 of 600") {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
    for process in &container {
        process.signal(Signal::KILL);
    }
    assert_eq!(
        volume::output(TEAM_A, &run.job).len(),
        length,
        "the sidecar was not stopped"
    );
    assert!(ship.signal(Signal::CONT));
    let sealed = run.sealed().await;
    assert_eq!(
        status(&sealed.job).phase,
        Some(Phase::Failed),
        "{}",
        told(&sealed.job)
    );
    let texts = sealed.texts();
    assert!(texts.contains(&"block 6 of 600"), "{texts:?}");
}

/// The run as text, which the runner prints as well.
async fn reading_of(run: &Run<'_>) -> String {
    crate::kubectl::kubectl(&["logs", &run.pod, "--container=agent"], "")
        .await
        .out
}
