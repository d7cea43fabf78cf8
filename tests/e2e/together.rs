//! Promise: many Jobs run side by side, each with one agent of its own.

use futures::future::join_all;
use herdctl::api::reason::{ExitReason, Reason};

use crate::{
    status::{assert_ended, only_attempt, session},
    team::{Team, unique},
};

const JOBS: usize = 20;

#[tokio::test]
async fn twenty_jobs_are_alive_together_and_all_complete() {
    // Alone, since it takes the whole machine for a while and would make others miss their deadlines.
    let team = Team::alone().await;
    let key = unique("together");
    let agent = team.agent(&format!("wait-for-release-{key}")).await;
    let jobs: Vec<String> = join_all((0..JOBS).map(|_| team.job(&agent))).await;
    let running = join_all(jobs.iter().map(|job| team.running(job))).await;
    let sessions: Vec<String> = running.iter().map(session).collect();
    join_all(sessions.iter().map(|session| team.asks(session))).await;
    // Each asked, none was answered: all of them are alive at this moment.
    for session in &sessions {
        let agents = team.agents_of(session).await;
        assert_eq!(
            (agents.connected, agents.under_way),
            (1, 1),
            "session {session}: {agents:?}"
        );
    }
    team.release(&key).await;
    for done in join_all(jobs.iter().map(|job| team.finished(job))).await {
        assert_ended(&done, ExitReason::Success, Reason::Completed);
        only_attempt(&done);
        team.assert_one_agent(&session(&done)).await;
    }
    let mut different = sessions.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), JOBS, "a session belongs to one Job");
}
