//! Tests of the house itself.

mod declared;
mod dependencies;
mod generated;
mod layers;
mod requirements;

use std::path::{Path, PathBuf};

/// Every Rust source below a directory of the repository.
fn sources(below: &str) -> Vec<PathBuf> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(below), &mut found);
    assert!(!found.is_empty());
    found.sort();
    found
}
