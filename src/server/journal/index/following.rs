//! What happened after a place in the ledger, oldest first. A statement is
//! handed over where it ended, with how it ended; one that still runs where it
//! began, and once more where it ends. So whoever goes on from page to page
//! sees the end of each, and none twice that did not run meanwhile.

use super::codes;
use super::feed::{cursor, integer, natural};
use super::filter::Filter;
use super::search::{DEFAULT_LIMIT, MAX_LIMIT, MOST_BYTES, PLACE, WINDOW, audit_row, bytes, values, whole};
use crate::proto::{AuditPage, AuditQuery};
use rusqlite::{Connection, params_from_iter};
use std::time::{Duration, Instant};

pub(super) fn page(
    sql: &Connection,
    query: &AuditQuery,
    after: u64,
    only: Option<&str>,
    patience: Duration,
) -> rusqlite::Result<AuditPage> {
    let begun = Instant::now();
    // First: what is added from here on is of the next page.
    let end = integer(cursor(sql)?.map_or(1, |cursor| cursor.next));
    let filter = Filter::of(sql, query, only)?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT) as usize;
    let select = select(&filter, limit);
    let mut from = integer(after).saturating_add(1).max(filter.range.start).min(end);
    let mut statements = Vec::new();
    let mut room = MOST_BYTES;
    while from < end && begun.elapsed() < patience {
        let window = from..end.min(from.saturating_add(WINDOW));
        let mut statement = sql.prepare_cached(&select)?;
        let mut rows = statement.query(params_from_iter(values(&filter, &window)))?;
        while let Some(row) = rows.next()? {
            let place = natural(row, PLACE)?;
            let row = audit_row(row)?;
            room = room.saturating_sub(bytes(&row));
            statements.push(row);
            if statements.len() == limit || room == 0 {
                return Ok(AuditPage { statements, next: Some(place), recording_pruned: None });
            }
        }
        from = window.end;
    }
    Ok(AuditPage { statements, next: Some(from.saturating_sub(1).unsigned_abs()), recording_pruned: None })
}

fn select(filter: &Filter, limit: usize) -> String {
    let found = format!(
        "SELECT s.*, k.place
         FROM (SELECT seq AS place, statement FROM outcomes WHERE seq >= ?1 AND seq < ?2
               UNION ALL
               SELECT seq, seq FROM statements WHERE seq >= ?1 AND seq < ?2 AND outcome = {}) k
         CROSS JOIN statements s ON s.seq = k.statement
         WHERE {} ORDER BY k.place LIMIT {limit}",
        codes::RUNNING,
        filter.conditions.sql()
    );
    whole(&found, "ASC")
}
