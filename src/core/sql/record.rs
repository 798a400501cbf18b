//! A statement's facts as the ledger keeps them: bounded, in one order.

use super::facts::{Class, Statement};
use crate::core::model::StatementFacts;
use serde::Serialize;
use std::collections::BTreeSet;

/// The most names of one list that a record holds; each has at most 127 bytes,
/// for the grammar cuts them. The text itself is on record whole: this is what
/// searches read.
const MOST_NAMES: usize = 100;

pub(super) fn of(statement: &Statement) -> StatementFacts {
    let mut cut = false;
    let mut names = |names: &mut dyn Iterator<Item = String>| bounded(names, &mut cut);
    let record = Record {
        verbs: statement.classes().map(Class::verb).take(MOST_NAMES).collect(),
        reads: names(&mut statement.reads.iter().map(ToString::to_string)),
        writes: names(&mut statement.writes.iter().map(ToString::to_string)),
        columns: names(&mut columns(statement).into_iter()),
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
    /// Its own and those of the statements it carries, outermost first.
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

    #[test]
    fn g9_a_record_says_that_it_is_cut() {
        let columns: Vec<String> = (0..500).map(|n| format!("c{n}")).collect();
        let facts = analyse(&format!("SELECT {} FROM t", columns.join(", "))).unwrap();
        let record = facts.statements[0].record.as_json();
        assert!(record.contains(r#""cut":true"#) && record.len() < 2_000, "{record}");
    }
}
