//! What is generated and kept in the repository is what the code would generate now.

use std::{env, fs, path::PathBuf};

use herdctl::api::crds;

#[test]
fn the_definitions_in_crds_are_those_of_the_types() {
    let folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap()).join("crds");
    let generated = crds::all().unwrap();
    for (file, definition) in &generated {
        let kept = fs::read_to_string(folder.join(file)).unwrap_or_default();
        let fresh = serde_saphyr::to_string(definition).unwrap();
        assert!(
            kept == fresh,
            "crds/{file} is old: cargo run --bin herd-operator -- crds"
        );
    }
    let kept = fs::read_dir(&folder).unwrap().count();
    assert_eq!(kept, generated.len(), "a file in crds/ belongs to no type");
}
