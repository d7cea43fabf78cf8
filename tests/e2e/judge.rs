//! The scripted Messages API as the judge of double runs, asked through the API server as dev may.

use http::Request;
use serde::Deserialize;

use crate::{
    team::Team,
    wait::{RUN, SOON, until_true},
};

const CONTROL: &str = "/api/v1/namespaces/team-a/services/scripted-api:8080/proxy/control";

/// What the scripted API knows of the agent processes of one session.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Agents {
    /// Agent processes, of which it is certain that they are different ones.
    pub processes: usize,
    /// Requests that may have come from one more process each.
    pub unsure: usize,
    /// Processes that have a connection open.
    pub connected: usize,
    /// The most that ever had one at once.
    pub together: usize,
    /// Requests that wait for their answer.
    pub under_way: usize,
}

impl Team {
    /// The judge's word on a session.
    pub async fn agents_of(&self, session: &str) -> Agents {
        let request = Request::get(format!("{CONTROL}/agents?session={session}"))
            .body(vec![])
            .unwrap();
        self.client.request(request).await.unwrap()
    }

    /// Lets the answers go that wait for this key.
    pub async fn release(&self, key: &str) {
        let request = Request::post(format!("{CONTROL}/release?key={key}"))
            .body(vec![])
            .unwrap();
        self.client.request_text(request).await.unwrap();
    }

    /// Exactly one agent process ever worked in the session, for certain.
    pub async fn assert_one_agent(&self, session: &str) {
        let agents = self.agents_of(session).await;
        assert_eq!(
            (agents.processes, agents.unsure),
            (1, 0),
            "session {session}: {agents:?}"
        );
    }

    /// Agent processes followed each other in the session, and never were there two.
    pub async fn assert_one_agent_at_a_time(&self, session: &str) {
        let agents = self.agents_of(session).await;
        assert_eq!(agents.together, 1, "session {session}: {agents:?}");
    }

    /// Waits until the session's agent has asked and waits for its answer.
    pub async fn asks(&self, session: &str) {
        until_true("the agent asks the API", RUN, || async {
            let agents = self.agents_of(session).await;
            if agents.under_way == 1 {
                Ok(())
            } else {
                Err(format!("session {session}: {agents:?}"))
            }
        })
        .await;
    }

    /// Waits until no process of the session has a connection left.
    pub async fn leaves(&self, session: &str) {
        until_true("the agent is gone", SOON, || async {
            let agents = self.agents_of(session).await;
            if agents.connected == 0 {
                Ok(())
            } else {
                Err(format!("session {session}: {agents:?}"))
            }
        })
        .await;
    }
}
