//! The rules of the house that a compiler does not keep: who may name whom, and that every file says why
//! it exists.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap());
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} holds no sources");
    found
}

/// The files among `folder` (and the one beside it, `folder.rs`) that contain one of these words.
fn offenders(folder: &str, words: &[&str]) -> Vec<String> {
    let beside = PathBuf::from(format!("{folder}.rs"));
    let mine = |path: &Path| path.starts_with(folder) || path == beside;
    let named = |text: &str| {
        words
            .iter()
            .find(|word| text.contains(**word))
            .map(|word| (*word).to_owned())
    };
    sources("src")
        .into_iter()
        .filter(|(path, _)| mine(path))
        .filter_map(|(path, text)| Some(format!("{} names {}", path.display(), named(&text)?)))
        .collect()
}

#[test]
fn types_and_decisions_do_no_input_or_output_and_know_no_clock() {
    let effects = [
        "kube::Client",
        "tokio",
        "std::fs",
        "std::net",
        "Utc::now",
        "Uuid::",
        "crate::controller",
        "crate::runner",
    ];
    for folder in ["src/api", "src/plan"] {
        assert_eq!(offenders(folder, &effects), [""; 0]);
    }
    assert_eq!(
        offenders("src/api", &["crate::plan::{", "use crate::plan"]),
        [""; 0]
    );
}

#[test]
fn the_runner_knows_no_kubernetes_and_the_controller_no_runner() {
    assert_eq!(
        offenders(
            "src/runner",
            &["kube::", "k8s_openapi", "crate::controller"]
        ),
        [""; 0]
    );
    assert_eq!(offenders("src/controller", &["crate::runner"]), [""; 0]);
}

#[test]
fn nobody_reads_secrets() {
    assert_eq!(
        offenders("src", &["Api<Secret>", "core::v1::Secret"]),
        [""; 0]
    );
}

#[test]
fn an_apply_goes_out_in_one_place_which_escapes_what_yaml_does_not_take() {
    assert_eq!(
        offenders("src", &["Patch::Apply("]),
        ["src/kubernetes/apply.rs names Patch::Apply("]
    );
}

#[test]
fn every_file_says_first_why_it_exists() {
    let silent = |(path, text): (PathBuf, String)| {
        let tests = path.file_name().is_some_and(|name| name == "tests.rs");
        (!tests && !text.starts_with("//! ")).then_some(path)
    };
    let files = ["src", "tests"].into_iter().flat_map(sources);
    assert_eq!(
        files.filter_map(silent).collect::<Vec<_>>(),
        Vec::<PathBuf>::new()
    );
}

#[test]
fn every_test_target_stands_in_the_table_of_contributing() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap());
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap();
    let (manifest, contributing) = (read("Cargo.toml"), read("CONTRIBUTING.md"));
    let targets = manifest.split("[[test]]\nname = \"").skip(1);
    let targets: Vec<&str> = targets.filter_map(|rest| rest.split('"').next()).collect();
    assert!(targets.contains(&"house"), "{targets:?}");
    let rows = contributing
        .lines()
        .filter_map(|line| line.split('|').nth(1));
    let told: Vec<&str> = rows.flat_map(|cell| cell.split([' ', ',', '`'])).collect();
    let silent = targets.iter().filter(|target| !told.contains(target));
    assert_eq!(silent.collect::<Vec<_>>(), [&""; 0]);
}
