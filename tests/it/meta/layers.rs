//! The map in lib.rs holds: nothing imports upward, and what is said to be
//! pure is.

use super::sources;
use std::collections::BTreeMap;
use std::path::Path;

/// The wings and their floors, from the table in lib.rs.
fn floors() -> BTreeMap<String, u32> {
    let lib = include_str!("../../../src/lib.rs");
    let rows = lib.lines().filter_map(|line| line.strip_prefix("//! | [`"));
    let floor = |row: &str| {
        let (wing, rest) = row.split_once("`] | ")?;
        Some((wing.to_owned(), rest.split(' ').next()?.parse().ok()?))
    };
    let floors: BTreeMap<String, u32> = rows.filter_map(floor).collect();
    for module in lib.lines().filter_map(|line| line.strip_prefix("pub mod ")) {
        assert!(floors.contains_key(module.trim_end_matches(';')), "{module} has no row in the map");
    }
    floors
}

/// A file's module path: `src/cli/view.rs` is `cli`, `view`.
fn module_of(file: &Path) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let inside = file.strip_prefix(root).unwrap().with_extension("");
    let mut parts: Vec<String> = inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// Code without comments and without text in quotes on one line.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The wings that a text names after `prefix`, a path that ends at the crate's root.
fn named(text: &str, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(prefix) {
        // `supersuper::` or the tail of a longer chain is not this path.
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
            continue;
        }
        let rest = text[at + prefix.len()..].trim_start();
        let word = |text: &str| {
            let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
            text[..end].to_owned()
        };
        let Some(group) = rest.strip_prefix('{') else {
            found.push(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut start = true;
        for (index, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && !c.is_whitespace() => {
                    found.push(word(&group[index..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn nothing_imports_upward() {
    let floors = floors();
    let mut wrong = Vec::new();
    for file in sources("src") {
        let module = module_of(&file);
        let Some(floor) = floors.get(&module[0]) else { continue };
        let text = code(&std::fs::read_to_string(&file).unwrap());
        // `super` of a file is its directory's module; inline modules go one deeper.
        let to_root = |depth: usize| "super::".repeat(depth);
        let mut imports = named(&text, "crate::");
        imports.extend(named(&text, &to_root(module.len())));
        imports.extend(named(&text, &to_root(module.len() + 1)));
        for import in imports {
            let Some(below) = floors.get(&import) else { continue };
            if import != module[0] && below >= floor {
                wrong.push(format!("{}: {} imports {import}", file.display(), module[0]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether its parent declares a file under `#[cfg(test)]`.
fn is_only_for_tests(file: &Path) -> bool {
    let name = file.file_stem().unwrap().to_str().unwrap();
    let directory = file.parent().unwrap();
    let parents = [directory.join("mod.rs"), directory.with_extension("rs")];
    let declared = |text: String| text.contains(&format!("#[cfg(test)]\nmod {name};"));
    parents.iter().filter_map(|parent| std::fs::read_to_string(parent).ok()).any(declared)
}

#[test]
fn what_decides_touches_nothing() {
    let impure = [
        "tokio::",
        "std::fs",
        "std::net",
        "std::thread",
        "std::process",
        "std::env::",
        "SystemTime",
        "Instant::now",
        "Timestamp::now",
        "Zoned::now",
        "getrandom",
        "SystemRandom",
    ];
    let mut wrong = Vec::new();
    for wing in ["src/core", "src/wire"] {
        for file in sources(wing) {
            let text = std::fs::read_to_string(&file).unwrap();
            let text = code(text.split("#[cfg(test)]\nmod tests {").next().unwrap());
            let found = impure.iter().filter(|word| !is_only_for_tests(&file) && text.contains(**word));
            wrong.extend(found.map(|word| format!("{}: {word}", file.display())));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn groups_and_chains_are_read() {
    let text = "use crate::{os, server::{a, b}, tls::X};\nuse super::super::cli::y; let a = crate::core::z;";
    assert_eq!(named(text, "crate::"), ["os", "server", "tls", "core"]);
    assert_eq!(named(text, "super::super::"), ["cli"]);
    assert_eq!(named(text, "super::"), ["super"]);
}
