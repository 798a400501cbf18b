//! From questions to rows. Conditions are built only for what was asked, so
//! that SQLite finds the index for them; values are always parameters.

use super::feed::{integer, natural};
use crate::core::model::{GrantId, PersonRef, SessionId};
use crate::proto::{AuditQuery, AuditRow};
use jiff::Timestamp;
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, Row, params_from_iter};
use serde::de::DeserializeOwned;

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1000;
/// So many reads are enough to see what is usual.
const MOST_PAST: u32 = 500;

/// Which records other than statements are asked for.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    /// A kind or the start of one: `session.` finds `session.opened`.
    pub kind: Option<String>,
    pub since: Option<Timestamp>,
    /// Only records before this ledger position, for paging.
    pub before: Option<u64>,
    pub limit: Option<u32>,
}

/// One record as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    pub seq: u64,
    pub at: Timestamp,
    pub kind: String,
    /// The record itself: a JSON object.
    pub body: String,
}

pub(super) fn statements(connection: &Connection, query: &AuditQuery) -> rusqlite::Result<Vec<AuditRow>> {
    let mut wanted = Conditions::default();
    if let Some(session) = &query.session {
        wanted.prefix("session", session);
    }
    if let Some(person) = &query.person {
        wanted.add("(subject = ? OR email = ?)", [person.clone().into(), person.clone().into()]);
    }
    if let Some(target) = &query.target {
        wanted.add("target = ?", [target.clone().into()]);
    }
    wanted.page(query.since, query.before, query.limit);
    let columns = "seq, at, subject, email, target, session, grant_id, connection, text, parameters, \
                   result, rows, bytes, duration_us, export, facts, \
                   EXISTS (SELECT 1 FROM events WHERE kind IN ('recording.started', 'recording.chunk', \
                   'recording.ended') AND body ->> '$.session' = session)";
    wanted.select(connection, columns, "statements", |row| {
        Ok(AuditRow {
            seq: natural(row, 0)?,
            at: time(row, 1)?,
            person: PersonRef { subject: row.get(2)?, email: row.get(3)? },
            target: row.get(4)?,
            session: SessionId::from_stored(row.get::<_, String>(5)?),
            grant: GrantId::from_stored(row.get::<_, String>(6)?),
            connection: row.get(7)?,
            text: row.get(8)?,
            parameters: json(9, &row.get::<_, String>(9)?)?,
            result: row.get::<_, Option<String>>(10)?.map(|text| json(10, &text)).transpose()?,
            rows: natural(row, 11)?,
            bytes: natural(row, 12)?,
            duration_us: row.get::<_, Option<i64>>(13)?.map(i64::unsigned_abs),
            export: row.get::<_, Option<String>>(14)?.map(|text| json(14, &text)).transpose()?,
            recorded: row.get(16)?,
            facts: row.get::<_, Option<String>>(15)?.map(|text| json(15, &text)).transpose()?,
        })
    })
}

/// A statement that has returned rows, as a part of what is usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastRead {
    pub seq: u64,
    pub session: String,
    pub text: String,
    pub rows: u64,
}

/// The newest of a target's reads of a hundred rows and more, of one person or of all.
pub(super) fn past_reads(
    connection: &Connection,
    target: &str,
    subject: Option<&str>,
    since: Timestamp,
) -> rusqlite::Result<Vec<PastRead>> {
    let mut wanted = vec![Value::from(target.to_owned()), Value::from(since.as_microsecond())];
    wanted.extend(subject.map(|subject| Value::from(subject.to_owned())));
    let of_person = if subject.is_some() { "AND subject = ?3" } else { "" };
    // The partial index serves only a condition that it can be seen in. Long texts
    // are cut by their reader: they would only cost time here.
    let sql = format!(
        "SELECT seq, session, text, rows FROM statements
         WHERE target = ?1 AND at >= ?2 {of_person} AND rows >= 100 AND length(text) < 100000
         ORDER BY at DESC LIMIT {MOST_PAST}"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let read = |row: &Row<'_>| {
        Ok(PastRead {
            seq: natural(row, 0)?,
            session: row.get(1)?,
            text: row.get(2)?,
            rows: natural(row, 3)?,
        })
    };
    statement.query_map(params_from_iter(wanted), read)?.collect()
}

pub(super) fn events(connection: &Connection, query: &EventQuery) -> rusqlite::Result<Vec<EventRow>> {
    let mut wanted = Conditions::default();
    if let Some(kind) = &query.kind {
        wanted.prefix("kind", kind);
    }
    wanted.page(query.since, query.before, query.limit);
    wanted.select(connection, "seq, at, kind, body", "events", |row| {
        Ok(EventRow { seq: natural(row, 0)?, at: time(row, 1)?, kind: row.get(2)?, body: row.get(3)? })
    })
}

/// What is said of a session's recording behind a place, oldest first.
pub(super) fn recording(
    connection: &Connection,
    session: &str,
    after: u64,
) -> rusqlite::Result<Vec<EventRow>> {
    let sql = format!(
        "SELECT seq, at, kind, body FROM events
         WHERE kind IN ('recording.started', 'recording.chunk', 'recording.ended') AND body ->> '$.session' = ?1 AND seq > ?2 ORDER BY seq LIMIT {MAX_LIMIT}"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let read = |row: &Row<'_>| {
        Ok(EventRow { seq: natural(row, 0)?, at: time(row, 1)?, kind: row.get(2)?, body: row.get(3)? })
    };
    statement.query_map((session, integer(after)), read)?.collect()
}

#[derive(Default)]
struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
    limit: u32,
}

impl Conditions {
    fn add(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push(condition.to_owned());
        self.values.extend(values);
    }

    /// A range, where LIKE would read some characters of the value as a pattern.
    fn prefix(&mut self, column: &str, prefix: &str) {
        let end = format!("{prefix}{}", char::MAX);
        self.add(&format!("{column} >= ? AND {column} < ?"), [prefix.to_owned().into(), end.into()]);
    }

    fn page(&mut self, since: Option<Timestamp>, before: Option<u64>, limit: Option<u32>) {
        if let Some(since) = since {
            self.add("at >= ?", [since.as_microsecond().into()]);
        }
        if let Some(before) = before {
            self.add("seq < ?", [integer(before).into()]);
        }
        self.limit = limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    }

    fn select<T>(
        self,
        connection: &Connection,
        columns: &str,
        table: &str,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        let filter = if self.sql.is_empty() { "TRUE".to_owned() } else { self.sql.join(" AND ") };
        let sql =
            format!("SELECT {columns} FROM {table} WHERE {filter} ORDER BY seq DESC LIMIT {}", self.limit);
        let mut statement = connection.prepare(&sql)?;
        statement.query_map(params_from_iter(self.values), read)?.collect()
    }
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?).map_err(|error| unreadable(column, error))
}

fn json<T: DeserializeOwned>(column: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| unreadable(column, error))
}

fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
