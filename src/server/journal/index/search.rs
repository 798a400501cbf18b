//! Searches that may have to look at all there is. They walk from the newest
//! statement to the oldest in windows of positions, each a query of its own, so
//! that a search can stop between two and say where to go on.

use super::codes;
use super::feed::{DAY, integer, natural};
use super::filter::Filter;
use super::query::{json, time};
use crate::core::model::{GrantId, PersonRef, ResultShape, SessionId};
use crate::proto::{AuditCount, AuditCounts, AuditPage, AuditQuery, AuditRow, CountBy};
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

pub(super) const DEFAULT_LIMIT: u32 = 100;
pub(super) const MAX_LIMIT: u32 = 1000;
const MAX_COUNTS: u32 = 10_000;
/// Positions of the first window; a quick one is followed by a wider one.
pub(super) const WINDOW: i64 = 1 << 17;
const QUICK: Duration = Duration::from_millis(60);
const SLOW: Duration = Duration::from_millis(250);

/// Goes through `range` from its end. `look` returns whether to go on; so does
/// the clock. Returns where it stopped.
fn walk<E>(
    range: Range<i64>,
    patience: Duration,
    mut look: impl FnMut(Range<i64>) -> Result<bool, E>,
) -> Result<i64, E> {
    let begun = Instant::now();
    let (mut end, mut width) = (range.end, WINDOW);
    while range.start < end && begun.elapsed() < patience {
        let from = end.saturating_sub(width).max(range.start);
        let at = Instant::now();
        if !look(from..end)? {
            break;
        }
        end = from;
        match at.elapsed() {
            quick if quick < QUICK => width = width.saturating_mul(4),
            slow if slow > SLOW => width = (width / 4).max(WINDOW),
            _ => {}
        }
    }
    Ok(end)
}

/// Bytes of texts and parameters in a page: a statement may have 16 MiB of them.
/// A page has one statement at least.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// A page of statements, newest first; after `patience` it is handed over as it is.
pub(super) fn page(
    sql: &Connection,
    query: &AuditQuery,
    only: Option<&str>,
    patience: Duration,
) -> rusqlite::Result<AuditPage> {
    let filter = Filter::of(sql, query, only)?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT) as usize;
    let mut statements: Vec<AuditRow> = Vec::new();
    let mut room = MOST_BYTES;
    let stopped = walk(filter.range.clone(), patience, |window| {
        // One more than fits tells that there are more.
        let wanted = limit + 1 - statements.len();
        rows(sql, &filter, window, wanted, |row| {
            room = room.saturating_sub(bytes(&row));
            statements.push(row);
            room > 0
        })?;
        Ok::<_, rusqlite::Error>(statements.len() <= limit && room > 0)
    })?;
    let next = if room == 0 && statements.len() <= limit {
        statements.last().map(|row| row.seq)
    } else if statements.len() > limit {
        statements.truncate(limit);
        statements.last().map(|row| row.seq)
    } else {
        (stopped > filter.range.start).then_some(stopped.unsigned_abs())
    };
    Ok(AuditPage { statements, next, recording_pruned: None })
}

fn rows(
    sql: &Connection,
    filter: &Filter,
    window: Range<i64>,
    limit: usize,
    mut each: impl FnMut(AuditRow) -> bool,
) -> rusqlite::Result<()> {
    let found = format!(
        "SELECT *, seq AS place FROM statements s {} WHERE seq >= ?1 AND seq < ?2 AND {}
         ORDER BY seq DESC LIMIT {limit}",
        filter.by_index,
        filter.conditions.sql()
    );
    let mut statement = sql.prepare_cached(&whole(&found, "DESC"))?;
    for row in statement.query_map(params_from_iter(values(filter, &window)), audit_row)? {
        if !each(row?) {
            break;
        }
    }
    Ok(())
}

/// Where [`whole`] has the place.
pub(super) const PLACE: usize = 21;

/// Rows of `statements` and the place of each, in the order of the places, with
/// all that [`audit_row`] reads; the place comes last.
pub(super) fn whole(found: &str, order: &str) -> String {
    format!(
        "SELECT s.seq, s.at, e.subject, e.email, e.target, e.session, e.grant_id, t.connection, t.text,
                t.parameters, t.result, s.rows, s.bytes, s.duration_us, t.export, h.facts, s.sensitivity,
                t.sealed IS NOT NULL, t.sealed_result IS NOT NULL,
                EXISTS (SELECT 1 FROM events
                        WHERE kind IN ('recording.started', 'recording.chunk', 'recording.ended')
                        AND body ->> '$.session' = e.session),
                t.result_shape, s.place
         FROM ({found}) s
         CROSS JOIN sessions e ON e.no = s.session
         CROSS JOIN shapes h ON h.no = s.shape
         CROSS JOIN texts t ON t.seq = s.seq
         ORDER BY s.place {order}"
    )
}

/// What of a row may be long.
pub(super) fn bytes(row: &AuditRow) -> usize {
    let parameters: usize = row.parameters.iter().flatten().map(String::len).sum();
    row.text.len() + parameters + row.shape.as_ref().map_or(0, ResultShape::len)
}

pub(super) fn values<'f>(filter: &'f Filter, window: &Range<i64>) -> impl Iterator<Item = Value> + use<'f> {
    [window.start.into(), window.end.into()].into_iter().chain(filter.conditions.values().iter().cloned())
}

pub(super) fn audit_row(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
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
        facts: row.get::<_, Option<String>>(15)?.map(|text| json(15, &text)).transpose()?,
        sensitivity: codes::kinds(row.get(16)?),
        text_sealed: row.get(17)?,
        message_sealed: row.get(18)?,
        recorded: row.get(19)?,
        shape: row.get::<_, Option<String>>(20)?.map(|text| json(20, &text)).transpose()?,
    })
}

#[derive(Clone, Copy)]
struct Tally {
    statements: u64,
    refused: u64,
    rows: u64,
    first: i64,
    last: i64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.statements += other.statements;
        self.refused += other.refused;
        self.rows = self.rows.saturating_add(other.rows);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// Counts all statements that fit, however many. What is counted is first told
/// apart by a number of the statement's own row, and named at the end.
pub(super) fn counts(
    sql: &Connection,
    query: &AuditQuery,
    by: CountBy,
    only: Option<&str>,
) -> rusqlite::Result<AuditCounts> {
    let filter = Filter::of(sql, query, only)?;
    let select = format!(
        "SELECT {}, count(*), sum(outcome IN ({}, {})), sum(rows), min(at), max(at)
         FROM statements s {} WHERE seq >= ?1 AND seq < ?2 AND {} GROUP BY 1",
        number(by),
        codes::REFUSED,
        codes::SKIPPED,
        filter.by_index,
        filter.conditions.sql()
    );
    let mut statement = sql.prepare_cached(&select)?;
    let mut found: BTreeMap<i64, Tally> = BTreeMap::new();
    walk(filter.range.clone(), Duration::MAX, |window| {
        let mut rows = statement.query(params_from_iter(values(&filter, &window)))?;
        while let Some(row) = rows.next()? {
            let tally = Tally {
                statements: natural(row, 1)?,
                refused: natural(row, 2)?,
                rows: natural(row, 3)?,
                first: row.get(4)?,
                last: row.get(5)?,
            };
            found.entry(row.get(0)?).and_modify(|known| known.add(&tally)).or_insert(tally);
        }
        Ok::<_, rusqlite::Error>(true)
    })?;
    let mut named: BTreeMap<String, Tally> = BTreeMap::new();
    for (number, tally) in found {
        for name in names(sql, by, number)? {
            named.entry(name).and_modify(|known| known.add(&tally)).or_insert(tally);
        }
    }
    sorted(named, query.limit.unwrap_or(MAX_LIMIT).min(MAX_COUNTS) as usize)
}

/// Most first; days in their order, the newest first.
fn sorted(named: BTreeMap<String, Tally>, limit: usize) -> rusqlite::Result<AuditCounts> {
    let mut all: Vec<(String, Tally)> = named.into_iter().collect();
    all.sort_by(|(a, one), (b, other)| other.statements.cmp(&one.statements).then_with(|| a.cmp(b)));
    let left_out = integer(all.len().saturating_sub(limit) as u64).unsigned_abs();
    all.truncate(limit);
    let instant = |at| Timestamp::from_microsecond(at).unwrap_or_default();
    let counts = all.into_iter().map(|(key, tally)| AuditCount {
        key,
        statements: tally.statements,
        refused: tally.refused,
        rows: tally.rows,
        first: instant(tally.first),
        last: instant(tally.last),
    });
    Ok(AuditCounts { counts: counts.collect(), left_out })
}

/// What tells apart the statements that are counted together.
fn number(by: CountBy) -> String {
    match by {
        CountBy::Person
        | CountBy::Team
        | CountBy::Target
        | CountBy::Environment
        | CountBy::Grant
        | CountBy::Session
        | CountBy::Incident => "session".to_owned(),
        CountBy::Table | CountBy::Verb => "shape".to_owned(),
        CountBy::Sensitivity => "sensitivity".to_owned(),
        CountBy::Export => "CASE WHEN export = 1 THEN 2 ELSE rows >= 1000 END".to_owned(),
        CountBy::Result => "outcome".to_owned(),
        // Days before 1970 are none.
        CountBy::Day => format!("at / {DAY}"),
    }
}

/// What it is called, for people: several, or what it lacks.
fn names(sql: &Connection, by: CountBy, number: i64) -> rusqlite::Result<Vec<String>> {
    let of_session = |column: &str, missing: &str| -> rusqlite::Result<Vec<String>> {
        let select = format!("SELECT coalesce({column}, ?2) FROM sessions WHERE no = ?1");
        sql.prepare_cached(&select)?.query_row((number, missing), |row| row.get(0)).map(|name| vec![name])
    };
    let several = |select: &str, none: &str| -> rusqlite::Result<Vec<String>> {
        let mut statement = sql.prepare_cached(select)?;
        let found: Vec<String> =
            statement.query_map([number], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(if found.is_empty() { vec![none.to_owned()] } else { found })
    };
    match by {
        CountBy::Person => of_session("email", ""),
        CountBy::Target => of_session("target", ""),
        CountBy::Environment => of_session("environment", "unknown"),
        CountBy::Grant => of_session("grant_id", ""),
        CountBy::Session => of_session("session", ""),
        CountBy::Incident => of_session("incident", "none"),
        CountBy::Team => {
            let known = of_session("environment", "")?.iter().any(|name| !name.is_empty());
            several(
                "SELECT team FROM session_teams WHERE session = ?1",
                if known { "none" } else { "unknown" },
            )
        }
        CountBy::Verb => {
            several("SELECT name FROM shape_names WHERE shape = ?1 AND kind = 'verb'", "unknown")
        }
        CountBy::Table => several(
            "SELECT CASE schema WHEN '' THEN name ELSE schema || '.' || name END
             FROM shape_names WHERE shape = ?1 AND kind = 'table'",
            "none",
        ),
        CountBy::Sensitivity => {
            let unknown = (number & codes::UNKNOWN != 0).then(|| "unknown".to_owned());
            let kinds = codes::kinds(number).into_iter().map(|kind| kind.as_str().to_owned());
            let found: Vec<String> = kinds.chain(unknown).collect();
            Ok(if found.is_empty() { vec!["none".to_owned()] } else { found })
        }
        CountBy::Export => Ok(vec![
            match number {
                2 => "copied out",
                1 => "1000 rows and more",
                _ => "neither",
            }
            .to_owned(),
        ]),
        CountBy::Result => Ok(vec![codes::outcome_name(number).to_owned()]),
        CountBy::Day => {
            let at = Timestamp::from_microsecond(number.saturating_mul(DAY)).unwrap_or_default();
            Ok(vec![at.strftime("%Y-%m-%d").to_string()])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_leaves_nothing_out_and_tells_where_it_stopped() {
        let mut seen = Vec::new();
        let stopped = walk(5..10_000_000, Duration::MAX, |window| {
            seen.push(window);
            Ok::<_, ()>(true)
        });
        assert_eq!(stopped, Ok(5));
        assert_eq!((seen[0].end, seen.last().unwrap().start), (10_000_000, 5));
        assert!(seen.windows(2).all(|pair| pair[0].start == pair[1].end));
        let halted = walk(0..10_000_000, Duration::MAX, |window| Ok::<_, ()>(window.start > 5_000_000));
        assert!(halted.is_ok_and(|stopped| stopped > 0));
        assert_eq!(walk(0..9, Duration::ZERO, |_| Ok::<_, ()>(true)), Ok(9));
    }
}
