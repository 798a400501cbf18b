//! What each session used, a row a session: kept as its statements are read, so
//! that no question about privileges walks through them again. And the records
//! that metrics are made of.

use super::feed::{integer, natural};
use super::query::{EventRow, time};
use crate::core::evidence::{Mark, Used};
use crate::core::model::{SessionId, StatementFacts};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

/// Kinds of the records that metrics are made of.
const LIVES: &str =
    "'request.created', 'request.amended', 'grant.issued', 'session.opening', 'session.opened',
    'session.ending', 'session.dead', 'break_glass.opened', 'credential.probed', 'target.scanned'";

/// A session's first statement, and what all of its statements used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    pub first: Mark,
    pub used: Used,
}

/// What the statements of one batch used.
#[derive(Default)]
pub(super) struct Gathered {
    sessions: HashMap<SessionId, Usage>,
    /// Facts that were added, by hash: programs say the same again and again.
    known: HashSet<u64>,
    hasher: RandomState,
}

impl Gathered {
    pub fn add(&mut self, session: &SessionId, mark: Mark, facts: Option<&StatementFacts>) {
        let text = facts.map(StatementFacts::as_json).unwrap_or_default();
        if !self.known.insert(self.hasher.hash_one((session.as_str(), text))) {
            return;
        }
        let used = facts.map(Used::of).unwrap_or_default();
        match self.sessions.get_mut(session) {
            Some(known) => known.used.add(used),
            None => drop(self.sessions.insert(session.clone(), Usage { first: mark, used })),
        }
    }

    /// Adds it to what is kept, in the batch's own transaction.
    pub fn save(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut known = transaction.prepare("SELECT used FROM usage WHERE session = ?1")?;
        let mut insert = transaction.prepare("INSERT INTO usage VALUES (?1, ?2, ?3, ?4)")?;
        let mut update = transaction.prepare("UPDATE usage SET used = ?2 WHERE session = ?1")?;
        for (session, Usage { first, mut used }) in self.sessions {
            let before: Option<String> = known.query_row([session.as_str()], |row| row.get(0)).optional()?;
            match before {
                None => {
                    let (seq, at) = (integer(first.seq), first.at.as_microsecond());
                    insert.execute(params![session.as_str(), seq, at, text(&used)])?;
                }
                Some(before) => {
                    used.add(read(&before));
                    let after = text(&used);
                    if after != before {
                        update.execute(params![session.as_str(), after])?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn text(used: &Used) -> String {
    // A type without maps: this cannot fail.
    serde_json::to_string(used).unwrap_or_default()
}

fn read(text: &str) -> Used {
    serde_json::from_str(text).unwrap_or_default()
}

pub(super) fn usage(
    connection: &Connection,
    sessions: &[SessionId],
) -> rusqlite::Result<Vec<(SessionId, Usage)>> {
    let sql = "SELECT first, first_at, used FROM usage WHERE session = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = Vec::new();
    for session in sessions {
        let row = statement.query_row([session.as_str()], |row| {
            let first = Mark { seq: natural(row, 0)?, at: time(row, 1)? };
            Ok(Usage { first, used: read(&row.get::<_, String>(2)?) })
        });
        found.extend(row.optional()?.map(|usage| (session.clone(), usage)));
    }
    Ok(found)
}

/// Records behind `after` and not before `since`, in their order.
pub(super) fn lives(
    connection: &Connection,
    since: Timestamp,
    after: u64,
    limit: u32,
) -> rusqlite::Result<Vec<EventRow>> {
    // Not by the index of kinds, which would have to be sorted: they are most of all.
    let sql = format!(
        "SELECT seq, at, kind, body FROM events
         WHERE seq > ?1 AND at >= ?2 AND +kind IN ({LIVES}) ORDER BY seq LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![integer(after), since.as_microsecond(), limit], |row| {
        Ok(EventRow { seq: natural(row, 0)?, at: time(row, 1)?, kind: row.get(2)?, body: row.get(3)? })
    });
    rows?.collect()
}
