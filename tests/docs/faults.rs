//! `tests/FAULTS.md` names tests, and whoever reads it believes that they exist.

use std::{collections::BTreeSet, env, fs, path::PathBuf};

fn project() -> PathBuf {
    env::var("CARGO_MANIFEST_DIR").unwrap().into()
}

/// The names in the table's last column, such as `faults::away::…`.
fn named() -> BTreeSet<String> {
    let text = fs::read_to_string(project().join("tests/FAULTS.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with('|')).skip(2);
    let last_cells = rows.filter_map(|row| row.trim_matches('|').rsplit('|').next());
    let names = last_cells.flat_map(|cell| cell.split(','));
    names
        .map(|name| name.trim().trim_matches('`').to_owned())
        .collect()
}

/// The script of tests that names itself so.
const SCRIPT: &str = "chart-live";

/// Whether there is this test, in a file of tests/e2e or in the script.
fn is_there(modules: &str, test: &str) -> bool {
    let (file, begin) = if modules == SCRIPT {
        (format!("tests/{SCRIPT}"), format!("\n{test}() {{"))
    } else {
        let file = modules.replace("::", "/");
        (format!("tests/e2e/{file}.rs"), format!("async fn {test}()"))
    };
    let text = fs::read_to_string(project().join(&file));
    text.unwrap_or_else(|error| panic!("{file}: {error}"))
        .contains(&begin)
}

#[test]
fn every_test_that_the_table_of_faults_names_is_there() {
    let names = named();
    assert!(!names.is_empty());
    for name in names {
        let (modules, test) = name.rsplit_once("::").unwrap_or_else(|| panic!("{name}"));
        assert!(is_there(modules, test), "there is no test {name}");
    }
}

#[test]
fn every_test_of_a_fault_is_in_the_table() {
    let names = named();
    for entry in fs::read_dir(project().join("tests/e2e/faults")).unwrap() {
        let file = entry.unwrap().path();
        let module = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        for part in text.split("#[tokio::test]\nasync fn ").skip(1) {
            let test = part.split('(').next().unwrap();
            let name = format!("faults::{module}::{test}");
            assert!(
                names.contains(&name),
                "tests/FAULTS.md has no row for {name}"
            );
        }
    }
}
