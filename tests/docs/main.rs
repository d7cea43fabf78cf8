//! What the documents promise to list whole, and what they say that the code decides, is so.

use std::{env, fs, path::PathBuf};

mod advice;
mod faults;
mod outcomes;
mod reasons;
mod samples;

/// The rows of the tables in a file of docs/, their cells without blanks. Heads are left out.
fn table(file: &str) -> Vec<Vec<String>> {
    let path = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap())
        .join("docs")
        .join(file);
    let text = fs::read_to_string(path).unwrap();
    let mut rows = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let is_head = lines.peek().is_some_and(|next| next.starts_with("|--"));
        if line.starts_with('|') && !line.starts_with("|--") && !is_head {
            let cells = line.trim_matches('|').split('|');
            rows.push(cells.map(|cell| cell.trim().to_owned()).collect());
        }
    }
    assert!(!rows.is_empty(), "docs/{file} has no table");
    rows
}
