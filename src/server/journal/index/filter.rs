//! From a question to conditions of SQL: the one place where they are built.
//! Only for what was asked, so that SQLite finds the index for them; values are
//! always parameters.

use super::codes;
use super::feed::{DAY, integer};
use crate::core::audit::written;
use crate::core::model::Sensitivity;
use crate::proto::{AuditQuery, ResultKind, TouchedKind};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};
use std::ops::Range;

/// Conditions that hold together, with their values in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    pub(super) fn add(&mut self, condition: impl Into<String>, values: impl IntoIterator<Item = Value>) {
        self.sql.push(condition.into());
        self.values.extend(values);
    }

    /// A range, where LIKE would read some characters of the value as a pattern.
    pub(super) fn prefix(&mut self, column: &str, prefix: &str) {
        let end = format!("{prefix}{}", char::MAX);
        self.add(format!("{column} >= ? AND {column} < ?"), [prefix.to_owned().into(), end.into()]);
    }

    pub(super) fn sql(&self) -> String {
        if self.sql.is_empty() { "TRUE".to_owned() } else { self.sql.join(" AND ") }
    }

    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }
}

/// Conditions on a table that statements refer to.
struct Within {
    column: &'static str,
    table: &'static str,
    conditions: Conditions,
}

impl Within {
    /// About how much it costs to go through the statements of the rows that
    /// fit, one after the other; nothing where none fits.
    fn cost(&self, sql: &Connection) -> rusqlite::Result<i64> {
        let Self { table, conditions, .. } = self;
        let select = format!(
            "SELECT coalesce(sum(statements), 0) + 20 * count(*) FROM {table} WHERE {}",
            conditions.sql()
        );
        sql.prepare_cached(&select)?.query_row(params_from_iter(conditions.values()), |row| row.get(0))
    }

    /// With `leads` SQLite may go by the index of these rows; the plus keeps it from that.
    fn add_to(self, into: &mut Conditions, leads: bool) {
        let Self { column, table, conditions } = self;
        let plus = if leads { "" } else { "+" };
        let condition = format!("{plus}{column} IN (SELECT no FROM {table} WHERE {})", conditions.sql());
        into.add(condition, conditions.values);
    }
}

/// What a search looks for, and where.
pub(super) struct Filter {
    pub(super) conditions: Conditions,
    /// The partial index whose term stands among the conditions: the smallest.
    pub(super) by_index: &'static str,
    /// Ledger positions that can fit; the end is not one of them.
    pub(super) range: Range<i64>,
}

impl Filter {
    /// `only` is the subject whose statements alone may be seen.
    pub(super) fn of(sql: &Connection, query: &AuditQuery, only: Option<&str>) -> rusqlite::Result<Self> {
        let mut range = range(sql, query)?;
        let mut conditions = Conditions::default();
        let own = own(query, &mut conditions);
        // Whoever follows has the statements already: none is looked for by an index.
        let follows = query.after.is_some();
        let by_index = if follows { "" } else { own };
        // What fits few statements leads to them; all others are weighed one by one.
        let mut few = (range.end - range.start) / 16;
        let mut leading = None;
        let asked = [sessions(query, only), shapes(query)];
        let asked: Vec<Within> =
            asked.into_iter().filter(|within| !within.conditions.sql.is_empty()).collect();
        for (place, within) in asked.iter().enumerate() {
            match within.cost(sql)? {
                0 => range.end = range.start,
                cost if cost < few && by_index.is_empty() && !follows => (few, leading) = (cost, Some(place)),
                _ => {}
            }
        }
        for (place, within) in asked.into_iter().enumerate() {
            within.add_to(&mut conditions, leading == Some(place));
        }
        if let Some(text) = &query.text {
            // Few texts are looked up one by one, last; many are read as they stand.
            let condition = if follows || leading.is_some() || !by_index.is_empty() {
                "(SELECT text FROM texts t WHERE t.seq = s.seq) LIKE ? ESCAPE '\\'"
            } else {
                "seq IN (SELECT seq FROM texts WHERE seq >= ?1 AND seq < ?2 AND text LIKE ? ESCAPE '\\')"
            };
            conditions.add(condition, [containing(text).into()]);
        }
        Ok(Self { conditions, by_index, range })
    }
}

fn sessions(query: &AuditQuery, only: Option<&str>) -> Within {
    let mut wanted = Conditions::default();
    if let Some(subject) = only {
        wanted.add("subject = ?", [subject.to_owned().into()]);
    }
    if let Some(session) = &query.session {
        wanted.prefix("session", session);
    }
    if let Some(grant) = &query.grant {
        wanted.prefix("grant_id", grant);
    }
    if let Some(person) = &query.person {
        wanted.add("(subject = ? OR email = ?)", [person.clone().into(), person.clone().into()]);
    }
    if let Some(team) = &query.team {
        wanted.add("no IN (SELECT session FROM session_teams WHERE team = ?)", [team.clone().into()]);
    }
    if let Some(target) = &query.target {
        wanted.add("target = ?", [target.clone().into()]);
    }
    if let Some(environment) = query.environment {
        wanted.add("environment = ?", [environment.as_str().to_owned().into()]);
    }
    if let Some(incident) = &query.incident {
        wanted.add("incident = ?", [incident.clone().into()]);
    }
    Within { column: "session", table: "sessions", conditions: wanted }
}

fn shapes(query: &AuditQuery) -> Within {
    let mut wanted = Conditions::default();
    let named = "no IN (SELECT shape FROM shape_names WHERE kind = ? AND name = ?";
    if let Some(verb) = &query.verb {
        let kind = "verb".to_owned().into();
        wanted.add(format!("{named})"), [kind, verb.to_uppercase().into()]);
    }
    if let Some(table) = &query.table {
        let (schema, name) = written(table);
        let values = ["table", name].map(|value| Value::from(value.to_owned()));
        match schema {
            Some(schema) => {
                let schema = Value::from(schema.to_owned());
                let all = values.into_iter().chain([schema]);
                wanted.add(format!("{named} AND schema IN (?, ''))"), all);
            }
            None => wanted.add(format!("{named})"), values),
        }
    }
    Within { column: "shape", table: "shapes", conditions: wanted }
}

/// Conditions on the statement's own columns. Returns the index to use.
fn own(query: &AuditQuery, into: &mut Conditions) -> &'static str {
    let mut by_index = "";
    if let Some(result) = query.result {
        let code = match result {
            ResultKind::Ok => codes::OK,
            ResultKind::Failed => codes::FAILED,
            ResultKind::Refused => codes::REFUSED,
            ResultKind::Cut => codes::CUT,
            ResultKind::Skipped => codes::SKIPPED,
            ResultKind::Unknown => codes::LOST,
            ResultKind::Running | ResultKind::Ran => codes::RUNNING,
        };
        match result {
            ResultKind::Ran => {
                into.add("outcome NOT IN (?, ?)", [codes::REFUSED.into(), codes::SKIPPED.into()])
            }
            _ => into.add("outcome = ?", [code.into()]),
        }
        if code > codes::OK {
            into.add("outcome > 1", []);
            by_index = "INDEXED BY statements_stopped";
        }
    }
    if let Some(kind) = query.sensitivity {
        into.add("sensitivity > 0", []);
        let bits = match kind {
            TouchedKind::Pii => codes::bit(Sensitivity::Pii),
            TouchedKind::Financial => codes::bit(Sensitivity::Financial),
            TouchedKind::Health => codes::bit(Sensitivity::Health),
            TouchedKind::Secret => codes::bit(Sensitivity::Secret),
            TouchedKind::Any => codes::UNKNOWN - 1,
            TouchedKind::Unknown => codes::UNKNOWN,
        };
        into.add("sensitivity & ?", [bits.into()]);
        by_index = "INDEXED BY statements_sensitive";
    }
    if let Some(rows) = query.rows {
        into.add("rows >= ?", [integer(rows).into()]);
    }
    if let Some(rows) = query.export {
        into.add("(rows >= ? OR export = 1)", [integer(rows).into()]);
    }
    if query.rows.max(query.export).is_some_and(|rows| rows >= 100) {
        into.add("(rows >= 100 OR export = 1)", []);
        by_index = "INDEXED BY statements_large";
    }
    if let Some(since) = query.since {
        into.add("at >= ?", [since.as_microsecond().into()]);
    }
    if let Some(until) = query.until {
        into.add("at < ?", [until.as_microsecond().into()]);
    }
    by_index
}

/// The positions of the days that were asked for.
fn range(sql: &Connection, query: &AuditQuery) -> rusqlite::Result<Range<i64>> {
    let day =
        |at: Option<jiff::Timestamp>, open: i64| at.map_or(open, |at| at.as_microsecond().div_euclid(DAY));
    let bounds = sql
        .query_row(
            "SELECT min(first), max(last) + 1 FROM days WHERE day BETWEEN ?1 AND ?2",
            [day(query.since, i64::MIN), day(query.until, i64::MAX)],
            |row| Ok(row.get::<_, Option<i64>>(0)?.zip(row.get::<_, Option<i64>>(1)?)),
        )
        .optional()?
        .flatten();
    let (first, end) = bounds.unwrap_or((0, 0));
    Ok(first..end.min(query.before.map_or(i64::MAX, integer)))
}

/// A pattern of LIKE for texts that hold this one.
fn containing(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_sought_as_it_is() {
        assert_eq!(containing(r"100%_\a"), r"%100\%\_\\a%");
    }
}
