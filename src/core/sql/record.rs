//! A statement's facts as the ledger keeps them: bounded, in one order.

use super::facts::{Class, Statement};
use super::redact::is_plain;
use crate::core::model::StatementFacts;
use serde::Serialize;
use std::collections::BTreeSet;

/// The most names of one list that a record holds; each has at most 127 bytes,
/// for the grammar cuts them. The text itself is on record whole: this is what
/// searches read.
const MOST_NAMES: usize = 100;

pub(super) fn of(statement: &Statement) -> StatementFacts {
    kept(statement, |_| true)
}

/// The same without columns that may be values. Where some are left out, it may
/// name any, as where a list is too long.
pub(super) fn redacted(statement: &Statement) -> StatementFacts {
    kept(statement, |name| name == "*" || is_plain(name))
}

fn kept(statement: &Statement, is_column: impl Fn(&str) -> bool) -> StatementFacts {
    let all = columns(statement);
    let named: BTreeSet<String> = all.iter().filter(|name| is_column(name)).cloned().collect();
    let mut cut = named.len() < all.len();
    let mut names = |names: &mut dyn Iterator<Item = String>| bounded(names, &mut cut);
    let inner = statement.inner.iter().copied();
    let record = Record {
        verbs: statement.classes().chain(inner).map(Class::verb).take(MOST_NAMES).collect(),
        reads: names(&mut statement.reads.iter().map(ToString::to_string)),
        writes: names(&mut statement.writes.iter().map(ToString::to_string)),
        columns: names(&mut named.into_iter()),
        functions: names(&mut statement.functions.iter().map(ToString::to_string)),
        export: statement.export,
        cut,
    };
    StatementFacts::of(&record)
}

/// A whole row is all of its columns.
fn columns(statement: &Statement) -> BTreeSet<String> {
    let mut columns = statement.columns.clone();
    if statement.whole_rows {
        columns.insert("*".to_owned());
    }
    columns
}

#[derive(Serialize)]
struct Record {
    /// Its own, those of the statements it carries, outermost first, and what a
    /// WITH or a MERGE in it does to rows.
    verbs: Vec<&'static str>,
    reads: Vec<String>,
    writes: Vec<String>,
    columns: Vec<String>,
    functions: Vec<String>,
    export: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

fn bounded(names: &mut dyn Iterator<Item = String>, cut: &mut bool) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    *cut |= names.len() > MOST_NAMES;
    names.truncate(MOST_NAMES);
    names
}

#[cfg(test)]
mod tests {
    use crate::core::sql::analyse;

    #[test]
    fn r5_2_a_record_holds_what_the_grammar_found() {
        let record = |text: &str| analyse(text).unwrap().statements[0].record.as_json().to_owned();
        assert_eq!(
            record("COPY (SELECT lower(u.b), a FROM s.u JOIN t ON true) TO STDOUT"),
            r#"{"verbs":["COPY TO","SELECT"],"reads":["s.u","t"],"writes":[],"columns":["a","b"],"functions":["lower"],"export":true}"#
        );
        assert!(record("SELECT c FROM customers c").contains(r#""columns":["*","c"]"#), "a whole row");
        assert_eq!(
            record("SELECT 1"),
            r#"{"verbs":["SELECT"],"reads":[],"writes":[],"columns":[],"functions":[],"export":false}"#
        );
    }

    /// Nobody hides a DELETE in a WITH, or a column behind its table's name.
    #[test]
    fn r5_2_a_record_tells_what_stands_inside() {
        let record = |text: &str| analyse(text).unwrap().statements[0].record.as_json().to_owned();
        for (text, verbs, columns) in [
            (
                "WITH gone AS (DELETE FROM t RETURNING a) SELECT a FROM gone",
                r#"["SELECT","DELETE"]"#,
                r#"["a"]"#,
            ),
            (
                "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (u.a)",
                r#"["MERGE","INSERT","DELETE"]"#,
                r#"["a"]"#,
            ),
            ("SELECT to_json(c) FROM customers c", r#"["SELECT"]"#, r#"["*","c"]"#),
            ("TABLE customers", r#"["SELECT"]"#, r#"["*"]"#),
        ] {
            let record = record(text);
            assert!(record.contains(&format!(r#""verbs":{verbs}"#)), "{text}: {record}");
            assert!(record.contains(&format!(r#""columns":{columns}"#)), "{text}: {record}");
        }
    }

    #[test]
    fn r5_2_a_column_that_looks_like_a_value_is_left_out_and_may_be_any() {
        let facts = analyse("SELECT a FROM t WHERE b = \"john@example.com\"").unwrap();
        let statement = &facts.statements[0];
        assert!(statement.record.as_json().contains("john@"));
        let record = statement.redacted("").record.as_json().to_owned();
        assert!(!record.contains("john@") && record.contains(r#""cut":true"#), "{record}");
    }

    #[test]
    fn g9_a_record_says_that_it_is_cut() {
        let columns: Vec<String> = (0..500).map(|n| format!("c{n}")).collect();
        let facts = analyse(&format!("SELECT {} FROM t", columns.join(", "))).unwrap();
        let record = facts.statements[0].record.as_json();
        assert!(record.contains(r#""cut":true"#) && record.len() < 2_000, "{record}");
    }
}
