//! Where two files begin to differ.

pub(super) struct Difference {
    /// Of a file of lines.
    pub line: Option<u64>,
    pub what: String,
}

/// The first place where `found` is not `expected`.
pub(super) fn first_difference(name: &str, expected: &[u8], found: &[u8]) -> Option<Difference> {
    let same = expected.iter().zip(found).take_while(|(a, b)| a == b).count();
    if same == expected.len() && same == found.len() {
        return None;
    }
    if name.ends_with(".pdf") {
        let what = format!("byte {} is not as it was made", same + 1);
        return Some(Difference { line: None, what });
    }
    let line = expected.iter().take(same).filter(|byte| **byte == b'\n').count() as u64 + 1;
    let what = match (line_at(expected, same), line_at(found, same)) {
        (Some(expected), Some(found)) => {
            format!("`{}` follows from the ledger, and here is `{}`", around(expected), around(found))
        }
        (Some(_), None) => "the file ends here".to_owned(),
        (None, _) => "lines were added here".to_owned(),
    };
    Some(Difference { line: Some(line), what })
}

/// What stands around a place in its line, and where in that.
fn line_at(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    if at >= bytes.len() {
        return None;
    }
    let start = bytes.iter().take(at).rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let rest = bytes.get(start..)?;
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    Some((rest.get(..end)?, at - start))
}

/// Enough of a line to recognise it.
fn around((line, at): (&[u8], usize)) -> String {
    let (from, to) = (at.saturating_sub(24), (at + 24).min(line.len()));
    let part = String::from_utf8_lossy(line.get(from..to).unwrap_or_default()).trim().to_owned();
    let (before, after) = (if from > 0 { "…" } else { "" }, if to < line.len() { "…" } else { "" });
    format!("{before}{part}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b4_the_first_line_that_differs_is_named() {
        let says = |name: &str, expected: &str, found: &str| {
            first_difference(name, expected.as_bytes(), found.as_bytes())
                .map(|found| (found.line, found.what))
        };
        let changed = |expected: &str, found: &str| {
            format!("`{expected}` follows from the ledger, and here is `{found}`")
        };
        assert_eq!(says("a.csv", "a\nb\n", "a\nb\n"), None);
        assert_eq!(says("a.csv", "a\nbc\nd\n", "a\nbx\nd\n"), Some((Some(2), changed("bc", "bx"))));
        assert_eq!(says("a.csv", "a\nb\n", "a\n"), Some((Some(2), "the file ends here".to_owned())));
        assert_eq!(says("a.csv", "a\n", "a\nb\n"), Some((Some(2), "lines were added here".to_owned())));
        assert_eq!(says("a.pdf", "abc", "abx"), Some((None, "byte 3 is not as it was made".to_owned())));
        let long = format!("{}x{}", "é".repeat(40), "z".repeat(40));
        let (_, what) = says("a.csv", &long, &long.replace('x', "y")).unwrap();
        assert!(what.starts_with("`…") && what.contains("zzz…` follows"), "{what}");
    }
}
