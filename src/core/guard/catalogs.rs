//! What PostgreSQL shows to any role and should not: the source of functions,
//! and under a row scope whatever counts rows that are not seen.

use super::Rights;
use super::reason::Reason;
use crate::core::sql::{Class, Name, Statement};

pub(super) fn check(statement: &Statement, rights: Rights<'_>) -> Option<Reason> {
    if reads_sources(statement) {
        return Some(Reason::never(
            "reading the source of functions".to_owned(),
            "name the columns of pg_proc that you need, without prosrc, prosqlbody and probin",
        ));
    }
    if !rights.some_rows {
        return None;
    }
    // The plan counts what the row filter removes, and the planner's estimates
    // are made of all rows, so no form of it is safe.
    if statement.classes().any(|class| matches!(class, Class::Explain { .. })) {
        return Some(Reason::TellsOfRows("EXPLAIN".to_owned()));
    }
    let counter = statement.reads.iter().find(|name| counts_rows(name))?;
    Some(Reason::TellsOfRows(format!("reading {counter}")))
}

/// Columns of `pg_proc` that hold a function's source, or could under another
/// name: all columns, the whole row.
fn reads_sources(statement: &Statement) -> bool {
    let sources = |column: &String| matches!(column.as_str(), "*" | "prosrc" | "prosqlbody" | "probin");
    statement.reads.iter().any(|name| name.may_be_builtin() && name.name == "pg_proc")
        && (statement.whole_rows || statement.columns.iter().any(sources))
}

/// Statistics move with every row that is touched, seen or not, and hold values
/// of rows. `pg_class.reltuples` and the sizes of tables stay: tools read them,
/// and a session that only sees some rows cannot move them by asking.
fn counts_rows(name: &Name) -> bool {
    const SESSIONS: &[&str] =
        &["pg_stat_activity", "pg_stat_ssl", "pg_stat_gssapi", "pg_stat_replication", "pg_statistic_ext"];
    let name = name.name.as_str();
    name.starts_with("pg_stat") && !SESSIONS.contains(&name) && !name.starts_with("pg_stat_progress_")
}
