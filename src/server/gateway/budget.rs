//! How much a session may still read (R7.1): what was taken so far, and the
//! words for a statement that is cut, or not begun, because it is enough.

use super::book::Running;
use super::connection::Connection;
use super::live::Live;
use super::names::Meaning;
use super::refusal::Refusal;
use crate::core::guard;
use crate::core::model::{Permission, TableName};
use crate::core::profile::{VIEW_SCHEMA_PREFIX, Views};
use crate::core::sql::{Class, CopyEnd, Facts, Name, Statement};
use crate::wire::postgres::frame::Bounds;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// configuration_limit_exceeded.
const OVER: &str = "53400";

/// What was returned: by a statement with all the pieces of its portal, or by a
/// session. Rows and bytes count when they begin, so that none begins beyond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub rows: u64,
    pub bytes: u64,
}

impl Taken {
    pub fn add(&mut self, rows: u64, bytes: u64) {
        self.rows = self.rows.saturating_add(rows);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl Live {
    /// What may still come of a statement.
    pub fn room(&self, statement: &Taken, session: &Taken) -> Bounds {
        let budget = &self.permit.budget;
        let left = |most: u64, taken: u64| most.saturating_sub(taken);
        let rows = left(budget.statement_rows, statement.rows);
        let bytes = left(budget.statement_bytes, statement.bytes);
        Bounds {
            frames: rows.min(left(budget.session_rows, session.rows)),
            bytes: bytes.min(left(budget.session_bytes, session.bytes)),
        }
    }

    /// Why another row, or so much else, cannot be returned.
    pub fn over(&self, statement: &Taken, session: &Taken, row: bool) -> Refusal {
        let budget = &self.permit.budget;
        let grant = &self.permit.grant;
        let of_statement = |most: &str| {
            let (rows, bytes) = (statement.rows, size(statement.bytes));
            format!(
                "the result is cut after {rows} rows ({bytes}): under {grant} a statement may return {most}"
            )
        };
        let of_session = |most: &str| {
            let (rows, bytes) = (session.rows, size(session.bytes));
            format!("this session has read {rows} rows ({bytes}): under {grant} a session may read {most}")
        };
        let rows = |most: u64| format!("{most} rows");
        let left = |most: u64, taken: u64| most.saturating_sub(taken);
        let message = if row && statement.rows >= budget.statement_rows {
            of_statement(&rows(budget.statement_rows))
        } else if row && session.rows >= budget.session_rows {
            of_session(&rows(budget.session_rows))
        } else if left(budget.session_bytes, session.bytes) < left(budget.statement_bytes, statement.bytes) {
            of_session(&size(budget.session_bytes))
        } else {
            of_statement(&size(budget.statement_bytes))
        };
        Refusal::new(OVER, message).hint(ask_for_more(self))
    }
}

/// The commands that lead on.
fn ask_for_more(live: &Live) -> String {
    let permit = &live.permit;
    if permit.scope.exports() {
        return "narrow it with WHERE or LIMIT; whoever runs dbaccess sets the budget".to_owned();
    }
    let command = guard::request_with(permit, Permission::Export);
    format!("narrow it with WHERE or LIMIT, or ask for a file: {command}")
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

impl Connection {
    /// Whether a statement may begin: its session has something left to read,
    /// and one more question about sealed columns, which it takes with that.
    pub(super) fn admit(&self, statement: &Statement) -> Result<(), Refusal> {
        if returns_rows(statement.class) {
            self.has_room()?;
        }
        self.take_aggregate(statement)
    }

    /// What a statement that is let through reads, and how.
    pub(super) fn reads(&self, token: Running, facts: &Arc<Facts>, index: usize) -> Running {
        let Some(statement) = facts.statements.get(index) else { return token };
        let exports = matches!(statement.class, Class::CopyOut(_)) && self.live.permit.scope.exports();
        Running {
            facts: Some((Arc::clone(facts), index)),
            // A piece of a cursor's.
            portal: statement
                .subject
                .as_ref()
                .filter(|_| statement.class == Class::Fetch)
                .map(|name| name.as_bytes().to_vec()),
            fingerprint: exports.then(Box::default),
            ..token
        }
    }

    fn has_room(&self) -> Result<(), Refusal> {
        let session = *self.live.taken();
        if !self.live.room(&Taken::default(), &session).is_none() {
            return Ok(());
        }
        Err(self.live.over(&Taken::default(), &session, true))
    }

    fn take_aggregate(&self, statement: &Statement) -> Result<(), Refusal> {
        let permit = &self.live.permit;
        if permit.views.sealed.is_empty() || !self.asks_for_aggregates(statement) {
            return Ok(());
        }
        let most = permit.budget.aggregate_statements;
        let more = |asked: u64| (asked < most).then(|| asked + 1);
        let counter = &self.live.counters.aggregates;
        if counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok() {
            return Ok(());
        }
        let message = format!(
            "this session has asked {most} questions about sealed columns, as many as it may under {}",
            permit.grant
        );
        Err(Refusal::new(OVER, message)
            .hint("leave avg, sum and count of these tables out, or ask for the column: dbaccess request … --unmask"))
    }

    fn asks_for_aggregates(&self, statement: &Statement) -> bool {
        let views = &self.live.permit.views;
        match statement.class {
            // It only gives a name to what EXECUTE asks.
            Class::Prepare => false,
            Class::Execute => {
                let name = statement.subject.as_deref().unwrap_or_default();
                match self.book().names.statement(name.as_bytes()) {
                    Meaning::Known(prepared) => {
                        prepared.facts.statements.iter().any(|prepared| aggregates_sealed(views, prepared))
                    }
                    // Perhaps it is prepared by what is on its way.
                    Meaning::Nothing | Meaning::InDoubt => true,
                }
            }
            _ => aggregates_sealed(views, statement),
        }
    }
}

/// Whether a statement asks for aggregates of a relation that has sealed
/// columns. By names as they are written: rather once too often.
fn aggregates_sealed(views: &Views, statement: &Statement) -> bool {
    let aggregate = |name: &str| matches!(name, "avg" | "sum" | "count");
    let is_sealed = |name: &Name| {
        let here = |schema: &str, table: &TableName| {
            schema == table.schema || schema.starts_with(VIEW_SCHEMA_PREFIX)
        };
        let fits = |table: &&TableName| name.schema.as_deref().is_none_or(|schema| here(schema, table));
        views.sealed.keys().filter(|table| table.name == name.name).any(|table| fits(&table))
    };
    // `(salary).avg` is `avg(salary)`.
    let asks = statement.functions.iter().any(|name| aggregate(&name.name))
        || statement.attributes.iter().any(|attribute| aggregate(&attribute.name));
    asks && statement.reads.iter().any(is_sealed)
}

/// Statements of which rows come for certain. What may or may not return some
/// (EXECUTE, RETURNING) is cut at its first row instead.
fn returns_rows(class: Class) -> bool {
    matches!(
        class,
        Class::Select
            | Class::Values
            | Class::Show
            | Class::Explain { .. }
            | Class::Fetch
            | Class::CopyOut(CopyEnd::Client)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::sql::analyse;

    #[test]
    fn r7_aggregates_of_sealed_columns_are_known_by_name() {
        let mut views = Views::default();
        views.sealed.insert(TableName::new("hr", "pay"), vec!["amount".to_owned()]);
        for (sql, asks) in [
            ("SELECT avg(amount) FROM hr.pay", true),
            ("SELECT pg_catalog.sum(amount) FROM pay", true),
            ("SELECT id, (SELECT count(*) FROM hr.pay) FROM other", true),
            ("WITH p AS (SELECT * FROM hr.pay) SELECT avg(amount) FROM p", true),
            ("DECLARE c CURSOR FOR SELECT avg(amount) FROM hr.pay", true),
            ("SELECT avg(amount) FROM dbaccess_v_00_0.pay", true),
            ("SELECT avg(amount) FROM public.pay", false),
            ("SELECT amount FROM hr.pay", false),
            ("SELECT avg(x) FROM t", false),
        ] {
            let facts = analyse(sql).unwrap();
            assert_eq!(facts.statements.iter().any(|one| aggregates_sealed(&views, one)), asks, "{sql}");
        }
    }

    #[test]
    fn sizes_are_told_in_words() {
        assert_eq!([1023, 64 << 10, 16 << 20].map(size), ["1023 bytes", "64 KiB", "16 MiB"]);
    }
}
