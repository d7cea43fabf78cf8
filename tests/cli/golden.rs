//! Texts that are kept as files: whoever changes what people read sees it in the change. With
//! `GOLDEN=write` in the environment the files are written anew.

use std::{env, fs, path::Path};

#[track_caller]
pub fn agrees(file: &str, text: &str) {
    let path = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join(file);
    if env::var_os("GOLDEN").is_some_and(|value| value == "write") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "{file} is\n{kept}\nand now it would be\n{text}\nif that is meant: GOLDEN=write cargo test --test cli"
    );
}
