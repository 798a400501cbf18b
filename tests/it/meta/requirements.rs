//! Every requirement and guarantee that is delivered is named by a test.

use super::sources;
use std::collections::BTreeSet;

const DELIVERED: &[&str] = &[
    "r1_1", "r1_2", "r1_3", "r1_4", "r1_5", "r2_1", "r2_2", "r2_3", "r3_1", "r3_2", "r3_3", "r3_5", "r4_1",
    "r4_2", "r4_3", "r4_4", "r4_5", "r5_1", "r5_2", "r8_1", "r8_2", "r8_3", "r8_4", "r8_5", "r8_6", "r9_1",
    "r9_2", "r9_3", "r9_4", "r9_5", "r10_1", "r10_2", "r10_3", "r10_4", "r10_5", "r10_6", "b3", "b4", "b6",
    "b7", "b8", "b9", "g1", "g2", "g4", "g5", "g6", "g7", "g8", "g9",
];

/// The names of all tests.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in sources("src").into_iter().chain(sources("tests/it")) {
        let text = std::fs::read_to_string(file).unwrap();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            let line = line.strip_prefix("async ").unwrap_or(line);
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if let Some(rest) = line.strip_prefix("fn ")
                && std::mem::take(&mut is_test)
            {
                names.extend(rest.split('(').next().map(str::to_owned));
            }
        }
    }
    names
}

/// Whether a test's name begins with these tags, among others: `r3_1_r3_2_…`.
fn names(test: &str, tag: &str) -> bool {
    let padded = format!("_{test}_");
    padded.match_indices(&format!("_{tag}_")).any(|(at, found)| {
        let rest = &padded[at + found.len()..];
        // `r4_1` is not in `r4_1_2`, nor `b6` in `b6_4`.
        !rest.starts_with(|c: char| c.is_ascii_digit())
    })
}

#[test]
fn every_delivered_requirement_has_a_test_of_its_name() {
    let tests = tests();
    assert!(tests.len() > 100, "the tests were not found: {tests:?}");
    let missing: Vec<&&str> =
        DELIVERED.iter().filter(|tag| !tests.iter().any(|test| names(test, tag))).collect();
    assert!(missing.is_empty(), "no test names {missing:?}");
}
