//! Man pages and completions are committed, so that packages need not build
//! them; they must say what the program says.

use dbaccess::cli::{SHELLS, completion_file, completion_script, man_pages};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const ADVICE: &str = "run: cargo run -- man .";

#[test]
fn man_pages_are_current_and_no_others_are_there() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    let mut names = BTreeSet::new();
    for (name, page) in man_pages().unwrap() {
        let committed = fs::read(directory.join(&name)).unwrap_or_default();
        assert!(committed == page, "man/{name} is not current; {ADVICE}");
        names.insert(name);
    }
    let there = fs::read_dir(directory).unwrap();
    let there: BTreeSet<String> =
        there.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, names, "remove the others, or {ADVICE}");
}

#[test]
fn completions_are_current() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
    for shell in SHELLS {
        let name = completion_file(shell);
        let committed = fs::read_to_string(directory.join(name)).unwrap_or_default();
        assert!(committed == completion_script(shell), "completions/{name} is not current; {ADVICE}");
    }
}
