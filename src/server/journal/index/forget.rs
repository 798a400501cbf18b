//! Statements that retention takes out: a session's go all together, so that an
//! index which is made anew from what is left of the ledger gives the same answers.

use super::feed::{DAY, integer, natural};
use crate::core::model::SessionId;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use std::collections::BTreeSet;

/// A session whose statements have come to an age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aged {
    pub session: SessionId,
    pub statements: u64,
    /// The line of its last statement, for paging.
    pub last: u64,
    /// The last line that tells of any of them.
    pub last_line: u64,
}

pub(super) fn aged(
    sql: &Connection,
    before: Timestamp,
    after: u64,
    limit: u32,
    statements: u64,
) -> rusqlite::Result<Vec<Aged>> {
    let mut find = sql.prepare_cached(
        "SELECT no, session, statements, last
         FROM (SELECT no, session, statements, (SELECT max(seq) FROM statements WHERE session = no) AS last
               FROM sessions)
         WHERE last > ?2 AND (SELECT at FROM statements WHERE seq = last) < ?1 ORDER BY last LIMIT ?3",
    )?;
    // Of those alone that are handed over: it looks at each of their statements.
    let mut ended = sql.prepare_cached(
        "SELECT max(t.ended) FROM statements m JOIN texts t ON t.seq = m.seq WHERE m.session = ?1",
    )?;
    let (mut found, mut held) = (Vec::new(), 0);
    let mut rows = find.query(params![before.as_microsecond(), integer(after), limit])?;
    while held < statements
        && let Some(row) = rows.next()?
    {
        let last = natural(row, 3)?;
        let ended: Option<i64> = ended.query_row([row.get::<_, i64>(0)?], |row| row.get(0))?;
        let one = Aged {
            session: SessionId::from_stored(row.get::<_, String>(1)?),
            statements: natural(row, 2)?,
            last,
            last_line: ended.map_or(last, |ended| last.max(ended.unsigned_abs())),
        };
        held = one.statements.saturating_add(held);
        found.push(one);
    }
    Ok(found)
}

pub(super) fn lines_of(sql: &Connection, sessions: &[SessionId]) -> rusqlite::Result<Vec<u64>> {
    let mut statement = sql.prepare_cached(
        "SELECT m.seq, t.ended FROM sessions s JOIN statements m ON m.session = s.no
         JOIN texts t ON t.seq = m.seq WHERE s.session = ?1",
    )?;
    let mut lines = Vec::new();
    for session in sessions {
        let mut rows = statement.query([session.as_str()])?;
        while let Some(row) = rows.next()? {
            lines.push(natural(row, 0)?);
            lines.extend(row.get::<_, Option<i64>>(1)?.map(i64::unsigned_abs));
        }
    }
    lines.sort_unstable();
    Ok(lines)
}

pub(super) fn forget(connection: &mut Connection, sessions: &[SessionId]) -> rusqlite::Result<()> {
    // Not only out of sight: what is freed is overwritten.
    connection.pragma_update(None, "secure_delete", true)?;
    let forgotten = forget_all(connection, sessions);
    connection.pragma_update(None, "secure_delete", false)?;
    forgotten
}

fn forget_all(connection: &mut Connection, sessions: &[SessionId]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let mut days = BTreeSet::new();
    for session in sessions {
        let find = "SELECT no FROM sessions WHERE session = ?1";
        let no: Option<i64> =
            transaction.prepare_cached(find)?.query_row([session.as_str()], |row| row.get(0)).optional()?;
        if let Some(no) = no {
            one(&transaction, no, &mut days)?;
        }
        transaction.prepare_cached("DELETE FROM usage WHERE session = ?1")?.execute([session.as_str()])?;
    }
    for day in days {
        narrow(&transaction, day)?;
    }
    transaction.execute_batch(
        "DELETE FROM shape_names WHERE shape IN (SELECT no FROM shapes WHERE statements <= 0);
         DELETE FROM shapes WHERE statements <= 0;",
    )?;
    transaction.commit()
}

fn one(sql: &Transaction<'_>, no: i64, days: &mut BTreeSet<i64>) -> rusqlite::Result<()> {
    let on = format!("SELECT DISTINCT at / {DAY} FROM statements WHERE session = ?1");
    let mut statement = sql.prepare_cached(&on)?;
    for day in statement.query_map([no], |row| row.get(0))? {
        days.insert(day?);
    }
    for change in [
        "UPDATE shapes SET statements = statements - gone.n
         FROM (SELECT shape, count(*) AS n FROM statements WHERE session = ?1 GROUP BY shape) gone
         WHERE no = gone.shape",
        "DELETE FROM outcomes WHERE seq IN (
             SELECT t.ended FROM statements m JOIN texts t ON t.seq = m.seq WHERE m.session = ?1)",
        "DELETE FROM texts WHERE seq IN (SELECT seq FROM statements WHERE session = ?1)",
        "DELETE FROM statements WHERE session = ?1",
        "DELETE FROM session_teams WHERE session = ?1",
        "DELETE FROM sessions WHERE no = ?1",
    ] {
        sql.prepare_cached(change)?.execute([no])?;
    }
    Ok(())
}

/// A day reaches from its first statement to its last one.
fn narrow(sql: &Transaction<'_>, day: i64) -> rusqlite::Result<()> {
    let within = format!(
        "SELECT min(s.seq), max(s.seq) FROM days d JOIN statements s ON s.seq BETWEEN d.first AND d.last
         WHERE d.day = ?1 AND s.at / {DAY} = ?1"
    );
    let bounds: (Option<i64>, Option<i64>) =
        sql.prepare_cached(&within)?.query_row([day], |row| Ok((row.get(0)?, row.get(1)?)))?;
    match bounds {
        (Some(first), Some(last)) => sql
            .prepare_cached("UPDATE days SET first = ?2, last = ?3 WHERE day = ?1")?
            .execute(params![day, first, last])?,
        _ => sql.prepare_cached("DELETE FROM days WHERE day = ?1")?.execute([day])?,
    };
    Ok(())
}
