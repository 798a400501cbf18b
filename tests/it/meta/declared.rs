//! A test that nobody declares is never run, and nobody notices.

use super::sources;
use std::path::Path;

#[test]
fn every_file_of_the_tests_is_declared() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    for file in sources("tests/it") {
        let inside = file.strip_prefix(&root).unwrap();
        let name = inside.file_stem().unwrap().to_str().unwrap();
        let directory = inside.parent().unwrap();
        let (name, parent) = match (name, directory.to_str().unwrap()) {
            ("main", "") => continue,
            (_, "") => (name, root.join("main.rs")),
            ("mod", _) => (directory.file_name().unwrap().to_str().unwrap(), root.join("main.rs")),
            (_, within) if root.join(within).join("mod.rs").exists() => {
                (name, root.join(within).join("mod.rs"))
            }
            (_, within) => (name, root.join(format!("{within}.rs"))),
        };
        let text = std::fs::read_to_string(&parent).unwrap();
        let declared = text
            .lines()
            .any(|line| line.trim() == format!("mod {name};") || line.trim() == format!("pub mod {name};"));
        assert!(declared, "{} is not declared in {}", inside.display(), parent.display());
    }
}
