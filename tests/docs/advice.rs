//! A message that says what to do next names fields, commands and values of the chart: all that it names is
//! there.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use herdctl::api::crds;
use serde_json::Value;

/// Where messages are made.
const FOLDERS: [&str; 4] = ["plan", "runner", "cli", "controller"];

fn project() -> PathBuf {
    env::var("CARGO_MANIFEST_DIR").unwrap().into()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_test = path.ends_with("tests") || path.ends_with("tests.rs");
        if path.is_dir() && !is_test {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") && !is_test {
            found.push(path);
        }
    }
}

/// The texts in quotation marks of a source, without its tests and comments.
fn texts(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let code = source.lines().filter(|line| !line.trim().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n").replace("'\"'", "' '");
    let mut texts = Vec::new();
    let mut text: Option<String> = None;
    let mut letters = code.chars();
    while let Some(letter) = letters.next() {
        match (letter, &mut text) {
            ('"', Some(_)) => texts.extend(text.take()),
            ('"', None) => text = Some(String::new()),
            ('\\', Some(text)) => text.extend(letters.next()),
            (letter, Some(text)) => text.push(letter),
            (_, None) => {}
        }
    }
    texts
}

/// Every message, with the file that it stands in.
fn messages() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        sources(&project().join("src").join(folder), &mut files);
    }
    files
        .into_iter()
        .flat_map(|file| {
            let name = file.display().to_string();
            let texts = texts(&fs::read_to_string(&file).unwrap());
            texts.into_iter().map(move |text| (name.clone(), text))
        })
        .collect()
}

/// What follows a mark in a text, as long as `goes_on` says.
fn named<'a>(text: &'a str, mark: &str, goes_on: impl Fn(char) -> bool + Copy) -> Vec<&'a str> {
    let mut names = Vec::new();
    for (at, _) in text.match_indices(mark) {
        let begins = text[..at]
            .chars()
            .next_back()
            .is_none_or(|it| !it.is_alphanumeric() && it != '.');
        let rest = &text[at + mark.len()..];
        let end = rest.find(|it| !goes_on(it)).unwrap_or(rest.len());
        if begins && end > 0 {
            names.push(rest[..end].trim_end_matches('.'));
        }
    }
    names
}

/// Whether a spec of ours has this field, by its path.
fn has_field(path: &str) -> bool {
    crds::all().unwrap().iter().any(|(_, definition)| {
        let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
        let mut place = definition.pointer(spec);
        for name in path.split('.') {
            place = place.and_then(|it: &Value| it.pointer("/properties")?.get(name));
        }
        place.is_some()
    })
}

#[test]
fn every_field_that_a_message_names_is_in_the_schema() {
    let mut count = 0;
    for (file, text) in messages() {
        for path in named(&text, "spec.", |it| it.is_ascii_alphanumeric() || it == '.') {
            assert!(has_field(path), "{file}: no spec has {path}: {text}");
            count += 1;
        }
    }
    assert!(count > 40, "only {count} fields are named");
}

#[test]
fn every_command_that_a_message_advises_is_there() {
    let mut count = 0;
    let herdctl = |words: &[&str]| {
        let run = Command::new(env!("CARGO_BIN_EXE_herdctl"))
            .args(words)
            .arg("--help")
            .output();
        run.unwrap().status.success()
    };
    for (file, text) in messages() {
        for program in ["herdctl ", "{program} ", "{program}} "] {
            for verb in named(&text, &format!("{program}jobs "), |it| {
                it.is_ascii_lowercase()
            }) {
                assert!(herdctl(&["jobs", verb]), "{file}: no verb {verb}: {text}");
                count += 1;
            }
        }
    }
    assert!(count > 20, "only {count} commands are advised");
    assert!(
        !herdctl(&["jobs", "restart"]),
        "every word passes for a verb"
    );
}

#[test]
fn every_value_of_the_chart_that_a_message_names_is_there() {
    let values = fs::read_to_string(project().join("charts/herdctl/values.yaml")).unwrap();
    let is_there = |path: &str| {
        let mut depth = 0;
        let mut rest = values.as_str();
        path.split('.').all(|name| {
            let line = format!("\n{:1$}{name}:", "", 2 * depth);
            depth += 1;
            let found = rest.split_once(&line).map(|(_, after)| after);
            rest = found.unwrap_or_default();
            found.is_some()
        })
    };
    let mut count = 0;
    for (file, text) in messages() {
        let goes_on = |it: char| it.is_ascii_alphanumeric() || it == '.';
        for path in named(&text, "the chart's value ", goes_on) {
            assert!(is_there(path), "{file}: the chart has no value {path}");
            count += 1;
        }
    }
    assert!(count >= 3, "only {count} values are named");
    assert!(!is_there("ship.image"), "every word passes for a value");
}
