//! The one place that turns a name or a value into SQL text.

/// A name as an SQL identifier, always in double quotes, so that no list of
/// keywords has to be right (PostgreSQL manual 4.1.1).
pub fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value as an SQL string constant that means the same whatever
/// `standard_conforming_strings` says (manual 4.1.2).
pub fn quote_literal(value: &str) -> String {
    let doubled = value.replace('\'', "''");
    if doubled.contains('\\') {
        format!(" E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_cannot_leave_their_quotes() {
        for (name, quoted) in [
            ("orders", "\"orders\""),
            ("Orders", "\"Orders\""),
            ("a\"; DROP TABLE x; --", "\"a\"\"; DROP TABLE x; --\""),
            ("\"", "\"\"\"\""),
            ("Täble ☃", "\"Täble ☃\""),
        ] {
            assert_eq!(quote_ident(name), quoted);
        }
        for (value, quoted) in [("a", "'a'"), ("o'brien", "'o''brien'"), ("a\\'b", " E'a\\\\''b'")] {
            assert_eq!(quote_literal(value), quoted);
        }
    }
}
