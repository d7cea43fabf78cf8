//! What people copy has a limit of turns and of dollars: without one, an agent that goes round in circles spends until
//! its time is over.

use std::{env, fs, path::PathBuf};

use herdctl::api::agent::AgentSpec;
use serde_json::Value;

/// Every file that shows an Agent to a person.
const PLACES: [&str; 3] = [
    "README.md",
    "deploy/samples/agent.yaml",
    "charts/herdctl/templates/NOTES.txt",
];

/// The manifests of Agents in a text: from `apiVersion:` to the next document or the end of the code.
fn agents(text: &str) -> Vec<AgentSpec> {
    let mut found = Vec::new();
    for part in text.split("apiVersion: herdctl.dev/v1alpha1\n").skip(1) {
        let lines = part.lines();
        let ends = ["---", "```", "END"];
        let manifest: Vec<&str> = lines.take_while(|line| !ends.contains(line)).collect();
        let mut manifest: Value = serde_saphyr::from_str(&manifest.join("\n")).unwrap();
        if manifest["kind"] == "Agent" {
            found.push(serde_json::from_value(manifest["spec"].take()).unwrap());
        }
    }
    found
}

#[test]
fn every_agent_that_people_copy_has_a_limit_of_turns_dollars_and_time() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap());
    for place in PLACES {
        let agents = agents(&fs::read_to_string(root.join(place)).unwrap());
        assert!(!agents.is_empty(), "{place} shows no Agent");
        for agent in agents {
            assert!(agent.max_turns.is_some(), "{place}: maxTurns");
            assert!(agent.max_budget_usd.is_some(), "{place}: maxBudgetUSD");
            assert!(agent.timeout.is_some(), "{place}: timeout");
        }
    }
}
