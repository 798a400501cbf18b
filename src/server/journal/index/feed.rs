//! From lines to rows.

use super::usage::Gathered;
use crate::core::evidence::Mark;
use crate::core::ledger::{Hash, Line, body_kind, segment_name};
use crate::core::model::{StatementFacts, StatementRecord};
use crate::server::journal::tail::Cursor;
use rusqlite::{Connection, OptionalExtension as _, Row, Statement, Transaction, params};
use std::io;
use std::path::Path;

/// Changes with the schema: an index of another version is made anew.
pub(super) const VERSION: u32 = 4;

/// Times are microseconds since 1970; `result`, `parameters` and `export` are JSON.
pub(super) const SCHEMA: &str = "
    BEGIN;
    CREATE TABLE progress (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        segment INTEGER NOT NULL, \"offset\" INTEGER NOT NULL, next INTEGER NOT NULL, prev TEXT NOT NULL
    ) STRICT;
    CREATE TABLE statements (
        seq INTEGER PRIMARY KEY, at INTEGER NOT NULL,
        subject TEXT NOT NULL, email TEXT NOT NULL COLLATE NOCASE, target TEXT NOT NULL,
        session TEXT NOT NULL, grant_id TEXT NOT NULL, connection TEXT NOT NULL,
        class TEXT NOT NULL, text TEXT NOT NULL, parameters TEXT NOT NULL, facts TEXT,
        result TEXT, rows INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, duration_us INTEGER,
        export TEXT
    ) STRICT;
    CREATE INDEX statements_session ON statements (session, seq);
    CREATE INDEX statements_subject ON statements (subject, seq);
    CREATE INDEX statements_email ON statements (email, seq);
    CREATE INDEX statements_target ON statements (target, seq);
    -- What is usual, of reads that return some: a small part of all.
    CREATE INDEX statements_person_reads ON statements (target, subject, at) WHERE rows >= 100;
    CREATE INDEX statements_target_reads ON statements (target, at) WHERE rows >= 100;
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX events_kind ON events (kind, seq);
    CREATE INDEX events_recording ON events (body ->> '$.session', seq) 
        WHERE kind IN ('recording.started', 'recording.chunk', 'recording.ended');
    -- What the statements of each session used: a row a session.
    CREATE TABLE usage (
        session TEXT PRIMARY KEY, first INTEGER NOT NULL, first_at INTEGER NOT NULL, used TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 4;
    COMMIT;";

/// Segment bytes in one transaction.
const BATCH: u64 = 4 << 20;

/// How far the index has come.
pub(super) fn cursor(connection: &Connection) -> rusqlite::Result<Option<Cursor>> {
    let sql = "SELECT segment, \"offset\", next, prev FROM progress";
    let row = connection.query_row(sql, [], |row| {
        let prev: String = row.get(3)?;
        Ok(Cursor {
            segment: natural(row, 0)?,
            offset: natural(row, 1)?,
            next: natural(row, 2)?,
            prev: Hash::from_hex(&prev),
        })
    });
    row.optional()
}

/// Whether the file that the cursor stands in reaches as far.
pub(super) fn leads_to(cursor: &Cursor, dir: &Path) -> bool {
    dir.join(segment_name(cursor.segment)).metadata().is_ok_and(|file| file.len() >= cursor.offset)
}

/// Reads one batch into one transaction, which holds the new cursor too.
pub(super) fn batch(connection: &mut Connection, dir: &Path, from: &Cursor, upto: u64) -> io::Result<Cursor> {
    let mut cursor = from.clone();
    let transaction = connection.transaction().map_err(io::Error::other)?;
    let mut rows = Rows::prepare(&transaction).map_err(io::Error::other)?;
    cursor.read(dir, upto, BATCH, |line, record| rows.add(line, record).map_err(io::Error::other))?;
    let used = std::mem::take(&mut rows.used);
    drop(rows);
    used.save(&transaction).map_err(io::Error::other)?;
    save(&transaction, &cursor).map_err(io::Error::other)?;
    transaction.commit().map_err(io::Error::other)?;
    Ok(cursor)
}

/// The statements of SQL that make rows, prepared once a batch.
struct Rows<'t> {
    intent: Statement<'t>,
    outcome: Statement<'t>,
    event: Statement<'t>,
    used: Gathered,
}

impl<'t> Rows<'t> {
    fn prepare(transaction: &'t Transaction<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            intent: transaction.prepare(
                "INSERT INTO statements
                 (seq, at, subject, email, target, session, grant_id, connection, class, text, parameters, facts)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?,
            outcome: transaction.prepare(
                "UPDATE statements SET result = ?2, rows = ?3, bytes = ?4, duration_us = ?5, export = ?6
                 WHERE seq = ?1",
            )?,
            event: transaction.prepare("INSERT INTO events (seq, at, kind, body) VALUES (?1, ?2, ?3, ?4)")?,
            used: Gathered::default(),
        })
    }

    fn add(&mut self, line: &Line<'_>, record: &str) -> rusqlite::Result<()> {
        let (seq, at) = (integer(line.seq), line.at.as_microsecond());
        let is_statement = record.starts_with("{\"kind\":\"statement.");
        // A statement record of a form that is not known is still an event.
        match is_statement.then(|| serde_json::from_str(record)).and_then(Result::ok) {
            Some(StatementRecord::Intent {
                session,
                grant,
                connection,
                person,
                target,
                text,
                parameters,
                class,
                facts,
                ..
            }) => {
                let mark = Mark { seq: line.seq, at: line.at };
                self.used.add(&session, mark, facts.as_deref());
                self.intent.execute(params![
                    seq,
                    at,
                    person.subject,
                    person.email,
                    target,
                    session.as_str(),
                    grant.as_str(),
                    connection.as_str(),
                    class,
                    text,
                    serde_json::to_string(&parameters).unwrap_or_default(),
                    facts.as_deref().map(StatementFacts::as_json),
                ])
            }
            Some(StatementRecord::Outcome { intent, result, rows, bytes, duration_us, export, .. }) => {
                let export = export.map(|export| serde_json::to_string(&export).unwrap_or_default());
                self.outcome.execute(params![
                    integer(intent),
                    serde_json::to_string(&result).unwrap_or_default(),
                    integer(rows),
                    integer(bytes),
                    integer(duration_us),
                    export,
                ])
            }
            None => {
                let kind = body_kind(record).unwrap_or_default();
                self.event.execute(params![seq, at, kind, record])
            }
        }
        .map(drop)
    }
}

fn save(transaction: &Transaction<'_>, cursor: &Cursor) -> rusqlite::Result<()> {
    let sql =
        "INSERT OR REPLACE INTO progress (id, segment, \"offset\", next, prev) VALUES (1, ?1, ?2, ?3, ?4)";
    let prev = cursor.prev.unwrap_or(Hash::ZERO).to_string();
    let row = params![integer(cursor.segment), integer(cursor.offset), integer(cursor.next), prev];
    transaction.execute(sql, row).map(drop)
}

/// SQLite's integers are signed; no count of ours comes near the difference.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn natural(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::unsigned_abs)
}
