//! What the server itself asks of the index: small, and answered at once.

use super::codes::{REFUSED, SKIPPED};
use super::feed::{DAY, integer, natural};
use super::filter::Conditions;
use crate::core::audit::Named;
use crate::core::campaign::{SessionUse, Used};
use crate::core::model::{GrantId, PersonRef, SessionId};
use jiff::Timestamp;
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, OptionalExtension as _, Row, params_from_iter};
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

/// A statement that has returned rows, as a part of what is usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastRead {
    pub seq: u64,
    pub session: String,
    /// The tables that it read, as its text names them.
    pub tables: Vec<String>,
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
    // The partial index serves only a condition that it can be seen in, and the
    // days bound how much of it is looked at.
    let sql = format!(
        "SELECT s.seq, e.session, h.facts, s.rows
         FROM statements s INDEXED BY statements_large
         CROSS JOIN sessions e ON e.no = s.session CROSS JOIN shapes h ON h.no = s.shape
         WHERE s.seq >= (SELECT min(first) FROM days WHERE day >= ?2 / {DAY})
         AND s.at >= ?2 AND (s.rows >= 100 OR s.export = 1) AND s.rows >= 100
         AND e.target = ?1 {of_person}
         ORDER BY s.seq DESC LIMIT {MOST_PAST}"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let read = |row: &Row<'_>| {
        Ok(PastRead {
            seq: natural(row, 0)?,
            session: row.get(1)?,
            tables: row.get::<_, Option<String>>(2)?.map(|facts| reads(&facts)).unwrap_or_default(),
            rows: natural(row, 3)?,
        })
    };
    statement.query_map(params_from_iter(wanted), read)?.collect()
}

/// The tables in a shape's facts; what an earlier version wrote otherwise has none.
fn reads(facts: &str) -> Vec<String> {
    serde_json::from_str::<Named>(facts).unwrap_or_default().reads
}

/// A redacted statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRow {
    pub seq: u64,
    pub at: Timestamp,
    pub person: PersonRef,
    pub target: String,
    pub session: SessionId,
}

/// One as its record shows it, and what was left out, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedTexts {
    pub row: SealedRow,
    pub text: String,
    pub sealed: Option<String>,
    pub sealed_result: Option<String>,
}

/// The sealed ones among statements at these places, or of a session; in their
/// order, at most `limit`.
pub(super) fn sealed(connection: &Connection, of: &SealedOf, limit: u32) -> rusqlite::Result<Vec<SealedRow>> {
    let (which, value) = match of {
        SealedOf::Session(session) => {
            ("s.session = (SELECT no FROM sessions WHERE session = ?1)", session.to_string())
        }
        SealedOf::Statements(seqs) => {
            ("s.seq IN (SELECT value FROM json_each(?1))", serde_json::to_string(seqs).unwrap_or_default())
        }
    };
    let sql = format!(
        "SELECT {SEALED} FROM {SEALED_FROM}
         WHERE {which} AND (t.sealed IS NOT NULL OR t.sealed_result IS NOT NULL)
         ORDER BY s.seq LIMIT {limit}"
    );
    connection.prepare_cached(&sql)?.query_map([value], sealed_row)?.collect()
}

/// What [`sealed_row`] reads, and from where.
const SEALED: &str = "s.seq, s.at, e.subject, e.email, e.target, e.session";
const SEALED_FROM: &str =
    "statements s CROSS JOIN sessions e ON e.no = s.session CROSS JOIN texts t ON t.seq = s.seq";

fn sealed_row(row: &Row<'_>) -> rusqlite::Result<SealedRow> {
    Ok(SealedRow {
        seq: natural(row, 0)?,
        at: time(row, 1)?,
        person: PersonRef { subject: row.get(2)?, email: row.get(3)? },
        target: row.get(4)?,
        session: SessionId::from_stored(row.get::<_, String>(5)?),
    })
}

/// What these statements left out, until there are so many bytes of it: the last
/// is whole. Those that are not there are left out.
pub(super) fn sealed_texts(
    connection: &Connection,
    seqs: &[u64],
    most_bytes: usize,
) -> rusqlite::Result<Vec<SealedTexts>> {
    let sql =
        format!("SELECT {SEALED}, t.text, t.sealed, t.sealed_result FROM {SEALED_FROM} WHERE s.seq = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    for &seq in seqs {
        if bytes >= most_bytes {
            break;
        }
        let read = |row: &Row<'_>| {
            let (text, sealed, sealed_result) = (row.get(6)?, row.get(7)?, row.get(8)?);
            Ok(SealedTexts { row: sealed_row(row)?, text, sealed, sealed_result })
        };
        if let Some(texts) = statement.query_row([integer(seq)], read).optional()? {
            let parts = [Some(&texts.text), texts.sealed.as_ref(), texts.sealed_result.as_ref()];
            bytes += parts.into_iter().flatten().map(String::len).sum::<usize>();
            found.push(texts);
        }
    }
    Ok(found)
}

/// Whose originals are looked for.
#[derive(Clone, Debug)]
pub enum SealedOf {
    Session(SessionId),
    Statements(Vec<u64>),
}

/// What each session did between two times: reading, writing, changing schemas
/// and taking rows out, what was refused left out. It walks through the whole
/// period, which is for a question of once a quarter; what a statement does is
/// read from its facts once for each shape.
pub(super) fn uses(
    connection: &Connection,
    from: Timestamp,
    to: Timestamp,
) -> rusqlite::Result<Vec<SessionUse>> {
    let ddl =
        "(class LIKE 'CREATE %' OR class LIKE 'ALTER %' OR class LIKE 'DROP %' OR class LIKE 'COMMENT%')";
    let writes = format!("(facts ->> '$.writes' <> '[]' AND NOT {ddl})");
    let kinds = format!(
        "WITH kinds AS MATERIALIZED (SELECT no, facts ->> '$.reads' <> '[]' AS reads, {writes} AS writes, {ddl} AS ddl
         FROM shapes)"
    );
    let of = |what: &str| format!("count(*) FILTER (WHERE {what}), max(at) FILTER (WHERE {what})");
    let sql = format!(
        "{kinds} SELECT s.session, grant_id, subject, email, target, {}, {}, {}, {}
         FROM statements JOIN sessions s ON s.no = statements.session JOIN kinds ON kinds.no = shape
         WHERE at >= ?1 AND at < ?2 AND outcome NOT IN ({REFUSED}, {SKIPPED})
         GROUP BY s.no ORDER BY s.session",
        of("reads"),
        of("writes"),
        of("ddl"),
        of("export = 1"),
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let used = |row: &Row<'_>, column: usize| {
        let last = row.get::<_, Option<i64>>(column + 1)?.map(|_| time(row, column + 1)).transpose()?;
        Ok::<_, rusqlite::Error>(Used { statements: natural(row, column)?, last })
    };
    let read = |row: &Row<'_>| {
        Ok(SessionUse {
            session: SessionId::from_stored(row.get::<_, String>(0)?),
            grant: GrantId::from_stored(row.get::<_, String>(1)?),
            person: PersonRef { subject: row.get(2)?, email: row.get(3)? },
            target: row.get(4)?,
            read: used(row, 5)?,
            write: used(row, 7)?,
            ddl: used(row, 9)?,
            export: used(row, 11)?,
        })
    };
    statement.query_map((from.as_microsecond(), to.as_microsecond()), read)?.collect()
}

pub(super) fn events(connection: &Connection, query: &EventQuery) -> rusqlite::Result<Vec<EventRow>> {
    let mut wanted = Conditions::default();
    if let Some(kind) = &query.kind {
        wanted.prefix("kind", kind);
    }
    if let Some(since) = query.since {
        wanted.add("at >= ?", [since.as_microsecond().into()]);
    }
    if let Some(before) = query.before {
        wanted.add("seq < ?", [integer(before).into()]);
    }
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let sql = format!(
        "SELECT seq, at, kind, body FROM events WHERE {} ORDER BY seq DESC LIMIT {limit}",
        wanted.sql()
    );
    let read = |row: &Row<'_>| {
        Ok(EventRow { seq: natural(row, 0)?, at: time(row, 1)?, kind: row.get(2)?, body: row.get(3)? })
    };
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map(params_from_iter(wanted.values()), read)?.collect()
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

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?).map_err(|error| unreadable(column, error))
}

pub(super) fn json<T: DeserializeOwned>(column: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| unreadable(column, error))
}

fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
