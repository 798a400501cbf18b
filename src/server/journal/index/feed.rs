//! From lines to rows.

use super::codes::{self, UNKNOWN};
use super::usage::Gathered;
use crate::core::audit::{Named, Unmasked, written};
use crate::core::evidence::Mark;
use crate::core::ledger::{Hash, Line, body_kind, segment_name};
use crate::core::model::{AccessRequest, Event, Facts, Grant, SessionId, StatementFacts, StatementRecord};
use crate::server::journal::tail::Cursor;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row, ToSql, Transaction, params};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Segment bytes in one transaction.
const BATCH: u64 = 4 << 20;
pub(super) const DAY: i64 = 86_400_000_000;

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
    let mut rows = Rows {
        sql: &transaction,
        sessions: HashMap::new(),
        touched: HashMap::new(),
        days: BTreeMap::new(),
        counted: HashMap::new(),
        used: Gathered::default(),
    };
    cursor.read(dir, upto, BATCH, |line, record| rows.add(line, record).map_err(io::Error::other))?;
    rows.save_sums().map_err(io::Error::other)?;
    rows.used.save(&transaction).map_err(io::Error::other)?;
    save(&transaction, &cursor).map_err(io::Error::other)?;
    transaction.commit().map_err(io::Error::other)?;
    Ok(cursor)
}

/// What makes rows of one batch, and remembers what many of its lines share.
struct Rows<'t> {
    sql: &'t Transaction<'t>,
    sessions: HashMap<String, Arc<SessionRow>>,
    /// What a session's statement of a shape touches.
    touched: HashMap<(i64, i64), i64>,
    days: BTreeMap<i64, (i64, i64)>,
    /// Statements by session and shape.
    counted: HashMap<(i64, i64), i64>,
    used: Gathered,
}

struct SessionRow {
    no: i64,
    /// None where its grant is not on record.
    unmasked: Option<Unmasked>,
}

impl Rows<'_> {
    fn add(&mut self, line: &Line<'_>, record: &str) -> rusqlite::Result<()> {
        let (seq, at) = (integer(line.seq), line.at.as_microsecond());
        let is_statement = record.starts_with("{\"kind\":\"statement.");
        // A statement record of a form that is not known is still an event.
        match is_statement.then(|| serde_json::from_str(record)).and_then(Result::ok) {
            Some(StatementRecord::Outcome {
                intent,
                result,
                rows,
                bytes,
                duration_us,
                shape,
                export,
                sealed,
                ..
            }) => {
                let (ended, seq) = (seq, integer(intent));
                self.run("INSERT INTO outcomes (seq, statement) VALUES (?1, ?2)", [ended, seq])?;
                self.run(
                    "UPDATE statements SET outcome = ?2, rows = ?3, bytes = ?4, duration_us = ?5, export = ?6
                     WHERE seq = ?1",
                    params![
                        seq,
                        codes::outcome(&result),
                        integer(rows),
                        integer(bytes),
                        integer(duration_us),
                        export.is_some()
                    ],
                )?;
                let export = export.map(|export| serde_json::to_string(&export).unwrap_or_default());
                let shape = shape.map(|shape| serde_json::to_string(&shape).unwrap_or_default());
                let result = serde_json::to_string(&result).unwrap_or_default();
                self.run(
                    "UPDATE texts SET result = ?2, result_shape = ?3, export = ?4, ended = ?5, sealed_result = ?6
                     WHERE seq = ?1",
                    params![seq, result, shape, export, ended, sealed],
                )
            }
            Some(intent) => {
                if let StatementRecord::Intent { session, facts, .. } = &intent {
                    self.used.add(session, Mark { seq: line.seq, at: line.at }, facts.as_deref());
                }
                self.intent(seq, at, &intent)
            }
            None => {
                let kind = body_kind(record).unwrap_or_default();
                self.event(&kind, record)?;
                self.run(
                    "INSERT INTO events (seq, at, kind, body) VALUES (?1, ?2, ?3, ?4)",
                    params![seq, at, kind, record],
                )
            }
        }
    }

    fn intent(&mut self, seq: i64, at: i64, record: &StatementRecord<'_>) -> rusqlite::Result<()> {
        let StatementRecord::Intent { session, connection, text, parameters, class, facts, sealed, .. } =
            record
        else {
            return Ok(());
        };
        let of_session = self.session(session, record)?;
        let facts = facts.as_deref().map(StatementFacts::as_json);
        let shape = self.shape(class, facts)?;
        let touched = match self.touched.get(&(of_session.no, shape)) {
            Some(touched) => *touched,
            None => self.touch(&of_session, shape, class, facts)?,
        };
        self.run(
            "INSERT INTO statements (seq, at, session, shape, sensitivity) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![seq, at, of_session.no, shape, touched],
        )?;
        self.run(
            "INSERT INTO texts (seq, connection, text, parameters, sealed) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                seq,
                connection.as_str(),
                text,
                serde_json::to_string(parameters).unwrap_or_default(),
                sealed
            ],
        )?;
        *self.counted.entry((of_session.no, shape)).or_default() += 1;
        let day = self.days.entry(at.div_euclid(DAY)).or_insert((seq, seq));
        *day = (day.0.min(seq), day.1.max(seq));
        Ok(())
    }

    fn session(&mut self, id: &SessionId, record: &StatementRecord<'_>) -> rusqlite::Result<Arc<SessionRow>> {
        if let Some(known) = self.sessions.get(id.as_str()) {
            return Ok(Arc::clone(known));
        }
        if let StatementRecord::Intent { grant, person, target, .. } = record {
            self.run(
                "INSERT INTO sessions (session, grant_id, subject, email, target, environment, incident, unmasked)
                 SELECT ?1, ?2, ?3, ?4, ?5, g.environment, g.incident, g.unmasked
                 FROM (SELECT 1) LEFT JOIN grants g ON g.grant_id = ?2
                 WHERE TRUE ON CONFLICT DO NOTHING",
                params![id.as_str(), grant.as_str(), person.subject, person.email, target],
            )?;
            self.run(
                "INSERT OR IGNORE INTO session_teams (team, session)
                 SELECT team.value, s.no FROM sessions s JOIN grants g USING (grant_id), json_each(g.teams) team
                 WHERE s.session = ?1",
                [id.as_str()],
            )?;
        }
        let row = self.prepare("SELECT no, unmasked FROM sessions WHERE session = ?1")?.query_row(
            [id.as_str()],
            |row| {
                let unmasked = row.get::<_, Option<String>>(1)?;
                Ok(SessionRow { no: row.get(0)?, unmasked: unmasked.as_deref().and_then(parsed) })
            },
        )?;
        let row = Arc::new(row);
        self.sessions.insert(id.to_string(), Arc::clone(&row));
        Ok(row)
    }

    fn shape(&mut self, class: &str, facts: Option<&str>) -> rusqlite::Result<i64> {
        let hash = Hash::of(format!("{class}\n{}", facts.unwrap_or_default()).as_bytes()).to_string();
        let find = "SELECT no FROM shapes WHERE hash = unhex(?1)";
        if let Some(no) = self.prepare(find)?.query_row([&hash], |row| row.get(0)).optional()? {
            return Ok(no);
        }
        self.run(
            "INSERT INTO shapes (hash, class, facts) VALUES (unhex(?1), ?2, ?3)",
            params![hash, class, facts],
        )?;
        let no = self.sql.last_insert_rowid();
        let named: Named = facts.and_then(parsed).unwrap_or_default();
        let name = |kind: &str, name: &str, schema: &str| {
            self.run(
                "INSERT OR IGNORE INTO shape_names VALUES (?1, ?2, ?3, ?4)",
                params![kind, name, schema, no],
            )
        };
        for verb in &named.verbs {
            name("verb", verb, "")?;
        }
        for table in named.tables() {
            let (schema, table) = written(table);
            name("table", table, schema.unwrap_or_default())?;
        }
        Ok(no)
    }

    /// Works out what a session's statement touches. One that runs what another
    /// has prepared touches what those did that the session had prepared before.
    fn touch(
        &mut self,
        session: &SessionRow,
        shape: i64,
        class: &str,
        facts: Option<&str>,
    ) -> rusqlite::Result<i64> {
        let named = facts.and_then(parsed::<Named>);
        let by_name = match &named {
            Some(named) => named.runs_prepared(),
            // A cursor of SQL's that the protocol reads from.
            None => class == "execute portal",
        };
        if by_name {
            let sql = "SELECT prepared FROM sessions WHERE no = ?1";
            let prepared: Option<i64> = self.prepare(sql)?.query_row([session.no], |row| row.get(0))?;
            return Ok(prepared.unwrap_or(UNKNOWN));
        }
        let touched = match (&session.unmasked, &named) {
            (Some(unmasked), Some(named)) => codes::bits(&unmasked.named_by(named)),
            (None, Some(named)) if named.tables().next().is_none() => 0,
            // A text that cannot be read does not pass; a function by its number may.
            (_, None) if class != "function call" => 0,
            _ => UNKNOWN,
        };
        if named.is_some_and(|named| named.prepares()) {
            let sql = "UPDATE sessions SET prepared = coalesce(prepared, 0) | ?2 WHERE no = ?1";
            self.run(sql, params![session.no, touched])?;
        }
        self.touched.insert((session.no, shape), touched);
        Ok(touched)
    }

    /// What later statements are searched by.
    fn event(&mut self, kind: &str, record: &str) -> rusqlite::Result<()> {
        if !matches!(kind, "request.created" | "request.amended" | "grant.issued") {
            return Ok(());
        }
        match parsed(record) {
            Some(Event::RequestCreated { request } | Event::RequestAmended { request, .. }) => {
                self.request(&request)
            }
            Some(Event::GrantIssued { grant }) => self.grant(&grant),
            _ => Ok(()),
        }
    }

    fn request(&mut self, request: &AccessRequest) -> rusqlite::Result<()> {
        let facts = request.decision.facts.as_ref().and_then(|facts| serde_json::to_string(facts).ok());
        let incident = request.incident.as_ref().map(|incident| incident.id.to_string());
        self.run(
            "INSERT OR REPLACE INTO requests (request, facts, incident) VALUES (?1, ?2, ?3)",
            params![request.id.as_str(), facts, incident],
        )
    }

    fn grant(&mut self, grant: &Grant) -> rusqlite::Result<()> {
        let find = "SELECT facts, incident FROM requests WHERE request = ?1";
        let row = |row: &Row<'_>| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?));
        let found = self.prepare(find)?.query_row([grant.request.as_str()], row).optional()?;
        let Some((Some(facts), incident)) = found else { return Ok(()) };
        let Some(facts) = parsed::<Facts>(&facts) else { return Ok(()) };
        let json = |value: serde_json::Result<String>| value.unwrap_or_default();
        self.run(
            "INSERT OR REPLACE INTO grants (grant_id, environment, teams, incident, unmasked)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                grant.id.as_str(),
                facts.environment.as_str(),
                json(serde_json::to_string(&facts.teams)),
                incident,
                json(serde_json::to_string(&Unmasked::of(grant, &facts)))
            ],
        )
    }

    /// What the batch adds up to.
    fn save_sums(&self) -> rusqlite::Result<()> {
        for ((session, shape), count) in &self.counted {
            self.run("UPDATE sessions SET statements = statements + ?2 WHERE no = ?1", [session, count])?;
            self.run("UPDATE shapes SET statements = statements + ?2 WHERE no = ?1", [shape, count])?;
        }
        for (day, (first, last)) in &self.days {
            self.run(
                "INSERT INTO days VALUES (?1, ?2, ?3) ON CONFLICT (day) DO UPDATE
                 SET first = min(first, excluded.first), last = max(last, excluded.last)",
                params![day, first, last],
            )?;
        }
        Ok(())
    }

    fn prepare(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        self.sql.prepare_cached(sql)
    }

    fn run(&self, sql: &str, values: impl rusqlite::Params) -> rusqlite::Result<()> {
        self.prepare(sql)?.execute(values).map(drop)
    }
}

/// What an earlier version wrote in another form is as good as not there.
fn parsed<T: DeserializeOwned>(json: &str) -> Option<T> {
    serde_json::from_str(json).ok()
}

fn save(transaction: &Transaction<'_>, cursor: &Cursor) -> rusqlite::Result<()> {
    let sql =
        "INSERT OR REPLACE INTO progress (id, segment, \"offset\", next, prev) VALUES (1, ?1, ?2, ?3, ?4)";
    let prev = cursor.prev.unwrap_or(Hash::ZERO).to_string();
    let row: [&dyn ToSql; 4] =
        [&integer(cursor.segment), &integer(cursor.offset), &integer(cursor.next), &prev];
    transaction.execute(sql, row).map(drop)
}

/// SQLite's integers are signed; no count of ours comes near the difference.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn natural(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::unsigned_abs)
}
