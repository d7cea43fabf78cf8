//! Every reason stands in docs/reasons.md: one that nobody explains is a riddle for whoever meets it in a
//! status.

use herdctl::api::{
    crds,
    reason::{ExitReason, Phase, Reason},
};

/// A row of the table in docs/reasons.md.
#[derive(Debug)]
struct Row {
    phase: String,
    exit_reason: String,
    reason: String,
    meaning: String,
    next_step: String,
}

/// Every reason there is, in the order of the code: what the schema of a Job's status offers.
fn reasons() -> Vec<Reason> {
    let definitions = crds::all().unwrap();
    let (_, jobs) = definitions
        .iter()
        .find(|(file, _)| *file == "jobs.yaml")
        .unwrap();
    let offered = jobs
        .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/reason/enum")
        .unwrap();
    serde_json::from_value(offered.clone()).unwrap()
}

fn rows() -> Vec<Row> {
    super::table("reasons.md").into_iter().map(row).collect()
}

fn row(cells: Vec<String>) -> Row {
    let Ok([phase, exit_reason, reason, meaning, next_step]) = <[String; 5]>::try_from(cells)
    else {
        panic!("five cells are wanted")
    };
    Row {
        phase,
        exit_reason,
        reason,
        meaning,
        next_step,
    }
}

fn words(reason: Reason) -> [String; 3] {
    let (phase, exit_reason): (Phase, Option<ExitReason>) = reason.place();
    let exit_reason = exit_reason.map(|it| it.to_string()).unwrap_or_default();
    [phase.to_string(), exit_reason, reason.to_string()]
}

#[test]
fn the_table_of_reasons_has_each_in_its_place_and_nothing_else() {
    let told: Vec<[String; 3]> = rows()
        .into_iter()
        .map(|row| [row.phase, row.exit_reason, row.reason])
        .collect();
    let wanted: Vec<[String; 3]> = reasons().into_iter().map(words).collect();
    assert_eq!(told, wanted);
}

#[test]
fn every_reason_is_explained_and_says_what_to_do() {
    for row in rows() {
        assert!(
            row.meaning.ends_with('.') && row.next_step.ends_with('.'),
            "{row:?}"
        );
    }
}
